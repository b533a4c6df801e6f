"""`config/endpoints/*.yaml`: the systems on the other side, each with its address, its key and its manners."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import fields, validate

from peerfhir.config.document import compose
from peerfhir.config.files import ID, RECIPIENTS, Collector, LimitsEntry, Strict, Text, Url
from peerfhir.config.settings import EndpointAuth, EndpointSettings, Limits, ProgramSettings, WriteRule

_POSITIVE = validate.Range(min=0, min_inclusive=False)


class _WriteEntry(Strict):
    accept = fields.Boolean(load_default=True)
    because = Text(load_default="")
    mapping = Text(load_default=None)


class _AuthEntry(Strict):
    kind = Text(load_default="none", validate=validate.OneOf(["none", "client-secret", "private-key-jwt"]))
    token_url = Url(load_default=None)
    client_id = Text(load_default=None)
    secret_file = Text(load_default=None)
    key_file = Text(load_default=None)
    scope = Text(load_default="")


class _EndpointFile(Strict):
    endpoint = Text(required=True, validate=ID)
    program = Text(required=True, validate=ID)
    base_url = Url(required=True)
    live = fields.Boolean(load_default=False)
    dialect = Text(load_default="sdohcc", validate=validate.OneOf(["sdohcc", "light"]))
    recipient = Text(load_default="hospital", validate=validate.OneOf(RECIPIENTS))
    allow_insecure_loopback = fields.Boolean(load_default=False)
    allowed_networks = fields.List(Text(), load_default=list)
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
    writes = fields.Dict(keys=Text(), values=fields.Nested(_WriteEntry), load_default=dict)
    require_if_match = fields.Boolean(load_default=True)
    overlays = fields.List(Text(), load_default=list)  # <mapping>.<overlay>
    limits = fields.Nested(LimitsEntry, load_default=dict)


def load_endpoints(
    collector: Collector,
    config_dir: Path,
    base: Path,
    programs: Mapping[str, ProgramSettings],
    overrides: Mapping[str, Mapping[str, str]],
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> dict[str, EndpointSettings]:
    """Each file of `endpoints/`, by its name; what is wrong goes to the collector.

    base       the folder that holds config/: paths of keys are relative to it
    overrides  endpoint -> what the environment sets for it: secret, secret_file, base_url, live, token_url
    limits     of the site; an endpoint may only lower them
    """
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
        lowered = _lowered(collector, path, entry["limits"], limits)
        endpoints[path.stem] = replace(_endpoint(collector, path, base, entry, extra), limits=lowered)
    for ident in overrides.keys() - endpoints.keys():
        name = ident.upper().replace("-", "_")
        collector.problems.append(f"environment:1:1: PEERFHIR_ENDPOINTS__{name}: there is no such endpoint")
    return endpoints


def _endpoint(
    collector: Collector, path: Path, base: Path, entry: dict[str, Any], extra: Mapping[str, str]
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
    _check(collector, path, entry, token_url)
    known = EndpointSettings.__dataclass_fields__
    values = {key: value for key, value in entry.items() if key in known and key not in ("auth", "writes", "limits")}
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


def _lowered(collector: Collector, path: Path, given: Mapping[str, Any], limits: Limits) -> Limits:
    """The site's limits, with what an endpoint says of them."""
    for key, value in given.items():
        if value > getattr(limits, key):
            place = compose(path).at(("limits", key))
            what = f"the site has {getattr(limits, key)}; an endpoint can only lower it"
            collector.problems.append(f"{place}: limits.{key}: {what}")
    return replace(limits, **given)


def _check(collector: Collector, path: Path, entry: dict[str, Any], token_url: str | None) -> None:
    """What one key alone cannot say: addresses, networks, and a lease that outlasts its exchange."""
    for key, url in (("base_url", entry["base_url"]), ("auth.token_url", token_url)):
        parts = urlsplit(url or "https://-")
        allowed = entry["allow_insecure_loopback"] and is_loopback(parts.hostname)
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


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine itself, where http is no danger."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
