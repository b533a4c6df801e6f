"""Code maps under the names that FHIR knows them by, and what one of them says of a code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from peerfhir.errors import BadRequest, MappingFailed, NotFound
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.reader import Json
from peerfhir.gateway.asked import Asked
from peerfhir.gateway.parts import MappingsKnown
from peerfhir.mapping.catalogue import Loaded
from peerfhir.mapping.code_map import CodeMap, Target
from peerfhir.mapping.exports.concept_map_export import concept_map, local_system
from peerfhir.mapping.exports.logical_model import map_id
from peerfhir.mapping.shelf import Opened

_KNOWN = (
    "url",
    "conceptMapVersion",
    "code",
    "system",
    "version",
    "coding",
    "codeableConcept",
    "targetsystem",
    "reverse",
)
_UNSERVED = ("conceptMap", "source", "target", "dependency")
_CODED = ("code", "coding", "codeableConcept")
# The other way round a map that says "wider" says "narrower". Source: R4, concept-map-equivalence
_BACK = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


def asked() -> Asked:
    """The parameters of $translate."""
    return Asked(_KNOWN, _UNSERVED)


def id_of(canonical: str, kind: str, bases: Sequence[str]) -> str:
    """The id in a canonical of ours, in an address of ours, or in a relative reference. Raises NotFound."""
    for start in (*(f"{base}/{kind}/" for base in bases), f"{kind}/"):
        if canonical.startswith(start):
            return canonical.removeprefix(start)
    raise NotFound(f"There is no such {kind} here.")


def opened(mappings: MappingsKnown, name: str) -> Opened | None:
    """A mapping by `<id>` or `<id>.<overlay>`; None when it is not loaded."""
    mapping, _, overlay = name.partition(".")
    try:
        loaded = mappings.get(mapping, overlay or None)
    except MappingFailed:
        return None
    # an overlay that is turned on for every caller is not what its plain id names
    if (loaded.overlay or "") != overlay:
        return None
    return of_loaded(loaded)


def of_loaded(loaded: Loaded) -> Opened:
    """A loaded mapping as exports take it."""
    return Opened(loaded, Path(), loaded.document.mark.path)


@dataclass(frozen=True)
class Named:
    """One code map: `<mapping>-<code map>`, or `<mapping>.<overlay>-<code map>`."""

    id: str
    url: str
    mapping: Opened
    table: CodeMap

    @property
    def version(self) -> str:
        return self.mapping.document.version

    @property
    def status(self) -> str:
        return self.mapping.document.status

    @property
    def name(self) -> str:
        return str(self.resource()["name"])

    def resource(self) -> Json:
        """As a ConceptMap."""
        return {**concept_map(self.mapping, self.table, self.url), "id": self.id}

    def translated(self, asked: Asked) -> Json:
        """The answer of $translate. Raises BadRequest when what is asked contradicts itself."""
        back = asked.flag("reverse")
        matches = [
            {**one, "source": self.url}
            for system, code in _codes(asked)
            for one in (self._backwards(system, code) if back else self._forwards(system, code))
            if asked.text("targetsystem") in ("", one["concept"].get("system", ""))
        ]
        good = any(one["equivalence"] not in ("unmatched", "disjoint") for one in matches)
        parameters: list[Json] = [{"name": "result", "valueBoolean": good}]
        if not good:
            parameters.append({"name": "message", "valueString": "The map has no target for this code."})
        return {"resourceType": "Parameters", "parameter": [*parameters, *map(_match, matches)]}

    def _system(self, code: str) -> str:
        return self.table.sources.get(code) or local_system(self.mapping, self.table)

    def _forwards(self, system: str, code: str) -> Iterator[dict[str, Json]]:
        if system and system != self._system(code):
            return
        try:
            value = self.table.translate(code)
        except EvaluationProblem:
            value = None
        target = self.table.entries.get(code) or (self.table.default if code else self.table.blank)
        if value is None:
            if target is not None:
                yield {"equivalence": target.equivalence, "concept": {}}
            return
        concept = dict(value) if isinstance(value, dict) else {"code": value}
        yield {"equivalence": target.equivalence if target is not None else "equal", "concept": concept}

    def _backwards(self, system: str, code: str) -> Iterator[dict[str, Json]]:
        for source, target in self.table.entries.items():
            if target.code == code and system in ("", target.system or "") and source:
                concept = {"system": self._system(source), "code": source}
                yield {"equivalence": _back(target), "concept": concept}


def find(mappings: MappingsKnown, wanted: str, asked: Asked, bases: Sequence[str]) -> Named:
    """The code map of an address or of `url`. Raises NotFound, BadRequest."""
    url, version = asked.text("url"), asked.text("conceptMapVersion")
    if url:
        url, _, said = url.partition("|")
        version = version or said
        named = id_of(url, "ConceptMap", bases)
        if wanted and named != wanted:
            raise BadRequest("The address and the url name two maps.", place="url")
        wanted = named
    elif not wanted:
        raise BadRequest("Say which map: url is the canonical of a ConceptMap.", place="url")
    found = by_id(mappings, wanted, bases[0])
    if version and found.mapping.document.version != version:
        raise NotFound("There is no such ConceptMap here.")
    return found


def by_id(mappings: MappingsKnown, wanted: str, canonical: str) -> Named:
    """The code map of an id. Both halves of an id may hold hyphens: every way to cut it is tried. Raises NotFound."""
    at = wanted.find("-")
    while at > 0:
        mapping = opened(mappings, wanted[:at])
        table = mapping.checked.scope.tables.get(wanted[at + 1 :]) if mapping is not None else None
        if mapping is not None and isinstance(table, CodeMap):
            return Named(wanted, f"{canonical}/ConceptMap/{wanted}", mapping, table)
        at = wanted.find("-", at + 1)
    raise NotFound("There is no such ConceptMap here.")


def _codes(asked: Asked) -> list[tuple[str, str]]:
    """System and code of what is to be translated. Raises BadRequest unless exactly one of three is given."""
    given = [name for name in _CODED if (asked.text(name) if name == "code" else asked.object(name))]
    if len(given) != 1:
        raise BadRequest("One of code, coding and codeableConcept is needed.")
    if given == ["code"]:
        return [(asked.text("system"), asked.text("code"))]
    codings = [asked.object("coding")] if given == ["coding"] else (asked.object("codeableConcept") or {}).get("coding")
    found = []
    for one in codings if isinstance(codings, list) else []:
        system, code = (one.get("system", ""), one.get("code")) if isinstance(one, dict) else ("", None)
        if not isinstance(code, str) or not isinstance(system, str):
            raise BadRequest("A Coding has a code here.", place="Parameters.parameter")
        found.append((system, code))
    return found


def _back(target: Target) -> str:
    return _BACK.get(target.equivalence, target.equivalence)


def _match(one: dict[str, Json]) -> Json:
    part: list[Json] = [{"name": "equivalence", "valueCode": one["equivalence"]}]
    part += [{"name": "concept", "valueCoding": one["concept"]}] if one["concept"] else []
    return {"name": "match", "part": [*part, {"name": "source", "valueUri": one["source"]}]}


def every(mappings: MappingsKnown, canonical: str) -> Iterator[Named]:
    """Every code map of the active mappings."""
    for mapping in map(of_loaded, mappings.now.active()):
        for name, table in mapping.checked.scope.tables.items():
            if isinstance(table, CodeMap):
                own = f"{map_id(mapping)}-{name}"
                yield Named(own, f"{canonical}/ConceptMap/{own}", mapping, table)
