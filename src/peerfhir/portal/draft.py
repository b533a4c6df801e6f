"""Documents as somebody is typing them, among those of the folder `mappings/`; nothing of that is on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from peerfhir.config import Mark
from peerfhir.mapping.folder import MAX_BYTES, Folder
from peerfhir.mapping.problems import Problems

_ID = re.compile(r"^mapping:[ ]*([a-z][a-z0-9-]{0,63})[ ]*(?:#.*)?$", re.MULTILINE)
NEW = "new-mapping"


@dataclass(frozen=True)
class Draft:
    """What is being tried: a mapping, and an overlay of it where one is chosen.

    mapping  its id, which is its folder's name; a mapping that is new has the id that its text says
    beside   texts of other files of the folder, by their paths in it, where they are not those on disk
    """

    root: Path
    mapping: str
    text: str
    overlay: str = ""
    overlay_text: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id, which is the folder that files beside the mapping are looked for in."""
        if self.mapping:
            return self.mapping
        found = _ID.search(self.text)
        return found[1] if found else NEW

    @property
    def wants_instruments(self) -> bool:
        """Whether a questionnaire of the site may be named in it; reading them takes longer than the check itself."""
        text = self.text + self.overlay_text
        return "questionnaire" in text or "instrument" in text

    @property
    def wants_profiles(self) -> bool:
        """The same for the profiles of the site's packages."""
        return "profile" in self.text + self.overlay_text

    def as_on_disk(self) -> Draft:
        """The same documents as they are without anything typed; an absent file is empty."""
        over = self.overlay_path
        return Draft(self.root, self.mapping, _read(self.path), self.overlay, _read(over) if over else "")

    @property
    def path(self) -> Path:
        return self.root / self.id / f"{self.id}.map.yaml"

    @property
    def overlay_path(self) -> Path | None:
        """None without an overlay."""
        return self.root / self.id / "overlays" / f"{self.overlay}.overlay.yaml" if self.overlay else None

    @property
    def typed(self) -> Mapping[Path, str]:
        """The documents as they are being typed, and the files beside them that are given too."""
        over = self.overlay_path
        own = {self.path: self.text} | ({over: self.overlay_text} if over else {})
        return {self.root / name: text for name, text in self.beside.items()} | own


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


class Typed(Folder):
    """The folder as it is, but for the documents that are being typed; other mappings are not looked at."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft.root)
        self._typed = draft.typed

    def documents(self) -> list[Path]:
        """The documents that are being typed, and the libraries they may import."""
        libraries = [path for path in super().documents() if path.name.endswith(".library.yaml")]
        return sorted({*libraries, *(path for path in self._typed if path.suffix == ".yaml")})

    def read(self, path: Path, mark: Mark, address: str, problems: Problems, most: int = MAX_BYTES) -> str | None:
        """As of any folder."""
        text = self._typed.get(path)
        if text is None:
            return super().read(path, mark, address, problems, most)
        self._data[self.label(path)] = text.encode()
        return text
