"""What a mapping loses, found without data: fields that reach no target, and rules that cannot be undone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath import parser as fhirpath
from peerfhir.fhir.fhirpath.parser import Binary, Call, Expression, Member, Unary, Variable
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.outline import Written, fields_read
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.texts import pieces

_INDEX = re.compile(r"\[([0-9]+)\]")
_SELECTOR = re.compile(r"\[[^\]]*\]")
_CONSTANTS = ("constant", "alias")
Class = Literal["exact", "lossy", "none"]


@dataclass(frozen=True, slots=True)
class Inverse:
    """How a field comes back from what one rule wrote.

    path  the field; empty when nothing leads back to one field
    why   what is lost, for a lossy rule or one without an inverse
    """

    kind: Class
    path: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class FieldLoss:
    """One source field: exact, lossy, none (nothing can be undone), unread (it reaches no target) or unused."""

    field: str
    kind: str
    where: str
    why: str
    mark: Mark

    def told(self) -> dict[str, str]:
        """As JSON, for a program."""
        return {"field": self.field, "class": self.kind, "at": self.where, "why": self.why}


@dataclass(frozen=True)
class Losses:
    """The report of one mapping.

    fields  every declared field, or for FHIR input every element that is not read
    rules   the rules that have no inverse, with the reason
    """

    fields: tuple[FieldLoss, ...]
    rules: tuple[tuple[Written, str], ...]

    def summary(self) -> str:
        """One line: how many fields come back, and how many of them exactly."""
        if all(one.kind == "unread" for one in self.fields):
            return f"{len(self.fields)} elements are not read, {len(self.rules)} rules cannot be undone"
        exact = sum(one.kind == "exact" for one in self.fields)
        back = exact + sum(one.kind == "lossy" for one in self.fields)
        return f"{back} of {len(self.fields)} fields have an inverse, {exact} exact"


def losses(opened: Opened, base: Opened | None = None) -> Losses:
    """What is lost between the record of a mapping and its output.

    base    the mapping without its overlay, to say what the overlay took away

    Source  docs/mapping-guide.md, What is lost
    """
    undo = _Undo(opened)
    pairs = [(rule, undo.rule(rule)) for rule in opened.rules if rule.reads and rule.kind not in ("if", "each", "let")]
    hopeless = tuple((rule, one.why) for rule, one in pairs if one.kind == "none")
    if opened.checked.source.type:
        return Losses(tuple(_unread(opened)), hopeless)
    found = list(_fields(opened, pairs, _removed(opened, base)))
    return Losses(tuple(found), hopeless)


def _fields(opened: Opened, pairs: list[tuple[Written, Inverse]], removed: Mapping[str, str]) -> Iterator[FieldLoss]:
    read = {path for rule in opened.rules for path in rule.reads}
    best: dict[str, tuple[Written, Inverse]] = {}
    for rule, inverse in sorted(pairs, key=lambda pair: pair[0].kind == "request"):
        known = best.get(inverse.path)
        if inverse.path and (known is None or (known[1].kind == "lossy" and inverse.kind == "exact")):
            best[inverse.path] = (rule, inverse)
    for path, field in leaves(opened.checked.source.fields, ""):
        if path in best:
            rule, inverse = best[path]
            yield FieldLoss(path, inverse.kind, rule.address, inverse.why, field.mark)
        elif path in read:
            reader = next(rule for rule in opened.rules if path in rule.reads)
            why = next((one.why for rule, one in pairs if path in rule.reads and one.kind == "none"), "")
            yield FieldLoss(path, "none", reader.address, why or "it only decides what is written", field.mark)
        elif path in opened.checked.source.key:
            yield FieldLoss(path, "none", "fullUrl", "it only goes into the identity", field.mark)
        else:
            kind = "unused" if field.unused else "unread"
            why = said_of(field) or removed.get(path) or "it reaches no target"
            yield FieldLoss(path, kind, "", why, field.mark)


def _removed(opened: Opened, base: Opened | None) -> dict[str, str]:
    """Field -> why an overlay took away what read it, in the overlay's words."""
    found: dict[str, str] = {}
    for loss in opened.loaded.losses if base is not None else ():
        place = _SELECTOR.sub("", loss.address)
        for rule in base.rules if base is not None else ():
            if f"{_SELECTOR.sub('', rule.address)}.".startswith(f"{place}."):
                said = f": {loss.because}" if loss.because else ""
                found.update(dict.fromkeys(rule.reads, f"'{loss.address}' is removed{said}"))
    return found


