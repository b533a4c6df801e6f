"""The mappings of a folder by id, checked as a whole: one mistake anywhere and none is used; or as they were before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from peerfhir.config import Limits
from peerfhir.errors import BadConfiguration, MappingFailed
from peerfhir.mapping.catalogue import Loaded, survey
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.problems import messages
from peerfhir.mapping.run import Result

Json = Any


class Mappings:
    """Every mapping of one folder. Immutable; a reload makes a new one."""

    def __init__(
        self,
        loaded: Mapping[str, Loaded],
        warnings: tuple[str, ...],
        over: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._loaded = loaded
        self.warnings = warnings  # as messages; they stop nothing
        self._over = over or {}
        self._limits = limits

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        canonical: str,
        instruments: Mapping[str, Form] | None = None,
        profiles: Mapping[str, Json] | None = None,
        policy: Path | None = None,
        limits: Limits | None = None,
    ) -> Mappings:
        """Read and check everything below `mappings/`.

        canonical    base of our own canonicals: ${canonical} in URIs, %canonical in expressions
        instruments  the questionnaires that mappings may name
        profiles     canonical -> StructureDefinition with its snapshot, of the profiles that resources may claim
        policy       the file that says what sensitive fields may reach; by default in the config/ beside `folder`
        limits       what mappings and records may ask for; None: as much as the engine gives
        Raises       BadConfiguration with every problem of every file
        """
        found = survey(
            folder, canonical=canonical, instruments=instruments, profiles=profiles, policy=policy, limits=limits
        )
        errors = [problem for problem in found.problems if problem.severity == "error"]
        if errors:
            raise BadConfiguration(messages(errors))
        for one in found.loaded.values():
            one.program.ready()
        return cls(found.loaded, messages(one for one in found.problems if one.severity == "warning"))

    @property
    def now(self) -> Mappings:
        """These, as `Standing.now`."""
        return self

    def ids(self) -> tuple[str, ...]:
        """Every mapping, in alphabetical order."""
        return tuple(sorted(name for name in self._loaded if "+" not in name))

    def overlays(self) -> tuple[Loaded, ...]:
        """Every mapping under each of its overlays, by mapping and overlay."""
        return tuple(self._loaded[name] for name in sorted(self._loaded) if "+" in name)

    def active(self) -> tuple[Loaded, ...]:
        """Every mapping that is used for delivery, by itself and under each of its overlays."""
        return tuple(one for _, one in sorted(self._loaded.items()) if one.document.status == "active")

    def sha256_of_all(self) -> str:
        """64 hexadecimal digits over all mappings and overlays, whatever their order."""
        lines = (f"{one.sha256}  {name}\n" for name, one in sorted(self._loaded.items()))
        return sha256("".join(lines).encode()).hexdigest()

    def holds(self, mapping_id: str, sha256: str) -> bool:
        """Whether this is what the mapping is here, under the overlay that is turned on."""
        name = f"{mapping_id}+{self._over[mapping_id]}" if mapping_id in self._over else mapping_id
        return name in self._loaded and self._loaded[name].sha256 == sha256

    def with_pinned(self, one: Loaded) -> Mappings:
        """The same mappings, but for one that is as it was before, whatever overlay is turned on for it now."""
        over = {name: overlay for name, overlay in self._over.items() if name != one.id}
        over |= {one.id: one.overlay} if one.overlay else {}
        return Mappings({**self._loaded, one.name: one}, self.warnings, over, self._limits)

    def under(self, overlays: Iterable[str], limits: Limits | None = None) -> Mappings:
        """The same mappings as one endpoint has them.

        overlays  ids of the overlays its file turns on, `<mapping>.<overlay>`, at most one of each mapping
        limits    its own, for every record; None: those the mappings were loaded with
        Raises    MappingFailed for one that is not there
        """
        over = {}
        for one in overlays:
            mapping, _, name = one.partition(".")
            if f"{mapping}+{name}" not in self._loaded:
                raise MappingFailed(f"There is no overlay '{one}'.")
            over[mapping] = name
        return Mappings(self._loaded, self.warnings, over, limits)

    def refused(self, endpoint: str, overlays: Sequence[str]) -> list[tuple[int, str]]:
        """What an endpoint's list of overlays gets wrong: position, and a sentence."""
        found = []
        for at, one in enumerate(overlays):
            mapping, _, name = one.partition(".")
            loaded = self._loaded.get(f"{mapping}+{name}")
            if loaded is None:
                found.append((at, f"there is no overlay '{one}'"))
            elif loaded.endpoint != endpoint:
                found.append((at, f"'{one}' applies to endpoint '{loaded.endpoint}'"))
            elif mapping in [other.partition(".")[0] for other in overlays[:at]]:
                found.append((at, f"'{mapping}' has two overlays (PM404)"))
        return found

    def get(self, mapping_id: str, overlay: str | None = None) -> Loaded:
        """One mapping, under the overlay that is named or turned on.

        Raises  MappingFailed when it is not there
        """
        name = overlay or self._over.get(mapping_id)
        found = self._loaded.get(f"{mapping_id}+{name}" if name else mapping_id)
        if found is None:
            raise MappingFailed(f"There is no mapping '{mapping_id}'" + (f" with overlay '{name}'." if name else "."))
        return found

    def version(self, mapping_id: str) -> str:
        """Its semantic version."""
        return self.get(mapping_id).version

    def sha256(self, mapping_id: str) -> str:
        """Its content hash: 64 hexadecimal digits over every file it uses.

        Source  docs/mapping-guide.md
        """
        return self.get(mapping_id).sha256

    def run(self, mapping_id: str, record: Json) -> Result:
        """Map one record.

        Raises  MappingFailed with the place of the rule; no values
        """
        return self.get(mapping_id).program.run(record, limits=self._limits)


class Standing:
    """The mappings that are in use; a reload puts others in their place, whole.

    Whoever maps more than one record for one answer asks for `now` once.
    """

    def __init__(self, mappings: Mappings) -> None:
        self._now = mappings

    @property
    def now(self) -> Mappings:
        """Those of this moment."""
        return self._now

    def swap(self, mappings: Mappings) -> None:
        """Put others in their place; what is being mapped goes on with those it began with."""
        self._now = mappings

    def ids(self) -> tuple[str, ...]:
        """As Mappings.ids."""
        return self._now.ids()

    def sha256(self, mapping_id: str) -> str:
        """As Mappings.sha256."""
        return self._now.sha256(mapping_id)

    def get(self, mapping_id: str, overlay: str | None = None) -> Loaded:
        """As Mappings.get."""
        return self._now.get(mapping_id, overlay)


InUse = Mappings | Standing
