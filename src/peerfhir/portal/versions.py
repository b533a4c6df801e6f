"""Versions that a mapping may be compared with: those that were used and kept, and what is written elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlalchemy import Engine

from peerfhir.errors import NotFound
from peerfhir.portal.draft import Draft
from peerfhir.records import kept
from peerfhir.records.database import reading

_VALUE = re.compile(r"kept:([0-9a-f]{64})")


@dataclass(frozen=True)
class Past:
    """A version that was used: how a form names it, and what a person calls it."""

    value: str
    name: str


def past(engine: Engine, mapping: str) -> list[Past]:
    """What is kept of one mapping, newest first."""
    if not mapping:
        return []
    with reading(engine) as connection:
        found = kept.versions(connection, mapping)
    return [Past(f"kept:{one.sha256}", _name(one.version)) for one in reversed(found)]


def _name(version: kept.Version) -> str:
    over = f" + {version.overlay} {version.overlay_version}" if version.overlay else ""
    return f"{version.mapping_id} {version.version}{over}"


def draft_of(engine: Engine, value: str, root: Path, mapping: str) -> Draft:
    """A version that was used, with its own code maps and libraries.

    value   as `past` gives it
    Raises  NotFound when it is none, or none of this mapping
    """
    match = _VALUE.fullmatch(value)
    if match is None:
        raise NotFound
    with reading(engine) as connection:
        found = next((one for one in kept.versions(connection, mapping) if one.sha256 == match[1]), None)
        if found is None:
            raise NotFound
        files = kept.files(connection, found.sha256)
    # labels begin with the name that the folder had then
    texts = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix(): data for name, data in files.items()}
    beside = {name: data.decode("utf-8", "replace") for name, data in texts.items() if ".." not in name}
    text = beside.pop(f"{mapping}/{mapping}.map.yaml", "")
    overlay = found.version.overlay
    overlay_text = beside.pop(f"{mapping}/overlays/{overlay}.overlay.yaml", "") if overlay else ""
    return Draft(root, mapping, text, overlay, overlay_text, beside)
