"""Codes of a template that their element's value set has not, and displays that are not those of the code system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from peerfhir.fhir.definitions import bindings, displays
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Static
from peerfhir.mapping.code_map import CodeMap, CodingShape
from peerfhir.mapping.invariants import Place
from peerfhir.mapping.problems import Problems, listed
from peerfhir.mapping.tree import Const, Items, Leaf, Node, Rule, Struct

Pair = tuple[str | None, str]
_PUBLISHED = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")


class Bound:
    """PM240, PM242 and PM244 for codes that stand with their system."""

    def __init__(self, problems: Problems, fits: Mapping[Rule, Static]) -> None:
        """fits: what is known of the value of each leaf."""
        self._problems = problems
        self._fits = fits

    def check(self, places: Iterable[Place]) -> None:
        """Note every code and display of a template that is known before data flows."""
        for place in places:
            if place.kind in ("Coding", "CodeableConcept", "code", "uri"):
                self._bound(place)
            if place.kind == "Coding" or isinstance(place.node, Const):
                self._displayed(place)

    def maps(self, code_maps: Iterable[CodeMap]) -> None:
        """The same for displays of code maps."""
        for code_map in code_maps:
            for source, target in code_map.entries.items():
                if target.code is not None:
                    address = f"conceptMaps.{code_map.name}.{source}"
                    self._display(target.system, target.code, target.display, Rule(code_map.marks[source], address))

    # --- value sets ---------------------------------------------------------------------------------------------

    def _bound(self, place: Place) -> None:
        for strength, code in (("required", "PM240"), ("extensible", "PM242")):
            url = bindings()[strength].get(place.element)
            if url is None:
                continue
            ways = list(self._ways(place.node, place.kind))
            outside = [pairs for pairs in ways if pairs and not any(_belongs(url, pair) for pair in pairs)]
            if outside and (ways == outside or _alternatives(place.node)):
                self._tell(place.node.rule, code, url, sorted({pair[1] for pairs in outside for pair in pairs}))

    def _tell(self, rule: Rule, code: str, url: str, wrong: list[str]) -> None:
        known = sorted({one for _, codes in bindings()["sets"][url] if codes for one in codes})
        extensible = code == "PM242"
        name = url.rpartition("/")[2]
        kind = "extensible value set" if extensible else "value set"
        what = f"{listed(wrong)}: not in the {kind} {name} ({listed(known)})"
        hint = nearest(wrong[0], known) or ("fine where none of its codes fits" if extensible else "")
        self._problems.add(rule.mark, code, rule.address, what, hint)

    def _ways(self, node: Node, kind: str) -> Iterator[list[Pair]]:
        """What a value can be, each as its codes; an empty list where that is not known, or is no code."""
        if isinstance(node, Const):
            yield _codes(node.value, kind)
        elif isinstance(node, Leaf):
            static = self._fits.get(node.rule)
            shape = static.shape if static is not None else None
            if isinstance(shape, CodingShape) and shape.pairs:
                yield from ([pair] for pair in shape.pairs)
            elif static is not None and static.codes is not None and kind in ("code", "uri"):
                for code in sorted(static.codes - {""}):
                    yield [(None, code)]
        elif isinstance(node, Struct) and kind == "Coding":
            yield from ([pair] for pair in self._coding(node))
        elif isinstance(node, Struct) and kind == "CodeableConcept":
            yield self._concept(node)

    def _coding(self, struct: Struct) -> list[Pair]:
        entries = dict(struct.entries)
        system, code = _text(entries.get("system")), _text(entries.get("code"))
        if system is None:
            return []
        leaf = entries.get("code")
        static = self._fits.get(leaf.rule) if isinstance(leaf, Leaf) else None
        codes = static.codes if static is not None and static.codes is not None else ()
        return [(system, code)] if code is not None else [(system, one) for one in sorted(codes) if one]

    def _concept(self, struct: Struct) -> list[Pair]:
        """Every coding of a concept of constants; nothing where one of them is known only when data flows."""
        codings = dict(struct.entries).get("coding")
        found: list[Pair] = []
        for one in codings.nodes if isinstance(codings, Items) else ():
            pairs = _codes(one.value, "Coding") if isinstance(one, Const) else []
            if isinstance(one, Struct):
                pairs = self._coding(one)
            if len(pairs) != 1:
                return []
            found += pairs
        return found

    # --- displays -----------------------------------------------------------------------------------------------

    def _displayed(self, place: Place) -> None:
        node = place.node
        if isinstance(node, Const) and place.kind in ("Coding", "CodeableConcept"):
            value = node.value if isinstance(node.value, dict) else {}
            for one in value.get("coding", [value]) if place.kind == "CodeableConcept" else [value]:
                self._display(one.get("system"), one.get("code"), one.get("display"), node.rule)
        elif isinstance(node, Struct):
            entries = dict(node.entries)
            said = entries.get("display")
            if said is not None:
                texts = [_text(entries.get(key)) for key in ("system", "code", "display")]
                self._display(texts[0], texts[1], texts[2], said.rule)

    def _display(self, system: Any, code: Any, display: Any, rule: Rule) -> None:
        if not display or not isinstance(system, str) or not system.startswith(_PUBLISHED):
            return
        known = displays().get(system, {}).get(code)
        if known is not None and _plain(known) != _plain(str(display)):
            what = f"the code system calls '{code}' '{known}'"
            self._problems.add(rule.mark, "PM244", rule.address, what, f'write "{known}", or leave the display out')


def _alternatives(node: Node) -> bool:
    """Whether each way stands alone: one of several codes that a map can give."""
    return isinstance(node, (Leaf, Struct))


def _belongs(url: str, pair: Pair) -> bool:
    system, code = pair
    rows = bindings()["sets"][url]
    return any((system is None or system == name) and (codes == 0 or code in codes) for name, codes in rows)


def _codes(value: Any, kind: str) -> list[Pair]:
    """The codes of a constant."""
    if isinstance(value, str) and kind in ("code", "uri"):
        return [(None, value)]
    codings = value.get("coding", []) if kind == "CodeableConcept" and isinstance(value, dict) else [value]
    found = [(one.get("system"), one.get("code")) for one in codings if isinstance(one, dict)]
    whole = all(isinstance(one, str) and isinstance(other, str) for one, other in found)
    return [(one, other) for one, other in found if isinstance(other, str)] if whole else []


def _text(node: Node | None) -> str | None:
    return node.value if isinstance(node, Const) and isinstance(node.value, str) else None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
