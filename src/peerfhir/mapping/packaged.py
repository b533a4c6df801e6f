"""The profiles of a site's packages, read when the first mapping claims one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from peerfhir.fhir.packages import open_package

Json = Any


class Packaged(Mapping[str, Json]):
    """Canonical URL -> StructureDefinition with its snapshot; a later package replaces what an earlier one has.

    Raises  BadConfiguration on first use, naming a package that cannot be read
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    @cached_property
    def _found(self) -> dict[str, Json]:
        definitions = (one for path in self._paths for one in open_package(path).definitions)
        return {one["url"]: one for one in definitions if one.get("snapshot", {}).get("element")}

    def __getitem__(self, url: str) -> Json:
        return self._found[url]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
