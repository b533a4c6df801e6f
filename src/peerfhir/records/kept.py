"""The mappings that were used: each version's files, by content; a version that was used is never another one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from peerfhir.errors import NotFound
from peerfhir.records.schema import mapping_file, mapping_reload, mapping_version
from peerfhir.records.upsert import insert_new

_VERSION, _FILE = mapping_version.c, mapping_file.c
_KEY = ("mapping_id", "version", "overlay", "overlay_version")


@dataclass(frozen=True, order=True)
class Version:
    """What a person calls a version of a mapping; both overlay and its version are "" for the mapping by itself."""

    mapping_id: str
    version: str
    overlay: str = ""
    overlay_version: str = ""


@dataclass(frozen=True)
class Used:
    """One version of a mapping with everything it is made of.

    manifest  "<sha256>  <label>" of each file, after a first line; its own SHA-256 is the content hash
    files     what the manifest lists, by label
    """

    version: Version
    manifest: bytes
    files: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """Its content hash."""
        return _digest(self.manifest)


@dataclass(frozen=True)
class Kept:
    """One version that is kept, since when, and its content hash."""

    version: Version
    sha256: str
    at: datetime


def known(connection: Connection) -> dict[Version, str]:
    """Every version that was used, with its content hash."""
    return {one.version: one.sha256 for one in _listed(connection)}


def versions(connection: Connection, mapping_id: str) -> list[Kept]:
    """What is kept of one mapping, oldest first, with overlays and without."""
    return [one for one in _listed(connection) if one.version.mapping_id == mapping_id]


def keep(connection: Connection, now: datetime, used: Sequence[Used]) -> dict[Version, str]:
    """Keep versions and their files, where they are not kept yet; the content hash that each version has.

    It is another one than that of what was given where the version had been used with other files before. Of two
    processes that keep the same version at once with different files one is first, and both are told which.
    """
    for one in sorted(used, key=lambda each: each.version):  # every process in one order: none waits for another's row
        insert_new(connection, mapping_version, _KEY, _row(one) | {"sha256": one.sha256, "kept_at": now})
    data = {_digest(each): each for one in used for each in (one.manifest, *one.files.values())}
    there = _there(connection, data)
    for sha256 in sorted(data.keys() - there):
        insert_new(connection, mapping_file, ("sha256",), {"sha256": sha256, "data": data[sha256], "kept_at": now})
    found = known(connection)
    return {one.version: found[one.version] for one in used}


def files(connection: Connection, sha256: str) -> dict[str, bytes]:
    """What a mapping of this content hash is made of, by label. Raises NotFound."""
    listed = [line.partition("  ") for line in _data(connection, sha256).decode().splitlines()[1:]]
    return {label: _data(connection, digest) for digest, _, label in listed}


def asked(connection: Connection) -> tuple[int, str]:
    """Number and content of the last reload that was asked for; (0, "") when there was none."""
    row = mapping_reload.c
    last = connection.execute(select(row.id, row.sha256).order_by(row.id.desc()).limit(1)).first()
    return (int(last.id), str(last.sha256)) if last is not None else (0, "")


def ask(connection: Connection, now: datetime, sha256: str, asked_by: str) -> int:
    """Ask every process to read the mappings again; the number of this reload.

    sha256  over all mappings, as `Mappings.sha256_of_all`
    """
    values = {"sha256": sha256, "asked_by": asked_by, "at": now}
    return int(connection.execute(insert(mapping_reload).values(**values).returning(mapping_reload.c.id)).scalar_one())


def _listed(connection: Connection) -> list[Kept]:
    rows = connection.execute(select(mapping_version).order_by(_VERSION.kept_at, *(_VERSION[name] for name in _KEY)))
    return [Kept(Version(*(row[name] for name in _KEY)), row["sha256"], row["kept_at"]) for row in rows.mappings()]


def _row(one: Used) -> dict[str, str]:
    return {name: getattr(one.version, name) for name in _KEY}


def _there(connection: Connection, digests: Iterable[str]) -> set[str]:
    found = select(_FILE.sha256).where(_FILE.sha256.in_(sorted(digests)))
    return set(connection.execute(found).scalars())


def _data(connection: Connection, sha256: str) -> bytes:
    data = connection.execute(select(_FILE.data).where(_FILE.sha256 == sha256)).scalar_one_or_none()
    if data is None:
        raise NotFound("No mapping of this content hash is kept here.")
    if _digest(data) != sha256:
        raise NotFound("What is kept under this content hash has been changed.")
    return bytes(data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
