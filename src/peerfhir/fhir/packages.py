"""A FHIR package (.tgz or folder) read in place, never unpacked to disk."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar, cast

from peerfhir.errors import BadBody, BadConfiguration, BodyTooLarge
from peerfhir.fhir import reader, writer
from peerfhir.fhir.reader import Json

MAX_MEMBERS = 20_000
MAX_MEMBER_BYTES = 16 * 1024 * 1024
MAX_BYTES = 512 * 1024 * 1024  # of all members together, unpacked
MAX_ARCHIVE_BYTES = 128 * 1024 * 1024  # as it lies on the disk
T = TypeVar("T")
_USED = ("StructureDefinition", "ValueSet", "CodeSystem")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Package:
    """What a package brings. `skipped` names the files that are no definitions."""

    name: str
    version: str
    definitions: tuple[Json, ...] = ()
    value_sets: tuple[Json, ...] = ()
    code_systems: tuple[Json, ...] = ()
    skipped: tuple[str, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """Its name and version as packages are cited: `hl7.fhir.us.core#7.0.0`."""
        return f"{self.name}#{self.version}" if self.version else self.name

    def packed(self) -> bytes:
        """The definitions alone as a package (.tgz): the same definitions give the same bytes."""
        held = io.BytesIO()
        about = {"name": self.name, "version": self.version}
        rows = [("package/package.json", writer.write(about))]
        for number, one in enumerate((*self.definitions, *self.value_sets, *self.code_systems)):
            rows.append((f"package/{one['resourceType']}-{number}.json", writer.write(one)))
        with (
            gzip.GzipFile(fileobj=held, mode="wb", mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for name, data in rows:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return held.getvalue()


def open_package(path: Path) -> Package:
    """The definitions of a package.

    path    a .tgz as a FHIR registry hands out, or a folder of JSON files (folders in it are read as well)
    Raises  BadConfiguration naming the file: unreadable, not JSON, too many or too large members, a member twice,
            a link, a path that leads out
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
    if not any(found.values()):
        raise BadConfiguration((f"{path.name}: there is no StructureDefinition, ValueSet or CodeSystem in it",))
    return Package(
        _plain(about.get("name"), path.name.removesuffix(".tgz")), _plain(about.get("version"), ""),
        tuple(found["StructureDefinition"]), tuple(found["ValueSet"]), tuple(found["CodeSystem"]), tuple(skipped),
    )  # fmt: skip


def is_name(text: str) -> bool:
    """Whether it can name a package, and be the name of its file."""
    return _NAME.fullmatch(text) is not None


def _plain(text: Json, otherwise: str) -> str:
    """A name that can be a file's: what a package calls itself, or else the name of its file."""
    if isinstance(text, str) and is_name(text):
        return text
    return re.sub(r"[^A-Za-z0-9._-]+", "-", otherwise).strip("-.")[:100]


def _of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    names = sorted(one for one in path.rglob("*.json") if one.is_file() or one.is_symlink())
    for one in names:
        if one.is_symlink():
            raise BadConfiguration((f"{path.name}: {one.relative_to(path)}: a link, which a package has none of",))
    sizes = ((one, one.stat().st_size) for one in names)
    for one, _ in _bounded(path.name, sizes):
        yield str(one.relative_to(path)), one.read_bytes()


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    try:
        if path.stat().st_size > MAX_ARCHIVE_BYTES:
            raise _too_large(path.name)
        with (
            gzip.open(path) as unpacked,
            tarfile.TarFile(fileobj=cast("IO[bytes]", _Bounded(unpacked, path.name))) as archive,
        ):
            for member, _ in _bounded(path.name, ((one, one.size) for one in archive)):
                _refuse_odd(member, path.name, seen)
                if member.isfile() and member.name.endswith(".json") and "/." not in member.name:
                    source = archive.extractfile(member)
                    if source is not None:
                        yield member.name, source.read(MAX_MEMBER_BYTES + 1)
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as err:
        raise BadConfiguration((f"{path.name}: this is not a package (.tgz)",)) from err


def _refuse_odd(member: tarfile.TarInfo, package: str, seen: set[str]) -> None:
    steps = member.name.replace("\\", "/").split("/")
    if ".." in steps or steps[0] in ("", "~") or ":" in steps[0]:
        raise BadConfiguration((f"{package}: a member leads out of the package",))
    if not (member.isfile() or member.isdir()):
        raise BadConfiguration((f"{package}: {member.name[:100]}: a link or a device, which a package has none of",))
    if member.isfile() and member.name in seen:
        raise BadConfiguration((f"{package}: {member.name[:100]}: stands twice in the package",))
    seen.add(member.name)


class _Bounded:
    """What an archive unpacks to, and not more than a package may have: headers of any kind included."""

    def __init__(self, source: gzip.GzipFile, name: str) -> None:
        self._source, self._name = source, name

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_MEMBER_BYTES + tarfile.BLOCKSIZE:
            raise _too_large(self._name)
        data = self._source.read(size)
        if self._source.tell() > MAX_BYTES:
            raise _too_large(self._name)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset > MAX_BYTES:
            raise _too_large(self._name)
        return self._source.seek(offset)

    def tell(self) -> int:
        return self._source.tell()


def _too_large(name: str) -> BadConfiguration:
    return BadConfiguration((f"{name}: the package has too many members, or too large ones",))


def _bounded(name: str, members: Iterable[tuple[T, int]]) -> Iterator[tuple[T, int]]:
    total = 0
    for count, (one, size) in enumerate(members, 1):
        total += max(size, 0)
        if count > MAX_MEMBERS or not 0 <= size <= MAX_MEMBER_BYTES or total > MAX_BYTES:
            raise _too_large(name)
        yield one, size
