"""`config/*.yaml` and the environment into Settings, every problem named by file, line and column."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from peerfhir.config.document import YamlProblem, compose
from peerfhir.config.settings import EndpointAuth, EndpointSettings, ProgramSettings, Settings, WriteRule
from peerfhir.errors import BadConfiguration

# -- the files, as marshmallow sees them -------------------------------------------------------------------------


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Url(fields.Url):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(require_tld=False, schemes={"http", "https"}, **kwargs)


class _Text(fields.String):
    """Text that a person wrote without quotes may look like a number; it is text all the same."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, attr, data, **kwargs)


_ID = validate.Regexp(r"^[a-z][a-z0-9-]{0,62}$", error="only a-z, 0-9 and '-', beginning with a letter")
_RECIPIENTS = ["referrer", "pcp", "bh-team", "hospital", "payer", "grant", "court", "family", "research"]
_POSITIVE = validate.Range(min=0, min_inclusive=False)
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


class _MainFile(_Strict):
    base_url = _Url(required=True)
    canonical = _Url(required=True)
    database_url = _Text(required=True, validate=_DATABASE)
    secret_key_file = _Text(load_default=None)
    secret_key = _Text(load_default=None)
    host = _Text(load_default="127.0.0.1")
    port = fields.Integer(load_default=8080, validate=validate.Range(min=1, max=65535))
    workers = fields.Integer(load_default=2, validate=validate.Range(min=1, max=64))
    insecure_cookies = fields.Boolean(load_default=False)
    access_token_seconds = fields.Integer(load_default=300, validate=validate.Range(min=60, max=3600))
    idle_minutes = fields.Integer(load_default=15, validate=validate.Range(min=1, max=240))
    session_hours = fields.Integer(load_default=12, validate=validate.Range(min=1, max=24))
    playground = fields.Boolean(load_default=False)
    default_program = _Text(load_default=None, validate=_ID)
    cors_origins = fields.List(_Text(validate=_ORIGIN), load_default=list)


class _ProgramEntry(_Strict):
    name = _Text(required=True)
    organization = _Text(required=True, validate=validate.Regexp(r"^\S+\|\S+$", error="write it as system|value"))
    complete_on = _Text(load_default="enrolled", validate=validate.OneOf(["enrolled", "intro-done", "episode-closed"]))
    caseload_cap = _Text(load_default="12", validate=validate.Regexp(r"^[0-9]+(\.[0-9]+)?$"))
    contact_attempts = fields.Integer(load_default=3, validate=validate.Range(min=1, max=20))
    time_zone = _Text(load_default="UTC", validate=_time_zone)
    recipients = fields.List(
        _Text(validate=validate.OneOf(_RECIPIENTS)),
        load_default=lambda: ["referrer", "hospital"],
    )
    weights = fields.Dict(
        keys=_Text(validate=validate.OneOf(_CRITERIA)),
        values=fields.Integer(validate=validate.Range(min=0, max=100)),
        load_default=dict,
    )
    crisis_line = _Text(load_default=None)
    roles = fields.Dict(keys=_Text(), values=fields.List(_Text()), load_default=dict)


class _ProgramFile(_Strict):
    programs = fields.Dict(
        keys=_Text(validate=_ID), values=fields.Nested(_ProgramEntry), required=True, validate=validate.Length(min=1)
    )


class _WriteEntry(_Strict):
    accept = fields.Boolean(load_default=True)
    because = _Text(load_default="")
    mapping = _Text(load_default=None)


class _AuthEntry(_Strict):
    kind = _Text(load_default="none", validate=validate.OneOf(["none", "client-secret", "private-key-jwt"]))
    token_url = _Url(load_default=None)
    client_id = _Text(load_default=None)
    secret_file = _Text(load_default=None)
    key_file = _Text(load_default=None)
    scope = _Text(load_default="")


