"""The mappings of a folder by id, checked as a whole: one mistake anywhere and none is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peerfhir.config import Mark
from peerfhir.errors import BadConfiguration, MappingFailed
from peerfhir.fhir.definitions import r4
from peerfhir.mapping import document as documents
from peerfhir.mapping.check import check
from peerfhir.mapping.codes import CodeMap, CodeMaps
from peerfhir.mapping.problems import Problem, Problems, messages
from peerfhir.mapping.run import Program, Result

MAX_BYTES = 1024 * 1024

Json = Any


@dataclass(frozen=True)
class _Loaded:
    program: Program
    version: str
    sha256: str


class Mappings:
    """Every mapping of one folder. Immutable; a reload makes a new one."""

    def __init__(self, loaded: dict[str, _Loaded], warnings: tuple[str, ...]) -> None:
        self._loaded = loaded
        self.warnings = warnings  # as messages; they stop nothing

    @classmethod
    def load(cls, folder: Path, *, canonical: str) -> Mappings:
        """Read and check everything below `mappings/`.

        canonical  base of our own canonicals: ${canonical} in URIs, %canonical in expressions
        Raises     BadConfiguration with every problem of every file
        """
        loaded: dict[str, _Loaded] = {}
        found: list[Problem] = []
        for path in _documents(folder):
            problems = Problems()
            one = _File(folder, path, problems).load(canonical)
            if one is not None:
                loaded[path.parent.name] = one
            found += [*problems.errors, *problems.warnings]
        errors = [problem for problem in found if problem.severity == "error"]
        if not folder.is_dir():
            errors.append(Problem(Mark(folder.name, 1, 1), "PM008", "", "the folder of the mappings is not there"))
        if errors:
            raise BadConfiguration(messages(errors))
        return cls(loaded, messages(found))

    def ids(self) -> tuple[str, ...]:
        """Every mapping, in alphabetical order."""
        return tuple(sorted(self._loaded))

    def version(self, mapping_id: str) -> str:
        """Its semantic version."""
        return self._find(mapping_id).version

    def sha256(self, mapping_id: str) -> str:
        """Its content hash: 64 hexadecimal digits over every file it uses.

        Source  docs/mapping-guide.md
        """
        return self._find(mapping_id).sha256

    def run(self, mapping_id: str, record: Json) -> Result:
        """Map one record.

        Raises  MappingFailed with the place of the rule; no values
        """
        return self._find(mapping_id).program.run(record)

    def _find(self, mapping_id: str) -> _Loaded:
        found = self._loaded.get(mapping_id)
        if found is None:
            raise MappingFailed(f"There is no mapping '{mapping_id}'.")
        return found


def _documents(folder: Path) -> list[Path]:
    """The YAML files of a folder, without the examples beside the mappings and without hidden folders."""
    found = folder.rglob("*.yaml") if folder.is_dir() else ()
    below = [(path.relative_to(folder).parts, path) for path in found]
    return sorted(path for parts, path in below if not any(part == "examples" or part[0] == "." for part in parts))


class _File:
    """One YAML file of the folder, with the files it names."""

    def __init__(self, folder: Path, path: Path, problems: Problems) -> None:
        self._given = folder
        self._folder = folder.resolve()
        self._path = path
        self._problems = problems
        self._used: dict[str, bytes] = {}

    def load(self, canonical: str) -> _Loaded | None:
        label = self._label(self._path)
        mark = Mark(label, 1, 1)
        if not self._path.name.endswith(".map.yaml"):
            kind = self._path.name.removesuffix(".yaml").rpartition(".")[2]
            if kind in ("overlay", "library"):
                self._problems.add(mark, "PM004", "", f"{kind} documents are not supported in this version")
            else:
                self._problems.add(mark, "PM004", "", "a mapping's file is called <id>.map.yaml")
            return None
        text = self._read(self._path, mark, "")
        if text is None:
            return None
        document = documents.read(Path(label), text, self._path.parent.name, canonical, self._problems)
        if document is None:
            return None
        reader = CodeMaps(document.systems, self._problems, self._beside)
        code_maps: dict[str, CodeMap] = {}
        for name, node in document.code_maps.items():
            mark = document.code_map_marks[name]
            broken = CodeMap(name, mark, {}, {}, provided=True, broken=True)
            code_maps[name] = reader.read(name, node, mark) or broken
        checked = check(document, code_maps, canonical, r4(), self._problems)
        if checked is None:
            return None
        return _Loaded(Program(checked), document.version, self._hash())

    def _label(self, path: Path) -> str:
        above = self._given if path.is_relative_to(self._given) else self._folder
        return (Path(self._folder.name) / path.relative_to(above)).as_posix()

    def _beside(self, name: str, mark: Mark, address: str) -> tuple[str, str] | None:
        """Label and text of a file named by the document; it must lie inside the mappings."""
        path = (self._path.parent / name).resolve()
        if not path.is_relative_to(self._folder):
            self._problems.add(mark, "PM008", address, f"'{name}' lies outside the mappings")
            return None
        text = self._read(path, mark, address)
        return None if text is None else (self._label(path), text)

    def _read(self, path: Path, mark: Mark, address: str) -> str | None:
        if not path.resolve().is_relative_to(self._folder):
            self._problems.add(mark, "PM008", address, "the file lies outside the mappings")
            return None
        try:
            if path.stat().st_size > MAX_BYTES:
                self._problems.add(mark, "PM008", address, f"'{path.name}' is larger than 1 MiB")
                return None
            data = path.read_bytes()
            text = data.decode("utf-8")
        except OSError:
            self._problems.add(mark, "PM008", address, f"'{path.name}' cannot be read")
            return None
        except UnicodeDecodeError:
            self._problems.add(mark, "PM008", address, f"'{path.name}' is not UTF-8")
            return None
        self._used[self._label(path)] = data
        return text.replace("\r\n", "\n")

    def _hash(self) -> str:
        lines = ["peerfhir-mapping 1"]
        for label, data in sorted(self._used.items(), key=lambda item: item[0].encode()):
            plain = data.replace(b"\r\n", b"\n")
            lines.append(f"{hashlib.sha256(plain).hexdigest()}  {label}")
        return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
