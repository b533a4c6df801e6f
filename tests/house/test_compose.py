"""docker-compose.yml names only what the product has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from peerfhir.cli import app
from peerfhir.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
OURS = {name: s for name, s in COMPOSE["services"].items() if s.get("image") == "peerfhir:local"}


def test_the_services_are_those_that_were_promised() -> None:
    assert set(COMPOSE["services"]) == {"postgres", "gateway", "worker", "hospital"}
    assert COMPOSE["services"]["hospital"]["image"].startswith("hapiproject/hapi:")


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_and_option_exists(name: str) -> None:
    command = typer.main.get_command(app)
    program, verb, *options = OURS[name]["command"]
    assert program == "peerfhir"
    offered = {option for parameter in command.commands[verb].params for option in parameter.opts}  # type: ignore[attr-defined]
    assert {each for each in options if each.startswith("--")} <= offered


def test_every_variable_is_a_setting() -> None:
    fields = set(Settings.__dataclass_fields__) | {"secret_key_file", "config"}
    for service in OURS.values():
        for variable in service["environment"]:
            assert variable.removeprefix("PEERFHIR_").lower() in fields, variable


def test_every_health_check_asks_a_route_of_ours_on_its_own_port() -> None:
    from tests.support.house import routes

    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    for port, path in re.findall(r"127\.0\.0\.1:(\d+)(/[a-z]+)'", text):
        assert path in routes(), path
        assert port == OURS["gateway"]["command"][OURS["gateway"]["command"].index("--port") + 1]


def test_everything_that_is_copied_is_there() -> None:
    dockerfile = OURS["gateway"]["build"]["dockerfile_inline"]
    for line in re.findall(r"^COPY (.+)$", dockerfile, re.M):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_the_shipped_endpoint_reaches_the_hospital_of_the_file() -> None:
    from peerfhir.config.load import load

    endpoint = load(ROOT / "config", {"PEERFHIR_SECRET_KEY": "k" * 40}).endpoints["hapi"]
    assert OURS["worker"]["network_mode"] == "service:hospital"
    assert endpoint.base_url == "http://127.0.0.1:8080/fhir"
    assert not endpoint.live


def test_health_checks_and_volumes_are_complete() -> None:
    assert COMPOSE["services"]["postgres"]["healthcheck"]["test"][1].startswith("pg_isready")
    assert OURS["gateway"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert OURS["gateway"]["healthcheck"]
