"""The benchmark mappings for fpml, the FHIRPath mapping language in Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from peers.by_hand import ACT, ANSWERS, BANDS, ITEMS, PRIORITY, PROGRAM, ROLE, SCT, SERVICE, SEX, V2

LOINC = "http://loinc.org"


def choice(expression: str, table: dict[Any, str], otherwise: str) -> str:
    """A code map as FHIRPath can write it."""
    found = otherwise
    for key, value in reversed(table.items()):
        found = f"iif({expression} = {key!r}, '{value}', {found})"
    return "{{ " + found + " }}"


def entry(at: int | str, resource: dict[str, Any], **more: str) -> dict[str, Any]:
    """One resource with its place in the Bundle."""
    url = f"{{{{ urls[{at}] }}}}"
    return {
        "fullUrl": url,
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **more},
    }


def transaction(*entries: Any) -> dict[str, Any]:
    """The whole."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def referral() -> dict[str, Any]:
    """A referral."""
    program = [choice("program", {key: one[at] for key, one in PROGRAM.items()}, "{}") for at in (0, 1)]
    priority = choice("priority", PRIORITY, "'routine'")
    patient = {
        "resourceType": "Patient",
        "identifier": [{"use": "usual", "type": {"coding": [{"system": V2, "code": "MR"}]},
                        "system": "https://hospital.example/mrn", "value": "{{ mrn }}"}],
        "active": True,
        "name": [{"use": "official", "family": "{{ last_name }}", "given": ["{{ first_name }}", "{{ middle_name }}"]}],
        "telecom": [{"system": "phone", "value": "{{ phone }}", "use": "mobile"},
                    {"{% if email.exists() %}": {"system": "email", "value": "{{ email }}"}}],
        "gender": choice("sex", SEX, "'unknown'"), "birthDate": "{{ dob }}",
    }  # fmt: skip
    icd = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "{{ reason_code }}"}
    request = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://hospital.example/referral", "value": "{{ referral_id }}"}],
        "status": "active", "intent": "order",
        "category": [{"coding": [{"system": SCT, "code": "410606002", "display": "Social service procedure"}]}],
        "priority": priority,
        "code": {"coding": [{"system": SCT, "code": "461481000124109",
                             "display": "Referral to peer support (procedure)"},
                            {"system": SERVICE, "code": program[0]}], "text": program[1]},
        "subject": {"reference": "{{ urls[0] }}"}, "authoredOn": "{{ referred_at }}",
        "requester": {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "{{ referrer_npi }}"},
                      "display": "{{ referrer_name }}"},
        "reasonCode": [{"coding": [{"{% if reason_code.exists() %}": icd}], "text": "{{ reason }}"}],
        "note": [{"text": "{{ notes }}"}],
    }  # fmt: skip
    task = {
        "resourceType": "Task", "status": "requested", "intent": "order", "priority": priority,
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": "{{ urls[1] }}"}, "for": {"reference": "{{ urls[0] }}"},
        "authoredOn": "{{ referred_at }}", "requester": {"display": "{{ referrer_name }}"},
        "owner": {"display": "Peer program: {{ program }}"},
    }  # fmt: skip
    search = "identifier=https://hospital.example/mrn|{{ mrn }}"
    return transaction(entry(0, patient, ifNoneExist=search), entry(1, request), entry(2, task))


