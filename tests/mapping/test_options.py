from __future__ import annotations

from decimal import Decimal

import pytest

from tests.mapping.sources import declared, source


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        # PM007: a value of the wrong kind
        ("{type: string, from: [a]}", "error PM007 2"), ("{type: string, maxLength: 0}", "error PM007 2"), ("{type: string, maxLength: 2.5}", "error PM007 2"),
        ("{type: string, sensitive: 5}", "error PM007 2"), ("{type: string, sensitive: a  b}", "error PM007 2"), ("{type: code, codes: []}", "error PM007 2"), ("{type: code, codes: [[a]]}", "error PM007 2"),
        ("{type: date, min: soon}", "error PM007 2"), ("{type: dateTime, max: 2026-01}", "error PM007 2"), ("{type: time, min: 8}", "error PM007 2"), ("{type: integer, min: many}", "error PM007 2"),
        ("{type: decimal, decimalComma: ja}", "error PM007 2"), ("{type: boolean, 'true': Y}", "error PM007 2"), ("{type: date, format: [YYYY]}", "error PM007 2"), ("{type: string, split: ''}", "error PM007 2"),
        ("strng", "error PM007 2"), ("[string, code]", "error PM007 2"), ("[[string]]", "error PM007 2"), ("[]", "error PM007 2"), ("{a: string}", "error PM007 2"), ("5", "error PM007 2"),
        # PM002: unknown options
        ("{type: string, patern: a}", "error PM002 2"),
        # PM124: patterns
        ("{type: string, pattern: '(a+)+'}", "error PM124 2"), ("{type: string, pattern: '('}", "error PM124 2"), ("{type: string, pattern: '(?=a)b'}", "error PM124 2"), ("{type: string, pattern: '(a)\\1'}", "error PM124 2"),
        # PM130: code maps
        ("{type: code, codes: sexx}", "error PM130 2"),
        # PM310: formats
        ("{type: date, format: DD/MM/YY}", "error PM310 2"), ("{type: dateTime, format: YYYY-MM-DD HH:mm}", "error PM310 2"), ("{type: dateTime, format: YYYY-MM-DD HH:mm, timezone: Mars/Olympus}", "error PM310 2"),
        ("{type: dateTime, format: YYYY-MM-DD HH:mm, offset: '5'}", "error PM310 2"), ("{type: dateTime, format: YYYY-MM-DD HH:mm, offset: '+15:00'}", "error PM310 2"),
        # PM312: contradictions
        ("{type: integer, min: 3, max: 2}", "error PM312 2"), ("{type: date, min: 2026-02-01, max: 2026-01-01}", "error PM312 2"), ("{type: boolean, 'true': [a], 'false': [a]}", "error PM312 2"),
        ("{type: boolean, 'true': ['false']}", "error PM312 2"), ("{type: code, codes: open}", "error PM312 2"), ("{type: code, codes: given}", "error PM312 2"), ("{type: code, codes: [a, a]}", "error PM312 2"),
        ("{type: string, format: YYYY}", "error PM312 2"), ("{type: integer, codes: [a]}", "error PM312 2"), ("{type: string, min: 1}", "error PM312 2"), ("{type: integer, maxLength: 2}", "error PM312 2"),
        ("{type: integer, pattern: a}", "error PM312 2"), ("{type: integer, decimalComma: true}", "error PM312 2"), ("{type: string, 'true': [a]}", "error PM312 2"), ("{type: date, timezone: UTC}", "error PM312 2"),
        ("{type: dateTime, offset: '-05:00'}", "error PM312 2"), ("{type: dateTime, format: YYYY-MM-DD HH:mm, offset: '-05:00', timezone: UTC}", "error PM312 2"),
        ("{type: dateTime, format: YYYY-MM-DD HH:mm, offset: '-05:00', ambiguous: earlier}", "error PM312 2"), ("{type: dateTime, format: YYYY-MM-DD HH:mm, timezone: UTC, ambiguous: first}", "error PM312 2"),
        ("{type: integer, example: x}", "error PM312 2"), ("{type: date, format: MM/DD/YYYY, example: 2026-01-01}", "error PM312 2"), ("{type: code, codes: sex, example: X}", "error PM312 2"),
        ("{type: integer, split: ';', example: 1;x}", "error PM312 2"),
    ],
)  # fmt: skip
def test_a_field_that_breaks_a_rule_is_refused_at_its_line(field: str, problem: str) -> None:
    assert problem in declared(f"format: csv\nfields: {{f: {field}}}")[1]


