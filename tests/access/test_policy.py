"""Who may read which row: every combination of caller, row and ledger, compared with a plain retelling of the rule."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta

import pytest

from peerfhir.access import policy
from peerfhir.access.callers import Caller
from peerfhir.access.scopes import parse
from peerfhir.errors import NotFound
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.store import Store
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass, Status, TaskStatus
from peerfhir.records import consents, people, referrals
from peerfhir.records.database import reading, writing

PROGRAMS = ("alpha", "beta")
HOSPITALS = ("riverside", "lakeside")
LEDGERS = (
    "nothing",
    "holds",
    "holds until tomorrow",
    "other class",
    "other recipient",
    "ended",
    "expired",
    "not yet",
    "stopped",
    "too late",
    "renewed",
    "existence, later",
)


@dataclass(frozen=True)
class Row:
    program: str
    id: str
    source: str | None
    person: str | None
    share_class: str | None
    ledger: str | None  # of the person


def _caller(program: str, endpoint: str | None, recipient: Recipient | None) -> Caller:
    return Caller(f"client-{endpoint}", program, parse("system/*.cruds"), endpoint, recipient)


CALLERS = [
    *(_caller(program, endpoint, Recipient.HOSPITAL) for program, endpoint in itertools.product(PROGRAMS, HOSPITALS)),
    _caller("alpha", "riverside", None),
    _caller("alpha", "riverside", Recipient.PCP),
    Caller("client-tool", "alpha", parse("system/*.cruds")),
]


def _grants(program: str, who: str, ledger: str, t) -> list[Grant]:
    def line(number, at, recipient=Recipient.HOSPITAL, share_class=ShareClass.SUMMARY, **more):
        return Grant(f"g{number}-{who}", program, who, recipient, share_class, at, **more)

    hour = timedelta(hours=1)
    return {
        "nothing": [],
        "holds": [line(1, t - hour)],
        "holds until tomorrow": [line(1, t - hour, until=t + timedelta(days=1))],
        "other class": [line(1, t - hour, share_class=ShareClass.SCORES)],
        "other recipient": [line(1, t - hour, recipient=Recipient.REFERRER)],
        "ended": [line(1, t - hour, ended_at=t + hour, end_reason="withdrawn")],
        "expired": [line(1, t - hour, until=t + hour)],
        "not yet": [line(1, t + 9 * hour)],
        "stopped": [line(1, t - hour)],
        "too late": [line(1, t + hour)],
        "existence, later": [line(1, t + hour, share_class=ShareClass.EXISTENCE)],
        "renewed": [line(1, t - 2 * hour, ended_at=t - hour), line(2, t - hour)],
    }[ledger]


@pytest.fixture
def rows(engine, clock) -> list[Row]:
    """Records of 24 persons in two programs, all written at one instant; two hours later they are asked for."""
    made: list[Row] = []
    with writing(engine) as connection:
        for program in PROGRAMS:
            for ledger in LEDGERS:
                who = f"p-{'-'.join(ledger.replace(',', '').split())}"  # the same ids in both programs, on purpose
                stopped = clock.now() if ledger == "stopped" else None
                people.save(connection, Person(who, program, "Test", "Person", sharing_stopped_at=stopped), clock.now())
                order = Referral(
                    f"r-{who}", program, who, f"PF-{who}", Status.ENROLLED, TaskStatus.COMPLETED,
                    origin=Origin("riverside", "riverside", task_id=f"t-{who}"),
                )  # fmt: skip
                referrals.save(connection, order, clock.now())
                for grant in _grants(program, who, ledger, clock.now()):
                    consents.save(connection, grant, clock.now())
                made += [
                    Row(program, f"shared-{who}", None, who, "summary", ledger),
                    Row(program, f"exists-{who}", None, who, "existence", ledger),
                    Row(program, f"bare-{who}", None, who, None, ledger),
                    Row(program, f"sent-{who}", "riverside", who, "summary", ledger),
                ]
            made += [
                Row(program, "everyones", None, None, None, None),
                Row(program, "riversides", "riverside", None, None, None),
                Row(program, "lakesides", "lakeside", None, None, None),
                Row(program, "classed-but-nobodys", None, None, "summary", None),
            ]
        for row in made:
            labels = Labels(row.source, row.person, row.share_class)
            Store(connection, row.program, clock).create({"resourceType": "Basic", "id": row.id}, labels, id=row.id)
    clock.move(hours=2)
    return made


def _may(caller: Caller, row: Row) -> bool:
    """The rule told again, without SQL."""
    if row.program != caller.program_id:
        return False
    if row.source is not None and row.source == caller.source:
        return True
    if (row.source, row.person, row.share_class) == (None, None, None):
        return True
    if caller.recipient is not Recipient.HOSPITAL or caller.endpoint != "riverside":
        return False  # grants are to the hospital, and all these persons were referred by one of the two
    if row.share_class == "existence":  # that there is a referral is no record: a later grant shows it
        return row.ledger == "existence, later"
    return row.share_class == "summary" and row.ledger in ("holds", "holds until tomorrow", "renewed")


def _read(connection, caller, clock, row):
    store = Store(connection, caller.program_id, clock, policy.sight(caller, clock.now()))
    try:
        store.read("Basic", row.id)
    except NotFound as fault:
        return str(fault)
    return True


def test_each_caller_reads_what_is_theirs_the_programs_or_granted_and_nothing_else(engine, clock, rows):
    asked = crossings = 0
    said = set()
    with reading(engine) as connection:
        for caller, row in itertools.product(CALLERS, rows):
            asked += 1
            got = _read(connection, caller, clock, row)
            same_id_here = any(
                other.id == row.id and other.program == caller.program_id and _may(caller, other) for other in rows
            )
            assert (got is True) == same_id_here, (caller, row)
            crossings += got is True and not same_id_here
            if got is not True:
                said.add(got)
        caller = CALLERS[0]
        said.add(_read(connection, caller, clock, Row("alpha", "never-was", None, None, None, None)))
    assert asked == len(CALLERS) * len(rows) > 600
    assert crossings == 0
    assert len(said) == 1  # what is hidden is answered exactly as what never was


def test_a_search_finds_what_a_read_finds(engine, clock, rows):
    with reading(engine) as connection:
        for caller in CALLERS:
            store = Store(connection, caller.program_id, clock, policy.sight(caller, clock.now()))
            page = store.search("Basic", "_count=200&_total=accurate")
            expected = {row.id for row in rows if row.program == caller.program_id and _may(caller, row)}
            assert {one.id for one in page.rows} == expected
            assert page.total in (None, len(expected))


def test_a_grant_that_ends_is_noticed_at_the_next_read(engine, clock, rows):
    caller = CALLERS[0]
    row = next(one for one in rows if one.id == "shared-p-holds-until-tomorrow" and one.program == "alpha")
    with reading(engine) as connection:
        assert _read(connection, caller, clock, row) is True
    clock.move(hours=22)
    with reading(engine) as connection:
        assert _read(connection, caller, clock, row) is not True


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_sent_follows_the_ledger_of_its_own_program(engine, clock, rows, program):
    with reading(engine) as connection:
        for ledger in LEDGERS:
            who = f"p-{'-'.join(ledger.replace(',', '').split())}"
            decision = policy.may_send(
                connection,
                program,
                person_id=who,
                referral=referrals.at(connection, program, f"r-{who}"),
                recipient=Recipient.HOSPITAL,
                share_class=ShareClass.SUMMARY,
                piece=Piece.SUMMARY,
                now=clock.now(),
            )
            assert decision.permit == (ledger in ("holds", "holds until tomorrow", "renewed", "too late")), ledger
            assert (decision.grant_id is not None) == decision.permit


def test_for_a_person_of_another_program_nothing_is_sent(engine, clock, rows):
    with reading(engine) as connection:
        decision = policy.may_send(
            connection,
            "gamma",
            person_id="p-holds",
            referral=None,
            recipient=Recipient.HOSPITAL,
            share_class=ShareClass.SUMMARY,
            piece=Piece.SUMMARY,
            now=clock.now(),
        )
    assert (decision.permit, decision.reason) == (False, "no-such-person")
