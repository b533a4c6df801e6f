"""Sources made for one test, and what they make of an input."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from peerfhir.config import Mark, compose
from peerfhir.mapping.codes import CodeMaps
from peerfhir.mapping.fields import Declarations
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.readers import Raw, rows
from peerfhir.mapping.source import Source, read

MARK = Mark("x", 1, 1)
MAPS = {
    "sex": "{F: female, M: male}",
    "open": '{F: female, "*": unknown}',
    "given": "{map: {F: female}, unmapped: provided}",
}


def declared(text: str) -> tuple[Source | None, list[str]]:
    """A `source` section, and its problems as code and line."""
    problems = Problems()
    reader = CodeMaps({}, problems, lambda *_: None)
    maps = {name: reader.read(name, compose(Path("m"), text=one), MARK) for name, one in MAPS.items()}
    found = read(
        compose(Path("x"), text=text),
        Declarations({name: one for name, one in maps.items() if one}, problems),
        problems,
    )
    return found, [f"{one.severity} {one.code} {one.mark.line}" for one in problems.every]


def source(text: str) -> Source:
    """A `source` section without problems."""
    found, problems = declared(text)
    assert problems == []
    assert found is not None
    return found


def raws(text: str, data: bytes) -> list[Raw]:
    """Every raw record of an input."""
    return list(rows(source(text), io.BytesIO(data)))


def short(text: str, data: bytes) -> list[Any]:
    """Place and value of each record that is read, place and code of each that is not."""
    return [(one.place, one.code or one.value) for one in raws(text, data)]
