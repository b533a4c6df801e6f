"""What `map check` and `map show` say: the state of each document, a mapping as it will run, and what it loses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from peerfhir.config import Node as Yaml
from peerfhir.mapping.examples import lacking
from peerfhir.mapping.fields import Field
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.shelf import File, Opened, Shelf
from peerfhir.mapping.told import columns, counted


@dataclass(frozen=True)
class Checked:
    """What checking found.

    rows      document, state, and what is in it
    problems  of every document, with those about missing examples
    advice    sentences about what is not wrong and may be better otherwise
    """

    rows: tuple[tuple[str, str, str, str], ...]
    problems: tuple[Problem, ...]
    advice: tuple[str, ...] = ()

    def lines(self, seconds: float) -> Iterator[str]:
        """A table for a person, with the sum at its end."""
        table = columns(list(self.rows))
        errors = sum(one.severity == "error" for one in self.problems)
        warnings = sum(one.severity == "warning" for one in self.problems)
        yield from table
        yield from self.advice
        total = f"{counted(len(self.rows), 'document')}, {counted(errors, 'error')}, {counted(warnings, 'warning')}"
        width = max((len(line) for line in table), default=0)
        yield f"{total:<{max(width - 8, len(total) + 2)}}{seconds:6.2f} s"


def checked(shelf: Shelf, paths: tuple[Path, ...] = ()) -> Checked:
    """Every document of the folder, or only those at or below `paths`."""
    rows: list[tuple[str, str, str, str]] = []
    problems: list[Problem] = []
    advice: list[str] = []
    for file in shelf.files:
        here = file.path.resolve()
        if paths and not any(here == path or path in here.parents for path in paths):
            continue
        found = list(file.problems)
        if file.opened is not None:
            found += lacking(file.opened)
            advice += _advice(file, shelf.find(file.opened.id))
        errors = sum(one.severity == "error" for one in found)
        rows.append(_row(file, errors))
        problems += found
    problems += shelf.loose if not paths else ()
    return Checked(tuple(rows), tuple(problems), tuple(advice))


def _advice(file: File, base: Opened | None) -> Iterator[str]:
    """An overlay under which more than a third of its base's rules are others is nearly a mapping of its own."""
    if file.opened is None or base is None or file.opened.overlay is None:
        return
    under = {(one.address, one.text) for one in file.opened.rules}
    changed = sum((one.address, one.text) not in under for one in base.rules)
    if 3 * changed > len(base.rules):
        yield (
            f"hint: {file.label} changes {changed} of the {len(base.rules)} rules of '{base.id}': "
            "a mapping of its own may be easier to read"
        )


def _row(file: File, errors: int) -> tuple[str, str, str, str]:
    state = "ok" if not errors else counted(errors, "error")
    opened = file.opened
    if file.changed is not None:
        shown = "/".join(Path(file.label).parts[-2:])
        return (f"  + {shown}", state, counted(file.changed, "rule") + " changed", "")
    if opened is None:
        return (file.label, state, "", "")
    made = opened.checked.template.resources
    what = counted(len(made), "resource") if made else "1 record"
    return (file.label, state, what, counted(len(opened.rules), "rule"))


def lost(opened: Opened, form: str, base: Opened | None = None) -> Iterator[str]:
    """The report of what is lost; exact fields are told by their number alone."""
    from peerfhir.mapping.lossy import losses

    found = losses(opened, base)
    if form == "json":
        from peerfhir.fhir import writer

        rules = [
            {"rule": rule.address, "line": rule.mark.line, "text": rule.text, "why": why} for rule, why in found.rules
        ]
        fields = [one.told() for one in found.fields]
        yield writer.indented({"mapping": opened.name, "fields": fields, "rules": rules, "summary": found.summary()})
        return
    rows = [(one.field, one.kind, one.where if one.kind == "exact" else one.why) for one in found.fields]
    yield from columns(rows, 3)
    if found.rules:
        yield "rules that cannot be undone:"
        yield from (f"  {rule.address} ({rule.mark.line}:{rule.mark.column}): {why}" for rule, why in found.rules)
    yield found.summary()


def resolved_lines(opened: Opened, form: str, *, origins: bool) -> Iterator[str]:
    """The mapping as it runs: fields, then one rule a line; with the origin of each line where that is asked."""
    from peerfhir.mapping.lossy import leaves

    rules = opened.rules
    source = opened.checked.source
    fields = list(leaves(source.fields))
    if form == "json":
        from peerfhir.fhir import writer

        yield writer.indented({
            "mapping": opened.id, "overlay": opened.overlay, "version": opened.checked.document.version,
            "fields": [{"name": path, "type": one.kind, "required": one.required, "unused": _note(one)}
                       for path, one in fields],
            "rules": [{"address": one.address, "kind": one.kind, "text": one.text, "file": one.mark.path,
                       "line": one.mark.line, "column": one.mark.column, "reads": sorted(one.reads)} for one in rules],
        })  # fmt: skip
        return
    yield f"{opened.name} {opened.checked.document.version}  {opened.checked.document.title}".rstrip()
    rows = [(f"  {path}", one.kind + ("!" if one.required else ""), _note(one), str(one.mark)) for path, one in fields]
    yield from columns(rows if origins else [row[:3] for row in rows], 2)
    rules_rows = [(f"  {one.address}", _said(one.node), str(one.mark)) for one in rules]
    yield from columns(rules_rows if origins else [row[:2] for row in rules_rows], 2)


def _note(field: Field) -> str:
    said = field.because if field.unused else ""
    return f"unused: {said}" if said else "unused" if field.unused else ""


def _said(node: Yaml) -> str:
    text = str(node.value) if node.quoted else node.raw
    return text if len(text) <= 90 else f"{text[:87]}..."
