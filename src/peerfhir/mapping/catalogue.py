"""Every document of the folder, read, merged, checked and compiled, with everything that is wrong in any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from peerfhir.config import Limits, Mark, Node
from peerfhir.fhir.definitions import r4
from peerfhir.mapping import concept_maps, privacy, tables
from peerfhir.mapping import libraries as library_documents
from peerfhir.mapping import overlay as overlay_documents
from peerfhir.mapping.bands import Bands
from peerfhir.mapping.check import Checked, Lists, check, check_library
from peerfhir.mapping.codes import CodeMap, CodeMaps
from peerfhir.mapping.document import Document, document_of
from peerfhir.mapping.folder import MAX_TABLE_BYTES, Folder, manifest, unified
from peerfhir.mapping.held import holding
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.libraries import Library, imported, with_libraries
from peerfhir.mapping.needs import Needs, needs
from peerfhir.mapping.overlay import Loss, Overlay
from peerfhir.mapping.problems import Problem, Problems, Texts
from peerfhir.mapping.profiles import Json, Outlines
from peerfhir.mapping.run import Program
from peerfhir.mapping.syntax import opened, place_of


@dataclass(frozen=True)
class Loaded:
    """One mapping, or one mapping under one overlay, without errors.

    overlay   the overlay's name, its version and the endpoint it is for; all None for the mapping by itself
    document  as it was written, with libraries and overlay
    losses    what the overlay takes away
    content   label of each file it is made of -> what stands there; line ends are LF
    sha256    its content hash: 64 hexadecimal digits over those files
    placed    where its version is written; the overlay's under an overlay
    needs     what it asks of the limits
    """

    id: str
    version: str
    overlay: str | None
    overlay_version: str | None
    endpoint: str | None
    document: Document
    program: Program
    losses: tuple[Loss, ...]
    content: Mapping[str, bytes]
    sha256: str
    placed: Mark
    needs: Needs

    @property
    def name(self) -> str:
        """`id`, or `id+overlay`."""
        return f"{self.id}+{self.overlay}" if self.overlay else self.id

    @property
    def files(self) -> tuple[str, ...]:
        """The label of each file it is made of."""
        return tuple(sorted(self.content))


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    loaded    "id" or "id+overlay" -> what has no error
    problems  errors, warnings and infos of every document, in the order of the files
    paths     label of each document, with its kind: mapping, overlay, library
    aliases   what mappings call profiles
    """

    loaded: Mapping[str, Loaded]
    problems: tuple[Problem, ...]
    paths: Mapping[str, str]
    aliases: frozenset[str] = frozenset()


def survey(
    root: Path,
    *,
    canonical: str,
    instruments: Mapping[str, Form] | None = None,
    folder: Folder | None = None,
    profiles: Mapping[str, Json] | None = None,
    policy: Path | None = None,
    limits: Limits | None = None,
    held: str | None = None,
) -> Survey:
    """Read and check every document below `mappings/`.

    canonical    base of our own canonicals: ${canonical} in URIs, %canonical in expressions
    instruments  the questionnaires that mappings may name
    folder       reads the files of `root`, where some of them are not as they are on disk
    profiles     canonical -> StructureDefinition with its snapshot, of the profiles that resources may claim
    policy       the file that says what sensitive fields may reach; by default in the config/ beside `root`
    limits       what mappings and records may ask for; None: as much as the engine gives
    held         an alias under `profiles`: resources of its type are held to it, though they claim none
    """
    outlines = Outlines({} if profiles is None else profiles)
    found = _Surveyor(folder or Folder(root), root, canonical, instruments or {}, outlines)
    found.limits, found.held = limits, held
    found.policy = privacy.read(policy or privacy.beside(root), found.every)
    return found.survey()


@dataclass
class _Opened:
    path: Path
    label: str
    node: Node


