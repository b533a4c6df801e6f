"""weight() and ordinal(): what an answer counts, from the answer, its questionnaire or its value set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, Json, Value
from peerfhir.fhir.fhirpath.operators import misfit

Values = Sequence[Value]
_WEIGHED = frozenset(("Coding", "code", "string"))
_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
WEIGHTS = (f"{_STRUCTURES}itemWeight", f"{_STRUCTURES}ordinalValue")
_CONCEPT_WEIGHT = "http://hl7.org/fhir/concept-properties#itemWeight"


def weight(e: Environment, base: Values) -> list[Value]:
    """The weight of each code or Coding: on the answer itself, in the Questionnaire, or in its value set.

    Raises  EvaluationProblem when a Coding has no weight of its own and no questionnaire is given
    Source  mapping language 10.6; SDC 4 itemWeight, R4 ordinalValue
    """
    found: list[Value] = []
    for value in base:
        if type(value) is not Item:
            continue
        item = value if value.kind == "Coding" else _answer(value)
        if item.kind not in _WEIGHED:
            continue
        held = _own_weight(item)
        if held is None:
            held = _weight_of_questionnaire(e, item)
        if held is not None:
            found.append(held)
    return found


def _answer(item: Item) -> Item:
    if type(item.value) is dict and "valueCoding" in item.value:
        return Item(item.value["valueCoding"], "Coding", None, item)
    return item


def _in_extensions(holder: Json) -> Decimal | None:
    if not holder or "extension" not in holder:
        return None
    for extension_ in holder["extension"]:
        if extension_.get("url") in WEIGHTS:
            for name in ("valueDecimal", "valueInteger"):
                if name in extension_:
                    return Decimal(extension_[name])
    return None


def _own_weight(item: Item) -> Decimal | None:
    found = _in_extensions(item.value if type(item.value) is dict else item.extra)
    if found is None and item.parent is not None and item.parent.kind.endswith("ItemAnswer"):
        found = _in_extensions(item.parent.value)
    return found


def _weight_of_questionnaire(e: Environment, item: Item) -> Decimal | None:
    if e.questionnaire is None:
        raise misfit("weight() needs the questionnaire")
    if e.weights is None:
        e.weights = dict(_weights(e))
    coded = item.value if type(item.value) is dict else {"code": item.value}
    link = item.parent
    while link is not None:
        if "linkId" in link.value:
            return e.weights.get((link.value["linkId"], coded.get("system"), coded.get("code")))
        link = link.parent
    return None


def _weights(e: Environment) -> Iterator[tuple[tuple[Any, Any, Any], Decimal]]:
    """(linkId, system, code) -> weight, for every option of the questionnaire."""
    waiting = list(e.questionnaire.get("item") or ())
    while waiting:
        item = waiting.pop()
        waiting += item.get("item") or ()
        place = item.get("linkId")
        if "answerValueSet" in item:
            for system, code, held in _of_value_set(e, item["answerValueSet"]):
                yield (place, system, code), held
        for option in item.get("answerOption") or ():
            coding = option.get("valueCoding") or {"code": option.get("valueString")}
            own = _in_extensions(option)
            counted = _in_extensions(coding) if own is None else own
            if counted is not None:
                yield (place, coding.get("system"), coding.get("code")), counted


def _of_value_set(e: Environment, url: str) -> Iterator[tuple[Any, Any, Decimal]]:
    value_set = _found(e, url)
    if value_set is None:
        raise misfit("weight() needs a value set that is not at hand")
    for concept in (value_set.get("expansion") or {}).get("contains") or ():
        if (held := _concept_weight(concept)) is not None:
            yield concept.get("system"), concept.get("code"), held
    for include in (value_set.get("compose") or {}).get("include") or ():
        system = include.get("system")
        code_system = _found(e, system) if system else None
        for concept in (*(include.get("concept") or ()), *((code_system or {}).get("concept") or ())):
            if (held := _concept_weight(concept, code_system)) is not None:
                yield system, concept.get("code"), held


def _found(e: Environment, url: str) -> Json:
    for inner in e.questionnaire.get("contained") or ():
        if url == f"#{inner.get('id')}" or inner.get("url") == url:
            return inner
    return e.resolved.get(url)


def _concept_weight(concept: Json, code_system: Json = None) -> Decimal | None:
    declared: Mapping[str, Any] = {one_["code"]: one_.get("uri") for one_ in (code_system or {}).get("property") or ()}
    for held in concept.get("property") or ():
        name = held.get("code")
        if name == "itemWeight" or declared.get(name) == _CONCEPT_WEIGHT:
            value = held.get("valueDecimal", held.get("valueInteger"))
            return None if value is None else Decimal(value)
    return _in_extensions(concept)
