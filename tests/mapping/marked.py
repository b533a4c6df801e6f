"""Documents whose lines say which problem they must cause: `#! PM202` at the end of a line, or two of them."""

from __future__ import annotations

import re
from pathlib import Path

from peerfhir.errors import BadConfiguration
from peerfhir.mapping.registry import Mappings
from tests.support.mapping_folder import CANONICAL, write

HEAD = """mapping: {id}
version: 1.0.0
fhirVersion: 4.0.1
"""
FIELDS = """source:
  format: json
  key: id
  unknown: ignore
  fields:
    id: string!
    word: string
    code: {type: code, codes: [a, b]}
    number: integer
    flag: boolean
    day: date
    at: dateTime!
    words: [string]
    items: [{name: string!, more: [{deep: string}]}]
    object: {name: string!}
systems: {loinc: http://loinc.org, our: "${canonical}/CodeSystem/our"}
profiles: {own: "${canonical}/StructureDefinition/own"}
conceptMaps:
  ab: {a: draft, b: requested}
  open: {a: draft}
  coded: {a: {code: x, system: loinc, display: X}, "*": {code: y, system: loinc}}
"""

_MARK = re.compile(r"#! ((?:PM\d{3} ?)+)")
MESSAGE = re.compile(r"mappings/[\w-]+/[\w.-]+:([1-9]\d*):([1-9]\d*): (error|warning) (PM\d{3}): \S")


def told(folder: Path, mapping_id: str, text: str, **beside: str) -> tuple[list[str], list[str]]:
    """The errors and the warnings of loading one document."""
    try:
        loaded = Mappings.load(write(folder, mapping_id, text, **beside), canonical=CANONICAL)
    except BadConfiguration as fault:
        return list(fault.problems), []
    return [], list(loaded.warnings)


def places(messages: list[str]) -> list[tuple[int, str]]:
    """Line and code of each message; every message has the form of section 19."""
    found = []
    for message in messages:
        match = MESSAGE.match(message)
        assert match is not None, message
        assert all(line.startswith(("    hint: ", "    note: ")) for line in message.splitlines()[1:])
        found.append((int(match.group(1)), match.group(4)))
    return found


def wanted(text: str) -> list[tuple[int, str]]:
    """Line and code of each mark."""
    return [
        (number, code)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := _MARK.search(line))
        for code in match.group(1).split()
    ]
