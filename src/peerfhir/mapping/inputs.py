"""The records of a file for the tools: raw, typed, and mapped, each with its position."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peerfhir.errors import BadBody, BodyTooLarge, MappingFailed
from peerfhir.fhir import reader
from peerfhir.mapping.run import Result
from peerfhir.mapping.shelf import Opened

Json = Any
_CODED = re.compile(r"PM[0-9]{3}: .*?(?=; [^;]*?PM[0-9]{3}: |\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Given:
    """One record of a file.

    position  row 3, line 12 or record 2
    columns   key -> number of its column, for a table
    """

    position: str
    raw: Json
    columns: dict[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one record gave nothing: code, sentence and place of the rule or declaration; never a value."""

    code: str
    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.code}: {self.what}"


def records(opened: Opened, data: bytes) -> Iterator[Given]:
    """The records of a file, one after the other.

    Raises  MappingFailed when the file as a whole cannot be read
    """
    kind = opened.checked.source.format
    if kind == "csv":
        yield from _rows(data)
        return
    try:
        value = reader.read(data, max_bytes=64 * 1024 * 1024)
    except (BadBody, BodyTooLarge) as fault:
        raise MappingFailed(f"PM700: {fault.what}", place=fault.place) from None
    many = value if isinstance(value, list) else [value]
    for at, one in enumerate(many, start=1):
        yield Given(f"record {at}", one, {})


def _rows(data: bytes) -> Iterator[Given]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    rows = csv.DictReader(text)
    columns = {key: at for at, key in enumerate(rows.fieldnames or (), start=1)}
    for at, row in enumerate(rows, start=1):
        yield Given(f"row {at}", dict(row), columns)


def mapped(opened: Opened, given: Given) -> Result | tuple[Failure, ...]:
    """What one record becomes, or why it becomes nothing."""
    try:
        return opened.program.run(given.raw)
    except MappingFailed as fault:
        return failures(fault)


def failures(fault: MappingFailed) -> tuple[Failure, ...]:
    """Every reason in a fault."""
    found = [match.group() for match in _CODED.finditer(fault.what)]
    return tuple(Failure(one[:5], one[7:], fault.place or "") for one in found or [f"PM790: {fault.what}"])


def output(result: Result) -> Json:
    """What one record became: the record, the one resource of a mapping without a Bundle, or the Bundle."""
    if not result.entries:
        return result.values if result.kind == "none" else result.bundle()
    if result.kind == "none" and len(result.entries) == 1:
        return result.entries[0].resource
    return result.bundle()
