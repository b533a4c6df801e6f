"""Two programs in one service: whatever one asks, on pages or over the API, nothing of the other ever shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.tables import fhir_resource
from peerfhir.fhir.tables import metadata as fhir_tables
from peerfhir.operators import Operator
from peerfhir.practice.visitor import PageRefused, Visitor
from peerfhir.records.database import reading
from peerfhir.records.schema import inbox_message, outbox_message
from peerfhir.records.schema import metadata as record_tables
from tests.support.caller import Answer, Caller
from tests.support.house import ROOT
from tests.support.loop import Loop, Walk
from tests.support.scene import RunningClock, furnish, people
from tests.support.served import Served
from tests.support.ward import open_ward

NAMES = ("riverside", "lakeside")
ALL = ("attendance", "summary", "scores", "item-level")
NOBODY = "00000000-0000-4000-8000-000000000000"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Half:
    """One program: its loop, one referral that went all the way, and who may call over the API."""

    loop: Loop
    walk: Walk
    caller: Caller
    admin: Caller
    ids: frozenset[str] = frozenset()  # everything that is only this program's


def two_programs() -> str:
    """The shipped program, and another one of the same rules."""
    head, _, rest = (ROOT / "config" / "program.yaml").read_text("utf-8").partition("  riverside:\n")
    return f"{head}  riverside:\n{rest}  lakeside:\n{rest.replace('Riverside', 'Lakeside')}"


@pytest.fixture(scope="module")
def halves(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Half]]:
    folder: Path = tmp_path_factory.mktemp("house")
    with ExitStack() as stack:
        clock, gateway, bays = RunningClock(), Served(), {name: Served() for name in NAMES}
        for served in (gateway, *bays.values()):
            stack.callback(served.stop)
        hospitals = {f"{name}-hospital": (name, bay.url, "open") for name, bay in bays.items()}
        house = furnish(folder, database_url, gateway.url, clock, hospitals, programs=two_programs())
        stack.callback(house.engine.dispose)
        worker = house.worker()
        stack.callback(worker.outbox.close)
        gateway.start(house.web())
        made: dict[str, Half] = {}
        for name, bay in bays.items():
            endpoint = f"{name}-hospital"
            passwords = people(house, name)
            client = Operator(house).add_client(endpoint, "system/*.cruds", program=name, endpoint=endpoint)
            desk = Operator(house).add_client(f"{name} desk", "admin system/*.r", program=name)
            ward = open_ward(folder / endpoint, bay, gateway.url, clock, "open", client, endpoint)
            stack.callback(ward.engine.dispose)
            loop = Loop(house, gateway, ward, worker, clock, passwords, name)
            callers = [Caller(gateway.url, ident, secret or "") for ident, secret in (client, desk)]
            made[name] = Half(loop, walked(loop), *callers)
        found = {name: ids_of(half.loop, name) for name, half in made.items()}
        for name, other in zip(NAMES, reversed(NAMES), strict=True):
            made[name].ids = frozenset(found[name] - found[other])
        yield made


def walked(loop: Loop) -> Walk:
    """The same person, by the same numbers, is referred to both programs, and goes all the way in each."""
    walk = loop.refer().to_enrolled(*ALL)
    walk.note(working=f"A note of {loop.program}.", summary=f"A summary of {loop.program}.")
    walk.phq9()
    loop.group(walk.peer, [walk.person_id, loop.alone("Ines", loop.program.title(), walk.peer)])
    loop.settle()
    return walk


def ids_of(loop: Loop, program: str) -> set[str]:
    """Every random id in a row of this program."""
    found: set[str] = set()
    with reading(loop.house.engine) as connection:
        for table in (*record_tables.sorted_tables, *fhir_tables.sorted_tables):
            if "program_id" in table.c:
                for row in connection.execute(select(table).where(table.c.program_id == program)):
                    for value in row:
                        if isinstance(value, str):
                            found.update(_ID.findall(value))
    return found


def crossings(text: str, other: Half) -> set[str]:
    """What of the other program stands in a page or an answer."""
    return set(_ID.findall(text)) & other.ids


def as_unknown(answer: Answer) -> tuple[int, bytes, list[str]]:
    """What a caller can tell of an answer: everything but the request's own name and the hour."""
    return answer.status, answer.body, sorted(set(answer.headers) - {"date", "x-request-id"})


