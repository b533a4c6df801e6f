"""The benchmark mappings for python-liquid: text in Liquid, read as JSON afterwards; tables are globals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peers.by_hand import ACT, ANSWERS, BANDS, ITEMS, PRIORITY, PROGRAM, ROLE, SCT, SERVICE, SEX, V2

REFERRAL = """{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"{{r.urls[0]}}","resource":{
"resourceType":"Patient","identifier":[{"use":"usual","type":{"coding":[{"system":"V2","code":"MR"}]},
"system":"https://hospital.example/mrn","value":{{r.mrn|json}}}],"active":true,
"name":[{"use":"official","family":{{r.last_name|json}},
"given":[{{r.first_name|json}}{% if r.middle_name %},{{r.middle_name|json}}{% endif %}]}],
"telecom":[{"system":"phone","value":{{r.phone|json}},"use":"mobile"}
{% if r.email %},{"system":"email","value":{{r.email|json}}}{% endif %}],
"gender":"{{sexes[r.sex]|default:'unknown'}}","birthDate":"{{r.dob}}"},
"request":{"method":"POST","url":"Patient",
"ifNoneExist":"identifier=https://hospital.example/mrn|{{r.mrn|url_encode}}"}},
{"fullUrl":"{{r.urls[1]}}","resource":{"resourceType":"ServiceRequest",
"identifier":[{"system":"https://hospital.example/referral","value":{{r.referral_id|json}}}],
"status":"active","intent":"order",
"category":[{"coding":[{"system":"SCT","code":"410606002","display":"Social service procedure"}]}],
"priority":"{{priorities[r.priority]|default:'routine'}}","code":{"coding":[
{"system":"SCT","code":"461481000124109","display":"Referral to peer support (procedure)"},
{"system":"SERVICE","code":"{{programs[r.program][0]}}"}],"text":"{{programs[r.program][1]}}"},
"subject":{"reference":"{{r.urls[0]}}"},"authoredOn":"{{r.referred_at}}",
"requester":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":{{r.referrer_npi|json}}},
"display":{{r.referrer_name|json}}},
"reasonCode":[{ {% if r.reason_code %}
"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":{{r.reason_code|json}}}],{% endif %}
"text":{{r.reason|json}}}]{% if r.notes %},"note":[{"text":{{r.notes|json}}}]{% endif %}},
"request":{"method":"POST","url":"ServiceRequest"}},
{"fullUrl":"{{r.urls[2]}}","resource":{"resourceType":"Task","status":"requested","intent":"order",
"priority":"{{priorities[r.priority]|default:'routine'}}",
"code":{"coding":[{"system":"http://hl7.org/fhir/CodeSystem/task-code","code":"fulfill"}]},
"focus":{"reference":"{{r.urls[1]}}"},"for":{"reference":"{{r.urls[0]}}"},"authoredOn":"{{r.referred_at}}",
"requester":{"display":{{r.referrer_name|json}}},
"owner":{"display":"Peer program: {{r.program}}"}},
"request":{"method":"POST","url":"Task"}}]}"""

SESSION = """{"resourceType":"Bundle","type":"transaction","entry":[{% for a in r.attendees %}{
"fullUrl":"{{r.urls[forloop.index0]}}","resource":{"resourceType":"Encounter",
"identifier":[{"system":"https://peer.example/attendance","value":{{a.attendance_id|json}}}],
"status":"{% if a.status == 'absent' %}cancelled{% else %}finished{% endif %}",
"class":{"system":"ACT","code":"{% if r.modality == 'in-person' %}AMB{% else %}VR{% endif %}",
"display":"{% if r.modality == 'in-person' %}ambulatory{% else %}virtual{% endif %}"},
"type":[{"coding":[{"system":"SERVICE","code":"group-facilitated","display":"Facilitated group"}],
"text":{{r.topic|json}}}],
"subject":{"reference":"Patient/{{a.patient}}"},"participant":[{"type":[{"coding":[{"system":"ROLE","code":"PPRF"}]}],
"individual":{"reference":"Practitioner/{{r.facilitator.id}}","display":{{r.facilitator.name|json}}}}],
"period":{"start":"{{r.start}}","end":"{{a.left_at|default:r.end}}"},
"length":{"value":{{r.minutes}},"unit":"min","system":"http://unitsofmeasure.org","code":"min"}
{% if r.site %},"location":[{"location":{"display":{{r.site|json}}}}]{% endif %}},
"request":{"method":"POST","url":"Encounter"}}{% unless forloop.last %},{% endunless %}{% endfor %}]}"""

PHQ9 = """{% assign total = r.q1|plus:r.q2|plus:r.q3|plus:r.q4|plus:r.q5|plus:r.q6|plus:r.q7|plus:r.q8|plus:r.q9 %}
{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"{{r.urls[0]}}","resource":{
"resourceType":"QuestionnaireResponse","questionnaire":"http://loinc.org/q/44249-1","status":"completed",
"subject":{"reference":"Patient/{{r.patient}}"},"authored":"{{r.completed}}",
"author":{"reference":"Practitioner/{{r.author}}"},
"item":[{% for i in items %}{% assign q = 'q'|append:forloop.index %}{% assign v = r[q] %}{"linkId":"/{{i[0]}}",
"text":{{i[1]|json}},"answer":[{"valueCoding":{"system":"http://loinc.org","code":"{{answers[v][0]}}",
"display":"{{answers[v][1]}}"}}]},{% endfor %}
{"linkId":"/44261-6","text":"PHQ-9 total score","answer":[{"valueInteger":{{total}}}]}]},
"request":{"method":"POST","url":"QuestionnaireResponse"}},
{"fullUrl":"{{r.urls[1]}}","resource":{HEAD"code":{"coding":[
{"system":"http://loinc.org","code":"44261-6","display":"PHQ-9 total score"}]},WHO
"valueQuantity":{"value":{{total}},"unit":"{score}","system":"http://unitsofmeasure.org","code":"{score}"},
"interpretation":[{"text":"{% for b in bands %}{% if total >= b[0] %}{{b[1]}}{% break %}{% endif %}{% endfor %}"}],
"derivedFrom":[{"reference":"{{r.urls[0]}}"}]},"request":{"method":"POST","url":"Observation"}}
{% for i in items %}{% assign q = 'q'|append:forloop.index %}{% assign v = r[q] %}{% assign at = forloop.index|plus:1 %}
,{"fullUrl":"{{r.urls[at]}}","resource":{HEAD"code":{"coding":[
{"system":"http://loinc.org","code":"{{i[0]}}","display":{{i[1]|json}}}]},WHO
"valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"{{answers[v][0]}}",
"display":"{{answers[v][1]}}"}]},"derivedFrom":[{"reference":"{{r.urls[0]}}"}]},
"request":{"method":"POST","url":"Observation"}}{% endfor %}]}"""
HEAD = (
    '"resourceType":"Observation","status":"final","category":[{"coding":['
    '{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"survey"}]}],'
)
WHO = (
    '"subject":{"reference":"Patient/{{r.patient}}"},"effectiveDateTime":"{{r.completed}}",'
    '"performer":[{"reference":"Practitioner/{{r.author}}"}],'
)
TEXTS = {"referral-csv": REFERRAL, "group-session": SESSION, "phq-9-explicit": PHQ9}
TABLES = {
    "sexes": SEX, "priorities": PRIORITY, "programs": PROGRAM, "items": ITEMS, "answers": ANSWERS, "bands": BANDS,
}  # fmt: skip


def engine(mapping: str, read: Callable[[bytes], Any]) -> Callable[[Any], Any]:
    """A function of one record.

    read    the reader of JSON
    Raises  ImportError
    """
    from liquid import Environment
    from liquid.extra import add_filters

    environment = Environment(globals=TABLES)
    add_filters(environment)
    text = TEXTS[mapping].replace("HEAD", HEAD).replace("WHO", WHO)
    for word, system in (("ACT", ACT), ("SERVICE", SERVICE), ("ROLE", ROLE), ("V2", V2), ("SCT", SCT)):
        text = text.replace(f'"{word}"', f'"{system}"')
    template = environment.from_string(text)
    return lambda record: read(template.render(r=record).encode())
