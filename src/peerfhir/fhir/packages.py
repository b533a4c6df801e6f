"""A FHIR package (.tgz or folder) read in place, never unpacked to disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from peerfhir.errors import BadBody, BadConfiguration, BodyTooLarge
from peerfhir.fhir import reader
from peerfhir.fhir.reader import Json

MAX_MEMBERS = 20_000
MAX_MEMBER_BYTES = 16 * 1024 * 1024
MAX_BYTES = 512 * 1024 * 1024  # of all members together, unpacked
T = TypeVar("T")
_USED = ("StructureDefinition", "ValueSet", "CodeSystem")


@dataclass(frozen=True)
class Package:
    """What a package brings. `skipped` names the files that are no definitions."""

    name: str
    version: str
    definitions: tuple[Json, ...] = ()
    value_sets: tuple[Json, ...] = ()
    code_systems: tuple[Json, ...] = ()
    skipped: tuple[str, ...] = field(default=(), repr=False)


def open_package(path: Path) -> Package:
    """The definitions of a package.

    path    a .tgz as a FHIR registry hands out, or a folder of JSON files (folders in it are read as well)
    Raises  BadConfiguration naming the file: unreadable, not JSON, too many or too large members, a path that leads out
    """
    members = _of_folder(path) if path.is_dir() else _of_archive(path)
    found: dict[str, list[Json]] = {name: [] for name in _USED}
    about: Json = {}
    skipped = []
    for name, data in members:
        try:
            one = reader.read(data, max_bytes=MAX_MEMBER_BYTES, max_depth=200)
        except (BadBody, BodyTooLarge) as err:
            raise BadConfiguration((f"{path.name}: {name}:{err.place}: {err.what}",)) from None
        kind = one.get("resourceType") if isinstance(one, dict) else None
        if kind in found and isinstance(one.get("url"), str):
            found[kind].append(one)
        elif name.rpartition("/")[2] == "package.json" and isinstance(one, dict):
            about = one
        else:
            skipped.append(name)
    return Package(
        str(about.get("name", path.stem)), str(about.get("version", "")), tuple(found["StructureDefinition"]),
        tuple(found["ValueSet"]), tuple(found["CodeSystem"]), tuple(skipped),
    )  # fmt: skip


def _of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    sizes = ((one, one.stat().st_size) for one in sorted(path.rglob("*.json")) if one.is_file())
    for one, _ in _bounded(path.name, ((one, size) for one, size in sizes)):
        yield str(one.relative_to(path)), one.read_bytes()


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member, _ in _bounded(path.name, ((one, one.size) for one in archive)):
                if ".." in member.name.split("/") or member.name.startswith("/"):
                    raise BadConfiguration((f"{path.name}: a member leads out of the package",))
                if member.isfile() and member.name.endswith(".json") and "/." not in member.name:
                    source = archive.extractfile(member)
                    if source is not None:
                        yield member.name, source.read(MAX_MEMBER_BYTES + 1)
    except (tarfile.TarError, OSError, EOFError) as err:
        raise BadConfiguration((f"{path.name}: this is not a package (.tgz)",)) from err


def _bounded(name: str, members: Iterable[tuple[T, int]]) -> Iterator[tuple[T, int]]:
    total = 0
    for count, (one, size) in enumerate(members, 1):
        total += size
        if count > MAX_MEMBERS or size > MAX_MEMBER_BYTES or total > MAX_BYTES:
            raise BadConfiguration((f"{name}: the package has too many members, or too large ones",))
        yield one, size
