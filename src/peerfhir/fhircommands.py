"""Validation and packages on the command line: resources judged without a database or a server.

Results go to standard output, progress and faults to standard error. Exit codes: 0 no error found; 1 errors found;
2 usage or file not found; 3 our fault.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peerfhir.terminal import misused

if TYPE_CHECKING:
    from peerfhir.fhir.examine import Examined
    from peerfhir.fhir.judge import Judge

commands = typer.Typer(no_args_is_help=True, help="FHIR packages: profiles that this site holds resources to.")

Config = Annotated[Path, typer.Option("--config", envvar="PEERFHIR_CONFIG", help="The folder config/.")]
DEFAULT = Path("config")
_FORMATS = ("text", "json", "operationoutcome")
_LONG_BYTES = 4 * 1024 * 1024  # from here on progress is shown


def validate(
    files: Annotated[list[Path], typer.Argument(help="JSON or NDJSON files, folders of them, or - (standard input).")],
    package: Annotated[
        list[Path] | None, typer.Option("--package", help="A FHIR package: .tgz or folder. May be repeated.")
    ] = None,
    profile: Annotated[
        list[str] | None, typer.Option("--profile", help="A profile to hold to beside those claimed. May be repeated.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, json or operationoutcome.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="A reference to a wrong type is an error.")] = False,
    config: Config = DEFAULT,
) -> None:
    """Hold resources against R4, the profiles they claim, and those that are asked for."""
    from peerfhir.fhir import examine

    if form not in _FORMATS:
        misused(f"--format {form}: it is one of {', '.join(_FORMATS)}")
    try:
        paths = examine.files_of(files)
    except FileNotFoundError as missing:
        misused(str(missing))
    judge = _judge(config, package or [])
    for url in profile or ():
        plain = url.split("|")[0]
        if judge.profiles.type_of(plain) is None and not judge.profiles.is_base(plain):
            misused(f"--profile {url}: no package has it; add one with --package, or see `peerfhir packages list`")
    print_one = {"text": _text, "json": _json, "operationoutcome": _outcome}[form]
    counts = [0, 0]  # resources, and those with errors

    def every(done: Callable[[int], None]) -> Iterator[Examined]:
        for path in paths:
            for one in examine.examine(path, judge, profile or (), strict=strict, done=done):
                counts[0] += 1
                counts[1] += not one.is_right
                yield one

    with _progress(paths) as done:
        for line in print_one(every(done)):
            typer.echo(line)
    typer.echo(f"{counts[0]} resource(s), {counts[1]} with errors", err=True)
    raise typer.Exit(1 if counts[1] else 0)


@commands.command("add")
def add(
    source: Annotated[Path, typer.Argument(help="A .tgz as a registry hands out, or a folder of JSON files.")],
    name: Annotated[str | None, typer.Option(help="Its name, where it says none or another is wanted.")] = None,
    config: Config = DEFAULT,
) -> None:
    """Keep a package for this site, compiled; running services take it when they start again."""
    from peerfhir.fhir import site
    from peerfhir.fhir.packages import is_name

    if not source.exists():
        misused(f"{source} is not there")
    if name is not None and not is_name(name):
        misused("--name: a letter or digit, then letters, digits, '.', '_' and '-', 100 in all")
    package, profiles = site.add(config / site.FOLDER, source, name)
    typer.echo(
        f"added     {package.label}: {len(package.definitions)} definitions, {len(package.value_sets)} value sets"
    )
    typer.echo(f"profiles  {len(profiles.urls())} of all packages compiled")
    for problem in profiles.problems:
        typer.echo(f"problem   {problem}")
    for note, times in sorted(profiles.notes.items()):
        typer.echo(f"unchecked {note}{f', {times} times' if times > 1 else ''}")


@commands.command("list")
def list_(config: Config = DEFAULT) -> None:
    """List the packages of this site."""
    from peerfhir.fhir import site

    paths = site.installed(config / site.FOLDER)
    if not paths:
        typer.echo("none")
    for path in paths:
        name, _, version = path.stem.partition("#")
        typer.echo(f"{name}  {version or '-'}  {path.stat().st_size / 1024:.0f} KiB")


@commands.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="As `peerfhir packages list` shows it.")], config: Config = DEFAULT
) -> None:
    """Drop a package of this site; running services keep it until they start again."""
    from peerfhir.fhir import site

    if not site.remove(config / site.FOLDER, name):
        typer.echo("There is no package of that name.", err=True)
        raise typer.Exit(1)
    typer.echo("removed")


def _judge(config: Path, packages: list[Path]) -> Judge:
    from peerfhir.fhir import site

    for path in packages:
        if not path.exists():
            misused(f"{path} is not there")
    return site.judge_of((*site.installed(config / site.FOLDER), *packages), config / site.FOLDER / site.CACHE)


@contextmanager
def _progress(paths: list[Path]) -> Iterator[Callable[[int], None]]:
    """A bar on standard error where a terminal is there to show it, unless input is short or results stand there."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    if total < _LONG_BYTES or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("validating", total=total)
        yield lambda size: bar.advance(task, size)


def _text(examined: Iterable[Examined]) -> Iterator[str]:
    for one in examined:
        if one.is_right:
            yield f"{one.file}:{one.line}: {one.kind}: no error"
        for finding, line in one.findings:
            place = f" {finding.expression}:" if finding.expression else ""
            yield f"{one.file}:{line}: {finding.severity}:{place} {finding.text} [{finding.code}]"


def _json(examined: Iterable[Examined]) -> Iterator[str]:
    from peerfhir.fhir.writer import write

    for one in examined:
        found = [
            {"severity": finding.severity, "code": finding.code, "expression": finding.expression, "line": line,
             "text": finding.text, "rule": finding.rule}
            for finding, line in one.findings
        ]  # fmt: skip
        row = {
            "file": str(one.file),
            "line": one.line,
            "resourceType": one.kind,
            "valid": one.is_right,
            "issues": found,
        }
        yield write(row).decode()


def _outcome(examined: Iterable[Examined]) -> Iterator[str]:
    from peerfhir.fhir.issues import outcome
    from peerfhir.fhir.writer import write

    for one in examined:
        findings = [finding for finding, _ in one.findings]
        yield write(outcome(findings, lines=[line for _, line in one.findings])).decode()
