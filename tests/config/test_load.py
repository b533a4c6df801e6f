"""Settings are checked at the door; the whole list of problems is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from peerfhir.config import Limits
from peerfhir.config.load import load
from peerfhir.errors import BadConfiguration

SECRET = {"PEERFHIR_SECRET_KEY": "k" * 40}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree("config", tmp_path / "config")
    return tmp_path / "config"


def problems(folder: Path, environ: dict[str, str]) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(folder, environ)
    return "\n".join(caught.value.problems)


def test_the_shipped_configuration_loads_once_a_secret_is_there(folder: Path) -> None:
    settings = load(folder, SECRET)
    assert settings.default_program == "riverside"
    assert settings.database_url == f"sqlite:///{folder.parent.resolve()}/var/peerfhir.db"


def test_a_missing_secret_refuses_to_start_and_says_what_to_do(folder: Path) -> None:
    (folder / "peerfhir.yaml").write_text(
        (folder / "peerfhir.yaml").read_text("utf-8").replace("secret_key_file", "# secret_key_file"), "utf-8"
    )
    assert "peerfhir init" in problems(folder, {})


@pytest.mark.parametrize("secret", ["short", "change-me"])
def test_a_short_or_default_secret_refuses_to_start(folder: Path, secret: str) -> None:
    assert "secret_key" in problems(folder, {"PEERFHIR_SECRET_KEY": secret})


def test_a_key_file_that_others_can_read_is_refused(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40, "utf-8")
    key.chmod(0o644)
    assert "chmod 600" in problems(folder, {"PEERFHIR_SECRET_KEY_FILE": str(key)})
    key.chmod(0o600)
    assert load(folder, {"PEERFHIR_SECRET_KEY_FILE": str(key)}).secret_key == "k" * 40


def test_every_problem_is_listed_with_file_line_and_column(folder: Path) -> None:
    text = (folder / "peerfhir.yaml").read_text("utf-8") + "colour: blue\n"
    (folder / "peerfhir.yaml").write_text(text.replace("port: 8080", "port: many"), "utf-8")
    (folder / "program.yaml").write_text("programs: {a: {name: A, organization: nobody}}\n", "utf-8")
    found = problems(folder, SECRET)
    assert f"peerfhir.yaml:{len(text.splitlines())}:1: colour" in found
    assert "peerfhir.yaml:18:1: port" in found
    assert "program.yaml:1:" in found


ENDPOINT = "endpoint: e\nprogram: riverside\nbase_url: {url}\n{more}"


@pytest.mark.parametrize(
    ("url", "more", "complaint"),
    [
        ("http://ehr.example.org/fhir", "", "https"),
        ("http://127.0.0.1:1/fhir", "", "https"),
        ("http://10.0.0.1/fhir", "allow_insecure_loopback: true\n", "https"),
        ("https://ehr.example.org/fhir", "lease_seconds: 20\n", "lease_seconds"),
        ("https://ehr.example.org/fhir", "allowed_networks: [10.0.0.0/99]\n", "allowed_networks"),
        ("https://ehr.example.org/fhir", "auth: {kind: client-secret}\n", "secret"),
        ("https://ehr.example.org/fhir", "auth: {kind: magic}\n", "auth.kind"),
        ("https://ehr.example.org/fhir", "colour: blue\n", "colour"),
    ],
)
def test_an_endpoint_that_is_not_safe_refuses_to_start(folder: Path, url: str, more: str, complaint: str) -> None:
    (folder / "endpoints").mkdir(exist_ok=True)
    (folder / "endpoints" / "e.yaml").write_text(ENDPOINT.format(url=url, more=more), "utf-8")
    assert complaint in problems(folder, SECRET)


def test_a_new_endpoint_starts_in_dry_run(folder: Path) -> None:
    (folder / "endpoints").mkdir(exist_ok=True)
    (folder / "endpoints" / "e.yaml").write_text(ENDPOINT.format(url="https://ehr.example.org/fhir/", more=""), "utf-8")
    endpoint = load(folder, SECRET).endpoints["e"]
    assert not endpoint.live
    assert endpoint.base_url == "https://ehr.example.org/fhir"


def test_the_environment_is_strict_too(folder: Path) -> None:
    assert "PEERFHIR_COLOUR" in problems(folder, SECRET | {"PEERFHIR_COLOUR": "blue"})
    assert load(folder, SECRET | {"PEERFHIR_PORT": "9001"}).port == 9001


def test_limits_are_lowered_by_the_site_and_then_by_an_endpoint_and_never_raised(folder: Path) -> None:
    hapi, main = folder / "endpoints" / "hapi.yaml", folder / "peerfhir.yaml"
    assert load(folder, SECRET).endpoints["hapi"].limits == load(folder, SECRET).limits == Limits()
    main.write_text(main.read_text("utf-8") + "limits: {resources: 100, record_seconds: 0.1}\n", "utf-8")
    text = hapi.read_text("utf-8")
    hapi.write_text(text + "limits: {resources: 10, nested_each: 1}\n", "utf-8")
    settings = load(folder, SECRET)
    assert settings.limits == Limits(resources=100, record_seconds=0.1)
    assert settings.endpoints["hapi"].limits == Limits(resources=10, record_seconds=0.1, nested_each=1)
    hapi.write_text(text + "limits: {resources: 101, nested_each: 4, depth: 1, code_map_rows: 0}\n", "utf-8")
    at = len(text.splitlines()) + 1
    found = problems(folder, SECRET)
    assert f"hapi.yaml:{at}:26: limits.nested_each: more than 0 and at most 3" in found
    assert f"hapi.yaml:{at}:42: limits.depth: this key is not known here" in found
    assert "limits.code_map_rows: more than 0 and at most 100000" in found
    hapi.write_text(text + "limits: {resources: 101}\n", "utf-8")
    assert f"hapi.yaml:{at}:10: limits.resources: the site has 100; an endpoint can only lower it" in problems(
        folder, SECRET
    )
