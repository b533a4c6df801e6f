"""Mappings as they become active: kept in the database, a version never with other files; read back, read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from peerfhir.adapters.instruments import examined
from peerfhir.adapters.pieces import NEEDED
from peerfhir.adapters.questionnaires import forms
from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings, Settings, compose
from peerfhir.errors import BadConfiguration, DatabaseBusy, MappingFailed
from peerfhir.logs import log
from peerfhir.mapping.catalogue import Loaded, survey
from peerfhir.mapping.folder import manifest
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.problems import Problem, messages
from peerfhir.mapping.registry import Mappings, Standing
from peerfhir.records import kept
from peerfhir.records.database import reading, writing
from peerfhir.records.kept import Used, Version

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_FOLLOW_SECONDS = 1.0
_MOST_HELD = 50  # mappings as they were, in memory
_MOST_NAMED = 5  # files that a message names


def read(settings: Settings, instruments: Mapping[str, Form], profiles: Mapping[str, Any]) -> Mappings:
    """Everything below mappings/, checked as a whole, with what the endpoints ask of it.

    Raises  BadConfiguration with every problem of every file
    """
    loaded = Mappings.load(
        settings.mappings_dir, canonical=settings.canonical, instruments=instruments, profiles=profiles,
        policy=settings.config_dir / "privacy.yaml", limits=settings.limits,
    )  # fmt: skip
    known = frozenset(loaded.ids())
    problems = [f"{settings.mappings_dir / name}:1:1: this mapping is needed and not there" for name in NEEDED - known]
    problems += [
        f"{loaded.get(name).document.mark}: status: only an active mapping is used for delivery"
        for name in NEEDED & known
        if loaded.get(name).document.status != "active"
    ]
    problems.sort()
    for endpoint in settings.endpoints.values():
        file = settings.config_dir / "endpoints" / f"{endpoint.id}.yaml"
        problems += [
            f"{compose(file).at(('writes', kind, 'mapping'))}: writes.{kind}.mapping: no mapping of that name"
            for kind, rule in endpoint.writes.items()
            if rule.mapping is not None and rule.mapping not in known
        ]
        problems += [
            f"{compose(file).at(('overlays', at))}: overlays: {what}"
            for at, what in loaded.refused(endpoint.id, endpoint.overlays)
        ]
        problems += _beyond(loaded, endpoint, known, file)
    if problems:
        raise BadConfiguration(tuple(problems))
    return loaded


def _beyond(loaded: Mappings, endpoint: EndpointSettings, known: frozenset[str], file: Path) -> list[str]:
    """What the mappings that an endpoint cannot do without need of the limits that its file has lowered."""
    there = [loaded.get(name) for name in sorted(NEEDED & known)]
    there += [loaded.get(*one.split(".", 1)) for one in endpoint.overlays if not loaded.refused(endpoint.id, [one])]
    return [
        f"{compose(file).at(('limits', limit))}: limits.{limit}: {most}, and '{each.name}' needs {needed}"
        for each in there
        for limit, most, needed in each.needs.beyond(endpoint.limits)
    ]


def activate(engine: Engine, clock: Clock, mappings: Mappings, *, development: bool = False) -> tuple[str, ...]:
    """Keep every active mapping with its files, so that what it made can be made again without the repository.

    development  a version that was used with other files before is told, instead of refused
    Returns      what is told
    Raises       BadConfiguration: PM011 at each `version:` that has to be raised; nothing is kept then
    """
    used = {_version(one): one for one in mappings.active()}
    with reading(engine) as connection:
        known = kept.known(connection)
    if all(known.get(version) == one.sha256 for version, one in used.items()):
        return ()
    given = [Used(version, manifest(one.content), one.content) for version, one in used.items()]
    with writing(engine) as connection:
        first = kept.keep(connection, clock.now(), given)
        problems = _raised(connection, used, first, "warning" if development else "error")
        if problems and not development:
            raise BadConfiguration(messages(problems))
    return messages(problems)


def refusals(engine: Engine, mappings: Mappings, *, development: bool = False) -> None:
    """What activating would refuse; nothing is kept. Raises BadConfiguration."""
    used = {_version(one): one for one in mappings.active()}
    with reading(engine) as connection:
        problems = _raised(connection, used, kept.known(connection), "error")
    if problems and not development:
        raise BadConfiguration(messages(problems))


def _version(one: Loaded) -> Version:
    return Version(one.id, one.version, one.overlay or "", one.overlay_version or "")


def _raised(
    connection: Connection, used: Mapping[Version, Loaded], first: Mapping[Version, str], severity: str
) -> list[Problem]:
    """PM011 for each version that was used with other files; of an overlay only when its mapping is as it was."""
    other = {version for version, one in used.items() if first.get(version, one.sha256) != one.sha256}
    found = []
    for version in sorted(other):
        if version.overlay and Version(version.mapping_id, version.version) in other:
            continue
        one = used[version]
        name = f"overlay '{one.id}.{one.overlay}'" if one.overlay else f"'{one.id}'"
        number = one.overlay_version or one.version
        what = f"{name} {number} was used before with other content: {_changed(connection, one, first[version])}"
        found.append(Problem(one.placed, "PM011", "version", what, "raise the version", severity))
    return found


def _changed(connection: Connection, one: Loaded, sha256: str) -> str:
    """Which files are not as they were."""
    before = kept.files(connection, sha256)
    names = [label for label in sorted({*before, *one.content}) if before.get(label) != one.content.get(label)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


# -- read back -----------------------------------------------------------------------------------------------


class Pinned:
    """Mappings as they were when they were used, from the files that were kept; each is read once.

    canonical  base of our own canonicals
    profiles   canonical -> StructureDefinition, of the profiles that resources may claim
    policy     the file that says what sensitive fields may reach; what it forbids now is not made again
    """

    def __init__(self, canonical: str, profiles: Mapping[str, Any] | None = None, policy: Path | None = None) -> None:
        self._canonical = canonical
        self._policy = policy
        self._profiles = profiles
        self._known: dict[str, Loaded] = {}

    def __call__(self, connection: Connection, sha256: str) -> Loaded:
        """The mapping of a content hash, under its overlay. Raises NotFound, MappingFailed."""
        found = self._known.get(sha256)
        if found is None:
            with TemporaryDirectory(prefix="peerfhir-") as place:
                found = self.unpacked(connection, sha256, Path(place))
            if len(self._known) >= _MOST_HELD:
                self._known.clear()
            self._known[sha256] = found
        return found

    def unpacked(self, connection: Connection, sha256: str, place: Path) -> Loaded:
        """The same, and its files stay where they were put, below `place`. Raises NotFound, MappingFailed."""
        labels = _written(kept.files(connection, sha256), place)
        root = place / next(one.parts[0] for one in labels if one.name.endswith(".map.yaml"))
        config = place / "config" / "instruments"
        instruments = forms(config, examined(config, judged=False)[0]) if config.is_dir() else None
        found = survey(
            root, canonical=self._canonical, instruments=instruments, profiles=self._profiles, policy=self._policy
        )
        for one in found.loaded.values():
            if one.sha256 == sha256:
                one.program.ready()
                return one
        first = next((each for each in found.problems if each.severity == "error"), None)
        raise MappingFailed(
            "The mapping that was kept cannot be read by this version" + (f": {first.code}." if first else "."),
            place=str(first.mark) if first else None,
            advice="Run it again as current.",
        )


def _written(files: Mapping[str, bytes], place: Path) -> Sequence[PurePosixPath]:
    labels = [PurePosixPath(label) for label in files]
    if any(one.is_absolute() or ".." in one.parts for one in labels):
        raise MappingFailed("The mapping that was kept names a file outside its folder.")
    for one in labels:
        path = place / one
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[str(one)])
    return labels


# -- read again ----------------------------------------------------------------------------------------------


class Reloading:
    """Puts mappings that were read again in the place of those in use: when asked, and when another process was.

    read         everything below mappings/, checked as at the start; raises BadConfiguration
    seen         number of the last reload before the mappings in use were read
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        standing: Standing,
        read: Callable[[], Mappings],
        *,
        seen: int = 0,
        development: bool = False,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._standing = standing
        self._read = read
        self._seen = seen
        self._development = development
        self._due = 0.0
        self._lock = threading.Lock()

    def reload(self, asked_by: str) -> tuple[str, ...]:
        """Read all mappings and use them, here at once and in every other process within a second or two.

        Returns  what is told of them
        Raises   BadConfiguration; then everything stays as it was
        """
        with self._lock:
            fresh = self._read()
            told = activate(self._engine, self._clock, fresh, development=self._development)
            with writing(self._engine) as connection:
                self._seen = kept.ask(connection, self._clock.now(), fresh.sha256_of_all(), asked_by)
            self._standing.swap(fresh)
        return (*fresh.warnings, *told)

    def follow(self) -> None:
        """Do what another process was asked for; looks once in a second at most, and never raises."""
        if self._clock.monotonic() < self._due or not self._lock.acquire(blocking=False):
            return
        try:
            self._due = self._clock.monotonic() + _FOLLOW_SECONDS
            self._follow()
        except DatabaseBusy:
            log().warning("the database was busy")
        except Exception as fault:  # somebody else's request must not fail of it; the mappings in use stay
            problems = fault.problems if isinstance(fault, BadConfiguration) else ()
            log().error("mappings not reloaded", code=type(fault).__name__, count=len(problems))
        finally:
            self._lock.release()

    def _follow(self) -> None:
        with reading(self._engine) as connection:
            number, wanted = kept.asked(connection)
        if number == self._seen:
            return
        self._seen = number  # whatever comes of it: files that are wrong are not read again every second
        if self._standing.now.sha256_of_all() == wanted:
            return
        fresh = self._read()
        if fresh.sha256_of_all() != wanted:
            raise BadConfiguration(("mappings:1:1: the files have been changed since the reload was asked for",))
        self._standing.swap(fresh)