class _EndpointFile(_Strict):
    endpoint = _Text(required=True, validate=_ID)
    program = _Text(required=True, validate=_ID)
    base_url = _Url(required=True)
    live = fields.Boolean(load_default=False)
    dialect = _Text(load_default="sdohcc", validate=validate.OneOf(["sdohcc", "light"]))
    recipient = _Text(load_default="hospital", validate=validate.OneOf(_RECIPIENTS))
    allow_insecure_loopback = fields.Boolean(load_default=False)
    allowed_networks = fields.List(_Text(), load_default=list)
    auth = fields.Nested(_AuthEntry, load_default=dict)
    connect_seconds = fields.Float(load_default=5.0, validate=_POSITIVE)
    read_seconds = fields.Float(load_default=20.0, validate=_POSITIVE)
    total_seconds = fields.Float(load_default=30.0, validate=_POSITIVE)
    lease_seconds = fields.Float(load_default=90.0, validate=_POSITIVE)
    horizon_hours = fields.Float(load_default=72.0, validate=_POSITIVE)
    retry_base_seconds = fields.Float(load_default=1.0, validate=_POSITIVE)
    retry_cap_seconds = fields.Float(load_default=3600.0, validate=_POSITIVE)
    rate_per_second = fields.Float(load_default=50.0, validate=_POSITIVE)
    burst = fields.Integer(load_default=100, validate=validate.Range(min=1))
    max_in_flight = fields.Integer(load_default=16, validate=validate.Range(min=1, max=256))
    receives_charges = fields.Boolean(load_default=False)
    max_note_bytes = fields.Integer(load_default=5 * 1024 * 1024, validate=validate.Range(min=1024))
    conditional_create = fields.Boolean(load_default=None, allow_none=True)
    writes = fields.Dict(keys=_Text(), values=fields.Nested(_WriteEntry), load_default=dict)
    require_if_match = fields.Boolean(load_default=True)
    overlays = fields.List(_Text(), load_default=list)  # <mapping>.<overlay>


