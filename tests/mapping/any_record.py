"""Records made by chance for a mapping, and what must become of each: valid FHIR, or an error with a code.

`python -m tests.mapping.any_record 20000` tries so many for each mapping that ships.
"""

from __future__ import annotations

import csv
import io
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from peerfhir.fhir import reader, writer
from peerfhir.fhir.definitions import PRIMITIVES, r4
from peerfhir.mapping import forms
from peerfhir.mapping.aside import Made, Mapped, Refused
from peerfhir.mapping.examples import faults
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.inputs import output
from peerfhir.mapping.shelf import Opened
from tests.mapping.samples import spoiled
from tests.support import shipped

CODE = re.compile(r"PM7(?!90)\d\d")
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
WORDS = (
    "Ana", "x", "R-1", "Dr. O'Brien", 'says "no"', "Ünïcödé 😀", "a  b", " leading", "trailing ", "two\nlines", "tab\there", "<b>&amp;</b>", "a|b,c$d\\e", "=x", "{{x}}", "$this",
    "%vs", "http://x.example/a b", "urn:uuid:1", "Patient/1", "Patient/a b", "#x", "2026-01-01", "0", "-1", "1e5", "true", "null", "x" * 70, "y" * 300, "\u200b", "\u00a0", "é" * 64, "+1 (415) 555-0134",
)  # fmt: skip
MOMENTS = ("2026-03-02T10:00:00-05:00", "2026-03-02T10:00:00Z", "2026-03-02T10:00:00.123+14:00", "2026-12-31T23:59:59-11:00", "2026", "2026-02", "2026-02-28", "0001-01-01", "9999-12-31T23:59:59Z")  # fmt: skip
PLAIN = {
    "uri": ("http://x.example/1", "urn:uuid:5ee2d0b6-8f52-4ee4-8f1d-2d1c5b1b7a63", "urn:oid:1.2.3", "a b", "x"),
    "dateTime": MOMENTS, "instant": MOMENTS[:4], "time": ("10:00:00", "23:59:60", "24:00:00", "10:00"),
    "date": ("2026-03-02", "2024-02-29", "2023-02-29", "2026", "2026-02", "0000-01-01"),
}  # fmt: skip


REFERENCES = {
    "patient": "Patient", "program": "Organization", "request": "ServiceRequest", "encounter": "Encounter",
    "performer": "Practitioner", "episode": "EpisodeOfCare", "response": "QuestionnaireResponse", "total": "Observation",
    "item": "Observation", "procedure": "Procedure", "document": "DocumentReference", "recipient": "Practitioner",
    "sender": "Organization", "content": "DocumentReference",
}  # fmt: skip
# what the form of a value cannot show: whether two values fit each other, and what a reference leads to
JUDGED_LATER = re.compile(r"\(per-1\)|\(ref-1\)|has this fullUrl|reference to")


def _value(field: Field, chance: random.Random, *, is_text: bool) -> Any:
    """One value that mostly fits its field."""
    if chance.random() < 0.03:
        found: Any = chance.choice(WORDS)
    elif field.fields is not None:
        return _object(field.fields, chance, is_text=is_text)
    elif field.codes is not None:
        found = chance.choice(sorted(field.codes))
    elif field.kind == "boolean":
        found = (
            chance.choice((sorted(field.true), sorted(field.false))[chance.randrange(2)])
            if is_text
            else chance.random() < 0.5
        )
    elif field.kind in ("integer", "decimal"):
        low, high = int(field.minimum or 0), int(field.maximum if field.maximum is not None else 3)
        found = chance.randint(low, high) if chance.random() < 0.95 else chance.choice((-1, 2**31, 10**18))
        found = f"{found}.50" if is_text and field.kind == "decimal" else str(found) if is_text else found
    elif field.format is not None:
        day = date(1900, 1, 1) + timedelta(days=chance.randrange(60_000))
        found = field.format.show(day.isoformat() if field.kind == "date" else f"{day.isoformat()}T10:20:00-05:00")
    else:
        found = chance.choice(_usual(field))
    return found


def _usual(field: Field) -> Sequence[str]:
    word = next((word for word in REFERENCES if word in field.name), None)
    if field.kind == "string" and "_ref" in field.name:
        kind = REFERENCES.get(word or "", "Basic")
        return (f"{kind}/1", f"{kind}/a-b.c", f"http://h.example/fhir/{kind}/2", f"{kind}/1/_history/2")
    if field.name == "data":
        return ("aGVsbG8=", "TcOhbmE=", "AA==", "not base64")
    return PLAIN.get(field.kind, WORDS)


