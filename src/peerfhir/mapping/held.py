"""A document whose resources are held to a profile that they do not claim, for a check alone."""

from __future__ import annotations

from dataclasses import replace

from peerfhir.config import Node as Yaml
from peerfhir.mapping.document import Document
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.profiles import Outlines


def holding(document: Document, alias: str, outlines: Outlines, problems: Problems) -> Document:
    """Every resource of the profile's type claims it, where it claims none; a document without the alias stays.

    PM201 where the site has no package with the profile: nothing could be held to it.
    """
    canonical = document.profiles.get(alias)
    if canonical is None or document.resources is None or document.resources.kind != "map":
        return document
    outline = outlines.root(canonical)
    if outline is None:
        problems.add(document.mark, "PM201", f"profiles.{alias}", "the site has no package with this profile")
        return document
    kind = outline.element["path"]
    resources = {
        name: _claiming(one, alias) if _is_free(one, kind) else one for name, one in document.resources.value.items()
    }
    return replace(document, resources=replace(document.resources, value=resources))


def _is_free(resource: Yaml, kind: str) -> bool:
    """Whether a resource is of a type and claims no profile."""
    if resource.kind != "map" or "profile" in resource.value or "resourceType" not in resource.value:
        return False
    return bool(resource.value["resourceType"].value == kind)


def _claiming(resource: Yaml, alias: str) -> Yaml:
    mark = resource.value["resourceType"].mark
    return replace(resource, value={**resource.value, "profile": Yaml("scalar", alias, mark, raw=alias)})
