"""The functions of an expression in a mapping as somebody reads them: what goes in, and what comes out."""

from __future__ import annotations

from peerfhir.fhir.fhirpath.dialects import MAPPING
from peerfhir.fhir.fhirpath.library import (
    FRACTION,
    ITEM,
    LIKE,
    MORE_FUNCTIONS,
    OPEN,
    SAME,
    STANDARD_FUNCTIONS,
    Function,
)

# Source  FHIRPath N1 (section 5 and 6), the FHIR R4 additions to it, and for the last line docs/mapping-guide.md
ARGUMENTS = {
    "exists": "[criteria]", "all": "criteria", "subsetOf": "other", "supersetOf": "other", "where": "criteria",
    "select": "projection", "repeat": "projection", "sort": "[key, ...]", "ofType": "type", "skip": "number",
    "take": "number", "intersect": "other", "exclude": "other", "union": "other", "combine": "other",
    "iif": "criterion, then [, else]", "coalesce": "first, ...", "aggregate": "aggregator [, init]",
    "trace": "name [, projection]", "defineVariable": "name [, value]", "toQuantity": "[unit]",
    "convertsToQuantity": "[unit]", "indexOf": "substring", "lastIndexOf": "substring", "substring": "start [, length]",
    "startsWith": "prefix", "endsWith": "suffix", "contains": "substring", "replace": "pattern, substitution",
    "matches": "regex", "matchesFull": "regex", "replaceMatches": "regex, substitution", "split": "separator",
    "encode": "format", "decode": "format", "escape": "target", "unescape": "target", "join": "[separator]",
    "round": "[precision]", "log": "base", "power": "exponent", "lowBoundary": "[precision]",
    "highBoundary": "[precision]", "comparable": "quantity", "is": "type", "as": "type", "extension": "url",
    "memberOf": "valueset", "conformsTo": "structure", "subsumes": "code", "subsumedBy": "code",
    "checkModifiers": "[modifier, ...]",
    "translate": "code map", "band": "bands", "fullUrl": "resource",
}  # fmt: skip
_GIVES = {SAME: "the same", ITEM: "one of them", LIKE: "the same type", FRACTION: "Decimal", OPEN: ""}
_GIVEN = {
    "count": "Integer", "not": "Boolean", "where": "those", "now": "DateTime", "today": "Date", "timeOfDay": "Time",
    "both": "both", "tree": "", "translate": "code or Coding", "band": "label", "fullUrl": "uri", "is": "Boolean",
    "trace": "the same", "defineVariable": "the same", "sort": "the same, in order", "ofType": "those",
}  # fmt: skip


def functions() -> dict[str, Function]:
    """Every function of the dialect of mappings, by name."""
    return {**STANDARD_FUNCTIONS, **{name: MORE_FUNCTIONS[name] for name in sorted(MAPPING.more)}}


def signature(name: str, function: Function) -> str:
    """For a person: `substring(start [, length]) → String`."""
    gives = _GIVEN.get(name, _GIVES.get(function.gives, _GIVEN.get(function.gives, function.gives)))
    gives = f"{gives[:-1]}, several" if gives.endswith("*") else gives
    return f"{name}({ARGUMENTS.get(name, '')})" + (f" → {gives}" if gives else "")
