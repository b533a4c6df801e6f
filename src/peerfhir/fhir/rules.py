"""The invariants of R4 that a schema can say, by type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """An invariant: its key in the definition, what a schema makes of it, and the sentence for who breaks it."""

    key: str
    schema: Schema
    text: str
    severity: str = "error"


def has(*names: str) -> Schema:
    """One of these elements is there, with a value or with extensions in its place."""
    return {"anyOf": [{"required": [one]} for name in names for one in (name, f"_{name}")]}


def has_choice(stem: str) -> Schema:
    """One of the types of a choice is there."""
    return {"not": {"propertyNames": {"not": {"pattern": f"^_?{stem}[A-Z]"}}}}


def needs(there: str, *names: str) -> Schema:
    """Where the first element is, one of the others is as well."""
    return {"if": {"required": [there]}, "then": has(*names)}


def never(*names: str) -> Schema:
    """These elements are not there together."""
    return {"not": {"required": list(names)}}


_EXTENSION = {
    "if": {"required": ["extension"]},
    "then": {"propertyNames": {"enum": ["id", "url", "extension"]}},
    "else": {"if": {"required": ["id"]}, "then": {"minProperties": 3}, "else": {"minProperties": 2}},
}
_QUANTITY = Rule("qty-3", needs("code", "system"), "A code of a unit needs its system (qty-3).")
_UCUM: Schema = {"properties": {"system": {"const": "http://unitsofmeasure.org"}}}
_COUNTED: Schema = {"if": {"required": ["value"]}, "then": {"required": ["code"]}}
_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_COMPUTABLE = {"properties": {"name": {"pattern": "^[A-Z][A-Za-z0-9_]{0,254}$"}}}
_ONE = {"oneOf": [{"required": ["path"]}, {"required": ["searchParam"]}]}
_IS_DISPLAY = {"properties": {"type": {"const": "display"}}, "required": ["type"]}
_WHEN = {"anyOf": [{"required": ["start"]}, {"required": ["end"]}]}
_IS_GROUP = {"properties": {"type": {"const": "group"}}, "required": ["type"]}


def _has_entry(name: str) -> Schema:
    return {"properties": {"entry": {"contains": {"required": [name]}}}, "required": ["entry"]}


def _of_a_person(key: str, scope: str, what: str) -> Rule:
    """ppc-2 to ppc-5. Their expressions compare with a system `something`; what they mean is the system of scopes."""
    systems = {"enum": [_SCOPE, "something"]}
    coding = {"required": ["system", "code"], "properties": {"system": systems, "code": {"const": scope}}}
    scoped = {"properties": {"scope": {"properties": {"coding": {"contains": coding}}, "required": ["coding"]}},
              "required": ["scope"]}  # fmt: skip
    return Rule(
        key, {"if": scoped, "then": {"required": ["patient"]}}, f"A consent to {what} names the person ({key})."
    )


def _kind(name: str, *, needs: list[str], no: list[str]) -> Schema:
    """What a statement of this kind has and has not."""
    refused = {"not": {"anyOf": [{"required": [one]} for one in no]}} if no else {}
    return {
        "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
        "then": {"required": needs, **refused},
    }


def _no_home(name: str) -> Schema:
    return {
        "properties": {name: {"not": {"contains": {"properties": {"use": {"const": "home"}}, "required": ["use"]}}}}
    }


RULES: Mapping[str, tuple[Rule, ...]] = {
    "Extension": (Rule("ext-1", _EXTENSION, "An extension has either a value or extensions of its own (ext-1)."),),
    "Quantity": (_QUANTITY,),
    "Age": (_QUANTITY, Rule("age-1", {"allOf": [_COUNTED, _UCUM, {"properties": {"value": {"exclusiveMinimum": 0}}}]},
                            "An age has a code of UCUM for its time, and is more than nothing (age-1).")),
    "Count": (_QUANTITY, Rule("cnt-3", {"allOf": [_COUNTED, _UCUM, {"properties": {
        "code": {"const": "1"}, "value": {"multipleOf": 1}}}]}, "A count is a whole number with the code 1 (cnt-3).")),
    "Distance": (_QUANTITY, Rule("dis-1", {"allOf": [_COUNTED, _UCUM]},
                                 "A distance has a code of UCUM for its length (dis-1).")),
    "Duration": (_QUANTITY, Rule("drt-1", {"if": {"required": ["code"]}, "then": {"allOf": [
        {"required": ["value", "system"]}, _UCUM]}}, "The code of a duration is of UCUM and has a value (drt-1).")),
    "Attachment": (Rule("att-1", needs("data", "contentType"), "Data of an attachment need a content type (att-1)."),),
    "ContactPoint": (Rule("cpt-2", needs("value", "system"), "A contact point with a value needs a system (cpt-2)."),),
    "Ratio": (
        Rule(
            "rat-1",
            {
                "if": {"anyOf": [{"required": ["numerator"]}, {"required": ["denominator"]}]},
                "then": {"required": ["numerator", "denominator"]},
                "else": {"required": ["extension"]},
            },
            "A ratio needs numerator and denominator, or neither and an extension (rat-1).",
        ),
    ),
    "Expression": (Rule("exp-1", has("expression", "reference"), "Give the expression or a reference (exp-1)."),),
    "DataRequirement.codeFilter": (Rule("drq-1", _ONE, "A filter has a path or a search parameter (drq-1)."),),
    "DataRequirement.dateFilter": (Rule("drq-2", _ONE, "A filter has a path or a search parameter (drq-2)."),),
    "Timing.repeat": (
        Rule("tim-1", needs("duration", "durationUnit"), "A duration needs its unit (tim-1)."),
        Rule("tim-2", needs("period", "periodUnit"), "A period needs its unit (tim-2)."),
        Rule("tim-4", {"properties": {"duration": {"minimum": 0}}}, "A duration is not negative (tim-4)."),
        Rule("tim-5", {"properties": {"period": {"minimum": 0}}}, "A period is not negative (tim-5)."),
        Rule("tim-6", needs("periodMax", "period"), "periodMax needs period (tim-6)."),
        Rule("tim-7", needs("durationMax", "duration"), "durationMax needs duration (tim-7)."),
        Rule("tim-8", needs("countMax", "count"), "countMax needs count (tim-8)."),
        Rule("tim-9", {"if": {"required": ["offset"]}, "then": {"required": ["when"], "properties": {"when": {"not": {
            "contains": {"enum": ["C", "CM", "CD", "CV"]}}}}}},
             "An offset needs an event it counts from (tim-9)."),
        Rule("tim-10", never("timeOfDay", "when"), "Give timeOfDay or when, not both (tim-10)."),
    ),
    "TriggerDefinition": (
        Rule("trd-1", {"not": {"allOf": [{"required": ["data"]}, has_choice("timing")]}},
             "A trigger has data or a timing, not both (trd-1)."),
        Rule("trd-2", needs("condition", "data"), "A condition of a trigger needs its data (trd-2)."),
        Rule("trd-3", {"allOf": [
            {"if": {"properties": {"type": {"const": "named-event"}}}, "then": has("name")},
            {"if": {"properties": {"type": {"const": "periodic"}}}, "then": has_choice("timing")},
            {"if": {"properties": {"type": {"pattern": "^data-"}}}, "then": has("data")},
        ]}, "A trigger has the name, the timing or the data of its kind (trd-3)."),
    ),
    "ServiceRequest": (Rule("prr-1", needs("orderDetail", "code"), "Details of an order need its code (prr-1)."),),
    "CarePlan.activity": (Rule("cpl-3", never("detail", "reference"), "Give detail or reference, not both (cpl-3)."),),
    "Observation": (
        Rule("obs-6", {"if": {"required": ["dataAbsentReason"]}, "then": {"not": has_choice("value")}},
             "A reason why data are absent stands only where no value stands (obs-6)."),
    ),
    "Observation.referenceRange": (
        Rule("obs-3", has("low", "high", "text"), "A reference range needs low, high or text (obs-3)."),
    ),
    "Condition.stage": (Rule("con-1", has("summary", "assessment"), "A stage needs summary or assessment (con-1)."),),
    "Condition.evidence": (Rule("con-2", has("code", "detail"), "Evidence needs code or detail (con-2)."),),
    "Composition.section": (
        Rule("cmp-1", has("text", "entry", "section"), "A section needs text, entries or sections (cmp-1)."),
        Rule("cmp-2", never("emptyReason", "entry"), "A reason for being empty needs an empty section (cmp-2)."),
    ),
    "List": (
        Rule("lst-1", never("emptyReason", "entry"), "A reason for being empty needs an empty list (lst-1)."),
        Rule("lst-2", {"if": _has_entry("deleted"), "then": {"properties": {"mode": {"const": "changes"}}}},
             "Entries are deleted only in a list of changes (lst-2)."),
        Rule("lst-3", {"if": _has_entry("date"), "then": {"properties": {"mode": {"const": "working"}}}},
             "Entries have a date only in a working list (lst-3)."),
    ),
    "Group": (Rule("grp-1", {"if": {"required": ["member"]}, "then": {"properties": {"actual": {"const": True}}}},
                   "Only an actual group has members (grp-1)."),),
    "Parameters.parameter": (
        Rule("inv-1", {"oneOf": [{"required": ["resource"]}, {"required": ["part"]}, has_choice("value")]},
             "A parameter has a value, a resource or parts (inv-1)."),
    ),
    "Patient.contact": (
        Rule("pat-1", has("name", "telecom", "address", "organization"),
             "A contact needs a name, a telecom, an address or an organization (pat-1)."),
    ),
    "Organization": (
        Rule("org-1", has("identifier", "name"), "Give an identifier or a name (org-1)."),
        Rule("org-2", _no_home("address"), "An address of an organization is not a home (org-2)."),
        Rule("org-3", _no_home("telecom"), "A telecom of an organization is not at home (org-3)."),
    ),
    "Consent": (
        Rule("ppc-1", has("policy", "policyRule"), "A consent needs policy or policyRule (ppc-1)."),
        _of_a_person("ppc-2", "patient-privacy", "privacy"),
        _of_a_person("ppc-3", "research", "research"),
        _of_a_person("ppc-4", "adr", "advance directives"),
        _of_a_person("ppc-5", "treatment", "treatment"),
    ),
    "CapabilityStatement": (
        Rule("cpb-0", _COMPUTABLE, "A name is a capital, then letters, digits and _ (cpb-0).", "warning"),
        Rule("cpb-1", has("rest", "messaging", "document"), "Give rest, messaging or documents (cpb-1)."),
        Rule("cpb-2", has("description", "software", "implementation"),
             "Give a description, the software or the implementation (cpb-2)."),
        Rule("cpb-3", {"anyOf": [
            {"properties": {"kind": {"const": "instance"}}},
            {"properties": {"messaging": {"not": {"contains": {"required": ["endpoint"]}}}}},
        ]}, "Only an instance has endpoints for messages (cpb-3)."),
        Rule("cpb-14", _kind("instance", needs=["implementation"], no=[]), "An instance is described (cpb-14)."),
        Rule("cpb-15", _kind("capability", needs=["software"], no=["implementation"]),
             "A capability names its software and no implementation (cpb-15)."),
        Rule("cpb-16", _kind("requirements", needs=[], no=["implementation", "software"]),
             "Requirements name neither software nor implementation (cpb-16)."),
    ),
    "Questionnaire": (
        Rule("que-0", _COMPUTABLE, "A name is a capital, then letters, digits and _ (que-0).", "warning"),
    ),
    "AuditEvent.entity": (Rule("sev-1", never("name", "query"), "Give name or query, not both (sev-1)."),),
    "Appointment.participant": (
        Rule("app-1", has("type", "actor"), "A participant needs a type or an actor (app-1)."),
    ),
    "Appointment": (
        Rule("app-3", {"if": {"not": {"properties": {"status": {"enum": ["proposed", "cancelled", "waitlist"]}}}},
                       "then": {"required": ["start", "end"]}},
             "Only a proposed, cancelled or waitlisted appointment has no start and end (app-3)."),
        Rule("app-4", {"if": {"required": ["cancelationReason"]},
                       "then": {"properties": {"status": {"enum": ["cancelled", "noshow"]}}}},
             "Only what was cancelled or missed has a reason for it (app-4)."),
        Rule("app-2", {"oneOf": [{"required": ["start", "end"]}, {"not": _WHEN}]},
             "Give start and end, or neither (app-2)."),
    ),
    "Goal.target": (
        Rule("gol-1", {"if": has_choice("detail"), "then": has("measure")}, "A detail needs its measure (gol-1)."),
    ),
    "Questionnaire.item.enableWhen": (
        Rule("que-7", {"if": {"properties": {"operator": {"const": "exists"}}, "required": ["operator"]},
                       "then": {"required": ["answerBoolean"]}},
             "Whether an answer exists is said with a boolean (que-7)."),
    ),
    "QuestionnaireResponse.item": (
        Rule("qrs-1", never("answer", "item"), "Items stand below the answer or below the item, not both (qrs-1)."),
    ),
    "Questionnaire.item": (
        Rule("que-1", {"if": _IS_GROUP, "then": has("item"), "else": {"if": _IS_DISPLAY, "then": {"not": has("item")}}},
             "A group has items, a display has none (que-1)."),
        Rule("que-3", {"if": _IS_DISPLAY, "then": {"not": {"required": ["code"]}}}, "A display has no code (que-3)."),
        Rule("que-4", never("answerOption", "answerValueSet"), "Give options or a value set, not both (que-4)."),
        Rule("que-5", {"if": {"anyOf": [{"required": ["answerOption"]}, {"required": ["answerValueSet"]}]},
                       "then": {"properties": {"type": {"enum": [
                           "choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string",
                           "quantity"]}}}},
             "Only a choice has answer options (que-5)."),
        Rule("que-6", {"if": _IS_DISPLAY, "then": {"not": has("required", "repeats")}},
             "A display is neither required nor repeated (que-6)."),
        Rule("que-10", {"if": {"required": ["maxLength"]}, "then": {"properties": {"type": {"enum": [
            "boolean", "decimal", "integer", "string", "text", "url", "open-choice"]}}}},
             "Only a simple question has a greatest length (que-10)."),
        Rule("que-13", {"if": {"properties": {"initial": {"minItems": 2}}, "required": ["initial"]},
                        "then": {"properties": {"repeats": {"const": True}}, "required": ["repeats"]}},
             "Several initial values need a question that repeats (que-13)."),
        Rule("que-8", {"if": {"properties": {"type": {"enum": ["group", "display"]}}, "required": ["type"]},
                       "then": {"not": {"required": ["initial"]}}},
             "A group or a display has no initial value (que-8)."),
        Rule("que-9", {"if": _IS_DISPLAY, "then": {"not": {"required": ["readOnly"]}}},
             "A display cannot be read-only (que-9)."),
        Rule("que-11", never("answerOption", "initial"), "With answer options, mark the initial one (que-11)."),
        Rule("que-12", {"if": {"properties": {"enableWhen": {"minItems": 2}}, "required": ["enableWhen"]},
                        "then": has("enableBehavior")},
             "Several conditions need enableBehavior (que-12)."),
    ),
}  # fmt: skip