@dataclass
class _Surveyor:
    folder: Folder
    root: Path
    canonical: str
    instruments: Mapping[str, Form]
    outlines: Outlines
    texts: Texts = field(default_factory=Texts)
    every: Problems = field(default_factory=Problems)
    libraries: dict[str, Library] = field(default_factory=dict)
    mappings: dict[str, _Opened] = field(default_factory=dict)
    overlays: list[Overlay] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    told: dict[str, frozenset[tuple[Mark, str, str]]] = field(default_factory=dict)
    concept_maps: Mapping[str, Path] | None = None
    policy: privacy.Policy = privacy.UNTOLD
    limits: Limits | None = None
    held: str | None = None
    aliases: set[str] = field(default_factory=set)

    def survey(self) -> Survey:
        if not self.folder.exists:
            self.every.add(Mark(self.root.name, 1, 1), "PM008", "", "the folder of the mappings is not there")
        for path in self.folder.documents():
            self._open(path)
        overlay_documents.collisions(self.overlays, self.every)
        for library in self.libraries.values():
            self._library(library)
        for one in self.mappings.values():
            self._mapping(one)
        for overlay in self.overlays:
            self._overlay(overlay)
        return Survey(self.loaded, tuple(self.every.every), self.paths, frozenset(self.aliases))

    def _open(self, path: Path) -> None:
        label = self.folder.label(path)
        mark = Mark(label, 1, 1)
        kind = path.name.removesuffix(".yaml").rpartition(".")[2]
        if kind not in ("map", "overlay", "library"):
            what = "a document's name ends in .map.yaml, .overlay.yaml or .library.yaml"
            self.every.add(mark, "PM004", "", what)
            return
        problems = Problems()
        self.paths[label] = {"map": "mapping"}.get(kind, kind)
        text = self.folder.read(path, mark, "", problems)
        if text is not None:
            self._opened(kind, path, label, text, problems)
        self.every.extend(problems.every)

    def _opened(self, kind: str, path: Path, label: str, text: str, problems: Problems) -> None:
        if kind == "library":
            library = library_documents.read(Path(label), text, problems, self.texts)
            if library is not None and library.id in self.libraries:
                other = self.libraries[library.id].node.key_marks["library"]
                notes = ((other, "the other one"),)
                problems.add(Mark(label, 1, 1), "PM006", "", f"there are two libraries '{library.id}'", notes=notes)
            elif library is not None:
                self.libraries[library.id] = library
        elif kind == "overlay":
            overlay = overlay_documents.read(Path(label), text, problems, self.texts)
            if overlay is not None:
                self.overlays.append(overlay)
        else:
            node = opened(Path(label), text, "mapping", problems, self.texts)
            if node is not None:
                self.mappings[path.parent.name] = _Opened(path, label, node)

    # --- one document after the other -----------------------------------------------------------------------------

    def _library(self, library: Library) -> None:
        """A library by itself: what it names, and its fragments, without any record."""
        problems = Problems()
        mark = library.node.mark
        head = {"mapping": Node("scalar", library.id, mark), "source": _NO_RECORD, "resources": _NOTHING}
        node = Node("map", {**head, **library.node.value}, mark, library.node.key_marks)
        document = document_of(node, Path(library.id), "", self.canonical, Problems(), self.texts)
        if document is not None:
            maps, lists = self._code_maps(document, problems, set())
            check_library(document, maps, self.canonical, r4(), problems, lists)
        self.every.extend(problems.every)

    def _broken(self, kind: str) -> set[str]:
        """The documents of a kind that are there and cannot be read."""
        names = {Path(label).name.partition(".")[0] for label, its in self.paths.items() if its == kind}
        return names - (self.libraries.keys() if kind == "library" else self.mappings.keys())

    def _waits(self, *nodes: Node) -> bool:
        """Whether a document imports a library that cannot be read; then nothing else is said of what it lacks."""
        broken = self._broken("library")
        wanted = (one for node in nodes for found in _imports(node) if found.kind == "list" for one in found.value)
        waits = [one for one in wanted if str(one.value).partition("@")[0] in broken]
        for one in waits:
            self.every.add(one.mark, "PM006", "imports", f"the library '{one.value}' has errors of its own")
        return bool(waits)

    def _mapping(self, one: _Opened) -> None:
        if self._waits(one.node):
            return
        problems = Problems()
        imports = imported(_imports(one.node), self.libraries, problems)
        node = with_libraries(one.node, imports, problems)
        loaded = self._loaded(node, one, None, (), imports, problems)
        self.told[one.path.parent.name] = frozenset(_key(problem) for problem in problems.every)
        if loaded is not None:
            self.loaded[loaded.id] = loaded
        self.every.extend(problems.every)

    def _overlay(self, overlay: Overlay) -> None:
        problems = Problems()
        base = self.mappings.get(overlay.mapping)
        if base is None:
            mark = overlay.node.key_marks["extends"]
            if overlay.mapping not in self._broken("mapping"):  # what is wrong with it is told there
                self.every.add(mark, "PM401", "", f"there is no mapping '{overlay.mapping}'")
            return
        if self._waits(base.node, overlay.node):
            return
        imports = imported([*_imports(base.node), *_imports(overlay.node)], self.libraries, problems)
        node = with_libraries(base.node, imports, problems)
        node, losses = overlay_documents.merged(node, overlay, problems)
        loaded = self._loaded(node, base, overlay, losses, imports, problems)
        self._trim(base, overlay, problems)
        if loaded is not None and not problems.errors:
            self.loaded[f"{loaded.id}+{overlay.name}"] = loaded
        self.every.extend(problems.every)

    def _trim(self, base: _Opened, overlay: Overlay, problems: Problems) -> None:
        """What the mapping says by itself is not said again; what it says only under the overlay tells of both."""
        told = self.told.get(overlay.mapping, frozenset())
        problems.drop(lambda problem: _key(problem) in told)
        problems.drop(lambda problem: problem.code in ("PM010", "PM300") and problem.mark.path == base.label)
        here = overlay.node.mark
        problems.note(lambda problem: problem.mark.path != here.path, here, "under this overlay")

    def _loaded(
        self,
        node: Node,
        one: _Opened,
        overlay: Overlay | None,
        losses: tuple[Loss, ...],
        imports: list[tuple[Node, Library]],
        problems: Problems,
    ) -> Loaded | None:
        name = one.path.parent.name
        document = document_of(node, Path(one.label), name, self.canonical, problems, self.texts)
        if document is None:
            return None
        self.aliases |= document.profiles.keys()
        document = holding(document, self.held, self.outlines, problems) if self.held else document
        used = {one.label, *(library.node.mark.path for _, library in imports)}
        used |= {overlay.node.mark.path} if overlay else set()
        maps, lists = self._code_maps(document, problems, used)
        checked = check(document, maps, self.canonical, r4(), problems, lists)
        if checked is None:
            return None
        content = self._content(checked, used)
        asked = self._asked(document, maps, content)
        for limit, most, needed in asked.beyond(self.limits or Limits()):
            problems.add(document.mark, "PM750", "", f"limits.{limit} is {most} here, and this mapping needs {needed}")
        return Loaded(
            document.id, document.version, overlay.name if overlay else None, overlay.version if overlay else None,
            overlay.endpoint if overlay else None, document, Program(checked, self.limits), losses, content,
            sha256(manifest(content)).hexdigest(), place_of(overlay.node if overlay else one.node, "version"), asked,
        )  # fmt: skip

    @staticmethod
    def _asked(document: Document, maps: Mapping[str, CodeMap], content: Mapping[str, bytes]) -> Needs:
        bodies = {name: one.value["body"] for name, one in document.fragments.items.items() if "body" in one.value}
        sizes = (len(data) for label, data in content.items() if label.endswith(".yaml"))
        return needs(document.resources or document.record, bodies, (len(one.entries) for one in maps.values()), sizes)

    def _content(self, checked: Checked, used: set[str]) -> Mapping[str, bytes]:
        more = {label: data for form in checked.instruments for label, data in self.instruments[form].files.items()}
        return unified({**self.folder.content(used), **more})

    def _code_maps(self, document: Document, problems: Problems, used: set[str]) -> tuple[dict[str, CodeMap], Lists]:
        """The code maps, tables and instruments of a document; `used` takes the files they come from."""

        def beside(name: str, mark: Mark, address: str) -> tuple[str, str] | None:
            found = self.folder.beside(name, mark, address, problems)
            used.update([found[0]] if found else [])
            return found

        def canonical(url: str) -> tuple[str, str] | None:
            path = self._canonicals().get(url)
            text = self.folder.read(path, document.mark, "conceptMaps", problems, MAX_TABLE_BYTES) if path else None
            if path is None or text is None:
                return None
            used.add(self.folder.label(path))
            return self.folder.label(path), text

        reader = CodeMaps(document.systems, problems, beside, canonical)
        found: dict[str, CodeMap] = {}
        for name, node in document.code_maps.items():
            mark = document.code_map_marks[name]
            broken = CodeMap(name, mark, {}, {}, provided=True, broken=True)
            found[name] = reader.read(name, node, mark) or broken
        bands = Bands(reader, problems, self._bands_of).read(document.bands.items, document.bands.marks)
        return found, Lists(
            tables.read(document.tables, beside, problems), bands, self.instruments, self.outlines, self.policy
        )

    def _canonicals(self) -> Mapping[str, Path]:
        """The ConceptMaps below the folder, listed when the first canonical is asked for."""
        if self.concept_maps is None:
            self.concept_maps = concept_maps.index(self.root)
        return self.concept_maps

    def _bands_of(self, instrument: str, score: str | None) -> Sequence[tuple[Decimal, str]] | None:
        form = self.instruments.get(instrument)
        return None if form is None else form.bands_of(score)


_NOTHING = Node("map", {}, Mark("", 1, 1))
_NO_RECORD = Node("map", {"format": Node("scalar", "json", Mark("", 1, 1)), "fields": _NOTHING}, Mark("", 1, 1))


def _imports(node: Node) -> list[Node]:
    found = node.value.get("imports")
    return [] if found is None else [found]


def _key(problem: Problem) -> tuple[Mark, str, str]:
    return problem.mark, problem.code, problem.what
