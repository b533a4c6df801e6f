"""Instruments on the command line: add, check, test and list, without a database or a server.

Results go to standard output, diagnostics to standard error. Exit codes: 0 done, nothing wrong; 1 problems found;
2 usage or file not found; 3 our fault.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peerfhir.terminal import misused, one_of, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peerfhir.adapters.instruments import Shelved

commands = typer.Typer(no_args_is_help=True, help="Questionnaires with scores: add, check, test and list them.")

Config = Annotated[Path, typer.Option("--config", envvar="PEERFHIR_CONFIG", help="The folder config/.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these.")]
DEFAULT = Path("config")
FOLDER = "instruments"


@commands.command()
def add(
    ident: Annotated[str, typer.Argument(metavar="ID", help="As in addresses and mappings: gad-7.")],
    source: Annotated[Path, typer.Option("--from", help="A FHIR Questionnaire as JSON.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Make the folder in here instead of config/instruments.")
    ] = None,
    config: Config = DEFAULT,
) -> None:
    """Make the folder of an instrument from its questionnaire; `check` then says what a person has to decide."""
    from peerfhir.adapters.instrument_start import start
    from peerfhir.mapping.syntax import ID

    folder = output or config / FOLDER
    if not ID.fullmatch(ident):
        misused(f"'{ident}' is no id of an instrument: small letters, digits and hyphens.")
    if not source.is_file():
        misused(f"{source} is not there.")
    if (folder / ident).exists():
        misused(f"{folder / ident} is there already.")
    made = start(ident, source, folder)
    tell(made.problems)
    for path in made.paths:
        typer.echo(f"wrote {path}")
    for note in made.notes:
        typer.echo(f"  {note}")
    raise typer.Exit(0 if made.paths else 1)


@commands.command()
def check(
    idents: Ids = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, json, github or operationoutcome.")] = "text",
    config: Config = DEFAULT,
) -> None:
    """Check every instrument: its two files against each other and against R4, its expressions, its examples."""
    from peerfhir.mapping.told import FORMS, columns, written

    one_of(form, FORMS)
    found = _look(config, idents)
    problems = [problem for one in found for problem in one.problems]
    if form == "text":
        tell(problems)
        for line in columns([(str(one.folder), _state(one)) for one in found]):
            typer.echo(line)
    else:
        typer.echo(written(problems, form))
    bad = [one for one in problems if one.severity == "error" or (strict and one.severity == "warning")]
    raise typer.Exit(1 if bad else 0)


@commands.command(name="test")
def try_examples(
    idents: Ids = None,
    word: Annotated[str, typer.Option("-k", help="Only examples whose name holds this.")] = "",
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    config: Config = DEFAULT,
) -> None:
    """Run the examples of every instrument, and say which of those that each needs are not there."""
    from peerfhir.adapters.instrument_trials import tried

    one_of(form, ("text", "json"))
    found = _look(config, idents, tried=False)
    _refuse(found)
    made = [tried(one.folder, one.instrument, word) for one in found if one.instrument is not None]
    if form == "json":
        from peerfhir.fhir.writer import indented

        typer.echo(indented([one.json() for one in made]))
    else:
        for one in made:
            for line in one.lines():
                typer.echo(line)
    raise typer.Exit(1 if any(one.failed for one in made) else 0)


@commands.command(name="list")
def list_(
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text", config: Config = DEFAULT
) -> None:
    """List the instruments: what each asks, how it is scored, and under which licence."""
    from peerfhir.adapters.instrument_trials import Row, row
    from peerfhir.mapping.told import columns

    one_of(form, ("text", "json"))
    found = _look(config, None)
    listed = [made for one in found if (made := row(one)) is not None]
    if form == "json":
        from peerfhir.fhir.writer import indented

        typer.echo(indented([one.json() for one in listed]))
    elif listed:
        for line in columns([Row.HEAD, *(one.cells() for one in listed)], gap=2):
            typer.echo(line)
    else:
        typer.echo("none")
    _refuse(found)


# -- what the commands share ---------------------------------------------------------------------------------


def _look(config: Path, idents: Sequence[str] | None, *, tried: bool = True) -> list[Shelved]:
    """The folders of the instruments that were asked for, each with what is wrong with it."""
    from peerfhir.adapters.instruments import look

    folder = config / FOLDER
    if not folder.is_dir():
        misused(f"{folder} is not there; run this where config/ is, or say --config.")
    for ident in idents or ():
        if not (folder / ident).is_dir():
            misused(f"There is no instrument '{ident}' in {folder}.")
    return list(look(folder, tried=tried, only=idents or None))


def _state(one: Shelved) -> str:
    from peerfhir.mapping.told import counted

    errors = sum(problem.severity == "error" for problem in one.problems)
    warnings = len(one.problems) - errors
    if errors:
        return counted(errors, "error")
    return f"ok, {counted(warnings, 'warning')}" if warnings else "ok"


def _refuse(found: Sequence[Shelved]) -> None:
    """An instrument with errors is neither listed nor tried."""
    bad = [problem for one in found for problem in one.problems if problem.severity == "error"]
    if bad:
        tell(bad)
        raise typer.Exit(1)
