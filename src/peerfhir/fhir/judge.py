"""A resource against the compiled schemas of its type and profiles, and the invariants beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from peerfhir.fhir import invariants
from peerfhir.fhir.compiled import Compiled
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.overlays import Profiles
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base, Schema, Types

MAX_FINDINGS = 200
_MAX_DEPTH = 80


class Judge:
    """Everything that is known about right and wrong: the base, and the profiles of a site. Made once, then shared.

    Each pair of type and profiles has a schema of its own, made on first use (10-40 ms). Measured, one schema with all
    types behind `if/then` costs ten times as much to make: hence a resource inside a resource is
    asked by itself.
    """

    def __init__(self, base: Base, profiles: Profiles | None = None) -> None:
        self._base = base
        self._profiles = profiles or Profiles(base)
        self._compiled: dict[tuple[str, tuple[str, ...]], Compiled] = {}

    def findings(self, resource: Json, *, profiles: Iterable[str] = (), strict: bool = False) -> list[Finding]:
        """What speaks against a resource; empty when nothing does. Never raises.

        profiles  canonical urls to hold it against beside those it claims
        strict    for what we send: a reference to a wrong type is an error, not a warning
        """
        found: list[Finding] = []
        name = resource.get("resourceType") if type(resource) is dict else None
        self._judge(resource, name if type(name) is str and name in self._base.resources else "", tuple(profiles),
                    strict, found, 0)  # fmt: skip
        return list(dict.fromkeys(found))[:MAX_FINDINGS]

    def compiled(self, resource: Json) -> Compiled:
        """The schema that a resource of R4 is held against."""
        claims = self._claimed(resource, "", (), [])
        return self._compiled_for(resource["resourceType"], claims)

    def _judge(
        self, resource: Json, path: str, also: tuple[str, ...], strict: bool, found: list[Finding], depth: int
    ) -> None:
        name = resource.get("resourceType") if type(resource) is dict else None
        if type(name) is not str or name not in self._base.resources:
            place = f"{path}.resourceType".lstrip(".")
            found.append(Finding("error", "structure", place, "This is not a resource type of FHIR R4."))
        elif depth > _MAX_DEPTH or len(found) > MAX_FINDINGS:
            found.append(Finding("error", "too-costly", path, "This is nested deeper than can be judged."))
        else:
            before = len(found)
            compiled = self._compiled_for(name, self._claimed(resource, path, also, found))
            if not compiled.is_valid(resource):
                found += compiled.findings(resource, path, strict=strict)
            # the invariants read lists, objects and texts where R4 has them: what is built otherwise is mended first
            codes = {one.code for one in found[before:] if one.severity == "error"}
            if not codes & {"structure", "value"}:
                is_contained = depth > 0 and path.endswith("]")  # entries and parameters end in a name
                found += invariants.check(resource, path, self._base, is_contained=is_contained)
            if "structure" not in codes:
                for place, inner in nested(resource, path):
                    self._judge(inner, place, (), strict, found, depth + 1)

    def _claimed(
        self, resource: dict[str, Any], path: str, also: tuple[str, ...], found: list[Finding]
    ) -> tuple[str, ...]:
        meta = resource.get("meta")
        claims = meta.get("profile") if type(meta) is dict else None
        if not also and type(claims) is not list:
            return ()
        known = []
        for url in [*also, *(claims if type(claims) is list else ())]:
            plain = url.split("|")[0] if type(url) is str else ""
            if self._profiles.type_of(plain) == resource["resourceType"]:
                known.append(plain)
            elif not self._profiles.is_base(plain):
                text = "A profile of this resource is not at hand: it was not checked."
                found.append(Finding("information", "not-supported", f"{path}.meta.profile", text))
        return tuple(dict.fromkeys(known))

    def _compiled_for(self, name: str, profiles: tuple[str, ...]) -> Compiled:
        compiled = self._compiled.get((name, profiles))
        if compiled is None:  # two threads may both make it; the results are equal
            compiled = self._compiled[name, profiles] = Compiled(self._base, name, self._schema(name, profiles))
        return compiled

    def _schema(self, name: str, profiles: tuple[str, ...]) -> Schema:
        defs: dict[str, Schema] = {}
        defs[name] = Types(self._base, self._base.terminology, defs).resource(name)
        made: Schema = {"$ref": f"#/$defs/{name}", "$defs": defs}
        if profiles:
            made["allOf"] = [self._profiles.overlay(url, defs) for url in profiles]
        known = self._profiles.extensions
        if known and "Extension" in defs:
            each = [{"if": _url_in([url]), "then": self._profiles.overlay(url, defs)} for url in known]
            rules = [*defs["Extension"]["allOf"], {"if": _url_in(known), "then": {"allOf": each}}]
            defs["Extension"] = {**defs["Extension"], "allOf": rules}
        return made


def _url_in(urls: Sequence[str]) -> Schema:
    return {"properties": {"url": {"enum": list(urls)}}}


def nested(resource: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """The resources inside a resource, each with its place."""
    for at, one in enumerate(resource.get("contained", ())):
        yield f"{path}.contained[{at}]", one
    if resource["resourceType"] == "Bundle":
        for at, entry in enumerate(resource.get("entry", ())):
            if "resource" in entry:
                yield f"{path}.entry[{at}].resource", entry["resource"]
            if "outcome" in entry.get("response", ()):
                yield f"{path}.entry[{at}].response.outcome", entry["response"]["outcome"]
    elif resource["resourceType"] == "Parameters":
        yield from _parameters(resource.get("parameter", ()), f"{path}.parameter")


def _parameters(parameters: Iterable[Mapping[str, Any]], path: str) -> Iterator[tuple[str, Any]]:
    for at, one in enumerate(parameters):
        if "resource" in one:
            yield f"{path}[{at}].resource", one["resource"]
        yield from _parameters(one.get("part", ()), f"{path}[{at}].part")
