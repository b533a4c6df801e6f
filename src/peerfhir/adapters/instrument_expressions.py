"""The calculated expressions and variables of a questionnaire: FHIRPath that fits its items, without circles.

The score of this house comes from `instrument.yaml`; an expression for the same total is for other engines, so both
are computed on generated answers and have to agree.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from peerfhir.adapters.instrument_file import Place
from peerfhir.adapters.instrument_form import Written
from peerfhir.adapters.instrument_sdc import SDC, extensions_of
from peerfhir.fhir.reader import Json
from peerfhir.pathway.outcome import Instrument, Item, score

if TYPE_CHECKING:
    from peerfhir.fhir.fhirpath.environment import Environment
    from peerfhir.fhir.fhirpath.parser import Expression
    from peerfhir.fhir.fhirpath.standard import Path
    from peerfhir.fhir.fhirpath.types import Scope, Static

CALCULATED = f"{SDC}calculatedExpression"
VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"
_SAMPLES, _SEED = 50, 619


@dataclass(frozen=True)
class _Told:
    """One expression of a questionnaire.

    url    of its extension
    name   of a variable; the link id of the item that is calculated
    place  of its Expression
    sees   the variables that it may name
    """

    url: str
    name: str
    place: Place
    tree: Expression
    text: str
    sees: Mapping[str, _Told]


def check_expressions(written: Written, instrument: Instrument, *, compared: bool) -> None:
    """Every expression can be computed and gives what its item holds; the total is the one of this house.

    compared  the total is computed on generated answers as well, which takes 20 ms
    """
    told = _told(written)
    if not told:
        return
    links = {one["linkId"]: one for _, one in written.items}
    for one in told:
        for literal, place in _linked(one, ("=", "!=", "~", "!~", "in")):
            if literal not in links:
                from peerfhir.fhir.fhirpath.problems import nearest

                what = f"the expression names item '{literal}', which is not there"
                written.blame("PM602", place, what, nearest(literal, links))
        if one.url == CALCULATED and (given := _typed(written, one)) is not None and not _fits(given, links[one.name]):
            what = f"{given.called()} does not fit: the item is a {links[one.name]['type']}"
            written.blame("PM603", one.place, what, "let the expression give what an answer of the item holds")
    order = _order(written, told)
    if compared and order is not None and not written.refused:
        _compare(written, instrument, order)


def _told(written: Written) -> list[_Told]:
    """The variables and calculated expressions in the order of the file; what is no FHIRPath is noted."""
    from peerfhir.fhir.fhirpath.parser import parse
    from peerfhir.fhir.fhirpath.problems import ExpressionProblem

    found: list[_Told] = []
    seen: dict[Place, dict[str, _Told]] = {}
    for place, holder in [((), written.form), *written.items]:
        sees = seen[place] = dict(seen[place[:-2]]) if place else {}
        for at, one in extensions_of(holder):
            if one["url"] not in (VARIABLE, CALCULATED) or "expression" not in one.get("valueExpression", {}):
                continue
            here = (*place, "extension", at, "valueExpression", "expression")
            expression = one["valueExpression"]
            name = str(expression.get("name", "") if one["url"] == VARIABLE else holder.get("linkId", ""))
            try:
                told = _Told(one["url"], name, here, parse(expression["expression"]), expression["expression"], sees)
            except ExpressionProblem as problem:
                written.blame(problem.rule, here, problem.what, problem.hint)
                continue
            found.append(told)
            if told.url == VARIABLE:
                sees[told.name] = told
    return found


def _walk(tree: Expression) -> Iterator[Expression]:
    from peerfhir.fhir.fhirpath.parser import children

    yield tree
    for one in children(tree):
        yield from _walk(one)


def _linked(told: _Told, operators: tuple[str, ...]) -> Iterator[tuple[str, Place]]:
    """The texts that `linkId` is compared with, in the expression or in a variable that it names, and where."""
    from peerfhir.fhir.fhirpath.parser import Binary, Member

    for one in _walk(told.tree):
        if isinstance(one, Binary) and one.operator in operators:
            for side, other in ((one.left, one.right), (one.right, one.left)):
                if isinstance(side, Member) and side.name == "linkId":
                    yield from _texts(other, told, ())


def _texts(tree: Expression, told: _Told, followed: tuple[Place, ...]) -> Iterator[tuple[str, Place]]:
    """The texts in a part of an expression and in the variables that it names."""
    from peerfhir.fhir.fhirpath.parser import Literal, Variable

    for one in _walk(tree):
        if isinstance(one, Literal) and one.kind == "string":
            yield str(one.value), told.place
        elif isinstance(one, Variable) and one.name in told.sees:
            named = told.sees[one.name]
            if named.place not in followed:  # circles are told elsewhere
                yield from _texts(named.tree, named, (*followed, named.place))


def _scope(one: _Told) -> Scope:
    from peerfhir.fhir.definitions import r4
    from peerfhir.fhir.fhirpath.dialects import SDC
    from peerfhir.fhir.fhirpath.types import OPEN, Bound, Scope, Static

    root = Static(("QuestionnaireResponse",), "one", sure=False)
    variables = {name: Bound(OPEN, "") for name in one.sees}
    return Scope(root, r4(), variables, strict=False, dialect=SDC)


def _typed(written: Written, one: _Told) -> Static | None:
    from peerfhir.fhir.definitions import r4
    from peerfhir.fhir.fhirpath.model import model_of
    from peerfhir.fhir.fhirpath.problems import ExpressionProblem
    from peerfhir.fhir.fhirpath.standard import path

    try:
        return path(one.text, _scope(one), model_of(r4())).type
    except ExpressionProblem as problem:
        written.blame(problem.rule, one.place, problem.what, problem.hint)
        return None


def _fits(given: Static, item: Mapping[str, Json]) -> bool:
    from peerfhir.fhir.fhirpath.types import UNKNOWN
    from peerfhir.mapping.instruments import VALUES
    from peerfhir.mapping.leaves import conversion

    kind = VALUES.get(item["type"])
    if kind is None:  # a group or a text between questions holds nothing
        return False
    return any(one == UNKNOWN or conversion(one, kind) is not None for one in given.kinds) or not given.kinds


def _order(written: Written, told: list[_Told]) -> list[_Told] | None:
    """The calculated items, each after those it needs; None after noting a circle."""
    from peerfhir.fhir.fhirpath.parser import Variable

    calculated = {one.name: one for one in told if one.url == CALCULATED}
    state: dict[Place, bool] = {}  # False while its needs are followed
    order: list[_Told] = []

    def follow(one: _Told) -> bool:
        if one.place in state:
            return state[one.place]
        state[one.place] = False
        needs = [
            one.sees[each.name] for each in _walk(one.tree) if isinstance(each, Variable) and each.name in one.sees
        ]
        needs += [calculated[link] for link, _ in _linked(one, ("=", "~", "in")) if link in calculated]
        if not all(follow(each) for each in needs):
            return False
        state[one.place] = True
        order.append(one)
        return True

    for one in told:
        if not follow(one):
            written.blame("PM620", one.place, "this expression needs its own result", "break the circle")
            return None
    return order


def _compare(written: Written, instrument: Instrument, order: list[_Told]) -> None:
    """The total by expression and by this house, on every set of answers, until one differs."""
    from peerfhir.fhir.definitions import r4
    from peerfhir.fhir.fhirpath.environment import Environment
    from peerfhir.fhir.fhirpath.model import model_of
    from peerfhir.fhir.fhirpath.problems import EvaluationProblem
    from peerfhir.fhir.fhirpath.standard import path

    totals = [one["linkId"] for _, one in written.items if one["type"] == "decimal" and one.get("readOnly")]
    target = next((one for one in order if one.url == CALCULATED and one.name == totals[0]), None)
    if target is None:
        return
    environment = Environment(model_of(r4()), questionnaire=written.form)
    made = [(one, path(one.text, _scope(one), environment.model)) for one in order]
    for answers in _answers(instrument):
        try:
            got = _computed(instrument, answers, made, environment)[totals[0]]
        except EvaluationProblem as problem:
            written.blame("PM619", target.place, f"the expression cannot be computed: {problem.what}")
            return
        want = score(instrument, answers).total
        if got != want:
            what = f"the expression gives {'nothing' if got is None else got} where instrument.yaml gives {want}"
            hint = "every answer that counts has its weight in the questionnaire"
            written.blame("PM619", target.place, what, hint)
            return


def _answers(instrument: Instrument) -> Iterator[dict[str, str]]:
    """Complete sets: all lowest, all highest, each item moved alone, and some of every kind."""
    scored = [item for item in instrument.items if item.link_id in instrument.scale.items]
    lowest = {item.link_id: _end(item, 1) for item in scored}
    yield lowest
    yield {item.link_id: _end(item, -1) for item in scored}
    for item in instrument.items:
        yield from (lowest | {item.link_id: option.code} for option in item.options)
    rng = random.Random(_SEED)  # the same sets each time
    for _ in range(_SAMPLES):
        yield {item.link_id: rng.choice(item.options).code for item in instrument.items}


def _end(item: Item, sign: int) -> str:
    return min(item.options, key=lambda option: sign * (option.weight or 0)).code


def _computed(
    instrument: Instrument, answers: Mapping[str, str], made: Sequence[tuple[_Told, Path]], environment: Environment
) -> dict[str, Decimal | None]:
    """The calculated items of one response."""
    items: list[Json] = []
    for item in instrument.items:
        option = next((one for one in item.options if one.code == answers.get(item.link_id)), None)
        if option is not None:
            coding = {"system": option.system, "code": option.code}
            items.append({"linkId": item.link_id, "answer": [{"valueCoding": coding}]})
    results: dict[str, Decimal | None] = {}
    variables: dict[Place, list[object]] = {}
    for one, told in made:
        response = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": items}
        environment.resource, environment.defined = response, {}
        environment.variables = {name: variables.get(each.place, []) for name, each in one.sees.items()}
        found: list[object] = list(told(response, environment))
        if one.url == VARIABLE:
            variables[one.place] = found
            continue
        number = found[0] if len(found) == 1 else None
        results[one.name] = Decimal(number) if isinstance(number, (int, Decimal)) else None
        if results[one.name] is not None:
            items = [*items, {"linkId": one.name, "answer": [{"valueDecimal": results[one.name]}]}]
    return results
