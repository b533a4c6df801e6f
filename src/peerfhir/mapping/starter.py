"""`map init`: a first mapping from a sample; what a sample cannot tell is left open and does not pass the check."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peerfhir.errors import Fault
from peerfhir.fhir import reader, writer
from peerfhir.fhir.definitions import r4
from peerfhir.mapping.fields import PRIMITIVES
from peerfhir.mapping.syntax import ID, NAME, OPEN

Json = Any
_ROWS = 2_000
_MOST_CODES = 12
_DAY = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?")
_COMMA = re.compile(r"-?(0|[1-9][0-9]{0,17}),[0-9]{1,2}")  # three digits might be thousands
_CLOCK = re.compile(r"[ T]([0-9]{1,2}):([0-9]{2})(:[0-9]{2})?")
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True)
class Column:
    """What a sample tells of one column.

    note  what a person must look at; empty when nothing is doubtful
    """

    name: str
    key: str
    kind: str
    required: bool
    options: tuple[tuple[str, str], ...] = ()
    codes: tuple[str, ...] = ()
    note: str = ""


def started(
    sample: Path, mapping_id: str | None, kind: str, mappings: Path
) -> list[tuple[Path, tuple[str, ...]]] | str:
    """Write a mapping for a sample: the files with what is open in each, or why nothing was written.

    kind  the resource type it makes
    """
    name = mapping_id or re.sub(r"[^a-z0-9]+", "-", sample.stem.lower()).strip("-")
    target = mappings / name / f"{name}.map.yaml"
    if not ID.fullmatch(name):
        return f"'{name}' is no id of a mapping; say --id."
    if not r4().is_resource(kind):
        return f"'{kind}' is no resource type of R4."
    if target.exists():
        return f"{target} is there already."
    try:
        form, rows = _records(sample)
    except (Fault, UnicodeDecodeError, csv.Error):
        return f"{sample} cannot be read as CSV, JSON or NDJSON, or two of its columns have one name."
    if not rows:
        return f"{sample} has no record."
    keys = dict.fromkeys(key for row in rows for key in row if key)  # a cell or column without a name is no field
    columns = _apart([_column(key, [row.get(key) for row in rows]) for key in keys])
    text = _document(name, kind, form, columns)
    (target.parent / "examples").mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    notes = tuple(f"{column.name}: {column.note}" for column in columns if column.note)
    return [
        (
            target,
            (*notes, f"then write {target.parent}/examples/01-name.input.{sample.suffix[1:]} with its .expected.json"),
        )
    ]


def _apart(columns: Sequence[Column]) -> list[Column]:
    """The columns with a field name of its own each: `a b` and `a-b` are both a_b."""
    found: dict[str, Column] = {}
    for column in columns:
        numbered = (column.name, *(f"{column.name}_{number}" for number in range(2, len(columns) + 1)))
        name = next(one for one in numbered if one not in found)
        found[name] = replace(column, name=name)
    return list(found.values())


def _records(sample: Path) -> tuple[str, list[dict[str, Json]]]:
    data = sample.read_bytes()
    if sample.suffix.lower() == ".csv":
        return _table(data)
    if sample.suffix.lower() in (".ndjson", ".jsonl"):
        lines = [line for line in data.splitlines() if line.strip()][:_ROWS]
        return "ndjson", [row for row in map(reader.read, lines) if isinstance(row, dict)]
    value = reader.read(data, max_bytes=64 * 1024 * 1024)
    rows = value if isinstance(value, list) else [value]
    return "json\n  record: $this" if isinstance(value, list) else "json", [
        row for row in rows[:_ROWS] if isinstance(row, dict)
    ]


def _table(data: bytes) -> tuple[str, list[dict[str, Json]]]:
    """The rows of a CSV whose encoding and delimiter are guessed: UTF-8 before CP1252, the sign the header has most."""
    form = "csv"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text, form = data.decode("cp1252"), "csv\n  encoding: cp1252"
    header = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    sign = max(",;\t|", key=header.count)
    if sign != ",":
        form += "\n  delimiter: " + writer.write(sign).decode()
    found = csv.DictReader(io.StringIO(text, newline=""), delimiter=sign)
    names = list(found.fieldnames or ())
    if any(names.count(name) > 1 for name in names if name):
        raise csv.Error
    return form, [row for row, _ in zip(found, range(_ROWS), strict=False)]


def _column(key: str, values: Sequence[Json]) -> Column:
    words = [word.lower() for word in _WORDS.findall(key)]
    name = "_".join(words) if not NAME.fullmatch(key) else key
    name = name if NAME.fullmatch(name) else f"field_{name}"
    given = [value for value in values if value not in (None, "")]
    if any(isinstance(value, (dict, list)) for value in given):
        return Column(name, key, "object", False, note="a structure: declare its fields")
    texts = [str(value).strip() if not isinstance(value, bool) else str(value).lower() for value in given]
    kind, options, note = _kind(texts)
    required = bool(values) and len(given) == len(values)
    codes: tuple[str, ...] = ()
    distinct = tuple(sorted(set(texts)))
    repeats = len(texts) >= 2 * len(distinct) and len(distinct) <= _MOST_CODES
    if kind == "string" and texts and repeats and all(re.fullmatch(r"\S{1,24}", text) for text in distinct):
        kind, codes = "code", distinct
    if not texts:
        note = "the sample has no value: say its type"
    return Column(name, key, kind, required, options, codes, note)


def _kind(texts: Sequence[str]) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Type, options and what is doubtful."""
    for kind, fits in _PLAIN:
        if texts and all(fits(text) for text in texts):
            return kind, (), ""
    if texts and all(_ISO.fullmatch(text) for text in texts):
        return ("dateTime" if any("T" in text for text in texts) else "date"), (), ""
    if texts and all(_COMMA.fullmatch(text) for text in texts):
        return "decimal", (("decimalComma", "true"),), ""
    days = [_DAY.match(text) for text in texts]
    if texts and all(days):
        return _dated(texts, [match for match in days if match])
    return "string", (), ""


