"""The files below `mappings/`: how messages name them, what may be read, and what a content hash covers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from peerfhir.config import Mark
from peerfhir.mapping.problems import Problems

MAX_BYTES = 1024 * 1024
MAX_TABLE_BYTES = 16 * MAX_BYTES  # of a code map or a table beside a document


class Folder:
    """One folder of mappings. Each file is read once."""

    def __init__(self, root: Path) -> None:
        self._given = root
        self._root = root.resolve()
        self._paths: dict[str, Path] = {}
        self._data: dict[str, bytes] = {}

    @property
    def exists(self) -> bool:
        return self._root.is_dir()

    def documents(self) -> list[Path]:
        """The YAML files, without the examples beside the mappings and without hidden folders."""
        found = self._given.rglob("*.yaml") if self.exists else ()
        below = [(path.relative_to(self._given).parts, path) for path in found]
        return sorted(path for parts, path in below if not any(part == "examples" or part[0] == "." for part in parts))

    def label(self, path: Path) -> str:
        """How messages and content hashes name a file: relative to what holds the folder."""
        above = self._given if path.is_relative_to(self._given) else self._root
        label = (Path(self._root.name) / path.relative_to(above)).as_posix()
        self._paths[label] = path
        return label

    def read(self, path: Path, mark: Mark, address: str, problems: Problems, most: int = MAX_BYTES) -> str | None:
        """The text of a file inside the folder; PM008 at `mark` where there is none."""
        if not path.resolve().is_relative_to(self._root):
            problems.add(mark, "PM008", address, f"'{path.name}' lies outside the mappings")
            return None
        try:
            if path.stat().st_size > most:
                problems.add(mark, "PM008", address, f"'{path.name}' is larger than {most // MAX_BYTES} MiB")
                return None
            data = path.read_bytes()
            text = data.decode("utf-8")
        except OSError:
            problems.add(mark, "PM008", address, f"'{path.name}' cannot be read")
            return None
        except UnicodeDecodeError:
            problems.add(mark, "PM008", address, f"'{path.name}' is not UTF-8")
            return None
        self._data[self.label(path)] = data
        return text.replace("\r\n", "\n")

    def beside(self, name: str, mark: Mark, address: str, problems: Problems) -> tuple[str, str] | None:
        """Label and text of a file named at `mark`, relative to the document that stands there."""
        home = self._paths.get(mark.path, self._given / mark.path).parent
        path = (home / name).resolve()
        text = self.read(path, mark, address, problems, MAX_TABLE_BYTES)
        return None if text is None else (self.label(path), text)

    def content(self, labels: Iterable[str]) -> dict[str, bytes]:
        """What stands in files that were read, by their labels."""
        return {label: self._data[label] for label in labels}


def unified(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files by their labels, in the order of a manifest; line ends count as LF."""
    return {label: files[label].replace(b"\r\n", b"\n") for label in sorted(files, key=str.encode)}


def manifest(files: Mapping[str, bytes]) -> bytes:
    """One line for each of the unified files: its SHA-256 and its label. The SHA-256 of all is the content hash."""
    lines = ["peerfhir-mapping 1", *(f"{hashlib.sha256(data).hexdigest()}  {label}" for label, data in files.items())]
    return "".join(f"{line}\n" for line in lines).encode()
