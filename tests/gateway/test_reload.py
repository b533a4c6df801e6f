"""Mappings explained and read again at a running service: whole, while others are asking, in every process."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from peerfhir.records import audit
from peerfhir.records.database import reading
from peerfhir.wiring import House
from tests.support import doors
from tests.support.house import ROOT, furnish
from tests.support.served import Served

NOTE = """mapping: note
version: 1.0.0
status: active
fhirVersion: 4.0.1
source: {format: json, key: id, fields: {id: string!, name: {type: string, sensitive: true}, day: date}}
bundle: none
resources:
  basic:
    resourceType: Basic
    identifier: {value: =id}
    code: {text: as it was}
    created: =day
    extension: {url: "http://x.example/name", valueBoolean: =name.exists()}
"""
SECRET = "Marisol Vega"
RECORD = {"id": "1", "name": SECRET, "day": "2026-11-21"}


@dataclass
class Service:
    """Two processes of one service, on real ports, and an operator's token."""

    folder: Path
    house: House
    other: House
    here: Served
    there: Served
    token: str

    @property
    def document(self) -> Path:
        return self.folder / "mappings" / "note" / "note.map.yaml"

    def post(self, path: str, sent: Any = None, *, at: Served | None = None, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return requests.post(f"{(at or self.here).url}{path}", json=sent, headers=headers, timeout=10)

    def reload(self) -> Any:
        return self.post("/admin/mappings/$reload")

    def text(self, at: Served | None = None) -> str:
        answer = self.post("/fhir/StructureMap/note/$transform", RECORD, at=at)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"]["text"])

    def next(self, version: str, text: str) -> None:
        """A next version of the document, put in its place whole, as an editor or a deployment does."""
        half = self.folder / "next"
        half.write_text(NOTE.replace("version: 1.0.0", f"version: {version}").replace("as it was", text), "utf-8")
        half.replace(self.document)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(ROOT / "mappings", folder / "mappings", ignore=shutil.ignore_patterns("examples"))
    (folder / "mappings" / "note").mkdir()
    (folder / "mappings" / "note" / "note.map.yaml").write_text(NOTE, "utf-8")
    shutil.copy(sqlite_template, folder / "peerfhir.db")
    url, mappings = f"sqlite:///{folder / 'peerfhir.db'}", str(folder / "mappings")
    houses = [furnish(folder, url, PEERFHIR_MAPPINGS=mappings) for _ in range(2)]
    served = [Served(), Served()]
    for house, one in zip(houses, served, strict=True):
        one.start(house.web())
    scope = "admin system/*.r"
    client = doors.add_client(houses[0].engine, houses[0].clock, "riverside", None, scope)
    token = doors.token(houses[0].web().test_client(), *client)
    yield Service(folder, *houses, *served, token)
    for one in served:
        one.stop()
    for house in houses:
        house.engine.dispose()


@pytest.fixture(autouse=True)
def as_it_was(service: Service) -> Iterator[None]:
    """Each test begins with its own next version, and leaves a document that is good."""
    yield
    known = service.house.standing.get("note")
    service.document.write_bytes(known.content["mappings/note/note.map.yaml"])


def test_a_reload_under_traffic_is_whole_and_reaches_the_other_process(service: Service) -> None:
    seen: list[str] = []
    faults: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                seen.append(service.text())
            except AssertionError as fault:
                faults.append(str(fault))

    before = service.text()
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for one in threads:
        one.start()
    service.next("1.1.0", "as it is")
    answer = service.reload()
    told = service.text()
    over.set()
    for one in threads:
        one.join(20)
    assert answer.status_code == 200, answer.text
    named = {one["id"]: one["version"] for one in answer.json()["mappings"]}
    assert (named["note"], len(named)) == ("1.1.0", len(service.house.mappings.ids()))
    assert (before, told, faults) == ("as it was", "as it is", [])
    assert set(seen) <= {"as it was", "as it is"}
    for _ in range(100):
        if service.text(at=service.there) == "as it is":
            break
        time.sleep(0.1)
    assert service.text(at=service.there) == "as it is"


def test_one_wrong_file_refuses_the_whole_reload_and_names_its_line(service: Service) -> None:
    before = service.house.standing.now
    service.document.write_text(NOTE.replace("=day", "=dya").replace("version: 1.0.0", "version: 1.2.0"), "utf-8")
    answer = service.reload()
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert issue["diagnostics"].startswith("mappings/note/note.map.yaml:12:15: error PM111")
    assert service.house.standing.now is before


def test_a_version_that_was_used_is_not_reloaded_with_other_content(service: Service) -> None:
    version = service.house.standing.get("note").version
    text = service.text()
    service.next(version, "as it never was")
    answer = service.reload()
    assert answer.status_code == 422
    assert "PM011" in answer.text
    assert "raise the version" in answer.text
    assert str(service.folder) not in answer.text
    assert service.text() == text


def test_a_mapping_that_is_needed_cannot_be_reloaded_away(service: Service) -> None:
    needed, aside = service.folder / "mappings" / "person", service.folder / "person"
    needed.rename(aside)
    try:
        answer = service.reload()
    finally:
        aside.rename(needed)
    assert answer.status_code == 422
    assert "mappings/person:1:1: this mapping is needed and not there" in answer.text


def test_only_an_operator_may_and_it_is_written_down(service: Service) -> None:
    plain = doors.token(
        service.house.web().test_client(),
        *doors.add_client(service.house.engine, service.house.clock, "riverside", None, "system/*.cruds"),
    )
    for path in ("/admin/mappings/$reload", "/admin/mappings/note/$explain"):
        assert service.post(path, {"input": "{}"}, token="").status_code == 401
        assert service.post(path, {"input": "{}"}, token=plain).status_code == 403
    assert service.reload().status_code == 200
    with reading(service.house.engine) as connection:
        (last,) = (one for one in audit.latest(connection, "riverside")[:1] if one.action == "reload")
    assert (last.subject, last.outcome) == ("mappings", "ok")


def test_a_record_is_explained_rule_by_rule_and_what_is_sensitive_is_masked(service: Service) -> None:
    sent = f'{{"id": "1", "name": "{SECRET}"}}'
    answer = service.post("/admin/mappings/note/$explain", {"input": sent})
    assert answer.status_code == 200, answer.text
    lines = {one["address"]: one for one in answer.json()["explained"]}
    assert answer.json()["mapping"]["id"] == "note"
    assert (lines["basic.identifier[0].value"]["value"], lines["basic.identifier[0].value"]["line"]) == ("1", 10)
    assert (lines["basic.created"]["present"], lines["basic.created"]["why"]) == (False, "the expression is empty")
    (source,) = lines["basic.extension[0].valueBoolean"]["sources"]
    assert (source["field"], source["value"]) == ("name", "(masked)")
    assert SECRET not in answer.text
    one = service.post("/admin/mappings/note/$explain", {"input": sent, "path": "basic.created"}).json()
    assert [each["address"] for each in one["explained"]] == ["basic.created"]


@pytest.mark.parametrize(
    ("sent", "status", "what"),
    [
        ({"input": '{"id": "1", "day": "Marisol Vega"}'}, 422, "PM702"),
        ({"input": "{"}, 422, "PM700: This is not JSON"),
        ({"input": '{"id": "1"}', "record": 2}, 400, "no such record"),
        ({"input": '{"id": "1"}', "path": "basic.nose"}, 404, "Nothing stands"),
        ({"input": '{"id": "1"}', "overlay": "north"}, 404, "no such mapping"),
        ({"input": 1}, 400, "not allowed"),
        ({}, 400, "not allowed"),
        ([], 400, "not allowed"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_its_reason_and_without_a_value(
    service: Service, sent: Any, status: int, what: str
) -> None:
    answer = service.post("/admin/mappings/note/$explain", sent)
    assert (answer.status_code, what in answer.text) == (status, True), answer.text
    assert SECRET not in answer.text
