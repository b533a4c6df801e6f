"""Expressions of a mapping as FHIRPath that other engines read: names from the record, maps and systems written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from peerfhir.fhir.fhirpath.parser import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Quantity,
    Special,
    TypeTest,
    Unary,
    Variable,
    parse,
)
from peerfhir.mapping.bands import Band
from peerfhir.mapping.codes import CodeMap

# Words of FHIRPath that are no names unless they stand in backticks. Source: FHIRPath N1, grammar
_TAKEN = frozenset((
    "and", "or", "xor", "implies", "div", "mod", "in", "is", "as", "contains", "true", "false",
    *(f"{one}{many}" for one in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
      for many in ("", "s")),
))  # fmt: skip
FOCUSED = frozenset(("where", "exists", "all", "select", "repeat"))


class CannotSay(Exception):
    """The expression has no form outside this house; the text says why."""


@dataclass(frozen=True)
class Named:
    """What a %name stands for: an expression, read with the names that were known where it was written."""

    tree: Expression
    words: Words


@dataclass(frozen=True)
class Words:
    """How the names of one place are said.

    record     what stands before a field of the record: `%src.`
    focus      the same where the focus may be another one: nothing inside where()
    items      %name of an item of $each -> what stands before a field of it: `%a1.`
    names      %name -> what it stands for; a text is said as it is
    addresses  name of a resource -> its fullUrl
    numbers    fields of the record that are no texts
    """

    record: str
    focus: str
    systems: Mapping[str, str]
    tables: Mapping[str, Any]
    bands: Mapping[str, Any]
    constants: Mapping[str, str]
    items: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Named | str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    numbers: frozenset[str] = frozenset()

    def knowing(self, name: str, meaning: Named | str) -> Words:
        """The same with one name more."""
        return replace(self, names={**self.names, name: meaning})

    def at_item(self, name: str, before: str) -> Words:
        """The same, with `before` in front of what lies below an item."""
        return replace(self, items={**self.items, name: before})

    def under(self, record: str) -> Words:
        """The same with another word before fields of the record."""
        return replace(self, record=record, focus=record)


def named(name: str) -> str:
    """The name of an element, in backticks where it is a word of FHIRPath."""
    return f"`{name}`" if name in _TAKEN else name


def quoted(text: str) -> str:
    """A text as a literal."""
    inside = (
        text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f"'{inside}'"


def said(text: str, words: Words) -> str:
    """One expression in standard FHIRPath.

    Raises  CannotSay with the reason
    """
    return printed(parse(text), words)


def printed(node: Expression, words: Words) -> str:
    """A parsed expression in standard FHIRPath; operands that are operators themselves stand in brackets."""
    match node:
        case Literal():
            return _literal(node)
        case Quantity(value=value, unit=unit):
            return f"{value} {quoted(unit)}"
        case Variable(name=name):
            return _variable(name, words)
        case Special(name=name):
            return name
        case Member(base=Variable(name="systems"), name=name):
            return quoted(words.systems[name])
        case Member(base=Call(name="translate") as call, name=part) if part in ("code", "display", "system"):
            return _translated(call, part, words)
        case Member(base=base, name=name, quoted=ticked):
            own = f"`{name}`" if ticked else named(name)
            if isinstance(base, Variable) and base.name in words.items:
                return f"{words.items[base.name]}{own}"
            return f"{words.focus}{own}" if base is None else f"{_operand(base, words)}.{own}"
        case Call():
            return _call(node, words)
    return _operation(node, words)


def _operation(node: Expression, words: Words) -> str:
    match node:
        case Index(base=base, index=index):
            return f"{_operand(base, words)}[{printed(index, words)}]"
        case Unary(operator=operator, operand=operand):
            return f"{operator}{_operand(operand, words)}"
        case Binary(operator="&", left=left, right=right):
            return f"{_worded(left, words)} & {_worded(right, words)}"
        case Binary(operator=operator, left=left, right=right):
            return f"{_operand(left, words)} {operator} {_operand(right, words)}"
        case TypeTest(operator=operator, operand=operand, type_name=kind):
            return f"{_operand(operand, words)} {operator} {kind}"
    raise CannotSay("this form of expression is not known elsewhere")


def _worded(node: Expression, words: Words) -> str:
    """A part of a text; what may be a number is made a text, because not every engine does it by itself."""
    said = _operand(node, words)
    field = isinstance(node, Member) and not (node.base is None and node.name in words.numbers)
    plain = field or (isinstance(node, Binary) and node.operator == "&")
    return said if plain or (isinstance(node, Literal) and node.kind == "string") else f"{said}.toString()"


def _operand(node: Expression, words: Words) -> str:
    text = printed(node, words)
    return f"({text})" if isinstance(node, Binary | TypeTest | Unary) else text


def _literal(node: Literal) -> str:
    if node.kind == "string":
        return quoted(str(node.value))
    if node.kind == "empty":
        return "{}"
    if node.kind == "boolean":
        return "true" if node.value else "false"
    prefix = {"date": "@", "dateTime": "@", "time": "@T"}.get(node.kind, "")
    return f"{prefix}{node.value}" if not str(node.value).startswith("@") else str(node.value)


def _variable(name: str, words: Words) -> str:
    if name in words.items:
        return words.items[name].rstrip(".") or "$this"
    if name in words.names:
        return _meant(words.names[name], words)
    if name in words.constants:
        return quoted(words.constants[name])
    if name in ("source", "context", "resource", "rootResource"):
        return words.record.rstrip(".") or "$this"
    known = {"loinc": "http://loinc.org", "sct": "http://snomed.info/sct", "ucum": "http://unitsofmeasure.org"}
    if name in known:
        return quoted(known[name])
    raise CannotSay(f"%{name} has no value outside a mapping")


def _meant(meaning: Named | str, words: Words) -> str:
    if isinstance(meaning, str):
        return meaning
    items = {name: words.items.get(name, before) for name, before in meaning.words.items.items()}
    text = printed(meaning.tree, replace(meaning.words, record=words.record, focus=words.record, items=items))
    return text if isinstance(meaning.tree, Literal) else f"({text})"


def _call(node: Call, words: Words) -> str:
    if node.name == "translate":
        return _translated(node, "code", words)
    if node.name == "coalesce":
        return _first_of([_operand(one, words) for one in node.arguments])
    if node.name == "band" and node.base is not None:
        return _labelled(node, words)
    if node.name == "fullUrl" and node.arguments and isinstance(node.arguments[0], Literal):
        return _address(str(node.arguments[0].value), words)
    if node.name in ("fullUrl", "weight", "ordinal", "toQuantity", "band"):
        raise CannotSay(f"{node.name}() is a function of this language only")
    inner = [printed(one, replace(words, focus="") if node.name in FOCUSED else words) for one in node.arguments]
    if node.base is None:
        return f"{node.name}({', '.join(inner)})"
    base = _operand(node.base, words)
    if node.name == "exists" and inner:
        return f"{base}.where({inner[0]}).exists()"
    return f"{base}.{node.name}({', '.join(inner)})"


def _address(name: str, words: Words) -> str:
    if name not in words.addresses:
        raise CannotSay(f"the fullUrl of '{name}' is not known here")
    return words.addresses[name]


def _labelled(node: Call, words: Words) -> str:
    """The label of a number as a chain of conditions, from the highest band down."""
    first = node.arguments[0] if node.arguments else None
    table = words.bands.get(str(first.value)) if isinstance(first, Literal) else None
    if not isinstance(table, Band) or table.coded or node.base is None:
        raise CannotSay("only bands with texts are said")
    value, rest = _operand(node.base, words), "{}"
    for bound, label in zip(table.bounds, table.labels, strict=True):
        rest = f"iif({value} >= {bound}, {quoted(str(label.code))}, {rest})"
    return rest


def _first_of(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"iif({parts[0]}.exists(), {parts[0]}, {_first_of(parts[1:])})"


def _translated(node: Call, part: str, words: Words) -> str:
    """A code map as a chain of conditions, in the order of the map."""
    first = node.arguments[0] if node.arguments else None
    table = words.tables.get(str(first.value)) if isinstance(first, Literal) else None
    if not isinstance(table, CodeMap) or node.base is None:
        raise CannotSay("the code map is not known")
    value = _operand(node.base, words)
    if isinstance(node.base, Member) and node.base.base is None and node.base.name in words.numbers:
        value = f"{value}.toString()"
    rest = _part(table.default, part) if table.default is not None else value if table.provided else "{}"
    for code, target in reversed(list(table.entries.items())):
        if target.code is not None:
            rest = f"iif({value} = {quoted(code)}, {_part(target, part)}, {rest})"
    if table.blank is not None:
        return f"iif({value}.exists(), {rest}, {_part(table.blank, part)})"
    return f"iif({value}.exists(), {rest}, {{}})" if table.default is not None else rest


def _part(target: Any, part: str) -> str:
    value = getattr(target, part)
    return quoted(value) if value is not None else "{}"
