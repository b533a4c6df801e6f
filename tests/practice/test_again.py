"""What was not answered is done again: an order that is pressed again, a page that is opened again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from peerfhir.clock import SystemClock
from peerfhir.fhir.tables import metadata
from peerfhir.practice import visitor
from peerfhir.practice.hospital import Hospital, Practice
from peerfhir.practice.moods import MOODS
from peerfhir.practice.orders import NotTaken, Order
from peerfhir.practice.visitor import PageRefused, Unanswered, Visitor
from peerfhir.records.database import open_engine, reading, writing

SAID = {"why": "Lonely."}


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    engine = open_engine(f"sqlite:///{tmp_path / 'hospital.db'}")
    metadata.create_all(engine)
    practice = Practice(MOODS["open"], "http://h", "http://g", ("a", "b"), ("c", "d"), "key")
    made = Hospital(practice, partial(reading, engine), partial(writing, engine), SystemClock())
    made.furnish()
    yield made
    engine.dispose()


class Program:
    """A peer program that answers as it is told, one word for each sending; after that it takes everything."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[list[str]] = []

    def send(self, bundle: dict[str, Any]) -> dict[str, Any]:
        names = [each["resource"]["identifier"][0]["value"] for each in bundle["entry"]]
        self.sent.append([name for name in names if name.startswith("T-")])
        if self.statuses:
            raise NotTaken(self.statuses.pop(0), {})
        return {}


def test_an_order_without_an_answer_is_sent_again_as_the_same_order(hospital: Hospital) -> None:
    hospital.program = program = Program(0, 503)  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(NotTaken) as refusal:
            hospital.refer(Order("p1", "Lonely."))
        assert refusal.value.unanswered
    hospital.refer(Order("p1", "Lonely."))
    assert program.sent == [["T-77"]] * 3
    hospital.refer(Order("p1", "Lonely again."))
    assert program.sent[-1] == ["T-78"]


def test_after_a_refusal_the_next_order_is_another_one(hospital: Hospital) -> None:
    hospital.program = program = Program(422)  # type: ignore[assignment]
    with pytest.raises(NotTaken) as refusal:
        hospital.refer(Order("p1", "Lonely."))
    assert not refusal.value.unanswered
    hospital.refer(Order("p1", "Lonely."))
    hospital.refer(Order("p2", "New in town."))
    assert program.sent == [["T-77"], ["T-78"], ["T-79"]]


class Site:
    """A server that gives the next of its answers to each connection; an empty one cuts the connection off."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        for answer in self.answers:
            connection, _ = self._socket.accept()
            with connection:
                self.asked.append(connection.recv(65536))
                if answer:
                    body = f"<p id='said'>{answer}</p>"
                    head = f"HTTP/1.1 {answer}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
                    connection.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())


@pytest.mark.parametrize("said", ["200 OK", "409 Conflict", "422 Unprocessable Content"])
def test_a_press_that_was_cut_off_is_repeated_and_already_so_is_good(said: str) -> None:
    with Site("", "", said) as site:
        page = Visitor(site.url).press("/triage", SAID)
    assert said in page.text
    assert len(site.asked) == 3


def test_a_refusal_of_the_first_press_is_a_refusal() -> None:
    with Site("422 Unprocessable Content") as site, pytest.raises(PageRefused):
        Visitor(site.url).press("/triage", SAID)


def test_another_refusal_of_a_repeated_press_is_a_refusal() -> None:
    with Site("", "403 Forbidden") as site, pytest.raises(PageRefused):
        Visitor(site.url).press("/triage", SAID)


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor, "PATIENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unanswered):
        Visitor(f"http://127.0.0.1:{port}").open("/")
