"""Which elements the values of sensitive fields may reach: `config/privacy.yaml`, and what holds without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.fhir.definitions import Definitions, r4
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import keys

FILE = "privacy.yaml"
DEFAULT = "default"  # of `sensitive: true`, and of every label that has no entry of its own
TEXTS = frozenset(("string", "markdown", "xhtml"))
FREE_TEXT = (
    "text", "display", "note", "comment", "description", "title", "div", "conclusion", "valueString", "markdown",
    "xhtml",
)  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """What one label may reach.

    elements  `Type`, `Type.element` with all below it, the name of a text wherever it stands, or a type of texts
    allows    whether these are the only ones it may reach, or those it may not
    mark      where the file says so; None for what holds without one
    """

    elements: tuple[str, ...]
    allows: bool = False
    mark: Mark | None = None

    def permits(self, steps: tuple[str, ...], kind: str) -> bool:
        """Whether a value may stand in an element.

        steps  the type of the resource and the elements below it; the first is "" inside a fragment by itself
        kind   the type of the element
        """
        if self.allows and not steps[0]:
            return True  # told where the fragment is used
        found = any(_names(one, steps, kind) for one in self.elements)
        return found if self.allows else not found


def _names(element: str, steps: tuple[str, ...], kind: str) -> bool:
    if element in ("markdown", "xhtml"):
        return kind == element
    if element[0].islower():
        return kind in TEXTS and steps[-1] == element
    wanted = element.split(".")
    return len(wanted) <= len(steps) and all(map(_is, wanted, steps))


def _is(wanted: str, step: str) -> bool:
    stem = wanted.removesuffix("[x]")
    return step == wanted or (stem != wanted and step.startswith(stem) and step[len(stem) :][:1].isupper())


@dataclass(frozen=True)
class Policy:
    """What each label may reach."""

    labels: Mapping[str, Reach]

    def of(self, label: str) -> Reach:
        """The entry of a label, or the one for all others."""
        return self.labels.get(label) or self.labels.get(DEFAULT) or USUAL


USUAL = Reach(FREE_TEXT)
UNTOLD = Policy({})


def beside(mappings: Path) -> Path:
    """Where the policy lies, for tools that know the folder of the mappings alone."""
    return mappings.resolve().parent / "config" / FILE


def read(path: Path, problems: Problems) -> Policy:
    """The policy of a file; what holds without one where there is none, after noting what is wrong with it."""
    if not path.is_file():
        return UNTOLD
    label = Path(path.parent.name) / path.name
    try:
        node = compose(label, text=path.read_text("utf-8"))
    except (YamlProblem, OSError, UnicodeDecodeError) as fault:
        mark = fault.mark if isinstance(fault, YamlProblem) else Mark(label.as_posix(), 1, 1)
        problems.add(mark, "PM001", "", str(fault) if isinstance(fault, YamlProblem) else "the file cannot be read")
        return UNTOLD
    labels = node.value.get("labels") if keys(node, ("labels",), frozenset(), "", problems) else None
    if labels is None or labels.kind != "map":
        problems.add(
            node.mark if labels is None else labels.mark, "PM007", "labels", "a map of labels is expected here"
        )
        return UNTOLD
    entries = {name: _entry(name, one, problems) for name, one in labels.value.items()}
    return Policy({name: one for name, one in entries.items() if one is not None})


def _entry(name: str, node: Node, problems: Problems) -> Reach | None:
    address = f"labels.{name}"
    if not keys(node, ("allow", "refuse"), frozenset(), address, problems):
        return None
    said = next(iter(node.value.items()), None)
    if len(node.value) != 1 or said is None or said[1].kind != "list":
        what = "a label has 'allow' or 'refuse', a list of elements"
        problems.add(node.mark, "PM007", address, what, "refuse: [text, display, Observation.note]")
        return None
    elements = tuple(found for one in said[1].value for found in _element(one, address, problems))
    return Reach(elements, said[0] == "allow", node.mark)


def _element(node: Node, address: str, problems: Problems) -> Iterator[str]:
    """One element, its choices spelled with [x]; nothing after noting that R4 has none of that name."""
    text = node.value if node.kind == "scalar" and isinstance(node.value, str) else ""
    known = r4()
    kind, *steps = text.split(".")
    if not known.is_resource(kind):
        if text in FREE_TEXT or (text and any(known.element(one, text) for one in _types(known))):
            yield text
        else:
            hint = nearest(kind, [*known.resources(), *FREE_TEXT]) or "write Observation.note, or text"
            problems.add(node.mark, "PM202", address, "this is not an element of R4", hint)
        return
    found = [kind]
    for step in steps:
        element = known.element(kind, step)
        if element is None and not known.choices(kind, step):
            hint = nearest(step, known.elements(kind))
            problems.add(node.mark, "PM202", address, f"{kind} has no element '{step}'", hint)
            return
        found.append(step if element is not None else f"{step}[x]")
        kind = element.type if element is not None else ""
    yield ".".join(found)


def _types(known: Definitions) -> Iterator[str]:
    """The resources and every type below them."""
    waiting, seen = list(known.resources()), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += [one.type for one in known.elements(name).values()]