PAIRS = [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])]
both_ways = pytest.mark.parametrize(("mine", "theirs"), PAIRS, ids=["one-way", "other-way"])


def resources_of(half: Half) -> list[tuple[str, str]]:
    """(type, id) of everything this program stores as FHIR."""
    c = fhir_resource.c
    with reading(half.loop.house.engine) as connection:
        query = select(c.type, c.id).where(c.program_id == half.loop.program)
        return [tuple(row) for row in connection.execute(query)]


def test_each_program_has_had_a_whole_loop(halves: dict[str, Half]) -> None:
    counts = [half.loop.ward.counts() for half in halves.values()]
    assert counts[0] == counts[1]
    assert counts[0]["Encounter"] == 2
    for half, other in ((halves[a], halves[b]) for a, b in PAIRS):
        assert len(half.ids) > 50
        words = half.loop.ward.words()
        assert f"A summary of {half.loop.program}." in words
        assert other.loop.program not in words
        assert half.loop.ward.refusals() == []


@both_ways
def test_a_resource_of_another_program_is_as_unknown_as_none(halves: dict[str, Half], mine: str, theirs: str) -> None:
    caller, seen = halves[mine].caller, 0
    for kind, ident in resources_of(halves[theirs]):
        for path in (f"/fhir/{kind}/%s", f"/fhir/{kind}/%s/_history/1"):
            answer = caller.get(path % ident)
            assert answer.status == 404
            assert as_unknown(answer) == as_unknown(caller.get(path % NOBODY))
            seen += 1
        found = caller.get(f"/fhir/{kind}?_id={ident}").json
        assert found["total"] == 0
        sent = {"resourceType": kind, "id": ident}
        assert caller.send("PUT", f"/fhir/{kind}/{ident}", sent).status in (404, 422)
    assert seen > 50


@both_ways
def test_no_search_finds_anothers_resource(halves: dict[str, Half], mine: str, theirs: str) -> None:
    half, other = halves[mine], halves[theirs]
    their_patient = next(ident for kind, ident in resources_of(other) if kind == "Patient")
    found = 0
    for kind, known in PARAMETERS.items():
        queries = ["_count=200", "_count=200&_include=*", f"_id={their_patient}"]
        if "patient" in known:
            queries += [f"patient=Patient/{their_patient}", f"patient={their_patient}"]
        if "identifier" in known:
            queries += ["identifier=MRN-1001", "identifier=ORD-1001", "identifier=T-77"]
        for query in queries:
            answer = half.caller.get(f"/fhir/{kind}?{query}")
            assert crossings(answer.body.decode(), other) <= {*_ID.findall(query)}, f"{kind}?{query}"
            entries = answer.json.get("entry", []) if answer.status == 200 else []
            assert not {one["resource"]["id"] for one in entries} & other.ids
            found += len(entries)
    assert found > 20


@both_ways
def test_nothing_may_point_at_anothers_resource(halves: dict[str, Half], mine: str, theirs: str) -> None:
    caller = halves[mine].caller
    their_patient = next(ident for kind, ident in resources_of(halves[theirs]) if kind == "Patient")
    said = []
    for ident in (their_patient, NOBODY):
        sent = {"resourceType": "ServiceRequest", "status": "active", "intent": "order",
                "subject": {"reference": f"Patient/{ident}"}}  # fmt: skip
        said.append(as_unknown(caller.send("POST", "/fhir/ServiceRequest", sent)))
    assert said[0] == said[1]
    assert said[0][0] == 422


@both_ways
def test_pages_of_anothers_people_are_as_unknown_as_none(halves: dict[str, Half], mine: str, theirs: str) -> None:
    half, other = halves[mine], halves[theirs]
    referral, person = other.walk.referral_id, other.walk.person_id
    for name in ("rosa", half.walk.peer):
        who = half.loop.staff(name)
        for path, ident in (
            ("/referrals/%s", referral), ("/people/%s", person), ("/people/%s/note", person), ("/people/%s/phq-9", person),
            ("/trace/%s", referral),
        ):  # fmt: skip
            assert refusal(who, path % ident) == refusal(who, path % NOBODY)
        who.open("/")
        steps = (
            "triage",
            "propose",
            "accept",
            "contact",
            "enrol",
            "close",
            "link",
            "not-me",
            "they-decline",
            "give-up",
        )
        fields = {"channel": "phone", "outcome": "answered", "reason": "goals-met", "sentence": "No."}
        before = other.walk.now()
        for step in steps:
            said = [refusal(who, f"/referrals/{ident}/{step}", fields) for ident in (referral, NOBODY)]
            assert said[0] == said[1]
        assert other.walk.now() == before


