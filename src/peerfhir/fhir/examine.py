"""Files of resources -> what speaks against each, with lines: JSON, Bundles and NDJSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from peerfhir.errors import BadBody, BodyTooLarge
from peerfhir.fhir import reader
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.lines import Lines
from peerfhir.fhir.reader import Json

MAX_BYTES = 256 * 1024 * 1024  # of one JSON text; an NDJSON file may be of any size
MAX_DEPTH = 100
STDIN = Path("-")
_LINES = (".ndjson", ".jsonl")
Told = Callable[[int], None]  # told how many bytes more are done


@dataclass(frozen=True)
class Examined:
    """One resource of a file.

    line      where it starts, from 1
    kind      its type; "" when it could not be read
    findings  what speaks against it, errors first, each with its line
    """

    file: Path
    line: int
    kind: str
    findings: tuple[tuple[Finding, int], ...]

    @property
    def is_right(self) -> bool:
        """Whether there is no error."""
        return not any(one.severity in ("fatal", "error") for one, _ in self.findings)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that were named, and those in the folders that were named; `-` is standard input.

    Raises  FileNotFoundError saying what is not there, a folder without such files too
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (one for one in path.rglob("*") if one.suffix.lower() in (".json", *_LINES))
            files = sorted(one for one in inside if one.is_file())
            if not files:
                raise FileNotFoundError(f"{path} holds no .json, .ndjson or .jsonl file")
            found += files
        elif path == STDIN or path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"{path} is not there")
    return found


def examine(path: Path, judge: Judge, profiles: Sequence[str], *, strict: bool, done: Told) -> Iterator[Examined]:
    """What speaks against each resource of a file; an NDJSON file is read line by line."""
    if path == STDIN or not path.is_file():  # a pipe has no suffix that would say what it brings
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if path == STDIN else path.read_bytes()
        for number, one in enumerate(data.splitlines() if _is_ndjson(data) else [data], 1):
            if one.strip() or one is data:
                yield _examined(path, number, one, judge, profiles, strict)
    elif path.suffix.lower() in _LINES:
        with path.open("rb") as source:
            for number, data in enumerate(source, 1):
                if data.strip():
                    yield _examined(path, number, data.rstrip(b"\r\n"), judge, profiles, strict)
                done(len(data))
    elif path.stat().st_size > MAX_BYTES:
        yield Examined(path, 1, "", ((Finding("fatal", "too-long", "", "The file is larger than can be read."), 1),))
    else:
        data = path.read_bytes()
        yield _examined(path, 1, data, judge, profiles, strict)
        done(len(data))


def _is_ndjson(data: bytes) -> bool:
    """Whether the first line is a JSON text by itself and more lines follow."""
    first, _, rest = data.strip().partition(b"\n")
    if not rest:
        return False
    try:
        return isinstance(reader.read(first.strip(), max_bytes=MAX_BYTES, max_depth=MAX_DEPTH), dict)
    except (BadBody, BodyTooLarge):
        return False


def _examined(path: Path, line: int, data: bytes, judge: Judge, profiles: Sequence[str], strict: bool) -> Examined:
    try:
        resource = reader.read(data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except (BadBody, BodyTooLarge) as fault:
        return Examined(path, line, "", ((Finding("fatal", "invalid", "", fault.what), line + _line(fault.place) - 1),))
    found = judge.findings(resource, profiles=profiles, strict=strict, informed=True)
    found.sort(key=lambda one: ("fatal", "error", "warning", "information").index(one.severity))
    lines = Lines(data.decode(), [one.expression for one in found]) if found else None
    return Examined(
        path, line, _kind(resource),
        tuple((one, line + (lines.of(one.expression) if lines else 1) - 1) for one in found),
    )  # fmt: skip


def _kind(resource: Json) -> str:
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    return name[:64] if isinstance(name, str) and name.isalpha() else ""


def _line(place: str | None) -> int:
    """The line of a reader's "line:column"."""
    first = (place or "").partition(":")[0]
    return int(first) if first.isdigit() else 1