def session() -> dict[str, Any]:
    """A group session."""
    encounter = {
        "resourceType": "Encounter",
        "identifier": [{"system": "https://peer.example/attendance", "value": "{{ %a.attendance_id }}"}],
        "status": "{{ iif(%a.status = 'absent', 'cancelled', 'finished') }}",
        "class": {"system": ACT, "code": "{{ iif(modality = 'in-person', 'AMB', 'VR') }}",
                  "display": "{{ iif(modality = 'in-person', 'ambulatory', 'virtual') }}"},
        "type": [{"coding": [{"system": SERVICE, "code": "group-facilitated", "display": "Facilitated group"}],
                  "text": "{{ topic }}"}],
        "subject": {"reference": "Patient/{{ %a.patient }}"},
        "participant": [{"type": [{"coding": [{"system": ROLE, "code": "PPRF"}]}],
                         "individual": {"reference": "Practitioner/{{ facilitator.id }}",
                                        "display": "{{ facilitator.name }}"}}],
        "period": {"start": "{{ start }}", "end": "{{ iif(%a.left_at.exists(), %a.left_at, end) }}"},
        "length": {"value": "{{ `minutes` }}", "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"},
        "location": [{"location": {"display": "{{ site }}"}}],
    }  # fmt: skip
    return transaction({"{% for i, a in attendees %}": entry("%i", encounter)})


def phq9() -> dict[str, Any]:
    """A PHQ-9."""
    total = "{{ q1 + q2 + q3 + q4 + q5 + q6 + q7 + q8 + q9 }}"
    band = "iif({}, {}, {})"
    text = "{}"
    for low, word in reversed(BANDS):
        text = band.format(f"%total >= {low}", f"'{word}'", text)

    def coding(at: int) -> dict[str, str]:
        codes, displays = ({place: row[which] for place, row in enumerate(ANSWERS)} for which in (0, 1))
        return {
            "system": LOINC, "code": choice(f"q{at}", codes, "{}"), "display": choice(f"q{at}", displays, "{}"),
        }  # fmt: skip

    def observation(code: str, display: str, **more: Any) -> dict[str, Any]:
        survey = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}
        return {
            "resourceType": "Observation", "status": "final", "category": [{"coding": [survey]}],
            "code": {"coding": [{"system": LOINC, "code": code, "display": display}]},
            "subject": {"reference": "Patient/{{ patient }}"}, "effectiveDateTime": "{{ completed }}",
            "performer": [{"reference": "Practitioner/{{ author }}"}], **more,
            "derivedFrom": [{"reference": "{{ urls[0] }}"}],
        }  # fmt: skip

    items: list[Any] = [
        {"linkId": f"/{code}", "text": display, "answer": [{"valueCoding": coding(at)}]}
        for at, (code, display) in enumerate(ITEMS, 1)
    ]
    items.append({"linkId": "/44261-6", "text": "PHQ-9 total score", "answer": [{"valueInteger": "{{ %total }}"}]})
    response = {
        "resourceType": "QuestionnaireResponse", "questionnaire": "http://loinc.org/q/44249-1", "status": "completed",
        "subject": {"reference": "Patient/{{ patient }}"}, "authored": "{{ completed }}",
        "author": {"reference": "Practitioner/{{ author }}"}, "item": items,
    }  # fmt: skip
    quantity = {"value": "{{ %total }}", "unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"}
    whole = observation(
        "44261-6", "PHQ-9 total score", valueQuantity=quantity, interpretation=[{"text": "{{ " + text + " }}"}]
    )
    answers = [
        entry(at + 1, observation(code, display, valueCodeableConcept={"coding": [coding(at)]}))
        for at, (code, display) in enumerate(ITEMS, 1)
    ]
    made = transaction(entry(0, response), entry(1, whole), *answers)
    return {"{% assign %}": [{"total": total}], **made}


TEMPLATES = {"referral-csv": referral, "group-session": session, "phq-9-explicit": phq9}


def engine(mapping: str) -> Callable[[Any], Any]:
    """A function of one record.

    Raises  ImportError
    """
    from fpml import resolve_template

    template = TEMPLATES[mapping]()
    return lambda record: resolve_template(record, template)


def parsed_once(mapping: str) -> Callable[[Any], Any]:
    """The same engine, helped: each expression is parsed once, which it does not do by itself.

    Raises  ImportError
    """
    import fhirpathpy

    run, own = engine(mapping), fhirpathpy.parse
    remembering = cache(own)

    def helped(record: Any) -> Any:
        fhirpathpy.parse = remembering
        try:
            return run(record)
        finally:
            fhirpathpy.parse = own

    return helped
