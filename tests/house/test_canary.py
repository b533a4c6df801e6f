"""Words that are about a person are planted everywhere; none of them may stand where operators and machines look."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select

from peerfhir.fhir.labels import Labels
from peerfhir.fhir.writer import write
from peerfhir.inbox import process
from peerfhir.operators import Operator
from peerfhir.outbox import render
from peerfhir.portal import notes
from peerfhir.practice import people
from peerfhir.practice.hospital import HOSPITAL
from peerfhir.practice.orders import Order
from peerfhir.practice.visitor import PageRefused
from peerfhir.records.database import reading
from peerfhir.records.schema import attempt, audit, inbox_message, outbox_message
from tests.support.caller import Caller, exchange
from tests.support.loop import Loop, Walk
from tests.support.scene import running

CANARIES = {
    name: f"zq{name}canary"
    for name in (
        "given", "family", "city", "reason", "contact", "working", "summary", "next", "sentence", "topic", "attendee",
        "groupnote", "password", "query", "unknown", "fault",
    )
} | {"phone": "+1-555-01998877", "number": "MRN-99887766", "born": "1971-02-28", "mail": "zqmail@canary.example"}  # fmt: skip
NOBODY = "00000000-0000-4000-8000-000000000000"


def said_in(text: str) -> list[str]:
    """The canaries that stand in a text."""
    low = text.lower()
    return [name for name, word in CANARIES.items() if word.lower() in low]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with running(tmp_path, f"sqlite:///{tmp_path / 'peerfhir.db'}") as made:
        yield made


def referred(loop: Loop) -> Walk:
    """A patient whose every word is a canary, referred by the hospital."""
    namespace = loop.ward.hospital.practice.namespace
    who = people.patient(people.PATIENTS[0], namespace) | {"id": "canary", "birthDate": CANARIES["born"]}
    who["name"] = [{"use": "official", "family": CANARIES["family"], "given": [CANARIES["given"]]}]
    who["telecom"] = [{"system": "phone", "value": CANARIES["phone"]}, {"system": "email", "value": CANARIES["mail"]}]
    who["identifier"][0]["value"] = CANARIES["number"]
    who["address"] = [{"city": CANARIES["city"], "postalCode": "27000"}]
    with loop.ward.hospital.writing() as connection:
        loop.ward.hospital.store(connection).create(who, Labels(source=HOSPITAL), id="canary")
    loop.ward.hospital.refer(Order("canary", CANARIES["reason"], contact=CANARIES["contact"]))
    return loop.newest()


def whole_way(loop: Loop) -> Walk:
    """Everything a loop does, with canaries in it."""
    walk = referred(loop)
    walk.lead("question", sentence=CANARIES["sentence"])
    loop.settle()
    walk.lead("resume")
    walk.to_enrolled("attendance", "summary", "scores", "item-level")
    walk.note(working=CANARIES["working"], summary=CANARIES["summary"], next_step=CANARIES["next"])
    walk.phq9()
    other = loop.alone(CANARIES["attendee"], CANARIES["attendee"], walk.peer)
    loop.group(walk.peer, [walk.person_id, other], topic=CANARIES["topic"], working_note=CANARIES["groupnote"])
    loop.settle()
    return walk


def refused(act: Callable[[], object]) -> None:
    """Do what a page or the gateway says no to."""
    with pytest.raises(PageRefused):
        act()


def go_wrong(loop: Loop, walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong input, a hospital that quotes what it refuses, and mistakes of our own that quote a record."""
    client = loop.ward.hospital.practice.client
    caller = Caller(loop.gateway.url, *client)
    for body in (
        b'{"' + CANARIES["unknown"].encode(),
        {"resourceType": "Patient", CANARIES["unknown"]: 1},
        {"resourceType": "Patient", "gender": CANARIES["unknown"]},
        {"resourceType": "Patient", "name": CANARIES["unknown"]},
        {"resourceType": CANARIES["unknown"]},
    ):
        answer = caller.send("POST", "/fhir/Patient", body)
        assert answer.status >= 400
        named = [place for issue in answer.issues for place in issue.get("expression", [])]  # a place is no value
        said = [issue["diagnostics"] for issue in answer.issues]
        assert said_in(" ".join(said)) == []
        assert not named or named[0].startswith("Patient.")
    form = (
        f"grant_type=client_credentials&client_id={CANARIES['unknown']}&client_secret={CANARIES['password']}".encode()
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert exchange(loop.gateway.url, "POST", "/oauth/token", form, headers).status == 401
    peer = loop.staff(walk.peer)
    refused(lambda: peer.press("/sign-in", {"login": CANARIES["unknown"], "password": CANARIES["password"]}))
    refused(lambda: peer.open(f"/people/{NOBODY}"))
    refused(lambda: walk.note(ago=-600, working=CANARIES["working"]))  # in the future
    _hospital_quotes(loop, walk)

    def quote(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"{CANARIES['fault']} {args} {kwargs}")

    with monkeypatch.context() as broken:
        broken.setattr(notes.steps, "record_encounter", quote)
        refused(lambda: walk.note(working=CANARIES["working"]))
    with monkeypatch.context() as broken:
        broken.setattr(render.Rendering, "_of_encounter", quote)
        walk.note(working=CANARIES["working"], summary=CANARIES["summary"])
        loop.settle()
    with monkeypatch.context() as broken:
        broken.setattr(process.steps, "receive_referral", quote)
        loop.ward.hospital.refer(Order("canary", CANARIES["reason"], contact=CANARIES["contact"]))
        loop.settle()


def _hospital_quotes(loop: Loop, walk: Walk) -> None:
    """The hospital refuses what we send and repeats it in its OperationOutcome."""
    app = loop.ward.served._app

    def quoting(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] == "/token":
            return app(environ, start_response)
        sent = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        issue = {"severity": "error", "code": "invalid", "diagnostics": f"I refuse {sent.decode()} {CANARIES['family']}",
                 "details": {"text": CANARIES["fault"]}, "expression": ["Encounter.status"]}  # fmt: skip
        start_response("422 Unprocessable", [("Content-Type", "application/fhir+json"), ("X-Note", CANARIES["family"])])
        return [write({"resourceType": "OperationOutcome", "issue": [issue]})]

    loop.ward.served._app = quoting
    walk.note(working=CANARIES["working"], summary=CANARIES["summary"])
    loop.settle()
    loop.ward.served._app = app
    assert any(state == "parked" for _, _, state, _ in loop.owed())


def test_no_word_about_a_person_is_where_operators_look(
    loop: Loop, log_lines: io.StringIO, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = whole_way(loop)
    go_wrong(loop, walk, monkeypatch)
    walk.stop()
    loop.settle()

    # they were there to be found
    assert CANARIES["summary"] in loop.ward.words("canary")
    assert CANARIES["working"] not in loop.ward.words("canary")
    written = log_lines.getvalue()
    assert written.count("\n") > 50
    assert '"exception": "ValueError"' in written

    places = {
        "the log": written,
        "standard output and error": "".join(capfd.readouterr()),
        "addresses at the gateway": "\n".join(one.path for one in loop.gateway.answered),
        "addresses at the hospital": "\n".join(one.path for one in loop.ward.served.answered),
        "process arguments": "\n".join(arguments()),
        "what is kept beside messages": "\n".join(beside_messages(loop)),
        "the trace": "\n".join(Operator(loop.house).trace(walk.referral_id)),
        "lists of messages": repr((Operator(loop.house).inbox_list(None), Operator(loop.house).outbox_list(None))),
    } | {
        path: exchange(loop.gateway.url, "GET", path).body.decode()
        for path in ("/metrics", "/healthz", "/readyz", "/.well-known/smart-configuration", "/fhir/metadata", "/nowhere")
    }  # fmt: skip
    assert {place: said_in(text) for place, text in places.items() if said_in(text)} == {}
    assert "peerfhir_outbox_messages" in places["/metrics"]


def arguments() -> Iterator[str]:
    """The command line and the environment of every process we may look at (Linux)."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield (folder / name).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue


def beside_messages(loop: Loop) -> Iterator[str]:
    """Every column of messages, attempts and audit that is no content."""
    with reading(loop.house.engine) as connection:
        for table in (inbox_message, outbox_message, attempt, audit):
            columns = [one for one in table.c if not isinstance(one.type, LargeBinary)]
            for row in connection.execute(select(*columns)):
                yield repr(tuple(row))