@pytest.mark.parametrize(
    "field",
    [
        "{type: string!, from: Date of birth}", "{type: code, codes: sex}", "{type: code, codes: [a, b]}", "{type: string, maxLength: 1, pattern: '[a-z]*[0-9]'}", "{type: date, min: 1900, max: 2026-01}",
        "{type: dateTime, min: 2026-01-01, max: '2026-01-01T10:00:00Z'}", "{type: time, min: '08:00:00'}", "{type: decimal, decimalComma: true, min: -1.5, example: '1,5'}", "{type: boolean, 'true': [Y], 'false': [N]}",
        "{type: dateTime, format: YYYY-MM-DD HH:mm, timezone: America/Chicago, ambiguous: later}", "{type: dateTime, format: YYYY-MM-DD HH:mm, offset: '+05:30', example: 2026-01-01 10:00}",
        "{type: string, sensitive: true}", "{type: string, sensitive: SUD}", "{type: string, sensitive: false}", "{type: string, unused: kept here, description: a note}", "{type: integer, split: ';', example: 1;2}",
        "{type: date, format: MM/DD/YYYY, example: 01/02/2026}", "{type: string, example: ''}", "[string]",
    ],
)  # fmt: skip
def test_a_field_that_keeps_the_rules_is_taken(field: str) -> None:
    assert declared(f"format: csv\nfields: {{f: {field}}}")[1] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("format: csv\nfields: {a: string}\ndelimiter: a", "error PM007 3"), ("format: csv\nfields: {a: string}\nquote: ''", "error PM007 3"), ("format: csv\nfields: {a: string}\ndelimiter: '\"'", "error PM312 1"),
        ("format: csv\nfields: {a: string}\nheader: no", "error PM007 3"), ("format: csv\nfields: {a: string}\nencoding: utf-16", "error PM007 3"), ("format: csv\nfields: {a: string}\nunknown: stop", "error PM007 3"),
        ("format: csv\nfields: {a: string}\nempty: x", "error PM007 3"), ("format: csv\nfields: {a: string}\ntrim: x", "error PM007 3"), ("format: csv\nfields: {a: string}\nrecord: b", "error PM007 3"),
        ("format: json\nfields: {a: string}\nheader: true", "error PM007 3"), ("format: json\nfields: {a: string}\ntype: Task", "error PM007 3"), ("format: fhir\ntype: Task\nkey: a", "error PM007 3"),
        ("format: fhir\nprofile: a", "error PM007 1"), ("format: fhir\ntype: Task\nprofile: A B", "error PM007 3"), ("format: fhir\ntype: Task\nquestionnaire: []", "error PM007 3"),
        ("format: json\nfields: {a: string}\nkey: a", "error PM302 3"), ("format: json\nfields: {a: string!}\nkey: [b]", "error PM302 3"), ("format: json\nfields: {a: [string!]}\nkey: a", "error PM302 3"),
        ("format: json\nfields: {a: string!}\nkey: {a: b}", "error PM007 3"), ("format: csv\nfields:\n  a: string\n  b: {type: string, from: a}", "error PM302 4"), ("format: csv\nfields:\n  q1: string\n  q1..q3: string", "error PM302 4"),
        ("format: csv\nheader: false\nfields:\n  a: {type: string, from: b}", "error PM312 4"), ("format: form\nfields:\n  a: {b: string}", "error PM007 3"),
        ("format: csv\nfields:\n  q9..q1: string", "error PM007 3"), ("format: csv\nfields:\n  q1..r9: string", "error PM007 3"), ("format: csv\nfields:\n  q1..q5000: string", "error PM007 3"), ("format: csv\nfields:\n  a b: string", "error PM007 3"),
        ("format: csv\nempty: ['', F]\nfields:\n  a: {type: code, codes: sex}", "warning PM313 4"), ("format: jsn\nfields: {a: string}", "error PM007 1"), ("feilds: {a: string}", "error PM002 1"), ("[a]", "error PM007 1"),
        ("format: json\nfields:\n  a: " + "{a: " * 40 + "string" + "}" * 40, "error PM750 3"),
    ],
)  # fmt: skip
def test_a_source_that_breaks_a_rule_is_told_at_its_line(text: str, problem: str) -> None:
    assert problem in declared(text)[1]


def test_what_is_declared_is_what_the_tools_see() -> None:
    found = source(
        'format: csv\nfields:\n  id: string!\n  note: {type: string, sensitive: SUD, unused: kept here, description: own words}\n'
        "  money: {type: decimal, min: 0, decimalComma: true}\n  name: {type: string, sensitive: true}\n  sex: {type: code, codes: sex}\n"
    ).fields  # fmt: skip
    assert found.labels() == {"note": "SUD", "name": ""}
    note = found.items["note"]
    assert (note.unused, note.because, note.description) == (True, "kept here", "own words")
    assert found.items["money"].minimum == Decimal(0)
    assert (found.items["sex"].codes, found.items["sex"].code_map) == (frozenset("FM"), "sex")
    assert [address for address, _ in source("format: json\nfields: {a: {b: [{c: {type: string, sensitive: true}}]}}").fields.every()] == ["a", "a.b", "a.b.c"]  # fmt: skip
