"""Answers -> the items of a QuestionnaireResponse, and the Observations that are extracted from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.weights import WEIGHTS
from peerfhir.mapping.identity import Hash, full_url
from peerfhir.mapping.instruments import VALUES, Form, Option, Question, Scored
from peerfhir.mapping.primitives import URL as ABSENT
from peerfhir.mapping.values import copied

Json = Any
# link id, values given, "scored" or "printed" or "", why there is no value
Given = tuple[str, Sequence[Any], str, str]
_REASONS = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
FINISHED = ("completed", "amended")  # Source: Structured Data Capture, observation-based extraction
_COPIED = ("subject", "encounter", "basedOn", "partOf")


class Answering:
    """What a compiled mapping calls for one instrument."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._choosers = {link_id: _Chooser(one) for link_id, one in form.questions.items() if one.options}

    def items(self, given: Sequence[Given]) -> list[Json] | None:
        """The items in the questionnaire's order, with the score that they give; None when nothing is answered.

        Raises  EvaluationProblem PM740 for a value that matches no option, PM741 for a score outside its range
        """
        answers = {link_id: self._values(link_id, values, number) for link_id, values, number, _ in given}
        reasons = {link_id: reason for link_id, _, _, reason in given if reason}
        scored = self._score(answers)
        if scored.total is not None and self._form.total is not None:
            answers[self._form.total] = [{"valueDecimal": scored.total}]
        made = [self._item(one, answers, reasons) for one in self._form.items]
        return [one for one in made if one is not None] or None

    def _values(self, link_id: str, values: Sequence[Any], number: str) -> list[Json]:
        question = self._form.questions[link_id]
        chooser = self._choosers.get(link_id)
        present = [one for one in values if one is not None and one != ""]
        if chooser is not None:
            return [{"valueCoding": chooser.option(one, number).coding} for one in present]
        kind = VALUES[question.type]
        return [{f"value{kind[0].upper()}{kind[1:]}": copied(one)} for one in present]

    def _score(self, answers: Mapping[str, list[Json]]) -> Scored:
        chosen = {
            link_id: values[0]["valueCoding"]["code"]
            for link_id, values in answers.items()
            if values and link_id in self._choosers
        }
        scored = self._form.score(chosen)
        span = self._form.span
        if scored.total is not None and span is not None and not span[0] <= scored.total <= span[1]:
            raise EvaluationProblem("PM741", f"the score of '{self._form.id}' lies outside its range")
        return scored

    def _item(self, question: Question, answers: Mapping[str, list[Json]], reasons: Mapping[str, str]) -> Json | None:
        made: dict[str, Any] = {"linkId": question.link_id}
        if question.text:
            made["text"] = question.text
        if question.items:
            below = [self._item(one, answers, reasons) for one in question.items]
            found = [one for one in below if one is not None]
            return {**made, "item": found} if found else None
        if answers.get(question.link_id):
            return {**made, "answer": answers[question.link_id]}
        if question.link_id in reasons:
            gap = {"url": ABSENT, "valueCode": reasons[question.link_id]}
            return {"extension": [gap], **made}
        return None

    # --- extraction -----------------------------------------------------------------------------------------------

    def observations(self, response: Json, url: str | None, seed: Hash, parts: Sequence[Any], mode: str) -> list[Any]:
        """(resource, fullUrl) of each Observation of a response.

        url   the response's fullUrl; None without a Bundle
        mode  observation: every item that is marked, the total and the panel; scores: the last two
        """
        if response.get("status") not in FINISHED:
            return []
        answers = _answered(response.get("item", ()))
        shared = self._shared(response, url)
        made: list[tuple[Json, str | None]] = []
        parts_of: dict[str, list[Json]] = {"hasMember": [], "component": []}
        derived: list[Json] = []
        for question in self._form.questions.values():
            if not question.relation or (mode == "scores" and question.link_id != self._form.total):
                continue
            for at, observation in enumerate(self._of(question, answers, shared)):
                if question.relation == "component" and self._form.codes:
                    parts_of["component"].append(_component(observation))
                    continue
                own = full_url(seed, *parts, question.link_id, at) if url is not None else None
                made.append((observation, own))
                if own is not None and question.relation == "member":
                    parts_of["hasMember"].append({"reference": own})
                elif question.relation == "derived":
                    derived.append(observation)
        held = {key: each for key, each in parts_of.items() if each}
        if held and self._form.codes:
            panel_url = full_url(seed, *parts, "", 0) if url is not None else None
            made.append(({**_head(self._form.codes, self._form.category), **copied(shared), **held}, panel_url))
            for observation in derived if panel_url is not None else ():
                observation.setdefault("derivedFrom", []).append({"reference": panel_url})
        return made

    def _of(self, question: Question, answers: Mapping[str, list[Json]], shared: Json) -> list[Json]:
        """The Observations of one item: one for each answer, and always one for the total."""
        if question.link_id == self._form.total:
            return [self._total(question, answers, shared)]
        return [self._one(question, one, shared) for one in answers.get(question.link_id, ())]

    def _shared(self, response: Json, url: str | None) -> Json:
        shared = {key: response[key] for key in _COPIED if key in response}
        authored = response.get("authored")
        if authored is not None:
            shared["effectiveDateTime"] = authored
            if "T" in authored:
                shared["issued"] = authored
        if "author" in response:
            shared["performer"] = [response["author"]]
        own = url or (f"QuestionnaireResponse/{response['id']}" if "id" in response else None)
        if own is not None:
            shared["derivedFrom"] = [{"reference": own}]
        return shared

    def _one(self, question: Question, answer: Json, shared: Json) -> Json:
        ((key, value),) = answer.items()
        made = {**_head(question.codes, question.category), **copied(shared)}
        if key == "valueCoding":
            made["valueCodeableConcept"] = {"coding": [copied(value)]}
        elif key in ("valueDecimal", "valueInteger"):
            made["valueQuantity"] = _quantity(value, question.unit)
        else:
            made["valueString" if key == "valueUri" else key] = copied(value)
        return made

    def _total(self, question: Question, answers: Mapping[str, list[Json]], shared: Json) -> Json:
        scored = self._score(answers)
        made = {**_head(question.codes, question.category), **copied(shared)}
        if scored.total is None:
            made["dataAbsentReason"] = {"coding": [{"system": _REASONS, "code": scored.reason}]}
        else:
            made["valueQuantity"] = _quantity(scored.total, question.unit)
            if scored.band:
                made["interpretation"] = [{"text": scored.band}]
        if self._form.span is not None:
            low, high = self._form.span
            made["referenceRange"] = [{"low": _quantity(low, question.unit), "high": _quantity(high, question.unit)}]
        return made


