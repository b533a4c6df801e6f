"""The command line of mappings, called as a person calls it, and folders of mappings for it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from peerfhir.fhir import writer
from peerfhir.mapcommands import commands
from peerfhir.mapping.examples import examples, rewrite
from peerfhir.mapping.shelf import look
from tests.mapping import samples
from tests.support.mapping_folder import CANONICAL

# a terminal that is wide and plain, outside of CI
CALM = {"CI": "", "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1", "FORCE_COLOR": "", "GITHUB_ACTIONS": ""}
CSV_HEADER = ",".join(samples.referral())


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def call(*arguments: object, env: dict[str, str] | None = None) -> Said:
    """One `peerfhir map` command."""
    found = CliRunner().invoke(commands, [str(one) for one in arguments], env={**CALM, **(env or {})})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Said(found.exit_code, found.stdout, found.stderr)


def worked(folder: Path) -> Path:
    """A copy of the three worked examples, as a folder `mappings`."""
    return Path(shutil.copytree(samples.DOCUMENTS, folder / "mappings"))


def example(
    mappings: Path, mapping: str, name: str, data: object, expected: str | None = None, error: str = ""
) -> Path:
    """An example beside a mapping: its input as JSON or CSV, and what it must give or how it must fail."""
    folder = mappings / mapping / "examples"
    folder.mkdir(exist_ok=True)
    text = data if isinstance(data, str) else writer.indented(data)
    path = folder / f"{name}.input.{'csv' if isinstance(data, str) else 'json'}"
    path.write_text(text, "utf-8")
    if error:
        (folder / f"{name}.error.txt").write_text(error, "utf-8")
    else:
        (folder / f"{name}.expected.json").write_text(expected or "{}", "utf-8")
    return path


def row(**changes: str) -> str:
    """One line of the referral table."""
    return ",".join(f'"{value}"' for value in samples.referral(**changes).values())


def table(*rows: str) -> str:
    """A referral table."""
    return "\n".join((CSV_HEADER, *rows)) + "\n"


def accept_outputs(mappings: Path, name: str) -> None:
    """Write what the examples of a mapping give, as a person would after looking at it."""
    opened = look(mappings, CANONICAL).find(name)
    assert opened is not None
    for one in examples(opened)[0]:
        if one.error is None:
            rewrite(opened, one)
