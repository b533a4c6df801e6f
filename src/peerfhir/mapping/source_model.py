"""What a from-fhir source says of its input besides the type: a profile, and a questionnaire that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Scope
from peerfhir.fhir.slices import value_of
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping.document import Document
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.profiles import Outlines, url_of
from peerfhir.mapping.source import Source


@dataclass(frozen=True)
class Said:
    """One element of the profile, or one slice of it, as expressions see it."""

    outline: Outline

    @property
    def minimum(self) -> int:
        """How many there must be."""
        return self.outline.minimum

    @property
    def maximum(self) -> int | None:
        """How many there may be; None for any number."""
        return self.outline.maximum

    def below(self, name: str) -> Said | None:
        """What it says of an element below; of the whole choice under the name of the choice."""
        child = self.outline.children.get(name) or self.outline.children.get(f"{name}[x]")
        return None if child is None else Said(child)

    def slice(self, name: str, value: str) -> Said | None:
        """The one slice that this value tells, where `name` alone discriminates."""
        rows = self.outline.element.get("slicing", {}).get("discriminator") or []
        if [row["path"] for row in rows if row["type"] in ("value", "pattern")] != [name] or len(rows) != 1:
            return None
        slices = [one for part, one in self.outline.slices.items() if "/" not in part]
        found = [one for one in slices if value in (_fixed(one, name), url_of(one) if name == "url" else None)]
        return Said(found[0]) if len(found) == 1 else None


def _fixed(outline: Outline, name: str) -> object:
    child = outline.children.get(name)
    wanted = value_of(child.element) if child is not None else None
    return wanted.value if wanted is not None else None


def modelled(
    scope: Scope, source: Source, document: Document, outlines: Outlines, forms: Mapping[str, Form], problems: Problems
) -> Scope:
    """The scope with what the profile and the questionnaire of the source add; PM201 or PM130 for an unknown one."""
    outline = _outline(source, document, outlines, problems)
    if outline is not None:
        scope = replace(scope, root=replace(scope.root, profile=Said(outline), promised=True))
    form = _form(source, document, forms, problems)
    return scope if form is None else replace(scope, link_ids=frozenset(form.questions))


def _outline(source: Source, document: Document, outlines: Outlines, problems: Problems) -> Outline | None:
    if not source.profile:
        return None
    node: Yaml = document.source.value["profile"]
    canonical = document.profiles.get(source.profile)
    if canonical is None:
        hint = nearest(source.profile, document.profiles)
        problems.add(node.mark, "PM201", "source", f"'{source.profile}' is not an alias under profiles", hint)
        return None
    found = outlines.root(canonical) if outlines else None
    if found is None and outlines:
        hint = nearest(canonical, outlines.urls())
        problems.add(node.mark, "PM201", "source", "the site has no package with this profile", hint)
    if found is not None and found.element["path"] != source.type:
        problems.add(node.mark, "PM201", "source", f"this is a profile of {found.element['path']}, not {source.type}")
        return None
    return found


def _form(source: Source, document: Document, forms: Mapping[str, Form], problems: Problems) -> Form | None:
    if not source.questionnaire:
        return None
    node: Yaml = document.source.value["questionnaire"]
    if source.type != "QuestionnaireResponse":
        problems.add(node.mark, "PM007", "source", f"a {source.type} answers no questionnaire")
        return None
    if source.questionnaire not in forms:
        what = f"there is no instrument '{source.questionnaire}'"
        problems.add(node.mark, "PM130", "source", what, nearest(source.questionnaire, forms))
    return forms.get(source.questionnaire)
