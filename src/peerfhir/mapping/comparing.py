"""`map diff`: the outputs of two mappings on the same records, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peerfhir.mapping.aside import Made
from peerfhir.mapping.difference import Change, changes, keyed, shown, step_proposed
from peerfhir.mapping.examples import examples
from peerfhir.mapping.inputs import of_file
from peerfhir.mapping.shelf import Opened

Json = Any


@dataclass(frozen=True)
class Compared:
    """What differs.

    changed  path and kind -> the changes there, one per record that differs
    records  how many records were compared
    step     the part of the version such a difference asks for
    """

    changed: dict[tuple[str, str], list[Change]]
    records: int
    step: str

    def lines(self) -> Iterator[str]:
        """One line per place that differs, with how many records differ there."""
        if not self.changed:
            yield f"no difference on {self.records} records"
            return
        width = max(len(path) for path, _ in self.changed) + 2
        for (path, kind), found in self.changed.items():
            yield f"{path:<{width}}{_what(kind, found)}   {len(found)} of {self.records} records"
        yield f"raise the version: {self.step}"

    def json(self) -> str:
        """For a program."""
        from peerfhir.fhir import writer

        found = [{"path": path, "kind": kind, "records": len(one)} for (path, kind), one in self.changed.items()]
        return writer.indented({"records": self.records, "changes": found, "version": self.step})


def _what(kind: str, found: list[Change]) -> str:
    if kind != "changed":
        return "absent -> present" if kind == "added" else "present -> absent"
    pairs = {(shown(one.before), shown(one.after)) for one in found}
    return " -> ".join(pairs.pop()) if len(pairs) == 1 else f"{len(pairs)} different changes"


def compared(a: Opened, b: Opened, corpus: Path | None = None) -> Compared:
    """The difference of two mappings on the examples of the first, or on every file of a folder."""
    changed: dict[tuple[str, str], list[Change]] = {}
    count = 0
    for path in sorted(corpus.iterdir()) if corpus is not None else [one.input for one in examples(a)[0]]:
        if not path.is_file():
            continue
        for before, after in zip(_outputs(a, path), _outputs(b, path), strict=False):
            count += 1
            for one in changes(before, after):
                changed.setdefault((one.path, one.kind), []).append(one)
    flat = [one for found in changed.values() for one in found]
    return Compared(changed, count, step_proposed(flat))


def _outputs(opened: Opened, path: Path) -> Iterator[Json]:
    """What each record becomes, by the author's names; a failed one by its codes."""
    for one in of_file(opened, path):
        if isinstance(one, Made):
            yield keyed(one.result.resources, one.result.values)
        else:
            yield {"error": ", ".join(each.code for each in one.problems)}
