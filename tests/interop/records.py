"""Records that mappings are tried on: each good example, and typed records made up from the declared fields."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from peerfhir.fhir.validate import validate
from peerfhir.mapping.aside import Made
from peerfhir.mapping.code_map import CodeMap
from peerfhir.mapping.examples import examples
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.inputs import of_file
from peerfhir.mapping.run import RecordFailed
from peerfhir.mapping.shelf import Opened

Json = Any
SEED = 20260131
WANTED, TRIES = 12, 200
_WORDS = (
    "Ana", "de la Cruz", "O'Brien", "two  blanks", "a, b | c $5 & d=e?", "100 % (sure)", 'said "yes"'
)  # fmt: skip
_PLAIN = ("R-1000", "x", "QUJD")  # what fits an id, a name and base64
_REFERENCES = (
    "Patient/p-1", "Practitioner/9", "Organization/o", "Encounter/e", "ServiceRequest/s", "EpisodeOfCare/e",
    "QuestionnaireResponse/q", "Observation/o", "Procedure/p", "https://one.example/fhir/Patient/1",
)  # fmt: skip
_BY_KIND = {
    "boolean": (True, False), "date": ("2026-01-31", "1988-04-12", "1999-12-31"),
    "dateTime": ("2026-01-31T10:00:00Z", "2025-07-04T23:59:59-05:00"), "instant": ("2026-01-31T10:00:00.000Z",),
    "time": ("08:00:00", "23:59:59"), "uri": ("https://one.example/a", "urn:oid:1.2.3"), "integer": (0, 1, 2, 3),
    "decimal": (Decimal("0.5"), Decimal("12.25")),
}  # fmt: skip


def examples_of(mapping: Opened) -> Iterator[Json]:
    """The typed record of every good example."""
    for example in examples(mapping)[0]:
        if example.expected is not None:
            yield from (one.typed for one in of_file(mapping, example.input) if isinstance(one, Made))


def made_up(mapping: Opened) -> Iterator[tuple[Json, Any]]:
    """Records with a fixed seed, and what our engine makes of each; those that it refuses are left out."""
    chance = random.Random(SEED)
    known = list(examples_of(mapping))
    found = 0
    for _ in range(TRIES):
        record = _thinned(chance, chance.choice(known)) if mapping.checked.source.type else _record(
            chance, mapping.checked.source.fields, _codes(mapping)
        )  # fmt: skip
        if mapping.checked.source.type and any(one.severity == "error" for one in validate(record, by_model=False)):
            continue
        try:
            result = mapping.program.run_typed(record)
        except RecordFailed:
            continue
        yield record, result
        found += 1
        if found == WANTED:
            return


def _codes(mapping: Opened) -> list[str]:
    maps = (one for one in mapping.checked.scope.tables.values() if isinstance(one, CodeMap))
    return [code for one in maps for code in one.entries if code]


def _record(chance: random.Random, fields: Fields, codes: list[str]) -> Json:
    return {name: _field(chance, one, codes) for name, one in fields.items.items()}


def _field(chance: random.Random, field: Field, codes: list[str]) -> Json:
    if field.repeats:
        count = chance.choice((0, 1, 1, 2, 3))
        return [_one(chance, field, codes) for _ in range(max(count, int(field.required)))]
    required = field.required or (field.fields is not None and field.fields.required())
    return _one(chance, field, codes) if required or chance.random() < 0.7 else None


def _one(chance: random.Random, field: Field, codes: list[str]) -> Json:
    if field.fields is not None:
        return _record(chance, field.fields, codes)
    if field.codes is not None:
        return chance.choice(sorted(field.codes))
    if field.kind == "integer" and field.minimum is not None and field.maximum is not None:
        return chance.randint(int(field.minimum), int(field.maximum))
    if field.kind in _BY_KIND:
        return chance.choice(_BY_KIND[field.kind])
    if field.name.rpartition("_")[2] in ("ref", "refs"):
        return chance.choice(_REFERENCES)
    if chance.random() < 0.6:
        return chance.choice(_PLAIN)
    texts = [one for one in (*codes, *_WORDS) if field.kind == "string" or " " not in one]
    return chance.choice([one for one in texts if field.pattern is None or field.pattern(one)] or texts)


def _thinned(chance: random.Random, value: Json) -> Json:
    """A resource without some of its elements."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key == "resourceType" or chance.random() < 0.85}
        return {key: made for key, one in kept.items() if (made := _thinned(chance, one)) not in ({}, [])}
    return [_thinned(chance, one) for one in value if chance.random() < 0.85] if isinstance(value, list) else value
