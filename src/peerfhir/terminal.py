"""What every command answers at a terminal when it is asked wrongly, and how it tells the problems of documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peerfhir.mapping.problems import Problem


def misused(what: str) -> NoReturn:
    """Say what is wrong with the command; it ends with exit code 2."""
    typer.echo(what, err=True)
    raise typer.Exit(2)


def one_of(value: str, allowed: Sequence[str]) -> None:
    """An option that takes some words takes no other."""
    if value not in allowed:
        misused(f"'{value}' is not one of {', '.join(allowed)}.")


def tell(problems: Iterable[Problem]) -> None:
    """Problems with their places, on standard error."""
    from peerfhir.mapping.told import written

    found = list(problems)
    if found:
        typer.echo(written(found, "text"), err=True)
