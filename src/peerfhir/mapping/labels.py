"""Sensitive fields: which an expression reads, where they may not stand, and how a resource must be labelled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from peerfhir.config import Node
from peerfhir.fhir.fhirpath.compile import Emitted
from peerfhir.mapping.fields import Fields
from peerfhir.mapping.privacy import UNTOLD, Policy
from peerfhir.mapping.problems import Problems, listed

Sensitive = frozenset[tuple[str, str]]  # name of each field and its label, "" where it has none

_STEP = re.compile(r"\.([A-Za-z]+)")  # of an address; directives are none
_CODE = re.compile(r'[a-z][a-z0-9-]*#([^\s"]+)')
_NOTHING: Sensitive = frozenset()


class Labels:
    """What the expressions of one document read of fields that are sensitive."""

    def __init__(self, problems: Problems, policy: Policy = UNTOLD) -> None:
        self._problems = problems
        self._policy = policy
        self._type = ""  # of the resource that is being checked
        self._codes: dict[int, tuple[ast.expr, Sensitive]] = {}  # by identity; the tree is kept so that it stays one
        self._places: dict[str, Sensitive] = {}
        self._reached: set[tuple[str, str]] = set()

    def read(self, found: Emitted) -> None:
        """Note what an expression reads, by itself and through the names it uses."""
        read: set[tuple[str, str]] = set()
        for shape, name in found.uses:
            field = shape.items.get(name) if isinstance(shape, Fields) else None
            if field is not None and field.sensitive is not None:
                read.add((name, field.sensitive))
        if self._places:
            for one in ast.walk(found.code):
                if isinstance(one, ast.Name):
                    read |= self._places.get(one.id, _NOTHING)
        if read:
            self._codes[id(found.code)] = (found.code, frozenset(read))
            self._reached |= read

    def bound(self, place: str, code: ast.expr) -> None:
        """A name holds what an expression gives."""
        if found := self.of(code):
            self._places[place] = found

    def of(self, code: ast.expr) -> Sensitive:
        """The sensitive fields that an expression reads."""
        return self._codes.get(id(code), (code, _NOTHING))[1]

    def begin(self, kind: str) -> None:
        """A resource of this type begins: what was read before is not its own."""
        self._reached = set()
        self._type = kind

    def reached(self) -> frozenset[str]:
        """The labels of what the resource reads."""
        return frozenset(label for _, label in self._reached if label)

    def check(self, node: Node, parts: Iterable[Emitted], kind: str, address: str) -> None:
        """PM301 where a sensitive field would reach an element that the privacy policy keeps it from."""
        fields = sorted({pair for part in parts for pair in self.of(part.code)})
        steps = (self._type, *_STEP.findall(re.sub(r"\[[^\]]*\]", "", address)))
        refused = {label: [name for name, own in fields if own == label] for _, label in fields}
        for label, names in refused.items():
            reach = self._policy.of(label)
            if reach.permits(steps, kind):
                continue
            place = "free text" if reach.mark is None else ".".join(filter(None, steps))
            what = f"the sensitive field {listed(names)} may not stand in {place}"
            notes = ((reach.mark, "the privacy policy"),) if reach.mark is not None else ()
            hint = "write a code for it, or leave it out"
            self._problems.add(node.mark, "PM301", address, what, hint, notes=notes)

    def check_security(self, resource: Node, address: str) -> None:
        """PM304 where a template writes labels without one that reaches the resource."""
        meta = resource.value.get("meta")
        security = meta.value.get("security") if meta is not None and meta.kind == "map" else None
        if security is None:
            return
        texts = list(_scalars(security))
        if any(text.startswith("=") or "{{" in text for text in texts):
            return  # known only when data flows
        written = {match.group(1) if (match := _CODE.match(text)) else text for text in texts}
        missing = sorted(self.reached() - written)
        if missing:
            what = f"meta.security is written without {listed(missing)}, which reaches this resource"
            self._problems.add(security.mark, "PM304", f"{address}.meta.security", what, "add it, or leave labels out")


def _scalars(node: Node) -> Iterable[str]:
    if node.kind == "scalar":
        yield str(node.raw)
    for one in node.value.values() if node.kind == "map" else node.value if node.kind == "list" else ():
        yield from _scalars(one)