def _whole(text: str) -> bool:
    return re.fullmatch(r"-?(0|[1-9][0-9]{0,8})", text) is not None


_PLAIN: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("boolean", lambda text: text in ("true", "false")),
    ("integer", _whole),
    ("decimal", lambda text: re.fullmatch(r"-?(0|[1-9][0-9]{0,17})\.[0-9]+", text) is not None or _whole(text)),
)


def _dated(texts: Sequence[str], days: Sequence[re.Match[str]]) -> tuple[str, tuple[tuple[str, str], ...], str]:
    sign = days[0][2]
    if all(len(match[1]) == 4 for match in days):
        form = sign.join(("YYYY", "MM", "DD"))
    elif any(len(match[4]) != 4 for match in days):
        return "string", (), "a year of two digits is not read: ask for four"
    else:
        first, second = max(int(match[1]) for match in days), max(int(match[3]) for match in days)
        padded = all(len(match[1]) == len(match[3]) == 2 for match in days)
        day, month = ("DD", "MM") if padded else ("D", "M")
        if first <= 12 and second <= 12:
            note = f"day or month first? write {month}{sign}{day}{sign}YYYY or {day}{sign}{month}{sign}YYYY"
            return "date", (("format", OPEN),), note
        form = sign.join((day, month, "YYYY") if first > 12 else (month, day, "YYYY"))
    clocks = [_CLOCK.match(text, match.end()) for text, match in zip(texts, days, strict=True)]
    if not any(clocks):
        return "date", (("format", form),), ""
    between = texts[0][days[0].end()]
    hours = "HH" if all(match is not None and len(match[1]) == 2 for match in clocks) else "H"
    seconds = ":ss" if all(match is not None and match[3] for match in clocks) else ""
    form = f"{form}{' ' if between == ' ' else chr(39) + 'T' + chr(39)}{hours}:mm{seconds}"
    return "dateTime", (("format", form), ("timezone", OPEN)), "where is this time? write timezone: America/Chicago"


# --- the document ---------------------------------------------------------------------------------------------------


