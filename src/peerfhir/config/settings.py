"""The settings as frozen dataclasses, one per subsystem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class WriteRule:
    """What an endpoint says about writing one resource type, beyond its CapabilityStatement."""

    accept: bool = True
    because: str = ""  # the reason shown when a lower rung is used
    mapping: str | None = None  # a mapping of ours that this endpoint needs instead


@dataclass(frozen=True)
class Limits:
    """What one mapping and one record may ask for; the defaults are the most that can be set.

    record_seconds      of work on one record, not of waiting
    resources           that one record becomes
    output_characters   of all texts in them
    nested_each         inside each other in a mapping
    code_map_rows       of one code map
    document_bytes      of one document
    """

    record_seconds: float = 0.25
    resources: int = 1_000
    output_characters: int = 5 * 1024 * 1024
    nested_each: int = 3
    code_map_rows: int = 100_000
    document_bytes: int = 1024 * 1024


@dataclass(frozen=True)
class EndpointAuth:
    """How we get a token from an endpoint. kind: none | client-secret | private-key-jwt."""

    kind: str = "none"
    token_url: str | None = None
    client_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    scope: str = ""


@dataclass(frozen=True)
class EndpointSettings:
    """One hospital: config/endpoints/<id>.yaml."""

    id: str
    program: str
    base_url: str  # of its FHIR API, without a trailing slash
    live: bool = False  # a new endpoint starts in dry run: owed, rendered, not sent
    dialect: str = "sdohcc"
    recipient: str = "hospital"  # a pathway Recipient: for whom grants are asked
    allow_insecure_loopback: bool = False
    allowed_networks: tuple[str, ...] = ()  # CIDR, for hospitals on private networks
    auth: EndpointAuth = EndpointAuth()
    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 30.0
    lease_seconds: float = 90.0  # longer than the slowest answer
    horizon_hours: float = 72.0
    retry_base_seconds: float = 1.0  # delay = uniform(0.5, min(retry_cap, base x 2^n))
    retry_cap_seconds: float = 3600.0
    rate_per_second: float = 50.0
    burst: int = 100
    max_in_flight: int = 16
    receives_charges: bool = False  # then no HCPCS Procedure goes there
    max_note_bytes: int = 5 * 1024 * 1024
    conditional_create: bool | None = None  # None: as its CapabilityStatement says
    writes: Mapping[str, WriteRule] = field(default_factory=dict)  # resource type -> rule
    require_if_match: bool = True  # of what this partner sends us
    overlays: tuple[str, ...] = ()  # ids of the overlays that its mappings lie under
    limits: Limits = Limits()  # of its mappings and records; never above those of the site


@dataclass(frozen=True)
class ProgramSettings:
    """One program of config/program.yaml, still in plain words; wiring makes pathway values of it."""

    id: str
    name: str
    organization: str  # "system|value" of its Organization
    complete_on: str = "enrolled"
    caseload_cap: str = "12"
    contact_attempts: int = 3
    time_zone: str = "UTC"
    recipients: tuple[str, ...] = ("referrer", "hospital")
    weights: Mapping[str, int] = field(default_factory=dict)
    crisis_line: str | None = None
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # role -> what it may do


@dataclass(frozen=True)
class Settings:
    """The whole configuration. Only wiring reads all of it; a room is given its part."""

    config_dir: Path
    mappings_dir: Path
    base_url: str  # of this service, without a trailing slash; FHIR is below /fhir
    canonical: str  # base of our own canonicals
    database_url: str
    secret_key: str = field(repr=False)  # signs forms; at least 32 characters
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    insecure_cookies: bool = False  # only for http on loopback: cookies without Secure and __Host-
    access_token_seconds: int = 300
    idle_minutes: int = 15
    session_hours: int = 12
    playground: bool = False  # mappings tried in the portal by engineers
    development: bool = False  # a mapping may change without a new version
    limits: Limits = Limits()  # of every mapping and record
    cors_origins: tuple[str, ...] = ()  # of pages that may call the FHIR API from a browser; "*" for any
    default_program: str = ""
    programs: Mapping[str, ProgramSettings] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict)
