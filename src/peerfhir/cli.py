"""The commands of `peerfhir`; rooms are imported when a command needs them, so that the others start fast.

Exit codes: 0 done, 1 problems found, 2 usage or file not found, 3 our fault.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peerfhir.fhircommands import commands as package_commands
from peerfhir.fhircommands import validate
from peerfhir.instrumentcommands import commands as instrument_commands
from peerfhir.mapcommands import check_here
from peerfhir.mapcommands import commands as map_commands
from peerfhir.terminal import misused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from peerfhir.operators import Operator
    from peerfhir.wiring import House

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
clients = typer.Typer(no_args_is_help=True, help="Systems that may call the gateway.")
users = typer.Typer(no_args_is_help=True, help="Staff who may sign in.")
inbox = typer.Typer(no_args_is_help=True, help="What was received, and what could not be processed.")
outbox = typer.Typer(no_args_is_help=True, help="What is owed to hospitals, and what could not be delivered.")
for _name, _group in (
    ("clients", clients),
    ("users", users),
    ("inbox", inbox),
    ("outbox", outbox),
    ("map", map_commands),
    ("instruments", instrument_commands),
    ("packages", package_commands),
):
    app.add_typer(_group, name=_name)
app.command()(validate)

Config = Annotated[Path, typer.Option("--config", envvar="PEERFHIR_CONFIG", help="The folder config/.")]
Development = Annotated[bool, typer.Option("--dev", help="A changed mapping needs no new version; it is told.")]
DEFAULT_CONFIG = Path("config")


def main() -> None:
    """The console script: faults become a sentence and an exit code, never a stack trace with a record in it."""
    from peerfhir.errors import BadConfiguration, Fault
    from peerfhir.pathway.refusals import Refusal

    try:
        if sys.argv[1:] == ["map", "check"]:  # asked at every save: it goes without building every option first
            sys.exit(check_here())
        app()
    except BadConfiguration as fault:
        for problem in fault.problems:
            typer.echo(problem, err=True)
        typer.echo(f"{len(fault.problems)} problem(s); nothing was started.", err=True)
        sys.exit(1)
    except (Fault, Refusal) as fault:
        typer.echo(str(fault), err=True)
        if advice := getattr(fault, "advice", None):
            typer.echo(advice, err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as fault:  # the last door: say where, not what, since the text may hold a value
        from peerfhir.logs import log, set_up

        set_up()
        log().error("fault", exc_info=fault)
        sys.exit(3)


def _house(config: Path) -> House:
    from peerfhir.wiring import House

    if not (config / "peerfhir.yaml").exists():
        misused(f"{config / 'peerfhir.yaml'} is not there; run this where config/ is, or say --config.")
    return House.open(config, os.environ)


def _develop(dev: bool) -> None:
    """For this process and those that it starts."""
    if dev:
        os.environ["PEERFHIR_DEVELOPMENT"] = "true"


def _operator(config: Path) -> Operator:
    from peerfhir.operators import Operator

    return Operator(_house(config))


@app.command()
def version() -> None:
    """Say the version."""
    from importlib.metadata import version as installed

    typer.echo(f"peerfhir {installed('peerfhir')}")


@app.command()
def init(config: Config = DEFAULT_CONFIG) -> None:
    """Make the secret key and the database that config/ names, where they are not there yet."""
    from peerfhir.serving import make_secret

    if not (config / "peerfhir.yaml").exists():
        misused(f"{config / 'peerfhir.yaml'} is not there; start from the config/ of the repository.")
    made = make_secret(config)
    if made:
        typer.echo(f"made {made} (only its owner may read it)")
    house = _house(config)
    house.migrate()
    typer.echo(f"database ready: {house.database_name}")


@app.command()
def check(config: Config = DEFAULT_CONFIG) -> None:
    """Check settings, endpoints, mappings, instruments and the database; start nothing."""
    operator = _operator(config)
    operator.house.check()
    for line in operator.report():
        typer.echo(line)


@app.command()
def serve(
    config: Config = DEFAULT_CONFIG,
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1 unless set.")] = None,
    port: Annotated[int | None, typer.Option(help="8080 unless set.")] = None,
    with_worker: Annotated[bool, typer.Option("--with-worker", help="Run the worker beside it.")] = False,
    dev: Development = False,
) -> None:
    """Answer at the doors."""
    from peerfhir.serving import serve_web

    _develop(dev)
    house = _house(config)
    house.migrate_if_new()
    house.check()  # here once and in words; the server's own processes could only fail
    serve_web(house.settings, config, host=host, port=port, with_worker=with_worker)


@app.command()
def work(
    config: Config = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Drain what is due and end.")] = False,
    dev: Development = False,
) -> None:
    """Drain the inbox and the outbox."""
    from peerfhir.logs import set_up

    _develop(dev)
    set_up()
    house = _house(config)
    house.check()
    worker = house.worker()
    if once:
        typer.echo(f"{worker.drain()} message(s) handled")
    else:
        worker.run_forever()


@app.command()
def practice(
    folder: Annotated[Path, typer.Option(help="Where its own store is.")] = Path("var/practice"),
    mood: Annotated[str, typer.Option(help="open, epic-like, oracle-like or athena-like.")] = "open",
    port: Annotated[int, typer.Option()] = 8081,
    gateway: Annotated[str, typer.Option(help="Address of the peer program's gateway.")] = "http://127.0.0.1:8080",
) -> None:
    """Run the practice hospital. Its keys are read from PRACTICE_CLIENT_ID, PRACTICE_SECRET and the like."""
    from peerfhir.serving import serve_practice

    serve_practice(folder, mood, port, gateway, os.environ)


@app.command(name="try")
def try_(
    hospital: Annotated[str, typer.Option(help="open, epic-like, oracle-like or athena-like.")] = "open",
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and show four pages.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every resource with its URL.")] = False,
    port: Annotated[int, typer.Option(help="Of the gateway; a free one unless told.")] = 0,
    hospital_port: Annotated[int, typer.Option(help="Of the hospital; a free one unless told.")] = 0,
    folder: Annotated[Path, typer.Option(help="Emptied at each run.")] = Path("var/try"),
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Play one referral, from the chart to a peer and back."""
    import signal

    from peerfhir.demonstration import Demonstration

    def stop(*_: object) -> None:
        raise KeyboardInterrupt  # so that being ended by another hand cleans up as Ctrl-C does

    signal.signal(signal.SIGTERM, stop)
    shown = Demonstration(folder, config, hospital, port, hospital_port, lambda line: typer.echo(line))
    raise typer.Exit(shown.run(keep=keep, verbose=verbose))


