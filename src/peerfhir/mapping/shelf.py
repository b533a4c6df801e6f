"""The mappings of a folder opened for the tools: each with its problems, its checked form and its file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from peerfhir.config import Mark
from peerfhir.errors import MappingFailed
from peerfhir.mapping.catalogue import Loaded, survey
from peerfhir.mapping.check import Checked
from peerfhir.mapping.document import Document
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.outline import Written, outline
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.run import Program

DEFAULT_CANONICAL = "http://peerfhir.example.org/fhir"


@dataclass(frozen=True)
class Opened:
    """One mapping without errors, with an overlay or without.

    folder   where its document lies; examples/ is beside it
    label    how messages name the document
    """

    loaded: Loaded
    folder: Path
    label: str

    @property
    def id(self) -> str:
        return self.loaded.id

    @property
    def overlay(self) -> str | None:
        return self.loaded.overlay

    @property
    def name(self) -> str:
        """`id`, or `id+overlay`."""
        return f"{self.id}+{self.overlay}" if self.overlay else self.id

    @property
    def program(self) -> Program:
        return self.loaded.program

    @property
    def checked(self) -> Checked:
        return self.loaded.program.checked

    @property
    def document(self) -> Document:
        return self.loaded.document

    @cached_property
    def rules(self) -> tuple[Written, ...]:
        """Every rule of the template."""
        return outline(self.document)

    def typed(self, raw: Any) -> Any:
        """The typed record of a raw one, or None when it does not fit its declaration."""
        try:
            return self.program.typed(raw)
        except MappingFailed:
            return None

    @property
    def examples(self) -> Path:
        """Where its examples are."""
        return self.folder / "examples" / self.overlay if self.overlay else self.folder / "examples"


@dataclass(frozen=True)
class File:
    """One document of the folder: its label, what stands in it, and whether it could be used.

    changed  for an overlay: how many rules it changes
    """

    label: str
    path: Path
    kind: str
    opened: Opened | None
    problems: tuple[Problem, ...]
    changed: int | None = None


@dataclass(frozen=True)
class Shelf:
    """Everything below one folder of mappings, whether it is good or not.

    loose    problems of files that no document of the folder is, such as code maps and instruments
    aliases  what mappings call profiles
    """

    folder: Path
    files: tuple[File, ...] = field(default=())
    loose: tuple[Problem, ...] = ()
    aliases: frozenset[str] = frozenset()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of every file, in the order of the files."""
        return (*(problem for file in self.files for problem in file.problems), *self.loose)

    @property
    def opened(self) -> tuple[Opened, ...]:
        """Every mapping that can be used, by itself and under each of its overlays."""
        return tuple(file.opened for file in self.files if file.opened is not None)

    def find(self, name: str) -> Opened | None:
        """`id` or `id+overlay`, or None when there is none without errors."""
        return next((one for one in self.opened if one.name == name), None)


def canonical_of(folder: Path) -> str:
    """The base of our own canonicals: of the environment, of config/ beside the mappings, or the example's."""
    given = os.environ.get("PEERFHIR_CANONICAL")
    settings = folder.resolve().parent / "config" / "peerfhir.yaml"
    if given is None and settings.is_file():
        from peerfhir.config import compose

        node = compose(settings).value.get("canonical")
        given = str(node.value) if node is not None else None
    return (given or DEFAULT_CANONICAL).rstrip("/")


def wants_instruments(folder: Path) -> bool:
    """Whether some document below `folder` names an instrument; reading them takes longer than the check itself."""
    documents = (path for path in folder.rglob("*.yaml") if "examples" not in path.parts)
    return any(b"questionnaire" in data or b"instrument" in data for data in map(Path.read_bytes, documents))


def look(
    folder: Path,
    canonical: str,
    instruments: Mapping[str, Form] | None = None,
    profiles: Mapping[str, Any] | None = None,
    beside: Sequence[Problem] = (),
    held: str | None = None,
) -> Shelf:
    """Read and check every document below `folder`; nothing is raised for what is wrong in them.

    instruments  the questionnaires that mappings may name
    profiles     canonical -> StructureDefinition, of the profiles that resources may claim
    beside       problems of what mappings use, the instruments
    held         an alias under `profiles`: resources of its type are held to it, though they claim none
    """
    found = survey(folder, canonical=canonical, instruments=instruments, profiles=profiles, held=held)
    files = []
    for label, kind in found.paths.items():
        path = folder / Path(label).relative_to(Path(label).parts[0])
        name = _name(path, kind)
        loaded = found.loaded.get(name)
        excused = _excused(loaded.document) if loaded is not None else frozenset()
        here = (one for one in found.problems if one.mark.path == label)
        problems = tuple(one for one in here if not (one.code == "PM010" and one.mark in excused))
        home = path.parents[1] if kind == "overlay" else path.parent
        opened = Opened(loaded, home, _label(label, kind)) if loaded is not None else None
        files.append(File(label, path, kind, opened, problems, _changed(path, kind) if opened else None))
    loose = tuple(one for one in found.problems if one.mark.path not in found.paths)
    return Shelf(folder, tuple(files), (*loose, *beside), found.aliases)


def _excused(document: Document) -> frozenset[Mark]:
    """Where a document accepts that examples do not reach a rule, which a check without examples cannot match."""
    entries = document.accept.value if document.accept is not None and document.accept.kind == "list" else []
    return frozenset(
        entry.mark
        for entry in entries
        if entry.kind == "map" and "code" in entry.value and entry.value["code"].value in ("PM500", "PM501")
    )


def _name(path: Path, kind: str) -> str:
    if kind == "overlay":
        return f"{path.parents[1].name}+{path.name.removesuffix('.overlay.yaml')}"
    return path.parent.name if kind == "mapping" else ""


def _label(label: str, kind: str) -> str:
    """The label of the mapping that an overlay lies over."""
    if kind != "overlay":
        return label
    home = Path(label).parents[1]
    return (home / f"{home.name}.map.yaml").as_posix()


def _changed(path: Path, kind: str) -> int | None:
    if kind != "overlay":
        return None
    from peerfhir.config import compose

    rules = compose(path).value.get("rules")
    return len(rules.value) if rules is not None else 0
