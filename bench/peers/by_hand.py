"""The benchmark mappings as a person would write them in Python: what no engine can be faster than."""

from __future__ import annotations

from typing import Any

from peerfhir.mapping.identity import full_url, searched, seed

V2, SCT = "http://terminology.hl7.org/CodeSystem/v2-0203", "http://snomed.info/sct"
SERVICE = "http://peerfhir.example.org/fhir/CodeSystem/peer-service-type"
ACT, ROLE = (f"http://terminology.hl7.org/CodeSystem/v3-{one}" for one in ("ActCode", "ParticipationType"))
PRIORITY, SEX = {"R": "routine", "U": "urgent", "S": "stat"}, {"F": "female", "M": "male", "X": "other"}
PROGRAM = {
    "recovery": ("mentoring", "Recovery peer support"), "mh-peer": ("one-to-one", "Mental health peer support"),
    "diabetes-peer": ("one-to-one", "Diabetes peer support"), "warmline": ("warm-line", "Warm line"),
}  # fmt: skip
SEEDS = {
    name: seed(mapping, name)
    for mapping, names in (
        ("referral-csv", ("patient", "request", "task")), ("group-session", ("encounter",)),
        ("phq-9-explicit", ("qr", "total", "answer")),
    ) for name in names
}  # fmt: skip


def post(kind: str, **more: str) -> dict[str, str]:
    """A request that creates."""
    return {"method": "POST", "url": kind, **more}


def referral(row: dict[str, Any]) -> list[Any]:
    """What the mapping of a referral says, as a person would write it."""
    number = row["referral_id"]
    patient_url, request_url = (full_url(SEEDS[name], number) for name in ("patient", "request"))
    patient = {
        "resourceType": "Patient",
        "identifier": [{"use": "usual", "type": {"coding": [{"system": V2, "code": "MR"}]},
                        "system": "https://hospital.example/mrn", "value": row["mrn"]}],
        "active": True,
        "name": [{"use": "official", "family": row["last_name"],
                  "given": [one for one in (row["first_name"], row["middle_name"]) if one]}],
        "telecom": [{"system": "phone", "value": row["phone"], "use": "mobile"}],
        "gender": SEX.get(row["sex"], "unknown"), "birthDate": row["dob"],
    }  # fmt: skip
    if row["email"]:
        patient["telecom"].append({"system": "email", "value": row["email"]})
    priority = PRIORITY.get(row["priority"], "routine")
    code, display = PROGRAM[row["program"]]
    reason: dict[str, Any] = {"text": row["reason"]}
    if row["reason_code"]:
        coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": row["reason_code"]}
        reason = {"coding": [coding], **reason}
    request = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://hospital.example/referral", "value": number}],
        "status": "active", "intent": "order",
        "category": [{"coding": [{"system": SCT, "code": "410606002", "display": "Social service procedure"}]}],
        "priority": priority,
        "code": {"coding": [{"system": SCT, "code": "461481000124109",
                             "display": "Referral to peer support (procedure)"},
                            {"system": SERVICE, "code": code}], "text": display},
        "subject": {"reference": patient_url}, "authoredOn": row["referred_at"],
        "requester": {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": row["referrer_npi"]},
                      "display": row["referrer_name"]},
        "reasonCode": [reason],
    }  # fmt: skip
    if row["notes"]:
        request["note"] = [{"text": row["notes"]}]
    task = {
        "resourceType": "Task", "status": "requested", "intent": "order", "priority": priority,
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": request_url}, "for": {"reference": patient_url}, "authoredOn": row["referred_at"],
        "requester": {"display": row["referrer_name"]}, "owner": {"display": f"Peer program: {row['program']}"},
    }  # fmt: skip
    search = f"identifier=https://hospital.example/mrn|{searched(row['mrn'])}"
    return [
        ("patient", patient, patient_url, post("Patient", ifNoneExist=search)),
        ("request", request, request_url, post("ServiceRequest")),
        ("task", task, full_url(SEEDS["task"], number), post("Task")),
    ]


