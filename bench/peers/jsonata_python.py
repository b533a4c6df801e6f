"""The benchmark mappings for jsonata-python. Tables stand in the expression."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from peers.by_hand import ACT, ANSWERS, BANDS, ITEMS, PRIORITY, PROGRAM, ROLE, SCT, SERVICE, SEX, V2

REFERRAL = """($sexes := SEXES; $priorities := PRIORITIES; $program := $lookup(PROGRAMS, program);
$priority := priority ? $lookup($priorities, priority) : "routine"; $gender := sex ? $lookup($sexes, sex);
{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":urls[0],"resource":{
"resourceType":"Patient","identifier":[{"use":"usual","type":{"coding":[{"system":"V2","code":"MR"}]},
"system":"https://hospital.example/mrn","value":mrn}],"active":true,
"name":[{"use":"official","family":last_name,"given":[first_name, middle_name ? middle_name]}],
"telecom":[{"system":"phone","value":phone,"use":"mobile"}, email ? {"system":"email","value":email}],
"gender":$gender ? $gender : "unknown","birthDate":dob},
"request":{"method":"POST","url":"Patient",
"ifNoneExist":"identifier=https://hospital.example/mrn|" & $encodeUrlComponent(mrn)}},
{"fullUrl":urls[1],"resource":{"resourceType":"ServiceRequest",
"identifier":[{"system":"https://hospital.example/referral","value":referral_id}],
"status":"active","intent":"order",
"category":[{"coding":[{"system":"SCT","code":"410606002","display":"Social service procedure"}]}],
"priority":$priority,"code":{"coding":[
{"system":"SCT","code":"461481000124109","display":"Referral to peer support (procedure)"},
{"system":"SERVICE","code":$program[0]}],"text":$program[1]},
"subject":{"reference":urls[0]},"authoredOn":referred_at,
"requester":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":referrer_npi},"display":referrer_name},
"reasonCode":[{"coding":reason_code ? [{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":reason_code}],
"text":reason}],"note":notes ? [{"text":notes}]},
"request":{"method":"POST","url":"ServiceRequest"}},
{"fullUrl":urls[2],"resource":{"resourceType":"Task","status":"requested","intent":"order","priority":$priority,
"code":{"coding":[{"system":"http://hl7.org/fhir/CodeSystem/task-code","code":"fulfill"}]},
"focus":{"reference":urls[1]},"for":{"reference":urls[0]},"authoredOn":referred_at,
"requester":{"display":referrer_name},"owner":{"display":"Peer program: " & program}},
"request":{"method":"POST","url":"Task"}}]})"""

SESSION = """{"resourceType":"Bundle","type":"transaction","entry":[attendees#$i.{"fullUrl":$$.urls[$i],"resource":{
"resourceType":"Encounter","identifier":[{"system":"https://peer.example/attendance","value":attendance_id}],
"status":status='absent' ? 'cancelled' : 'finished',
"class":{"system":"ACT","code":$$.modality='in-person' ? 'AMB' : 'VR',
"display":$$.modality='in-person' ? 'ambulatory' : 'virtual'},
"type":[{"coding":[{"system":"SERVICE","code":"group-facilitated","display":"Facilitated group"}],"text":$$.topic}],
"subject":{"reference":"Patient/" & patient},"participant":[{"type":[{"coding":[{"system":"ROLE","code":"PPRF"}]}],
"individual":{"reference":"Practitioner/" & $$.facilitator.id,"display":$$.facilitator.name}}],
"period":{"start":$$.start,"end":left_at ? left_at : $$.end},
"length":{"value":$$.minutes,"unit":"min","system":"http://unitsofmeasure.org","code":"min"},
"location":$$.site ? [{"location":{"display":$$.site}}]},"request":{"method":"POST","url":"Encounter"}}]}"""

PHQ9 = """($answers := ANSWERS; $total := q1 + q2 + q3 + q4 + q5 + q6 + q7 + q8 + q9; $patient := "Patient/" & patient;
$author := "Practitioner/" & author; $r := $$; $items := ITEMS;
$category := [{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"survey"}]}];
{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":urls[0],"resource":{
"resourceType":"QuestionnaireResponse","questionnaire":"http://loinc.org/q/44249-1","status":"completed",
"subject":{"reference":$patient},"authored":completed,"author":{"reference":$author},
"item":[$items.($v := $lookup($r, q); $a := $answers[$v]; {"linkId":"/" & code,"text":text,
"answer":[{"valueCoding":{"system":"http://loinc.org","code":$a.code,"display":$a.display}}]}),
{"linkId":"/44261-6","text":"PHQ-9 total score","answer":[{"valueInteger":$total}]}]},
"request":{"method":"POST","url":"QuestionnaireResponse"}},
{"fullUrl":urls[1],"resource":{"resourceType":"Observation","status":"final","category":$category,
"code":{"coding":[{"system":"http://loinc.org","code":"44261-6","display":"PHQ-9 total score"}]},
"subject":{"reference":$patient},"effectiveDateTime":completed,"performer":[{"reference":$author}],
"valueQuantity":{"value":$total,"unit":"{score}","system":"http://unitsofmeasure.org","code":"{score}"},
"interpretation":[{"text":BAND}],"derivedFrom":[{"reference":urls[0]}]},
"request":{"method":"POST","url":"Observation"}},
$items.($v := $lookup($r, q); $n := n + 1; $a := $answers[$v]; {"fullUrl":$r.urls[$n],"resource":{
"resourceType":"Observation","status":"final","category":$category,
"code":{"coding":[{"system":"http://loinc.org","code":code,"display":text}]},
"subject":{"reference":$patient},"effectiveDateTime":$r.completed,"performer":[{"reference":$author}],
"valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":$a.code,"display":$a.display}]},
"derivedFrom":[{"reference":$r.urls[0]}]},"request":{"method":"POST","url":"Observation"}})]})"""
TEXTS = {"referral-csv": REFERRAL, "group-session": SESSION, "phq-9-explicit": PHQ9}
SYSTEMS = {"ACT": ACT, "SERVICE": SERVICE, "ROLE": ROLE, "V2": V2, "SCT": SCT}
TABLES = {
    "SEXES": SEX, "PRIORITIES": PRIORITY, "PROGRAMS": PROGRAM,
    "ANSWERS": [{"code": code, "display": display} for code, display in ANSWERS],
    "ITEMS": [{"n": at, "q": f"q{at}", "code": code, "text": text} for at, (code, text) in enumerate(ITEMS, 1)],
}  # fmt: skip


def engine(mapping: str) -> Callable[[Any], Any]:
    """A function of one record.

    Raises  ImportError
    """
    from jsonata import Jsonata

    text = TEXTS[mapping].replace("BAND", " : ".join([f"$total >= {low} ? '{word}'" for low, word in BANDS]))
    for word, system in SYSTEMS.items():
        text = text.replace(f'"{word}"', f'"{system}"')
    for word, table in TABLES.items():
        text = text.replace(word, json.dumps(table))
    return Jsonata(text).evaluate
