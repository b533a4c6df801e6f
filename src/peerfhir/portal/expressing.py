"""What may be written next in an expression that somebody is typing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from peerfhir.fhir.fhirpath.compile import WELL_KNOWN
from peerfhir.portal.cursor import Path
from peerfhir.portal.known import Known, Shape
from peerfhir.portal.signatures import functions, signature

_LONGEST = 4_000  # characters of an expression
_NAMED = re.compile(r"\b(translate|band|fullUrl)\(\s*'([^']*)$")
_SECTIONS = {
    "translate": ("conceptMaps", "code map"), "band": ("bands", "bands"), "fullUrl": ("resources", "resource"),
}  # fmt: skip
_SYSTEM = re.compile(r"%systems\.([\w-]*)$")
_WORD = re.compile(r"(%?)(`?\w*)$")
_STARTS = ("coalesce", "iif", "now", "today", "timeOfDay", "fullUrl")  # they need nothing before them
_INSIDE = frozenset(
    ("where", "select", "all", "exists", "repeat", "sort", "aggregate")
)  # their argument is about an item
_FAMILIES = {
    **dict.fromkeys(("string", "code", "uri", "id", "markdown", "url", "canonical"), "String"),
    **dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), "number"), "boolean": "Boolean",
    **dict.fromkeys(("date", "dateTime", "instant", "time"), "moment"), "Quantity": "Quantity",
}  # fmt: skip
_ENVIRONMENT = {
    "context": "the record", "resource": "the record", "rootResource": "the record", "source": "the record",
    "systems": "declared URIs", "canonical": "base of our canonicals", **WELL_KNOWN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may be written.

    kind   field, function, variable, element, code, key, name
    about  for a person: its type, its signature
    back   how many characters the cursor goes back behind it
    """

    text: str
    kind: str
    about: str = ""
    back: int = 0


def offers(text: str, path: Path, known: Known) -> tuple[str, list[Offer]]:
    """What of `text`, an expression up to the cursor, is a word that is begun, and everything that may stand for it.

    path  where the expression stands in the mapping
    """
    text = text[-_LONGEST:]
    named = _NAMED.search(text)
    if named is not None:
        section, about = _SECTIONS[named[1]]
        return named[2], [Offer(name, "name", about) for name in known.names(section)]
    if text.count("'") % 2:
        return "", []
    system = _SYSTEM.search(text)
    if system is not None:
        return system[1], [Offer(name, "name", uri) for name, uri in known.names("systems").items()]
    match = _WORD.search(text)
    sign, word = match.groups() if match is not None else ("", "")
    before = text[: len(text) - len(sign) - len(word)]
    variables = known.variables(path)
    if sign:
        return word, [*_variables(variables)]
    if before.endswith("."):
        chain = _last_chain(before[:-1])
        shape = known.chain(chain, variables, _inside(before, known, variables))
        return word, [*_members(shape), *_functions(of=shape.kind)]
    around = _inside(before, known, variables)
    found = [*_members(around)] if around is not None else []
    named_so = (Offer(f"%{one.text}", one.kind, one.about) for one in _variables(variables))
    return word, [*found, *_members(known.record), *named_so, *_functions(_STARTS)]


def _members(shape: Shape) -> Iterator[Offer]:
    kind = "element" if shape.type else "field"
    yield from (Offer(name, kind, about) for name, about in shape.members())


def _variables(variables: dict[str, Shape]) -> Iterator[Offer]:
    yield from (Offer(name, "variable", shape.kind) for name, shape in variables.items())
    yield from (Offer(name, "variable", about) for name, about in sorted(_ENVIRONMENT.items()) if name not in variables)


def _functions(names: tuple[str, ...] = (), of: str = "") -> Iterator[Offer]:
    """Those that are made for such a value come first; those that cannot take it are left out.

    of  how the value before them is declared: `string!`
    """
    family = _FAMILIES.get(of.removesuffix("!"), "")
    known = {name: one for name, one in functions().items() if not names or name in names}
    fit = sorted(name for name, one in known.items() if family and family in one.takes)
    others = sorted(name for name, one in known.items() if not one.takes or not family)
    for name in (*fit, *others):
        yield Offer(f"{name}()", "function", signature(name, known[name]), int(known[name].most > 0))


def _last_chain(text: str) -> str:
    """The path of names that a text ends with."""
    at, depth = len(text), 0
    while at > 0:
        one = text[at - 1]
        if depth == 0 and one not in ")]" and not (one.isalnum() or one in "_.%`"):
            break
        depth += (one in ")]") - (one in "([")
        at -= 1
    return text[at:]


def _inside(text: str, known: Known, variables: dict[str, Shape]) -> Shape | None:
    """What an item is, inside the argument of a function that goes through a collection; None elsewhere."""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += (text[at] == ")") - (text[at] == "(")
        if depth < 0:
            base, _, function = _last_chain(text[:at]).rpartition(".")
            return known.chain(base, variables) if base and function in _INSIDE else None
    return None
