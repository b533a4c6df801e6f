"""Bytes of a source -> raw records one by one, each with the position that messages name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from peerfhir.errors import BadBody, BodyTooLarge, MappingFailed
from peerfhir.fhir import reader
from peerfhir.fhir.fhirpath.problems import EvaluationProblem

if TYPE_CHECKING:
    from peerfhir.mapping.source import Source

MAX_DOCUMENT = 64 * 1024 * 1024  # bytes of a JSON document; rows and lines are streamed without limit
MAX_FORM = 2 * 1024 * 1024
MAX_LINE = 2 * 1024 * 1024
MAX_FORM_FIELDS = 2_000
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"


class Raw(NamedTuple):
    """One record as it stands in the input.

    place  "row 3", "line 12", "/referrals/4"; "record" for a form
    value  the cells of a row, or what the JSON or form holds
    code   PM700 or PM750 when it cannot be read, with `what`; never a piece of it
    """

    place: str
    value: Any
    code: str = ""
    what: str = ""


class InputRefused(MappingFailed):
    """The input as a whole does not fit the source of the mapping.

    rule  PM700, PM704 or PM750
    """

    def __init__(self, rule: str, what: str, *, place: str = "", advice: str = "") -> None:
        super().__init__(f"{rule}: {what}", place=place or None, advice=advice or None)
        self.rule = rule


class Rows:
    """The raw records of one input, read once, in order.

    columns   the header of a csv file, or the names of its fields; () for other formats
    warnings  what is odd about the input as a whole
    """

    def __init__(self, records: Iterator[Raw], columns: Sequence[str] = (), warnings: Sequence[str] = ()) -> None:
        self._records = records
        self.columns = tuple(columns)
        self.warnings = tuple(warnings)

    def __iter__(self) -> Iterator[Raw]:
        return self._records


def rows(source: Source, stream: IO[bytes]) -> Rows:
    """The records of an input.

    Raises  InputRefused when the input as a whole cannot be read, now or while it is read
    """
    if source.format == "csv":
        from peerfhir.mapping.csv_rows import CsvRows

        found = CsvRows(source, stream)
        return Rows(iter(found), found.columns, found.warnings)
    if source.format == "ndjson":
        return Rows(_lines(stream))
    if source.format == "form":
        return Rows(iter([_form(stream.read(MAX_FORM + 1))]))
    return Rows(_document(source, stream))


def _lines(stream: IO[bytes]) -> Iterator[Raw]:
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        place = f"line {number}"
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                continue
            yield Raw(place, None, "PM750", f"a line of more than {MAX_LINE} bytes is not read")
            continue
        if line.isspace() or not line:
            continue
        try:
            yield Raw(place, reader.read(line, max_bytes=MAX_LINE + 1))
        except BadBody as problem:
            yield Raw(place, None, "PM700", _said(problem))


def _said(problem: BadBody) -> str:
    column = (problem.place or "").rpartition(":")[2]
    return problem.what + (f" (column {column})" if column else "")


def _document(source: Source, stream: IO[bytes]) -> Iterator[Raw]:
    data = stream.read(MAX_DOCUMENT + 1).removeprefix(_BOM)
    try:
        document = reader.read(data, max_bytes=MAX_DOCUMENT)
    except BodyTooLarge:
        raise InputRefused(
            "PM750", f"a document of more than {MAX_DOCUMENT} bytes is not read", advice="Send it as ndjson."
        ) from None
    except BadBody as problem:
        raise InputRefused("PM700", problem.what, place=problem.place or "") from None
    if source.record is None:
        yield Raw("/", document)
        return
    count = 0
    try:
        for pointer, value in source.record.found(document):
            count += 1
            yield Raw(pointer, value)
    except EvaluationProblem as problem:
        raise InputRefused(problem.rule, f"its records cannot be found: {problem.what}") from None
    if not count and not source.record.there(document):
        raise InputRefused("PM700", "the document has nothing where its records are declared")


def _form(data: bytes) -> Raw:
    if len(data) > MAX_FORM:
        return Raw("record", None, "PM750", f"a form of more than {MAX_FORM} bytes is not read")
    try:
        pairs = parse_qsl(
            data.decode("ascii"), keep_blank_values=True, strict_parsing=bool(data), errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError):
        return Raw("record", None, "PM700", "this is not a form of at most 2000 fields in UTF-8")
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if CONTROL.search(value):
            return Raw("record", None, "PM700", "a control character or half a character stands in a value")
        found.setdefault(name, []).append(value)
    return Raw("record", found)