def _object(fields: Fields, chance: random.Random, *, is_text: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields.items.values():
        missing = chance.random() < (0.01 if field.required else 0.3)
        if missing:
            if is_text or chance.random() < 0.5:
                found[field.key] = "" if is_text else None
        elif field.repeats and not is_text:
            found[field.key] = [_value(field, chance, is_text=False) for _ in range(chance.randrange(4))]
        else:
            found[field.key] = _value(field, chance, is_text=is_text)
    return found


def _resource(kind: str, chance: random.Random, depth: int = 0) -> Any:
    """A value of a FHIR type that mostly has the form R4 asks for."""
    if kind in PRIMITIVES:
        return _primitive(kind, chance)
    found: dict[str, Any] = {"resourceType": kind} if depth == 0 else {}
    choices: set[str] = set()
    for element in r4().elements(kind).values():
        wanted = 0.97 if element.minimum else 0.35 / (depth + 1)
        unwanted = element.type in ("Resource", "Extension", "Narrative", "Meta") or element.choice in choices
        if chance.random() > wanted or unwanted or depth > 3:
            continue
        choices |= {element.choice} if element.choice else set()
        made = [
            chance.choice(sorted(element.codes)) if element.codes else _resource(element.type, chance, depth + 1)
            for _ in range(chance.randint(1, 2) if element.many else 1)
        ]
        found[element.name] = made if element.many else made[0]
    return found


def _primitive(kind: str, chance: random.Random) -> Any:
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "positiveInt", "unsignedInt", "decimal"):
        return chance.randint(0, 5)
    usual = [one for one in (*PLAIN.get(kind, ()), *WORDS) if forms.fits(kind, one)]
    return chance.choice(usual) if usual else "x"


def records(mapping: Opened, seed: int, count: int) -> Iterator[Any]:
    """Raw records; every tenth has something in it spoiled."""
    chance = random.Random(f"{seed} {mapping.name}")
    source = mapping.checked.source
    for at in range(count):
        if source.format == "fhir":
            made = _resource(source.type, chance)
        else:
            made = _object(source.fields, chance, is_text=source.is_text)
        yield made if at % 10 or source.is_text else spoiled(made, chance)


def encoded(mapping: Opened, record: Any) -> bytes:
    """One record as a file of the format that the mapping reads."""
    source = mapping.checked.source
    if source.format == "csv":
        out = io.StringIO()
        keys = [field.key for field in source.fields.items.values()]
        rows = csv.writer(out, delimiter=source.delimiter, quotechar=source.quote)
        rows.writerow(keys)
        rows.writerow([record.get(key, "") for key in keys])
        return out.getvalue().encode()
    if source.format == "form":
        return urlencode(record, doseq=True).encode()
    for step in reversed(getattr(source.record, "steps", ())):
        record = {step: record}
    return writer.write(record)


def verdict(mapping: Opened, record: Any) -> str:
    """ "made", "refused", or what is wrong with what became of a record."""
    try:
        data = encoded(mapping, record)
        reader.read(data) if mapping.checked.source.format not in ("csv", "form") else None
    except Exception:
        return "no record"  # it cannot be written at all
    outcomes = []
    try:
        outcomes = list(Mapped(mapping.program, io.BytesIO(data), NOW))
    except Exception as fault:
        rule = getattr(fault, "rule", "")
        return "refused" if CODE.fullmatch(rule) else f"{type(fault).__name__}: {fault}"
    for one in outcomes:
        if isinstance(one, Refused):
            wrong = [str(each) for each in one.problems if not CODE.fullmatch(each.code)]
            if wrong or not one.problems:
                return wrong[0] if wrong else "refused without a reason"
        elif isinstance(one, Made):
            found = [what for what in faults(output(one.result)) if not JUDGED_LATER.search(what[1])]
            if found:
                return f"{found[0]}"
    return "made" if any(isinstance(one, Made) for one in outcomes) else "refused"


def tried(mapping: Opened, seed: int, count: int) -> tuple[dict[str, int], dict[str, Any]]:
    """How often each verdict was given, and the first record of each that is wrong."""
    counts: dict[str, int] = {}
    wrong: dict[str, Any] = {}
    for record in records(mapping, seed, count):
        found = verdict(mapping, record)
        counts[found] = counts.get(found, 0) + 1
        if found not in ("made", "refused", "no record"):
            wrong.setdefault(found, record)
    return counts, wrong


def main() -> None:
    """Every mapping that ships, or those that are named."""
    count, names = int(sys.argv[1]), sys.argv[2:]
    for mapping in shipped.shelf().opened:
        if names and mapping.name not in names:
            continue
        begin = time.process_time()
        counts, wrong = tried(mapping, 1, count)
        usual = {key: counts.pop(key, 0) for key in ("made", "refused", "no record")}
        print(f"{mapping.name}: {usual} in {time.process_time() - begin:.1f} s, seed 1", flush=True)
        for what, record in list(wrong.items())[:5]:
            print(f"  {counts[what]} x {what}\n    {record}", flush=True)


if __name__ == "__main__":
    main()