def said_of(field: Field) -> str:
    """Why a field is not used, in the words of its declaration."""
    return field.because if field.unused else ""


def leaves(fields: Fields, above: str = "") -> Iterator[tuple[str, Field]]:
    """Every field with a value of its own, by its dotted path."""
    for name, field in fields.items.items():
        path = f"{above}.{name}" if above else name
        if field.fields is not None:
            yield from leaves(field.fields, path)
        else:
            yield path, field


def _unread(opened: Opened) -> Iterator[FieldLoss]:
    """The elements of a FHIR source that no rule names."""
    kind = opened.checked.source.type
    definitions = opened.checked.scope.definitions
    read = {path.split(".")[0] for rule in opened.rules for path in rule.reads}
    own = {name for base in ("Resource", "DomainResource") for name in definitions.elements(base)}
    names = dict.fromkeys(one.choice or one.name for one in definitions.elements(kind).values())
    for name in names:
        if name not in read and name not in own:
            yield FieldLoss(name, "unread", "", "it reaches no field", opened.checked.document.source.mark)


class _Undo:
    """The inverse of rules, by the forms that have one."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._tables: Mapping[str, Any] = opened.checked.scope.tables

    def rule(self, rule: Written) -> Inverse:
        """How the fields of one rule come back from what it wrote."""
        if rule.kind == "text" or (rule.kind == "request" and "{{" in rule.text):
            found = self._text(rule)
        elif rule.expressions:
            found = self._expression(rule.expressions[0], rule)
        else:
            return Inverse("none", why="there is no expression")
        if found.kind == "exact" and (why := self._place(rule)):
            return Inverse("lossy", found.path, why)
        return found

    def _place(self, rule: Written) -> str:
        """Why the place of a value in its list does not tell which rule wrote it, or nothing."""
        for match in _INDEX.finditer(rule.address):
            head, item = rule.address[: match.start()], rule.address[: match.end()]
            if any(one.kind in _CONSTANTS and one.address.startswith(f"{item}.") for one in self._opened.rules):
                continue
            before = {f"{head}[{at}]" for at in range(int(match.group(1)))}
            if not all(self._is_sure(place) for place in before):
                return f"it is found by its position, and what stands before it in {head} can be absent"
        return ""

    def _is_sure(self, place: str) -> bool:
        """Whether an item of a list is there for every record, as far as its fields tell."""
        below = [one for one in self._opened.rules if one.address == place or one.address.startswith(f"{place}.")]
        fields = self._opened.checked.source.fields.items
        return any(
            all(path in fields and fields[path].required for path in one.reads) for one in below if one.kind != "if"
        )

    def _text(self, rule: Written) -> Inverse:
        """A text comes back when it holds one value, or when what stands between its values cannot occur in them."""
        expressions = iter(rule.expressions)
        parts: list[tuple[str, Inverse | None]] = []
        for _, piece, kind in pieces(rule.text):
            expression = next(expressions, None) if kind == "expression" else None
            varies = expression is not None and fields_read(expression, rule.names)
            parts.append((piece, self._expression(expression, rule) if expression is not None and varies else None))
        held = [at for at, (_, inverse) in enumerate(parts) if inverse is not None]
        if len(held) == 1:
            return parts[held[0]][1] or Inverse("none")
        for at, after in pairwise(held):
            between, first = "".join(piece for piece, _ in parts[at + 1 : after]), parts[at][1]
            codes = self._codes(first.path) if first is not None else None
            if not between or codes is None or any(between in code for code in codes):
                return Inverse("none", why="the text between the values can occur in them")
        return parts[held[0]][1] or Inverse("none") if held else Inverse("none", why="the text reads no field")

    def _codes(self, path: str) -> frozenset[str] | None:
        field = self._field(path)
        return field.codes if field is not None else None

    def _expression(self, node: Expression, rule: Written) -> Inverse:
        match node:
            case Member(base=Call(name="translate") as call, name=part) if part in ("code", "display", "system"):
                return self._translated(call, part, rule)
            case Variable(name=name) if len(rule.names.get(name, ())) > 1 and name in self._opened.document.vars.items:
                return Inverse("none", why=f"several values are joined in %{name}")
            case Member() | Variable():
                paths = [one for one in fields_read(node, rule.names) if self._is_field(one)]
                longest = max(paths, key=len, default="")
                return Inverse("exact", longest) if longest else Inverse("none", why="it is not one field")
            case Call(name="translate"):
                return self._translated(node, "code", rule)
            case Call(name="coalesce", arguments=(first, *_)):
                inner = self._expression(first, rule)
                return Inverse("lossy", inner.path, "the value may come from the other argument of coalesce()")
            case Call(name="toQuantity" | "first" | "single" | "toDate" | "toString", base=base) if base is not None:
                inner = self._expression(base, rule)
                plain = node.name in ("toQuantity", "single")
                return inner if plain else Inverse("lossy", inner.path, f"{node.name}() keeps only a part")
            case Unary(operand=operand):
                return self._expression(operand, rule)
            case Binary(operator="+" | "-" | "&", left=left, right=right):
                return self._combined(node, left, right, rule)
        name = node.name if isinstance(node, Call) else "this operator"
        return Inverse("none", why=f"{name}{'()' if isinstance(node, Call) else ''} has no inverse")

    def _combined(self, node: Binary, left: Expression, right: Expression, rule: Written) -> Inverse:
        literals = [isinstance(one, fhirpath.Literal | fhirpath.Quantity) for one in (left, right)]
        if literals[1]:
            return self._expression(left, rule)
        if literals[0]:
            return self._expression(right, rule)
        return Inverse("none", why=f"two values are joined by {node.operator}")

    def _translated(self, node: Call, part: str, rule: Written) -> Inverse:
        if node.base is None or not node.arguments or not isinstance(node.arguments[0], fhirpath.Literal):
            return Inverse("none", why="the code map is not named")
        inner = self._expression(node.base, rule)
        table = self._tables.get(str(node.arguments[0].value))
        if inner.kind == "none" or not isinstance(table, CodeMap):
            return Inverse("none", inner.path, inner.why or "the code map is not there")
        merged = merges(table, part)
        if merged or inner.kind == "lossy":
            return Inverse("lossy", inner.path, "; ".join(merged[:3]) or inner.why)
        return inner

    def _is_field(self, path: str) -> bool:
        field = self._field(path)
        return bool(self._opened.checked.source.type) if field is None else field.fields is None

    def _field(self, path: str) -> Field | None:
        fields: Fields | None = self._opened.checked.source.fields
        field = None
        for step in path.split("."):
            field = fields.items.get(step) if fields is not None else None
            fields = field.fields if field is not None else None
        return field


def merges(table: CodeMap, part: str = "code") -> list[str]:
    """The targets of a code map that several local codes lead to: "'unknown' comes from "" and '*'"."""
    sources: dict[str, list[str]] = {}
    rows = [(f"'{code}'" if not code.isalnum() else code, target) for code, target in table.entries.items()]
    if table.blank is not None:
        rows.append(('""', table.blank))
    if table.default is not None:
        rows.append(("'*'", table.default))
    for code, target in rows:
        value = getattr(target, part) or ""
        sources.setdefault(value, []).append(code)
    found = [
        f"'{value}' comes from {', '.join(codes[:-1])} and {codes[-1]}"
        for value, codes in sources.items()
        if len(codes) > 1
    ]
    if table.default is not None and not any("'*'" in one for one in found):
        found.append(f"any other code becomes '{getattr(table.default, part)}'")
    return found
