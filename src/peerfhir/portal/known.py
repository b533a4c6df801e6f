"""What half-written documents declare: fields of the record, names of the sections, and the FHIR type at a path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from peerfhir.fhir.definitions import Element, r4
from peerfhir.fhir.fhirpath.compile import ROOTS
from peerfhir.mapping.directives import EACH
from peerfhir.mapping.fields import PRIMITIVES
from peerfhir.portal.cursor import Path, entries, tree

Tree = Mapping[str | int, Any]
_SLICE = re.compile(r"\[[^\]]*\]?$")
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")
_WORD = re.compile(r"%?`?[A-Za-z_]\w*`?")
_RANGE = re.compile(r"([A-Za-z_]*)(\d{1,3})\.\.\1(\d{1,3})")


@dataclass(frozen=True)
class Shape:
    """What an expression is about: declared fields, or a type of FHIR; neither for a value or an unknown thing.

    kind  how it is declared: `string!`, `Patient`
    """

    kind: str = ""
    fields: Mapping[str, Shape] = field(default_factory=dict)
    type: str = ""

    def below(self, name: str) -> Shape | None:
        """The shape of a member, or None when there is no such member."""
        if name in self.fields:
            return self.fields[name]
        if not self.type:
            return None
        element = r4().element(self.type, name)
        if element is not None:
            return Shape(element.type, type=element.type)
        choices = r4().choices(self.type, name)
        return Shape(" | ".join(one.type for one in choices)) if choices else None

    def members(self) -> Iterator[tuple[str, str]]:
        """Each name with what it is; a choice has the name that FHIRPath gives it."""
        yield from ((name, one.kind) for name, one in self.fields.items())
        seen = set()
        for one in r4().elements(self.type).values() if self.type else ():
            if one.choice is None:
                yield one.name, told(one)
            elif one.choice not in seen:
                seen.add(one.choice)
                yield one.choice, " | ".join(other.type for other in r4().choices(self.type, one.choice)[:4])


def told(element: Element) -> str:
    """Type and cardinality: `CodeableConcept 0..*`."""
    return f"{element.type} {element.minimum}..{'*' if element.many else '1'}"


@dataclass(frozen=True)
class Known:
    """The documents of a draft, read as far as they can be.

    mapping    the mapping's own keys
    documents  those of the mapping, its overlay and the libraries that it imports
    """

    mapping: Tree
    documents: tuple[Tree, ...]

    @classmethod
    def read(cls, mapping: str, *more: str) -> Known:
        """The texts, as they are being typed."""
        first = tree(entries(mapping))
        return cls(first, (first, *(tree(entries(one)) for one in more)))

    def names(self, section: str) -> dict[str, str]:
        """The names that a section of any document declares, each with what stands behind it."""
        found: dict[str, str] = {}
        for document in self.documents:
            below = document.get(section)
            if isinstance(below, dict):
                for name, value in below.items():
                    found.setdefault(str(name), value if isinstance(value, str) else "")
        return found

    @property
    def record(self) -> Shape:
        """What a bare name of an expression is looked up in: the record, or the resource that comes in."""
        source = self.mapping.get("source")
        if not isinstance(source, dict):
            return Shape()
        named = source.get("type")
        if isinstance(named, str) and named:
            return Shape(named, type=named)
        fields = dict(_part(source, "fields"))
        for document in self.documents[1:]:  # an overlay may say more of a field, or bring one
            fields |= _part(_part(document, "source"), "fields")
        return Shape("", _named(fields))

    @property
    def made(self) -> Tree:
        """The fields of the record that a mapping from FHIR makes."""
        return _part(_part(self.mapping, "record"), "fields")

    def at(self, path: Path) -> Any:
        """What stands at a path of the mapping, or None."""
        here: Any = self.mapping
        for step in path:
            here = here.get(step) if isinstance(here, dict) else None
        return here

    # -- FHIR

    def type_at(self, path: Path) -> tuple[str, Element | None]:
        """The FHIR type at a path below `resources` or in a fragment, and the element; "" when there is none."""
        match path:
            case ("resources", str() as name, *rest):
                top: Path = ("resources", name)
                start = ""
            case ("fragments", str() as name, "body", *rest):
                top = ("fragments", name, "body")
                start = _text(self.at(("fragments", name, "type")))
            case _:
                return "", None
        return self._walk(top, start, rest)

    def _walk(self, top: Path, start: str, rest: list[str | int]) -> tuple[str, Element | None]:
        kind, element, here = self._typed(top, start), None, top
        for step in rest:
            here = (*here, step)
            if isinstance(step, str) and step != "$value":
                if step.startswith("$"):
                    return "", None
                element = r4().element(kind, _SLICE.sub("", step))
                kind = element.type if element is not None else ""
            kind = self._typed(here, kind)
        return kind, element

    def _typed(self, path: Path, otherwise: str) -> str:
        found = self.at(path)
        if not isinstance(found, dict):
            return otherwise
        if "$questionnaire" in found:
            return "QuestionnaireResponse"
        return _text(found.get("resourceType")) or otherwise

    def addressed(self, address: str) -> Path:
        """The path of a rule that an overlay names: patient.telecom[1].value."""
        steps = [int(number) if number else name for name, number in _STEP.findall(address)]
        return ("resources", *steps)

    # -- expressions

    def variables(self, path: Path) -> dict[str, Shape]:
        """What %name may be at a path: the variables of the mapping, and those of each $let and $each around it."""
        found = {name: self.chain(value, {}) for name, value in self.names("vars").items()}
        for end in range(1, len(path) + 1):
            here = self.at(path[:end])
            if not isinstance(here, dict):
                continue
            match = EACH.fullmatch(_text(here.get("$each")))
            if match is not None:
                items, item, index = match.groups()
                found[item] = self.chain(items, found)
                found |= {index: Shape("integer")} if index else {}
            found |= {str(name): self.chain(_text(value), found) for name, value in _part(here, "$let").items()}
        if path[:1] == ("fragments",):
            found |= {str(name): Shape(_text(kind)) for name, kind in _part(self.at(path[:2]), "params").items()}
        return found

    def chain(self, text: str, variables: Mapping[str, Shape], inside: Shape | None = None) -> Shape:
        """What a path of names leads to: `person.contacts`, `%c.kind`; nothing is known behind most functions."""
        here: Shape | None = inside or self.record
        for at, step in enumerate(_steps(text.strip().removeprefix("="))):
            if step.startswith("%"):
                here = variables.get(step[1:]) or (self.record if step[1:] in ROOTS else None)
            elif step not in _KEEPS and not (at == 0 and here is not None and step == here.type):
                here = here.below(step) if here is not None else None
        return here or Shape()


_KEEPS = frozenset(
    f"{name}()" for name in ("where", "first", "last", "single", "tail", "skip", "take", "distinct", "sort", "exclude")
)


def _steps(text: str) -> list[str]:
    """The names of a path, each call as `name()`; behind what is no path comes a step that nothing is known of."""
    found, at = [], 0
    while (match := _WORD.match(text, at)) is not None:
        name, at = match[0].replace("`", ""), match.end()
        while text[at : at + 1] in ("(", "["):
            name += "()" if text[at] == "(" else ""
            at = _behind(text, at)
        found.append(name)
        if at >= len(text) or text[at] != ".":
            break
        at += 1
    return found if at >= len(text) else [*found, "?"]


def _behind(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        depth += (text[at] in "([") - (text[at] in ")]")
        at += 1
        if depth == 0:
            break
    return at


def _shape(declared: Any) -> Shape:
    """A field: its type, its options, or the fields of an object; a list of one is what is in it."""
    if isinstance(declared, str):
        return Shape(declared)
    if not isinstance(declared, dict):
        return Shape()
    if set(declared) == {0}:
        inner = _shape(declared[0])
        return Shape(f"[{inner.kind or 'object'}]", inner.fields)
    kind = _text(declared.get("type"))
    if kind.removesuffix("!") in PRIMITIVES:
        return Shape(kind)
    below = declared.get("fields") if isinstance(declared.get("fields"), dict) else declared
    return Shape("object", _named(below if isinstance(below, dict) else {}))


def _named(fields: Tree) -> dict[str, Shape]:
    """Fields by name; `q1..q9` are nine."""
    found: dict[str, Shape] = {}
    for name, one in fields.items():
        match = _RANGE.fullmatch(str(name))
        several = range(int(match[2]), int(match[3]) + 1) if match is not None else ()
        found |= {f"{match[1]}{at}": _shape(one) for at in several} if match is not None else {str(name): _shape(one)}
    return found


def _part(tree: Any, name: str) -> Tree:
    found = tree.get(name) if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
