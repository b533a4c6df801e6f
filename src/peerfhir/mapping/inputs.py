"""The records of a file for the tools: raw and with their cells, or mapped one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from peerfhir.mapping.aside import Made, Mapped, Refused, RowProblem
from peerfhir.mapping.readers import InputRefused, rows
from peerfhir.mapping.run import Result
from peerfhir.mapping.shelf import Opened

Json = Any
EXAMPLES_NOW = datetime(2000, 1, 1, tzinfo=UTC)  # what now() says in examples


@dataclass(frozen=True, slots=True)
class Given:
    """One record of a file.

    position  row 3, line 12 or /referrals/4
    columns   key -> number of its column, for a table
    """

    position: str
    raw: Json
    columns: dict[str, int] = field(default_factory=dict)


def records(opened: Opened, stream: IO[bytes], *, every: bool = False) -> Iterator[Given]:
    """The records of an input that can be read, by their keys.

    every   also those that cannot be read, so that counting agrees with `outcomes`; their `raw` is None
    Raises  InputRefused when the input as a whole cannot be read
    """
    found = rows(opened.program.source, stream)
    columns = {key: at for at, key in enumerate(found.columns, start=1)}
    for raw in found:
        if not raw.code:
            value = dict(zip(columns, raw.value, strict=False)) if columns else raw.value
            yield Given(raw.place, value, columns)
        elif every:
            yield Given(raw.place, None)


def outcomes(
    opened: Opened, stream: IO[bytes], now: datetime | None = None, warn: Callable[[str], object] = str
) -> Iterator[Made | Refused]:
    """What each record becomes, or why it is set aside; an input that cannot be read is one that is set aside.

    warn  takes what is odd about the input as a whole, when it was read or is left
    """
    found = None
    try:
        found = Mapped(opened.program, stream, now)
        yield from found
    except InputRefused as refused:
        what = refused.what.partition(": ")[2] or refused.what
        place = f"file {refused.place}" if refused.place else "file"
        yield Refused(place, (RowProblem(place, refused.rule, what, opened.document.source.mark),))
    finally:
        for odd in found.warnings if found is not None else ():
            warn(odd)


def of_file(opened: Opened, path: Path, now: datetime | None = EXAMPLES_NOW) -> list[Made | Refused]:
    """The same for a whole file of a few records."""
    with path.open("rb") as stream:
        return list(outcomes(opened, stream, now))


def output(result: Result) -> Json:
    """What one record became: the record, the one resource of a mapping without a Bundle, or the Bundle."""
    if not result.entries:
        return result.values if result.kind == "none" else result.bundle()
    if result.kind == "none" and len(result.entries) == 1:
        return result.entries[0].resource
    return result.bundle()