def _document(name: str, kind: str, form: str, columns: Sequence[Column]) -> str:
    key = _key(columns)
    lines = [
        "# yaml-language-server: $schema=../.schema/mapping-1.json",
        f"mapping: {name}", "version: 0.1.0", "status: draft", "fhirVersion: 4.0.1", "source:", f"  format: {form}",
    ]  # fmt: skip
    lines += [f"  key: {key}"] if key else []
    lines += ["  fields:"]
    used = _rules(kind, columns)
    for column in columns:
        lines.append(f"    {column.name}: {_declared(column, column.name in used or column.name == key)}")
    lines += ["systems:", f"  {name}: urn:peerfhir:{name}"]
    lines += ["bundle: transaction" if key else "bundle: none", "resources:", f"  {kind[0].lower()}{kind[1:]}:"]
    lines += [f"    resourceType: {kind}"]
    if key:
        lines.append(f'    $request: {{ifNoneExist: "identifier=urn:peerfhir:{name}|{{{{{key}}}}}"}}')
        if r4().element(kind, "identifier") is not None:
            lines.append(f"    identifier: {{system: ${name}, value: {_value(columns, key)}}}")
    lines += [rule for rules in used.values() for rule in rules]
    return "\n".join(lines) + "\n"


def _value(columns: Sequence[Column], key: str) -> str:
    column = next(one for one in columns if one.name == key)
    return f"={key}" if column.kind in ("string", "code") else f"\"={key} & ''\""


def _key(columns: Sequence[Column]) -> str:
    """The column that most likely identifies a record: required, and called so."""
    fit = [one.name for one in columns if one.required and one.kind in ("string", "integer")]
    named = [one for one in fit if re.search(r"(^|_)(id|number|no|mrn|nr)$|Id$|ID$|^id", one)]
    return (named or [""])[0]


def _declared(column: Column, used: bool) -> str:
    kind = column.kind if column.kind in PRIMITIVES else "string"
    options = [f"type: {kind}{'!' if column.required else ''}"]
    options += [f"from: {writer.write(column.key).decode()}"] if column.key != column.name else []
    options += [
        f"{name}: {value}" if value in (OPEN, "true") else f'{name}: "{value}"' for name, value in column.options
    ]
    quoted = ", ".join(writer.write(code).decode() for code in column.codes)
    options += [f"codes: [{quoted}]"] if column.codes else []
    options += ['unused: "not mapped yet"'] if not used else []
    return f"{kind}{'!' if column.required else ''}" if len(options) == 1 else "{" + ", ".join(options) + "}"


_GUESSES: dict[str, tuple[tuple[str, str], ...]] = {
    "Patient": (
        ("birthDate", r"^(dob|birth_?date|date_of_birth|birthday|born)$"),
        ("name.family", r"^(last_?name|family(_?name)?|surname)$"),
        ("name.given", r"^(first_?name|given(_?name)?|forename)$"),
        ("telecom.phone", r"^(phone|telephone|mobile|cell|phone_number)$"),
        ("telecom.email", r"^e_?mail(_?address)?$"),
    ),
}


def _rules(kind: str, columns: Sequence[Column]) -> dict[str, list[str]]:
    """Field -> the lines that map it, for fields whose names say what they are."""
    found: dict[str, str] = {}
    for place, pattern in _GUESSES.get(kind, ()):
        column = next((one for one in columns if re.match(pattern, one.name.lower()) and one.name not in found), None)
        if column is not None and (place != "birthDate" or column.kind == "date"):
            found[column.name] = place
    lines: dict[str, list[str]] = {}
    names = {place: name for name, place in found.items() if place.startswith("name.")}
    if names:
        parts = ", ".join(f"{place.partition('.')[2]}: ={name}" for place, name in names.items())
        lines |= {name: [] for name in names.values()}
        lines[next(iter(names.values()))] = [f"    name: {{{parts}}}"]
    telecoms = [(place.partition(".")[2], name) for name, place in found.items() if place.startswith("telecom.")]
    if telecoms:
        lines |= {name: [] for _, name in telecoms}
        items = [f"      - {{system: {system}, value: ={name}}}" for system, name in telecoms]
        lines[telecoms[0][1]] = ["    telecom:", *items]
    for name, place in found.items():
        if place == "birthDate":
            lines[name] = [f"    birthDate: ={name}"]
    return lines
