"""An invariant -> a JSON Schema whose values surely meet it: nearly all do, and then FHIRPath is not asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jsonschema_rs

from peerfhir.fhir.definitions import PRIMITIVES, Definitions, Element
from peerfhir.fhir.fhirpath.model import model_of
from peerfhir.fhir.fhirpath.parser import Binary, Call, Expression, Literal, Member, Special, TypeTest, parse
from peerfhir.fhir.schema import Schema

_TEXTS = frozenset(("code", "string", "uri", "url", "canonical", "id", "markdown", "oid", "uuid"))
_DAY = 10  # characters: a date in full. What FHIRPath writes of a longer moment is as long or longer
_MOMENTS = frozenset(("date", "dateTime", "instant"))
_THERE: Schema = {"not": {"type": "null"}}


class _Known(NamedTuple):
    """What is known of a condition: a schema for which it is true, and one for which it is false; None: never known."""

    yes: Schema | None = None
    no: Schema | None = None


class _Step(NamedTuple):
    """The elements under one name, one for each type, and what of them counts."""

    ways: tuple[Element, ...]
    counts: Schema


class _Way(NamedTuple):
    """A path below a value, and the type it leads to; "" where that may be one of several."""

    steps: tuple[_Step, ...]
    kind: str


_NOTHING = _Known()


def surely(expression: str, kind: str, definitions: Definitions) -> Callable[[Any], bool] | None:
    """What says of the JSON of a value, which its base schema accepts, whether an invariant surely holds for it.

    expression  FHIRPath that can be compiled
    kind        the type of the value
    Returns     None where it can never say so. Where it says no, nothing is known.
    """
    schema = _condition(parse(expression), kind, definitions).yes
    if schema is None:
        return None
    return jsonschema_rs.validator_for(schema, offline=True).is_valid if schema else lambda _: True


def _condition(node: Expression, kind: str, known: Definitions) -> _Known:
    match node:
        case Binary(operator="and" | "or" | "implies" as operator, left=left, right=right):
            one, other = _condition(left, kind, known), _condition(right, kind, known)
            if operator == "and":
                return _Known(_both(one.yes, other.yes), _either(one.no, other.no))
            one = _Known(one.no, one.yes) if operator == "implies" else one
            return _Known(_either(one.yes, other.yes), _both(one.no, other.no))
        case Binary(operator="=", left=left, right=Literal(kind="string", value=value)):
            return _equal(_way(left, kind, known), value)
        case Binary(
            operator=operator, left=Call(base=base, name=name), right=Literal(kind="integer", value=int(number))
        ):
            if (operator, name) == ("=", "count"):
                return _Known(_counted(_way(base, kind, known), number))
            return _long(base, kind, number) if (operator, name) == (">=", "length") else _NOTHING
        case Call(base=base, name="exists" | "empty" as name, arguments=()) if base is not None:
            there = _there(_way(base, kind, known))
            found = _Known(there, None if there is None else {"not": there})
            return found if name == "exists" else _Known(found.no, found.yes)
        case Call(base=base, name="not", arguments=()) if base is not None:
            found = _condition(base, kind, known)
            return _Known(found.no, found.yes)
        case TypeTest(operator="is", operand=Special(name="$this"), type_name=name) if known.is_named(name):
            return _Known({}, None) if model_of(known).is_a(kind, name) else _Known(None, {})
    return _NOTHING


def _both(one: Schema | None, other: Schema | None) -> Schema | None:
    return None if one is None or other is None else {"allOf": [one, other]} if one and other else one or other


def _either(one: Schema | None, other: Schema | None) -> Schema | None:
    if one is None or other is None:
        return other if one is None else one
    return {"anyOf": [one, other]} if one and other else {}


def _is_a(kind: str, name: str, known: Definitions) -> bool:
    """As ofType() has it: a code is no string."""
    return kind == name if name in PRIMITIVES else model_of(known).is_a(kind, name)


def _long(text: Expression | None, kind: str, least: int) -> _Known:
    """The length of a text, or of a date or time as a text."""
    match text:
        case Call(base=Special(name="$this") | TypeTest(operator="as", operand=Special(name="$this")) as of,
                  name="toString", arguments=()):  # fmt: skip
            is_one = kind in _MOMENTS and least <= _DAY
            if is_one and (isinstance(of, Special) or of.type_name == kind):
                return _Known({"type": "string", "minLength": least})
    return _NOTHING


def _way(node: Expression | None, kind: str, known: Definitions) -> _Way | None:
    """The elements that a path leads to; None for what is no plain path of elements."""
    match node:
        case None | Special(name="$this"):
            return _Way((), kind)
        case Member(base=base, name=name):
            above = _way(base, kind, known)
            if above is None or not above.kind or above.kind in PRIMITIVES:
                return None
            own = known.element(above.kind, name)
            found = known.choices(above.kind, name) or ((own,) if own and not own.choice else ())
            return _Way((*above.steps, _Step(found, {})), found[0].type if len(found) == 1 else "") if found else None
        case Call(base=base, name="ofType", arguments=(Member(base=None, name=name),)) if known.is_named(name):
            return _narrowed(_way(base, kind, known), name, known)
        case Call(base=base, name="where", arguments=(Binary(operator="=", right=Literal(kind="string")) as wanted,)):
            way = _way(base, kind, known)
            return _filtered(way, _condition(wanted, way.kind, known).yes) if way is not None and way.kind else None
        case Call(base=base, name="extension", arguments=(Literal(kind="string", value=url),)):
            return _filtered(
                _way(Member(base, "extension", False, 0), kind, known), _under("url", {"const": url}, False)
            )
    return None


def _filtered(way: _Way | None, counts: Schema | None) -> _Way | None:
    if way is None or counts is None or not way.steps:
        return None
    last = way.steps[-1]
    return _Way((*way.steps[:-1], _Step(last.ways, _both(last.counts, counts) or {})), way.kind)


def _narrowed(way: _Way | None, name: str, known: Definitions) -> _Way | None:
    if way is None:
        return None
    if not way.steps:
        return way if _is_a(way.kind, name, known) else _Way((_Step((), {}),), name)
    last = way.steps[-1]
    found = tuple(one for one in last.ways if _is_a(one.type, name, known))
    return _Way((*way.steps[:-1], _Step(found, last.counts)), found[0].type if len(found) == 1 else name)


def _there(way: _Way | None) -> Schema | None:
    """Whether something stands at the end of the path; exact, for what the base schema accepts."""
    return _reached(way.steps) if way is not None and way.steps else None


def _reached(steps: Sequence[_Step]) -> Schema | None:
    first, rest = steps[0], steps[1:]
    ways: list[Schema] = []
    for one in first.ways:
        if one.type in ("Resource", "DomainResource") and (rest or first.counts):
            return None
        inner = _reached(rest) if rest else _THERE if one.many and one.type in PRIMITIVES else {}
        inner = _both(first.counts, inner)
        if inner is None:
            return None
        ways.append(_under(one.name, inner, one.many))
        if one.type in PRIMITIVES:
            ways.append(_under(f"_{one.name}", inner, one.many))
    return _any(ways)


def _counted(way: _Way | None, times: int) -> Schema | None:
    """So many entries of one list."""
    if way is None or len(way.steps) != 1 or len(way.steps[0].ways) != 1 or times < 1:
        return None
    (one,), counts = way.steps[0]
    if not one.many or one.type in PRIMITIVES:
        return None
    entries = {"contains": counts, "minContains": times, "maxContains": times}
    return {"required": [one.name], "properties": {one.name: entries}}


def _under(name: str, inner: Schema, many: bool) -> Schema:
    made: Schema = {"required": [name]}
    return {**made, "properties": {name: {"contains": inner} if many else inner}} if inner else made


def _any(ways: Iterable[Schema]) -> Schema:
    found = list(ways)
    return found[0] if len(found) == 1 else {"anyOf": found} if found else {"not": {}}


def _equal(way: _Way | None, value: Any) -> _Known:
    """One text that is there, beside a text that is written in the invariant."""
    if way is None or not way.steps or way.kind not in _TEXTS:
        return _NOTHING
    if any(len(step.ways) != 1 or step.ways[0].many or step.counts for step in way.steps):
        return _NOTHING
    yes: Schema = {"const": value}
    no: Schema = {"type": "string", "not": yes}
    for (one,), _ in reversed(way.steps):
        yes, no = _under(one.name, yes, False), _under(one.name, no, False)
    return _Known(yes, no)