def extracted(name: str, made: Sequence[tuple[Json, str | None]], requested: bool) -> list[Any]:
    """What `Answering.observations` made as entries of a mapping's result."""
    request = {"method": "POST", "url": "Observation"} if requested else {}
    return [(name, resource, url, dict(request)) for resource, url in made]


def _head(codes: Sequence[Json], category: Sequence[Json]) -> Json:
    made: dict[str, Any] = {"resourceType": "Observation", "status": "final"}
    if category:
        made["category"] = copied(list(category))
    return {**made, "code": {"coding": copied(list(codes))}}


def _component(observation: Json) -> Json:
    """What of an Observation may stand inside the panel's."""
    kept = ("code", "dataAbsentReason", "interpretation", "referenceRange")
    return {key: one for key, one in observation.items() if key in kept or key.startswith("value")}


def _quantity(value: Any, unit: Json) -> Json:
    if unit is None:
        return {"value": value}
    named = {"unit": unit.get("display") or unit.get("code"), "system": unit.get("system"), "code": unit.get("code")}
    return {"value": value, **{key: one for key, one in named.items() if one}}


def _answered(items: Sequence[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for item in items:
        found[item["linkId"]] = list(item.get("answer", ()))
        found |= _answered(item.get("item", ()))
    return found


class _Chooser:
    """Finds the option that a value means."""

    def __init__(self, question: Question) -> None:
        self._question = question
        weights = question.weights
        self._ends = (min(weights) + max(weights)) if weights else Decimal(0)
        options = question.options
        self._codes = {one.code: one for one in options}
        self._others = {other: one for one in options for other in one.alternatives}
        self._words = {_folded(one.display): one for one in options if one.display}
        alone = len(set(weights)) == len(weights)  # else a number does not choose
        self._weights = {one.weight: one for one in options if one.weight is not None and alone}

    def option(self, value: Any, number: str) -> Option:
        found: Option | None
        if isinstance(value, dict):
            found = self._of_coding(value)
        elif isinstance(value, str):
            found = self._codes.get(value) or self._others.get(value) or self._words.get(_folded(value))
        elif isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            weight = Decimal(value)
            found = self._weights.get(self._ends - weight if number == "printed" else weight)
        else:
            found = None
        if found is None:
            weights = ", ".join(str(one) for one in self._question.weights)
            known = f" (weights {weights})" if weights else ""
            raise EvaluationProblem("PM740", f"the value matches no option of item {self._question.link_id}{known}")
        return found

    def _of_coding(self, value: Mapping[str, Any]) -> Option | None:
        code, system = value.get("code"), value.get("system")
        own = self._codes.get(str(code))
        if own is not None and system in (None, own.system):
            return own
        found = self._others.get(str(code))
        for one in value.get("extension", ()):
            if found is None and one.get("url") in WEIGHTS:
                found = self._weights.get(Decimal(one.get("valueDecimal", one.get("valueInteger", -1))))
        return found or self._words.get(_folded(str(value.get("display", ""))))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
