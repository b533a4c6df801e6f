"""A mapping as a table that analysts review: address, cardinality, condition, source, type, code map, comment."""

from __future__ import annotations

import csv
import io
import re

from peerfhir.mapping.explain import flow
from peerfhir.mapping.outline import Written, code_maps
from peerfhir.mapping.shelf import Opened

HEADER = ("address", "cardinality", "condition", "source", "type", "codeMap", "comment")
_STEP = re.compile(r"^([^\[]+)")


def review_table(opened: Opened) -> str:
    """One row per rule, in the order of the mapping."""
    made = io.StringIO()
    sheet = csv.writer(made, lineterminator="\n")
    sheet.writerow(HEADER)
    conditions = {rule.address.rpartition(".")[0]: rule.text for rule in opened.rules if rule.kind in ("if", "each")}
    for rule in opened.rules:
        if rule.kind not in ("if", "each", "let"):
            sheet.writerow(_row(opened, rule, conditions))
    return made.getvalue()


def _row(opened: Opened, rule: Written, conditions: dict[str, str]) -> tuple[str, ...]:
    kind, card = element(opened, rule.address)
    found = [text for address, text in conditions.items() if rule.address.startswith((f"{address}.", f"{address}["))]
    maps = dict.fromkeys(name for one in rule.expressions for name in code_maps(one))
    what = {"constant": "constant", "alias": "constant", "ref": "reference"}.get(rule.kind, rule.kind)
    return (rule.address, card, " and ".join(found), flow(rule.node, 400), kind, " ".join(maps), what)


def element(opened: Opened, address: str) -> tuple[str, str]:
    """Type and cardinality of what a rule writes, as `code` and `0..1`; empty for directives."""
    definitions = opened.checked.scope.definitions
    head, *steps = address.split(".")
    kinds = {one.name: one.type for one in opened.checked.template.resources}
    kind, card = kinds.get(head, ""), ""
    if head == "record":
        return opened_field(opened, steps)
    for step in steps:
        if step.startswith("$"):
            return ("", "") if step in ("$request", "$identity", "$each", "$if") else (kind, card)
        match = _STEP.match(step)
        one = definitions.element(kind, match.group(1)) if match else None
        if one is None:
            return "", ""
        kind, card = one.type, f"{one.minimum}..{'*' if one.many else '1'}"
    return kind, card


def opened_field(opened: Opened, steps: list[str]) -> tuple[str, str]:
    """Type and cardinality of a field of the record that a from-fhir mapping writes."""
    record = opened.document.record
    node = record.value["fields"].value.get(steps[0].partition("[")[0]) if record is not None and steps else None
    if node is None:
        return "", ""
    text = flow(node)
    name = text.partition("type: ")[2].partition(",")[0].rstrip("}") if "type: " in text else text
    return name.strip("[]!"), f"{1 if '!' in name else 0}..{'*' if text.startswith('[') else '1'}"