def _flatten(errors: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Nested messages of marshmallow -> (path, sentence). Dict fields wrap theirs in "key" and "value"."""
    if isinstance(errors, list):
        for message in errors:
            yield path, str(message).rstrip(".")
        return
    for key, inner in errors.items():
        step = path if key in ("key", "value", "_schema") and not isinstance(inner, str) else (*path, key)
        yield from _flatten(inner, step)


@dataclass
class _Collector:
    """Reads files and keeps every problem, so that one start shows the whole list."""

    problems: list[str]

    def file(self, path: Path, schema: Schema, overrides: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        try:
            node = compose(path)
        except YamlProblem as problem:
            self.problems.append(str(problem))
            return None
        if node.kind != "map":
            self.problems.append(f"{node.mark}: keys and values are expected here")
            return None
        root = overrides if isinstance(schema, _MainFile) and overrides else {}
        plain = node.plain() | dict(overrides or {})
        try:
            return cast(dict[str, Any], schema.load(plain))
        except ValidationError as fault:
            for place, sentence in _flatten(fault.messages):
                dotted = ".".join(str(step) for step in place)
                there = f"environment:1:1: {_ENV}{dotted.upper()}" if dotted in root else f"{node.at(place)}: {dotted}"
                self.problems.append(f"{there}: {_plainer(sentence)}")
            return None

    def secret(self, path: Path, whose: str) -> str | None:
        """The one line of a key file, which only its owner may read."""
        try:
            mode = path.stat().st_mode
            text = path.read_text("utf-8").strip()
        except OSError:
            self.problems.append(f"{path}:1:1: {whose}: the file cannot be read")
            return None
        if stat.S_IMODE(mode) & 0o077:
            self.problems.append(f"{path}:1:1: {whose}: others can read this file; chmod 600 it")
        return text


def _plainer(sentence: str) -> str:
    return {
        "Unknown field": "this key is not known here; check its spelling or remove it",
        "Missing data for required field": "this key is required",
    }.get(sentence, sentence)


_DEFAULT_SECRETS = frozenset({"change-me", "changeme", "secret", "default"})
_ENV = "PEERFHIR_"
_OUTSIDE = frozenset({"PEERFHIR_CONFIG", "PEERFHIR_MAPPINGS", "PEERFHIR_LOG"})


def load(config_dir: Path, environ: Mapping[str, str], *, mappings_dir: Path | None = None) -> Settings:
    """Everything under `config_dir`, with the environment over it.

    environ  PEERFHIR_<KEY> overrides a key of peerfhir.yaml; PEERFHIR_SECRET_KEY_FILE names a key file;
             PEERFHIR_ENDPOINTS__<ID>__SECRET (or __SECRET_FILE, __BASE_URL, __LIVE) overrides one endpoint
    Raises   BadConfiguration with the whole list of problems, each "file:line:column: what"
    """
    collector = _Collector([])
    base = config_dir.resolve().parent
    root, endpoint_overrides = _environment(environ, collector)
    main = collector.file(config_dir / "peerfhir.yaml", _MainFile(), root)
    programs = _programs(collector, config_dir)
    endpoints = _endpoints(collector, config_dir, base, programs, endpoint_overrides)
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


def _environment(environ: Mapping[str, str], collector: _Collector) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
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
    collector: _Collector, main: dict[str, Any], config_dir: Path, mappings_dir: Path, base: Path
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
    if parts.scheme == "http" and not _is_loopback(parts.hostname) and not main["insecure_cookies"]:
        collector.problems.append(f"{place}: base_url: https is needed anywhere but on loopback")
    if main["insecure_cookies"] and not _is_loopback(parts.hostname):
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


def _programs(collector: _Collector, config_dir: Path) -> dict[str, ProgramSettings]:
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


def _endpoints(
    collector: _Collector,
    config_dir: Path,
    base: Path,
    programs: Mapping[str, ProgramSettings],
    overrides: Mapping[str, Mapping[str, str]],
) -> dict[str, EndpointSettings]:
    endpoints: dict[str, EndpointSettings] = {}
    for path in sorted((config_dir / "endpoints").glob("*.yaml")):
        extra = overrides.get(path.stem, {})
        entry = collector.file(path, _EndpointFile(), {k: v for k, v in extra.items() if k in ("base_url", "live")})
        if entry is None:
            continue
        if entry["endpoint"] != path.stem:
            collector.problems.append(f"{path}:1:1: endpoint: the name must be that of the file, '{path.stem}'")
        if programs and entry["program"] not in programs:
            collector.problems.append(f"{path}:1:1: program: no program of that name in program.yaml")
        endpoints[path.stem] = _endpoint(collector, path, base, entry, extra)
    for ident in overrides.keys() - endpoints.keys():
        name = ident.upper().replace("-", "_")
        collector.problems.append(f"environment:1:1: PEERFHIR_ENDPOINTS__{name}: there is no such endpoint")
    return endpoints


def _endpoint(
    collector: _Collector, path: Path, base: Path, entry: dict[str, Any], extra: Mapping[str, str]
) -> EndpointSettings:
    auth = _AuthEntry().load(entry["auth"]) if not entry["auth"] else entry["auth"]
    secret = extra.get("secret")
    secret_file = extra.get("secret_file") or auth["secret_file"]
    if secret is None and secret_file:
        secret = collector.secret(base / secret_file, "auth.secret_file")
    if auth["kind"] == "client-secret" and not secret:
        collector.problems.append(f"{path}:1:1: auth: a client secret is missing (auth.secret_file)")
    key_file = base / auth["key_file"] if auth["key_file"] else None
    if auth["kind"] == "private-key-jwt" and (key_file is None or collector.secret(key_file, "auth.key_file") is None):
        collector.problems.append(f"{path}:1:1: auth: a private key is missing (auth.key_file)")
    token_url = extra.get("token_url") or auth["token_url"]
    for key, url in (("base_url", entry["base_url"]), ("auth.token_url", token_url)):
        parts = urlsplit(url or "https://-")
        allowed = entry["allow_insecure_loopback"] and _is_loopback(parts.hostname)
        if parts.scheme != "https" and not allowed:
            collector.problems.append(
                f"{path}:1:1: {key}: https is needed (http only on loopback, with allow_insecure_loopback: true)"
            )
    for network in entry["allowed_networks"]:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            collector.problems.append(f"{path}:1:1: allowed_networks: write a network as 10.1.0.0/16")
    if entry["lease_seconds"] <= entry["connect_seconds"] + entry["total_seconds"]:
        collector.problems.append(f"{path}:1:1: lease_seconds: must be longer than connect_seconds plus total_seconds")
    known = EndpointSettings.__dataclass_fields__
    values = {key: value for key, value in entry.items() if key in known and key not in ("auth", "writes")}
    return EndpointSettings(
        id=path.stem,
        **values
        | {"base_url": entry["base_url"].rstrip("/")}
        | {key: tuple(entry[key]) for key in ("allowed_networks", "overlays")},
        auth=EndpointAuth(
            kind=auth["kind"],
            token_url=token_url,
            client_id=auth["client_id"],
            secret=secret,
            key_file=key_file,
            scope=auth["scope"],
        ),
        writes={resource: WriteRule(**rule) for resource, rule in entry["writes"].items()},
    )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
