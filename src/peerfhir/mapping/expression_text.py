"""Expressions of a mapping as FHIRPath that other engines read: names from the record, maps and systems written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from peerfhir.mapping.codes import CodeMap

_OURS = frozenset(("band", "fullUrl", "weight", "ordinal", "toQuantity"))


class CannotSay(Exception):
    """The expression has no form outside this house; the text says why."""


@dataclass(frozen=True)
class Words:
    """How the names of one place are said.

    root       what stands before a field of the record: `%src.`; nothing inside where()
    variables  %name -> what it stands for
    systems    alias -> URI
    tables     the code maps
    constants  %name -> text
    """

    root: str
    variables: Mapping[str, str]
    systems: Mapping[str, str]
    tables: Mapping[str, Any]
    constants: Mapping[str, str]

    def with_names(self, names: Mapping[str, str]) -> Words:
        """The same with more variables."""
        return replace(self, variables={**self.variables, **names})

    def under(self, root: str) -> Words:
        """The same with another word before fields."""
        return replace(self, root=root)


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
            own = f"`{name}`" if ticked else name
            return f"{words.root}{own}" if base is None else f"{_operand(base, words)}.{own}"
        case Call():
            return _call(node, words)
    return _operation(node, words)


def _operation(node: Expression, words: Words) -> str:
    match node:
        case Index(base=base, index=index):
            return f"{_operand(base, words)}[{printed(index, words)}]"
        case Unary(operator=operator, operand=operand):
            return f"{operator}{_operand(operand, words)}"
        case Binary(operator=operator, left=left, right=right):
            return f"{_operand(left, words)} {operator} {_operand(right, words)}"
        case TypeTest(operator=operator, operand=operand, type_name=kind):
            return f"{_operand(operand, words)} {operator} {kind}"
    raise CannotSay("this form of expression is not known elsewhere")


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
    if name in words.variables:
        return words.variables[name]
    if name in words.constants:
        return quoted(words.constants[name])
    if name in ("source", "context", "resource", "rootResource"):
        return words.root.rstrip(".") or "$this"
    known = {"loinc": "http://loinc.org", "sct": "http://snomed.info/sct", "ucum": "http://unitsofmeasure.org"}
    if name in known:
        return quoted(known[name])
    raise CannotSay(f"%{name} has no value outside a mapping")


def _call(node: Call, words: Words) -> str:
    if node.name == "translate":
        return _translated(node, "code", words)
    if node.name == "coalesce":
        return _first_of([_operand(one, words) for one in node.arguments])
    if node.name in _OURS:
        raise CannotSay(f"{node.name}() is a function of this language only")
    focused = node.name in ("where", "exists", "all", "select", "repeat")
    inner = [printed(one, words.under("") if focused else words) for one in node.arguments]
    if node.base is None:
        return f"{node.name}({', '.join(inner)})"
    base = _operand(node.base, words)
    if node.name == "exists" and inner:
        return f"{base}.where({inner[0]}).exists()"
    return f"{base}.{node.name}({', '.join(inner)})"


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
