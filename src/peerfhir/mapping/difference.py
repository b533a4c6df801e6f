"""Two JSON values compared by meaning: key order does not matter, list order and the digits of decimals do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Json = Any
ABSENT = object()
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two outputs differ; `before` or `after` is ABSENT where there is nothing."""

    path: str
    before: Json
    after: Json

    @property
    def kind(self) -> str:
        """added, removed or changed."""
        return "added" if self.before is ABSENT else "removed" if self.after is ABSENT else "changed"


def changes(before: Json, after: Json, path: str = "") -> Iterator[Change]:
    """Every place where `after` differs from `before`, in the order of the output."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{path}.{key}" if path else str(key)
            yield from changes(before.get(key, ABSENT), after.get(key, ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for at in range(max(len(before), len(after))):
            one = before[at] if at < len(before) else ABSENT
            other = after[at] if at < len(after) else ABSENT
            yield from changes(one, other, f"{path}[{at}]")
    elif not _equal(before, after):
        yield Change(path, before, after)


def _equal(before: Json, after: Json) -> bool:
    if before is ABSENT or after is ABSENT:
        return before is after
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, Decimal) or isinstance(after, Decimal):
        return str(before) == str(after)
    return type(before) is type(after) and bool(before == after)


def shown(value: Json) -> str:
    """A value for a person's eyes: JSON on one line, cut when it is long."""
    if value is ABSENT:
        return "absent"
    from peerfhir.fhir import writer

    text = writer.write(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def keyed(resources: Mapping[str, list[Json]], values: Json) -> dict[str, Json]:
    """The output of one record by the author's names: `task`, or `encounter[1]` where there are several."""
    if not resources:
        return {"record": values}
    found: dict[str, Json] = {}
    for name, made in resources.items():
        for at, one in enumerate(made):
            found[name if len(made) == 1 else f"{name}[{at}]"] = one
    return found


def step_proposed(found: list[Change]) -> str:
    """Which part of the version a difference asks for, by what changed in the output.

    Source  docs/mapping-guide.md, Versions
    """
    kinds = {one.kind for one in found}
    if not found:
        return "patch"
    if kinds == {"added"}:
        return "minor"
    labels = all(one.path.endswith((".display", ".text", ".div")) for one in found)
    return "patch" if labels else "major"