# -- clients and users ---------------------------------------------------------------------------------------


@clients.command("add")
def clients_add(
    name: str,
    scope: Annotated[str, typer.Option(help="For example 'system/*.cruds'.")],
    jwks: Annotated[Path | None, typer.Option(help="Its public keys; then it signs instead of using a secret.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="The hospital it speaks for (config/endpoints/<id>.yaml).")
    ] = None,
    program: Annotated[str | None, typer.Option()] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Add a client; its secret is shown once."""
    if jwks is not None and not jwks.is_file():
        misused(f"{jwks} is not there.")
    operator = _operator(config)
    ident, secret = operator.add_client(
        name, scope, program=program, endpoint=endpoint, jwks=jwks.read_bytes() if jwks else None
    )
    typer.echo(f"client_id     {ident}")
    typer.echo(f"client_secret {secret}" if secret else "client_secret none: it signs with its key (private_key_jwt)")
    typer.echo(f"token_url     {operator.house.settings.base_url}/oauth/token")
    if secret:
        typer.echo("The secret is not kept and cannot be shown again.")


@clients.command("list")
def clients_list(config: Config = DEFAULT_CONFIG) -> None:
    """List the clients."""
    _table(
        ("id", "program", "name", "endpoint", "scopes", "state"),
        (
            (c.id, c.program_id, c.name, c.endpoint or "-", str(c.scopes), "revoked" if c.revoked_at else "active")
            for c in _operator(config).list_clients()
        ),
    )


@clients.command("revoke")
def clients_revoke(client_id: str, config: Config = DEFAULT_CONFIG) -> None:
    """End a client; its tokens are refused within a second."""
    if not _operator(config).revoke_client(client_id):
        typer.echo("There is no active client of that id.", err=True)
        raise typer.Exit(1)
    typer.echo("revoked")


@users.command("add")
def users_add(
    login: str,
    role: Annotated[str, typer.Option(help="coordinator, supervisor, peer or engineer.")],
    display: Annotated[str | None, typer.Option(help="As shown to people: first name and initial.")] = None,
    languages: Annotated[str, typer.Option(help="Of a peer, for example 'en,es'.")] = "en",
    services: Annotated[str, typer.Option(help="Of a peer, for example 'one-to-one,group-facilitated'.")] = (
        "one-to-one,group-facilitated"
    ),
    credential_until: Annotated[str | None, typer.Option(help="Of a peer: the last valid day, 2027-12-31.")] = None,
    program: Annotated[str | None, typer.Option()] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Add someone who may sign in; a password is made and shown once. A peer joins the roster with it."""
    ident, password = _operator(config).add_user(
        login, role, display or login.title(), program=program, languages=languages, services=services,
        credential_until=credential_until,
    )  # fmt: skip
    typer.echo(f"user     {ident}")
    typer.echo(f"password {password}")
    typer.echo("The password is not kept and cannot be shown again.")


@users.command("list")
def users_list(config: Config = DEFAULT_CONFIG) -> None:
    """List who may sign in."""
    _table(
        ("id", "program", "login", "role", "state"),
        (
            (u.id, u.program_id, u.login, u.role, "revoked" if u.revoked_at else "active")
            for u in _operator(config).list_users()
        ),
    )


# -- messages ------------------------------------------------------------------------------------------------


@inbox.command("list")
def inbox_list(
    state: Annotated[str | None, typer.Option(help="ready, leased, done or parked.")] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """List received messages, newest first, without content."""
    _print_rows(_operator(config).inbox_list(state))


@inbox.command("show")
def inbox_show(message_id: str, config: Config = DEFAULT_CONFIG) -> None:
    """Show one received message: where it came from and what became of it."""
    _print_one(_operator(config).inbox_show(message_id))


@inbox.command("rerun")
def inbox_rerun(message_id: str, config: Config = DEFAULT_CONFIG) -> None:
    """Process a parked message again, from the bytes that were kept."""
    _operator(config).inbox_rerun(message_id)
    typer.echo("it will be processed again")


@outbox.command("list")
def outbox_list(
    state: Annotated[
        str | None, typer.Option(help="ready, leased, held, done, parked, cancelled or superseded.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """List what is owed, newest first, without content."""
    _print_rows(_operator(config).outbox_list(state))


@outbox.command("show")
def outbox_show(
    message_id: int,
    body: Annotated[bool, typer.Option("--body", help="Show the exact bytes too; they are about a person.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Show one message with its attempts, its form and the consent it goes out under."""
    _print_one(_operator(config).outbox_show(message_id, body=body))


@outbox.command("rerun")
def outbox_rerun(
    message_id: int,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="The same bytes; otherwise the mapping as it is now.")
    ] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Owe a parked message again; consent is asked again before it leaves."""
    typer.echo(f"owed again as {_operator(config).outbox_rerun(message_id, pinned=pinned)}")


@app.command()
def trace(identifier: str, config: Config = DEFAULT_CONFIG) -> None:
    """Follow one referral through: by its id, its number (PF-000123), its Task's id or a message's id."""
    lines = _operator(config).trace(identifier)
    if not lines:
        typer.echo("Nothing of that id is known here.", err=True)
        raise typer.Exit(1)
    for line in lines:
        typer.echo(line)


# -- showing -------------------------------------------------------------------------------------------------


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        typer.echo("none")
        return
    _table(tuple(rows[0]), (tuple(_text(value) for value in row.values()) for row in rows))


def _print_one(row: Mapping[str, Any]) -> None:
    width = max(len(key) for key in row)
    for key, value in row.items():
        if isinstance(value, (list, tuple)):
            typer.echo(f"{key}:")
            for each in value:
                shown = "  ".join(f"{k}={_text(v)}" for k, v in each.items()) if isinstance(each, dict) else _text(each)
                typer.echo(f"  {shown}")
        elif value is not None:
            typer.echo(f"{key:<{width}}  {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "-" if value is None else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