def session(record: dict[str, Any]) -> list[Any]:
    """The same for a group session."""
    made = []
    modality = {"in-person": ("AMB", "ambulatory"), "video": ("VR", "virtual"), "phone": ("VR", "virtual")}
    code, display = modality[record["modality"]]
    for one in record["attendees"]:
        encounter = {
            "resourceType": "Encounter",
            "identifier": [{"system": "https://peer.example/attendance", "value": one["attendance_id"]}],
            "status": "cancelled" if one["status"] == "absent" else "finished",
            "class": {"system": ACT, "code": code, "display": display},
            "type": [{"coding": [{"system": SERVICE, "code": "group-facilitated", "display": "Facilitated group"}],
                      "text": record["topic"]}],
            "subject": {"reference": f"Patient/{one['patient']}"},
            "participant": [{"type": [{"coding": [{"system": ROLE, "code": "PPRF"}]}],
                             "individual": {"reference": f"Practitioner/{record['facilitator']['id']}",
                                            "display": record["facilitator"]["name"]}}],
            "period": {"start": record["start"], "end": one["left_at"] or record["end"]},
            "length": {"value": record["minutes"], "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"},
        }  # fmt: skip
        if record["site"]:
            encounter["location"] = [{"location": {"display": record["site"]}}]
        url = full_url(SEEDS["encounter"], record["session_id"], one["attendance_id"])
        made.append(("encounter", encounter, url, post("Encounter")))
    return made


ITEMS = (
    ("44250-9", "Little interest or pleasure in doing things"), ("44255-8", "Feeling down, depressed, or hopeless"),
    ("44259-0", "Trouble falling or staying asleep, or sleeping too much"),
    ("44254-1", "Feeling tired or having little energy"), ("44251-7", "Poor appetite or overeating"),
    ("44258-2", "Feeling bad about yourself"), ("44252-5", "Trouble concentrating on things"),
    ("44253-3", "Moving or speaking slowly, or being restless"),
    ("44260-8", "Thoughts that you would be better off dead"),
)  # fmt: skip
ANSWERS = (
    ("LA6568-5", "Not at all"), ("LA6569-3", "Several days"), ("LA6570-1", "More than half the days"),
    ("LA6571-9", "Nearly every day"),
)  # fmt: skip
BANDS = ((20, "severe"), (15, "moderately severe"), (10, "moderate"), (5, "mild"), (0, "minimal"))


def phq9(record: dict[str, Any]) -> list[Any]:
    """The same for a PHQ-9."""
    loinc, number = "http://loinc.org", record["form_id"]
    url = full_url(SEEDS["qr"], number)
    patient, author = f"Patient/{record['patient']}", f"Practitioner/{record['author']}"
    values = [record[f"q{at}"] for at in range(1, 10)]
    total = sum(values)

    def observation(code: str, text: str, **more: Any) -> dict[str, Any]:
        survey_code = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}
        return {
            "resourceType": "Observation", "status": "final", "category": [{"coding": [survey_code]}],
            "code": {"coding": [{"system": loinc, "code": code, "display": text}]}, "subject": {"reference": patient},
            "effectiveDateTime": record["completed"], "performer": [{"reference": author}], **more,
            "derivedFrom": [{"reference": url}],
        }  # fmt: skip

    def coding(value: int) -> dict[str, str]:
        code, display = ANSWERS[value]
        return {"system": loinc, "code": code, "display": display}

    items = [
        {"linkId": f"/{code}", "text": text, "answer": [{"valueCoding": coding(value)}]}
        for (code, text), value in zip(ITEMS, values, strict=True)
    ]
    items.append({"linkId": "/44261-6", "text": "PHQ-9 total score", "answer": [{"valueInteger": total}]})
    response = {
        "resourceType": "QuestionnaireResponse", "questionnaire": "http://loinc.org/q/44249-1", "status": "completed",
        "subject": {"reference": patient}, "authored": record["completed"], "author": {"reference": author},
        "item": items,
    }  # fmt: skip
    quantity = {"value": total, "unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"}
    band = next(label for bound, label in BANDS if total >= bound)
    whole = observation(
        "44261-6", "PHQ-9 total score", valueQuantity=quantity, interpretation=[{"text": band}]
    )  # fmt: skip
    made = [("qr", response, url, post("QuestionnaireResponse"))]
    made.append(("total", whole, full_url(SEEDS["total"], number), post("Observation")))
    for at, ((code, text), value) in enumerate(zip(ITEMS, values, strict=True), 1):
        one = observation(code, text, valueCodeableConcept={"coding": [coding(value)]})
        made.append(("answer", one, full_url(SEEDS["answer"], number, at), post("Observation")))
    return made


HAND = {"referral-csv": referral, "group-session": session, "phq-9-explicit": phq9}


def bundle(made: list[Any]) -> dict[str, Any]:
    """The entries as the Bundle that the mapping gives."""
    entries = [{"fullUrl": url, "resource": resource, "request": request} for _, resource, url, request in made]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
