"""What may be opened in the playground: the mappings of the folder, by themselves and under overlays, and examples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from peerfhir.errors import NotFound

MOST_RECORD = 256 * 1024  # characters
_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
STARTER = """\
mapping: new-mapping
version: 0.1.0
status: draft
fhirVersion: 4.0.1
source:
  format: json
  fields:
    family: string!
    given: string
bundle: none
resources:
  patient:
    resourceType: Patient
    name: {family: =family, given: =given}
"""
STARTER_RECORD = """\
{
  "family": "Example",
  "given": "Ana"
}
"""


@dataclass(frozen=True)
class Choice:
    """What may be opened: a mapping of the folder, by itself or under an overlay."""

    mapping: str
    overlay: str = ""

    @property
    def name(self) -> str:
        """`mapping` or `mapping+overlay`; empty for a new one."""
        return f"{self.mapping}+{self.overlay}" if self.overlay else self.mapping


def choices(root: Path) -> list[Choice]:
    """Every mapping, by itself and under each of its overlays, in alphabetical order."""
    found = []
    for path in sorted(root.glob("*/*.map.yaml")):
        name = path.parent.name
        if _ID.fullmatch(name) and path.name == f"{name}.map.yaml":
            overlays = sorted(path.parent.glob("overlays/*.overlay.yaml"))
            found += [Choice(name), *(Choice(name, one.name.removesuffix(".overlay.yaml")) for one in overlays)]
    return found


def examples(root: Path, choice: Choice) -> dict[str, Path]:
    """The inputs beside a mapping, by their names; those that are too long for a pane are not offered."""
    if not choice.mapping:
        return {}
    folder = root / choice.mapping / "examples" / choice.overlay
    found = sorted(one for one in folder.glob("*.input.*") if one.is_file() and one.stat().st_size <= MOST_RECORD)
    return {one.name.partition(".")[0]: one for one in found}


def chosen(known: list[Choice], name: str | None) -> Choice:
    """The choice of a name, "" for a new mapping; the first one without a name. Raises NotFound."""
    if name is None:
        return known[0] if known else Choice("")
    if not name:
        return Choice("")
    found = next((one for one in known if one.name == name), None)
    if found is None:
        raise NotFound
    return found


def text_of(root: Path, choice: Choice) -> str:
    """The mapping as it is in the folder, or one to begin with."""
    return read(root / choice.mapping / f"{choice.mapping}.map.yaml") if choice.mapping else STARTER


def overlay_of(root: Path, choice: Choice) -> str:
    """The overlay as it is in the folder; "" without one."""
    path = root / choice.mapping / "overlays" / f"{choice.overlay}.overlay.yaml"
    return read(path) if choice.overlay else ""


def read(path: Path) -> str:
    """A file as text for a pane."""
    return path.read_text("utf-8-sig", errors="replace").replace("\r\n", "\n")


def free_name(names: dict[str, Path]) -> str:
    """A name for the next example."""
    numbers = [int(name[:2]) for name in names if name[:2].isdigit()]
    return f"{min(max(numbers, default=0) + 1, 99):02d}-example"
