"""`QuestionnaireResponse/$extract`: the Observations of a response, by the rules of the instrument it answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from peerfhir.errors import InvalidResource
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.validate import validate
from peerfhir.gateway.parts import MappingsKnown
from peerfhir.mapping.answers import Answering
from peerfhir.mapping.identity import record_key, seed
from peerfhir.mapping.instruments import VALUES, Form, Question

DEFINED = "http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract"
KIND = "QuestionnaireResponse"


def forms_of(mappings: MappingsKnown) -> Mapping[str, Form]:
    """The questionnaires that the mappings in use were loaded with."""
    return next((mappings.get(name).program.checked.forms for name in mappings.ids()), {})


def extracted(response: Json, forms: Mapping[str, Form]) -> Json:
    """A transaction with what a response gives; none of a response that is not finished.

    The score is ours, whatever total was sent. The same response gives the same names.

    Raises  InvalidResource for what is no valid response, names no questionnaire of ours, or answers none of its items
    Source  SDC, observation-based extraction
    """
    if not isinstance(response, dict) or response.get("resourceType") != KIND:
        raise _wrong("a QuestionnaireResponse is expected", "")
    findings = tuple(one for one in validate(response, by_model=False) if one.severity == "error")
    if findings:
        raise InvalidResource(findings)
    form = _form(response.get("questionnaire", ""), forms)
    _apart(response)
    answering = Answering(form)
    try:
        items = answering.items(_once(_given(response.get("item", []), form), form))
        read = {**response, "item": items or []}
        name = [response["id"]] if "id" in response else [record_key(response)]
        made = answering.observations(read, _reference(response), seed(form.id, "extract"), name, "observation")
    except EvaluationProblem as problem:
        raise _wrong(str(problem), f"{KIND}.item") from None
    entries = [
        {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": "Observation"}}
        for resource, url in made
    ]
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": entries} if entries else {})}


def _reference(response: Mapping[str, Any]) -> str:
    """What the Observations are derived from; nothing where the response has no id."""
    return f"{KIND}/{response['id']}" if "id" in response else ""


def _form(canonical: str, forms: Mapping[str, Form]) -> Form:
    url, _, version = canonical.partition("|")
    found = next((one for one in forms.values() if one.url == url and version in ("", one.version)), None)
    if found is None:
        raise _wrong("this questionnaire is not known here", f"{KIND}.questionnaire")
    return found


def _given(items: list[Json], form: Form) -> Iterator[tuple[str, list[Any]]]:
    """Link id and values of every answer that counts. Raises InvalidResource."""
    for item in items:
        question = form.questions.get(item["linkId"])
        if question is None:
            raise _wrong("an item is not of this questionnaire", f"{KIND}.item")
        answers = item.get("answer", [])
        for below in (item, *answers):
            yield from _given(below.get("item", []), form)
        if answers and not question.read_only:
            yield question.link_id, [_value(one, question) for one in answers]


def _once(given: Iterable[tuple[str, list[Any]]], form: Form) -> list[tuple[str, list[Any], str, str]]:
    """Each item with its answers. Raises InvalidResource where a total would have to choose between two."""
    found: dict[str, list[Any]] = {}
    for name, values in given:
        if name in found or (len(values) > 1 and not form.questions[name].repeats):
            raise _wrong(f"item {name} is answered twice", f"{KIND}.item")
        found[name] = values
    return [(name, values, "", "") for name, values in found.items()]


def _apart(response: Json) -> None:
    """Refuses what an Observation could not refer to: it does not contain what the response contains."""
    for name in ("subject", "encounter", "author", "basedOn", "partOf"):
        held = response.get(name, [])
        for one in held if isinstance(held, list) else [held]:
            if one.get("reference", "").startswith("#"):
                raise _wrong("an Observation cannot refer to what the response contains", f"{KIND}.{name}")


def _value(answer: Mapping[str, Any], question: Question) -> Any:
    kind = VALUES.get(question.type, "")
    key = next((key for key in answer if key.startswith("value")), "")
    wanted = {f"value{kind[:1].upper()}{kind[1:]}", *(("valueString",) if question.type == "open-choice" else ())}
    if key not in wanted:
        raise _wrong(f"item {question.link_id} takes another type of answer", f"{KIND}.item.answer")
    return answer[key]


def _wrong(what: str, place: str) -> InvalidResource:
    return InvalidResource((Finding("error", "business-rule", place, what),))
