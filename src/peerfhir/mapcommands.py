"""Mappings on the command line: check, run, test, diff, explain, show, init, schema, export and import.

Results go to standard output, diagnostics to standard error. Exit codes: 0 good, 1 problems, 2 usage, 3 our fault.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peerfhir.terminal import misused, one_of, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from peerfhir.mapping.shelf import Opened, Shelf

commands = typer.Typer(no_args_is_help=True, help="Mappings: check, run, test, explain and exchange them.")

Folder = Annotated[Path, typer.Option("--mappings", envvar="PEERFHIR_MAPPINGS", help="The folder mappings/.")]
Form = Annotated[str, typer.Option("--format", help="text or json.")]
Overlay = Annotated[str | None, typer.Option("--overlay", help="The overlay's name, as its file is called.")]
Out = Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead, whole or not at all.")]
DEFAULT = Path("mappings")


@commands.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only these files or folders are reported.")] = None,
    mappings: Folder = DEFAULT,
    profile: Annotated[
        str | None, typer.Option(help="Hold resources of its type to this profile, an alias under profiles.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, json, github or operationoutcome.")] = "text",
) -> None:
    """Check every document; nothing is run. Mappings need examples beside them."""
    from time import perf_counter

    began = perf_counter()
    with _nothing_collected():
        from peerfhir.mapping.overview import checked
        from peerfhir.mapping.told import FORMS, written

        one_of(form, FORMS)
        for path in paths or []:
            if not path.exists():
                misused(f"{path} is not there.")
        shelf = _shelf(mappings, profile)
        if profile is not None and profile not in shelf.aliases:
            misused(f"No mapping has the alias '{profile}' under profiles.")
        found = checked(shelf, tuple(path.resolve() for path in paths or ()))
    if form == "text":
        tell(found.problems)
        for line in found.lines(perf_counter() - began):
            typer.echo(line)
    else:
        typer.echo(written(found.problems, form))
    bad = [one for one in found.problems if one.severity == "error" or (strict and one.severity == "warning")]
    raise typer.Exit(1 if bad else 0)


@commands.command()
def run(
    mapping_id: Annotated[str, typer.Argument(metavar="ID")],
    source: Annotated[Path, typer.Option("--input", help="The file with the records; - is standard input.")],
    overlay: Overlay = None,
    record: Annotated[int, typer.Option(help="Only this record, counted from 1.")] = 0,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One line per record, as they come.")] = False,
    validate: Annotated[bool, typer.Option("--validate", help="Hold every result to R4 as well.")] = False,
    now: Annotated[str | None, typer.Option(help="What now() and today() say.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show on standard error what each rule gave.")] = False,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show values of sensitive fields too.")] = False,
    output: Out = None,
    errors: Annotated[
        Path | None, typer.Option(help="Failed records as CSV: row, column, reason. Beside -o unless told.")
    ] = None,
    mappings: Folder = DEFAULT,
) -> None:
    """Map every record of a file and print what it becomes. Nothing is sent anywhere."""
    from peerfhir.mapping.running import Running

    opened = _find(mappings, mapping_id, overlay)
    running = Running(
        opened, _readable(source), record=record, ndjson=ndjson, validate=validate, now=_moment(now), trace=trace,
        show=show_values,
    )  # fmt: skip
    aside = errors or (output.with_name(f"{output.name}.errors.csv") if output else None)
    failed = running.into(output, aside, typer.echo, lambda line: typer.echo(line, err=True))
    raise typer.Exit(3 if running.broken else 1 if failed else 0)


@commands.command(name="test")
def try_examples(
    mapping_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    word: Annotated[str, typer.Option("-k", help="Only examples whose name holds this.")] = "",
    coverage: Annotated[bool, typer.Option("--coverage", help="Say what the examples reach.")] = False,
    min_coverage: Annotated[int, typer.Option(help="Percent of the rules that must be reached.")] = 0,
    update: Annotated[
        bool, typer.Option("--update", help="Rewrite expected files, after showing what differs.")
    ] = False,
    mappings: Folder = DEFAULT,
    form: Form = "text",
) -> None:
    """Run the examples beside the mappings."""
    from peerfhir.mapping.trials import tried

    one_of(form, ("text", "json"))
    if update and os.environ.get("CI"):
        misused("--update is refused where CI is set: expected files are reviewed first.")
    if not 0 <= min_coverage <= 100:
        misused("--min-coverage is a percentage, 0 to 100.")
    shelf = _shelf(mappings)
    _refuse_errors(shelf, mapping_id)
    chosen = [one for one in shelf.opened if mapping_id in (None, one.id, one.name)]
    if mapping_id is not None and not chosen:
        misused(f"There is no mapping '{mapping_id}' in {mappings}.")
    found = tried(chosen, word, coverage=coverage or min_coverage > 0, minimum=min_coverage, update=update)
    if word and not any(one.verdicts for one in found.ones):
        misused(f"No example's name holds '{word}'.")
    for line in found.lines() if form == "text" else [found.json()]:
        typer.echo(line)
    raise typer.Exit(1 if found.failed else 0)


@commands.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="id, id+overlay, either @version, or the path of a mapping.")],
    b: Annotated[str, typer.Argument(metavar="B")],
    examples: Annotated[bool, typer.Option("--examples", help="Compare on the examples; this is the default.")] = False,
    corpus: Annotated[Path | None, typer.Option(help="Compare on the files of this folder instead.")] = None,
    mappings: Folder = DEFAULT,
    config: Annotated[
        Path, typer.Option("--config", envvar="PEERFHIR_CONFIG", help="Of the service whose database keeps versions.")
    ] = Path("config"),
    form: Form = "text",
) -> None:
    """Compare the outputs of two mappings, overlays, versions or files, element by element."""
    from peerfhir.mapping.comparing import compared

    one_of(form, ("text", "json"))
    if corpus is not None and (examples or not corpus.is_dir()):
        misused("Say --examples or --corpus." if examples else f"{corpus} is not there.")
    found = compared(_any(mappings, a, config), _any(mappings, b, config), corpus)
    for line in found.lines() if form == "text" else [found.json()]:
        typer.echo(line)
    raise typer.Exit(1 if found.changed else 0)


@commands.command()
def explain(
    mapping_id: Annotated[str, typer.Argument(metavar="ID")],
    source: Annotated[Path, typer.Option("--input")],
    record: Annotated[int, typer.Option(help="Which record, counted from 1.")] = 1,
    path: Annotated[str, typer.Option("--path", help="Only this address: patient.telecom[1].")] = "",
    overlay: Overlay = None,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show values of sensitive fields too.")] = False,
    now: Annotated[str | None, typer.Option(help="What now() and today() say.")] = None,
    mappings: Folder = DEFAULT,
    form: Form = "text",
) -> None:
    """Say where every value came from, and why what is absent is absent."""
    from peerfhir.mapping.running import explanation

    one_of(form, ("text", "json"))
    opened = _find(mappings, mapping_id, overlay)
    good, lines = explanation(
        opened, _readable(source), source.name, record, path, form, now=_moment(now), show=show_values
    )
    for line in lines:
        typer.echo(line, err=not good)
    raise typer.Exit(0 if good else 1)


@commands.command()
def show(
    mapping_id: Annotated[str, typer.Argument(metavar="ID")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With the origin of each line.")] = False,
    overlay: Overlay = None,
    losses: Annotated[bool, typer.Option("--losses", help="What is lost between the record and its output.")] = False,
    mappings: Folder = DEFAULT,
    form: Form = "text",
) -> None:
    """Show a mapping after imports, overlay, fragments and rows, or what it loses."""
    from peerfhir.mapping.overview import lost, resolved_lines

    one_of(form, ("text", "json"))
    opened = _find(mappings, mapping_id, overlay)
    base = _find(mappings, mapping_id, None) if losses and overlay else None
    for line in lost(opened, form, base) if losses else resolved_lines(opened, form, origins=resolved):
        typer.echo(line)


@commands.command()
def init(
    sample: Annotated[Path, typer.Option("--from", help="A CSV, JSON or NDJSON file with a few records.")],
    mapping_id: Annotated[str | None, typer.Option("--id", help="The file's name unless told.")] = None,
    kind: Annotated[str, typer.Option("--type", help="The resource type it makes.")] = "Patient",
    mappings: Folder = DEFAULT,
) -> None:
    """Start a mapping from a sample: fields, types, formats and code lists are guessed, then yours to mend."""
    from peerfhir.mapping.starter import started

    if not sample.is_file():
        misused(f"{sample} is not there.")
    made = started(sample, mapping_id, kind, mappings)
    if isinstance(made, str):
        misused(made)
    for path, notes in made:
        typer.echo(f"wrote {path}")
        for note in notes:
            typer.echo(f"  {note}")


@commands.command()
def schema(
    kind: Annotated[str, typer.Option(help="mapping, overlay, library or instrument.")] = "mapping",
    write: Annotated[bool, typer.Option("--write", help="Fill mappings/.schema/ with all of them.")] = False,
    mappings: Folder = DEFAULT,
) -> None:
    """Print the JSON Schema of a document, for editors."""
    from peerfhir.mapping.exports import schema_json

    one_of(kind, schema_json.KINDS)
    if not write:
        typer.echo(schema_json.text(kind))
        return
    for path in schema_json.written(mappings):
        typer.echo(f"wrote {path}")


@commands.command()
def export(
    mapping_id: Annotated[str, typer.Argument(metavar="ID")],
    to: Annotated[str, typer.Option("--to", help="structuremap, fml, conceptmap, logicalmodel, table or jsonschema.")],
    inline: Annotated[bool, typer.Option("--inline", help="Code maps as conditions, not as ConceptMaps.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Leave out what cannot be said in that form.")] = False,
    output: Out = None,
    overlay: Overlay = None,
    mappings: Folder = DEFAULT,
) -> None:
    """Write a mapping in a standard form."""
    from peerfhir.mapping.exports.exchange import EXPORTS, exported
    from peerfhir.mapping.shelf import canonical_of

    one_of(to, EXPORTS)
    text, gaps = exported(_find(mappings, mapping_id, overlay), to, canonical_of(mappings), inline=inline)
    for gap in gaps:
        typer.echo(gap, err=True)
    if gaps and not partial:
        typer.echo(f"{len(gaps)} rule(s) cannot be said in {to}; --partial leaves them out.", err=True)
        raise typer.Exit(1)
    if output is None:
        typer.echo(text)
    else:
        from peerfhir.mapping.running import whole

        whole(output, text if text.endswith("\n") else f"{text}\n")


@commands.command(name="import")
def import_(
    file: Path,
    form: Annotated[str, typer.Option("--from", help="conceptmap or csv.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The folder to write into.")] = None,
) -> None:
    """Turn a ConceptMap into the CSV of a code map, or such a CSV into a ConceptMap."""
    from peerfhir.mapping.exports.importing import FORMS, imported

    one_of(form, FORMS)
    if not file.is_file():
        misused(f"{file} is not there.")
    made, problems = imported(file, form)
    if problems:
        tell(problems)
        raise typer.Exit(1)
    for name, text in made:
        if output is None:
            typer.echo(text, nl=not text.endswith("\n"))
        else:
            from peerfhir.mapping.running import whole

            output.mkdir(parents=True, exist_ok=True)
            whole(output / name, text)
            typer.echo(f"wrote {output / name}")


def check_here() -> int:
    """`check` without options, and its exit code."""
    try:
        check(None, Path(os.environ.get("PEERFHIR_MAPPINGS", DEFAULT)), strict=False, form="text")
    except typer.Exit as done:
        return done.exit_code
    return 0


# -- what the commands share ---------------------------------------------------------------------------------


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Many small objects are made and all of them kept: looking for garbage among them takes a fifth of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _shelf(folder: Path, held: str | None = None) -> Shelf:
    from peerfhir.adapters.shelves import shelf

    if not folder.is_dir():
        misused(f"{folder} is not there; run this where mappings/ is, or say --mappings.")
    return shelf(folder, held)


def _refuse_errors(shelf: Shelf, mapping_id: str | None) -> None:
    """A mapping with errors is not run; those of other mappings do not matter to it."""
    files = [one for one in shelf.files if mapping_id is None or mapping_id.partition("+")[0] in one.path.parts]
    bad = [problem for file in files for problem in file.problems if problem.severity == "error"]
    if bad:
        tell([*bad, *(one for one in shelf.loose if one.severity == "error")])
        raise typer.Exit(1)


def _find(folder: Path, mapping_id: str, overlay: str | None = None) -> Opened:
    shelf = _shelf(folder)
    name = f"{mapping_id}+{overlay}" if overlay else mapping_id
    found = shelf.find(name)
    if found is None:
        _refuse_errors(shelf, name)
        misused(f"There is no mapping '{name}' in {folder}.")
    return found


def _any(folder: Path, name: str, config: Path) -> Opened:
    """A mapping by id, id+overlay, the path of its document, or id@version as it was used, else as it is here."""
    path = Path(name)
    if path.suffix == ".yaml":
        _readable(path)
        return _find(path.resolve().parents[1], path.parent.name if path.parent.name else path.resolve().parent.name)
    plain, _, version = name.partition("@")
    if not version:
        return _find(folder, plain)
    here = _shelf(folder).find(plain)
    from peerfhir.errors import Fault, NotFound
    from peerfhir.mapping.shelf import Opened
    from peerfhir.operators import Operator
    from peerfhir.wiring import House

    try:
        if not (config / "peerfhir.yaml").is_file():
            raise NotFound("say --config of the service that used it, or the path of its document.")
        used = Operator(House.open(config, os.environ)).mapping_used(plain, version)
    except Fault as fault:
        return (
            here
            if here is not None and here.document.version == version
            else misused(f"{name} is not here: {fault.what}")
        )
    return Opened(used, here.folder if here is not None else folder / used.id, used.document.mark.path)


def _readable(path: Path) -> Path | None:
    """The path of an input, or None for standard input."""
    if str(path) == "-":
        return None
    if not path.is_file():
        misused(f"{path} is not there.")
    return path


def _moment(text: str | None) -> datetime:
    """What now() says: the instant that was given, or this one."""
    if text is None:
        from peerfhir.clock import SystemClock

        return SystemClock().now()
    from datetime import datetime

    from peerfhir.mapping.forms import fits

    if not fits("instant", text):
        misused("--now is an instant, such as 2026-03-02T10:00:00-05:00.")
    return datetime.fromisoformat(text)