def refusal(who: Visitor, path: str, fields: dict[str, Any] | None = None) -> tuple[int, str]:
    """The status and the words of a page that says no."""
    try:
        page = who.open(path) if fields is None else who.press(path, fields)
    except PageRefused as no:
        assert no.status in (403, 404)
        return no.status, re.sub(r'value="[^"]+"', "", no.text)
    raise AssertionError(f"{path} answered {page.url}")


@both_ways
def test_no_page_shows_anothers_people(halves: dict[str, Half], mine: str, theirs: str) -> None:
    half, other = halves[mine], halves[theirs]
    referral, person = half.walk.referral_id, half.walk.person_id
    both = ["/", "/referrals", f"/referrals/{referral}", "/people", f"/people/{person}"]
    own = {"rosa": [*both, f"/trace/{referral}"], half.walk.peer: [*both, f"/people/{person}/note", "/groups/new"]}
    for name, paths in own.items():
        for path in paths:
            page = half.loop.staff(name).open(path)
            assert crossings(page.html, other) == set(), path
            assert other.loop.program.title() not in page.text, path
    page = Visitor(half.loop.gateway.url).open(half.walk.link)
    assert crossings(page.html, other) == set()


@both_ways
def test_nobody_of_another_program_comes_to_a_group(halves: dict[str, Half], mine: str, theirs: str) -> None:
    half, other = halves[mine], halves[theirs]
    met = [len(one.loop.meeting_numbers(one.walk.person_id)) for one in (half, other)]
    with pytest.raises(PageRefused) as no:
        half.loop.group(half.walk.peer, [half.walk.person_id, other.walk.person_id])
    assert no.value.status == 404
    assert [len(one.loop.meeting_numbers(one.walk.person_id)) for one in (half, other)] == met


@both_ways
def test_operators_see_their_own_messages_only(halves: dict[str, Half], mine: str, theirs: str) -> None:
    half, other = halves[mine], halves[theirs]
    for path in ("/admin/inbox?limit=500", "/admin/outbox?limit=500", f"/admin/outbox?endpoint={theirs}-hospital"):
        answer = half.admin.get(path)
        assert answer.status == 200
        assert crossings(answer.body.decode(), other) == set()
    assert half.admin.get(f"/admin/outbox?endpoint={theirs}-hospital").json["messages"] == []
    with reading(half.loop.house.engine) as connection:
        rows = {
            table.name: connection.execute(select(table.c.id).where(table.c.program_id == theirs)).scalars().first()
            for table in (inbox_message, outbox_message)
        }
    unknown = {"inbox": NOBODY, "outbox": "99999999"}
    for queue, ident in (("inbox", rows["inbox_message"]), ("outbox", rows["outbox_message"])):
        for method, tail in (("GET", ""), ("GET", "?content=true"), ("POST", "/rerun")):
            said = [half.admin.send(method, f"/admin/{queue}/{one}{tail}") for one in (ident, unknown[queue])]
            assert said[0].status == 404
            assert as_unknown(said[0]) == as_unknown(said[1])
    for ident in (other.walk.referral_id, rows["inbox_message"]):
        assert as_unknown(half.admin.get(f"/admin/trace/{ident}")) == as_unknown(
            half.admin.get(f"/admin/trace/{NOBODY}")
        )


@both_ways
def test_a_stop_in_one_program_is_none_in_the_other(halves: dict[str, Half], mine: str, theirs: str) -> None:
    other = halves[theirs]
    before = (other.walk.now(), other.loop.ward.versions(), ids_of(other.loop, theirs))
    walk = halves[mine].walk
    walk.note(ago=20, summary="One more.")
    walk.share("attendance")
    halves[mine].loop.settle()
    assert (other.walk.now(), other.loop.ward.versions(), ids_of(other.loop, theirs)) == before
