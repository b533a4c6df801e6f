"""`config/*.yaml` and the environment into Settings, every problem named by file, line and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import ValidationError, fields, validate

from peerfhir.config.endpoints import is_loopback, load_endpoints
from peerfhir.config.files import ID, RECIPIENTS, Collector, LimitsEntry, Strict, Text, Url
from peerfhir.config.settings import Limits, ProgramSettings, Settings
from peerfhir.errors import BadConfiguration

# -- the files, as marshmallow sees them -------------------------------------------------------------------------


_DATABASE = validate.Regexp(
    r"^(sqlite:///|postgresql(\+psycopg)?://)\S", error="begin it with sqlite:/// or postgresql://"
)
_CRITERIA = (  # of matching; pathway.people.Weights
    "experience", "language", "times", "community", "area", "headroom", "age_band", "continuity",
)  # fmt: skip


def _time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValidationError("no such time zone; write it as America/New_York") from None


_ORIGIN = validate.Regexp(r"^(\*|https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?)$", error="write it as https://host, or *")


class _MainFile(Strict):
    base_url = Url(required=True)
    canonical = Url(required=True)
    database_url = Text(required=True, validate=_DATABASE)
    secret_key_file = Text(load_default=None)
    secret_key = Text(load_default=None)
    host = Text(load_default="127.0.0.1")
    port = fields.Integer(load_default=8080, validate=validate.Range(min=1, max=65535))
    workers = fields.Integer(load_default=2, validate=validate.Range(min=1, max=64))
    insecure_cookies = fields.Boolean(load_default=False)
    access_token_seconds = fields.Integer(load_default=300, validate=validate.Range(min=60, max=3600))
    idle_minutes = fields.Integer(load_default=15, validate=validate.Range(min=1, max=240))
    session_hours = fields.Integer(load_default=12, validate=validate.Range(min=1, max=24))
    playground = fields.Boolean(load_default=False)
    development = fields.Boolean(load_default=False)
    limits = fields.Nested(LimitsEntry, load_default=dict)
    default_program = Text(load_default=None, validate=ID)
    cors_origins = fields.List(Text(validate=_ORIGIN), load_default=list)


class _ProgramEntry(Strict):
    name = Text(required=True)
    organization = Text(required=True, validate=validate.Regexp(r"^\S+\|\S+$", error="write it as system|value"))
    complete_on = Text(load_default="enrolled", validate=validate.OneOf(["enrolled", "intro-done", "episode-closed"]))
    caseload_cap = Text(load_default="12", validate=validate.Regexp(r"^[0-9]+(\.[0-9]+)?$"))
    contact_attempts = fields.Integer(load_default=3, validate=validate.Range(min=1, max=20))
    time_zone = Text(load_default="UTC", validate=_time_zone)
    recipients = fields.List(
        Text(validate=validate.OneOf(RECIPIENTS)),
        load_default=lambda: ["referrer", "hospital"],
    )
    weights = fields.Dict(
        keys=Text(validate=validate.OneOf(_CRITERIA)),
        values=fields.Integer(validate=validate.Range(min=0, max=100)),
        load_default=dict,
    )
    crisis_line = Text(load_default=None)
    roles = fields.Dict(keys=Text(), values=fields.List(Text()), load_default=dict)


class _ProgramFile(Strict):
    programs = fields.Dict(
        keys=Text(validate=ID), values=fields.Nested(_ProgramEntry), required=True, validate=validate.Length(min=1)
    )


_DEFAULT_SECRETS = frozenset({"change-me", "changeme", "secret", "default"})
_ENV = "PEERFHIR_"
_OUTSIDE = frozenset({"PEERFHIR_CONFIG", "PEERFHIR_MAPPINGS", "PEERFHIR_LOG"})


def load(config_dir: Path, environ: Mapping[str, str], *, mappings_dir: Path | None = None) -> Settings:
    """Everything under `config_dir`, with the environment over it.

    environ  PEERFHIR_<KEY> overrides a key of peerfhir.yaml; PEERFHIR_SECRET_KEY_FILE names a key file;
             PEERFHIR_ENDPOINTS__<ID>__SECRET (or __SECRET_FILE, __BASE_URL, __LIVE) overrides one endpoint
    Raises   BadConfiguration with the whole list of problems, each "file:line:column: what"
    """
    collector = Collector([])
    base = config_dir.resolve().parent
    root, endpoint_overrides = _environment(environ, collector)
    main = collector.file(config_dir / "peerfhir.yaml", _MainFile(), root, prefix=_ENV)
    programs = _programs(collector, config_dir)
    limits = Limits(**(main["limits"] if main is not None else {}))
    endpoints = load_endpoints(collector, config_dir, base, programs, endpoint_overrides, limits)
    settings: Settings | None = None
    if main is not None:
        settings = _settings(collector, main, config_dir, mappings_dir or base / "mappings", base)
        if main["default_program"] and programs and main["default_program"] not in programs:
            collector.problems.append(
                f"{config_dir / 'peerfhir.yaml'}:1:1: default_program: no program of that name in program.yaml"
            )
    if collector.problems or settings is None:
        raise BadConfiguration(tuple(collector.problems))
    default = settings.default_program or next(iter(programs))
    return replace(settings, default_program=default, programs=programs, endpoints=endpoints)


def _environment(environ: Mapping[str, str], collector: Collector) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    root: dict[str, Any] = {}
    endpoints: dict[str, dict[str, str]] = {}
    for name, value in environ.items():
        if not name.startswith(_ENV) or name in _OUTSIDE:
            continue
        key = name.removeprefix(_ENV).lower()
        match key.split("__"):
            case ["endpoints", ident, what] if what in ("secret", "secret_file", "base_url", "live", "token_url"):
                endpoints.setdefault(ident.replace("_", "-"), {})[what] = value
            case [single] if single in _MainFile().fields:
                root[single] = value
            case _:
                collector.problems.append(f"environment:1:1: {name}: there is no setting of that name")
    return root, endpoints


def _settings(
    collector: Collector, main: dict[str, Any], config_dir: Path, mappings_dir: Path, base: Path
) -> Settings | None:
    place = f"{config_dir / 'peerfhir.yaml'}:1:1"
    secret = main["secret_key"]
    if secret is None and main["secret_key_file"]:
        secret = collector.secret(base / main["secret_key_file"], "secret_key_file")
    if secret is None:
        collector.problems.append(
            f"{place}: secret_key_file: a secret is missing; `peerfhir init` makes one, or set PEERFHIR_SECRET_KEY_FILE"
        )
        return None
    if len(secret) < 32 or secret.lower() in _DEFAULT_SECRETS:
        collector.problems.append(f"{place}: secret_key: at least 32 characters, and not a default one")
    parts = urlsplit(main["base_url"])
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not main["insecure_cookies"]:
        collector.problems.append(f"{place}: base_url: https is needed anywhere but on loopback")
    if main["insecure_cookies"] and not is_loopback(parts.hostname):
        collector.problems.append(f"{place}: insecure_cookies: only for http on loopback")
    return Settings(
        config_dir=config_dir,
        mappings_dir=mappings_dir,
        base_url=main["base_url"].rstrip("/"),
        canonical=main["canonical"].rstrip("/"),
        database_url=_database_url(main["database_url"], base),
        secret_key=secret,
        default_program=main["default_program"] or "",
        cors_origins=tuple(main["cors_origins"]),
        limits=Limits(**main["limits"]),
        **{
            key: main[key]
            for key in (
                "host",
                "port",
                "workers",
                "insecure_cookies",
                "access_token_seconds",
                "idle_minutes",
                "session_hours",
                "playground",
                "development",
            )
        },
    )


def _database_url(url: str, base: Path) -> str:
    """A relative SQLite path is relative to the folder that holds config/, wherever the command was started."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{base / url.removeprefix(prefix)}"
    if url.startswith("postgresql://"):
        return "postgresql+psycopg://" + url.removeprefix("postgresql://")
    return url


def _programs(collector: Collector, config_dir: Path) -> dict[str, ProgramSettings]:
    loaded = collector.file(config_dir / "program.yaml", _ProgramFile())
    programs: dict[str, ProgramSettings] = {}
    for ident, entry in (loaded or {"programs": {}})["programs"].items():
        programs[ident] = ProgramSettings(
            id=ident,
            **(
                entry
                | {
                    "recipients": tuple(entry["recipients"]),
                    "roles": {role: tuple(acts) for role, acts in entry["roles"].items()},
                }
            ),
        )
    return programs
