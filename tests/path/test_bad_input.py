"""What is wrong is refused with its place and what to do; nothing of it is stored, nothing accepted before is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from peerfhir.fhir.writer import write
from tests.path.accepted import AUDIT, FAMILY, SEED, Site, opened, tag_of
from tests.path.wrong import KINDS, Kind, Wrong
from tests.support.caller import Answer, exchange

A_SENTENCE = 12  # characters at least


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this module: none of them may change anything."""
    with opened(tmp_path_factory.mktemp("house"), database_url) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.replace("_", "-"))
def test_it_is_refused_with_its_place_and_leaves_nothing_behind(site: Site, kind: Kind) -> None:
    rng = random.Random(f"{SEED} {kind.__name__}")
    before = site.snapshot()
    missed = []
    for wrong in kind(rng, site):
        answer = site.caller.send(wrong.method, wrong.path, wrong.body, **dict(wrong.headers))
        missed += [f"{wrong.name}: {what}" for what in complaints(answer, wrong)]
        after = site.snapshot()
        if {name for name in after if after[name] != before[name]} - set(AUDIT if wrong.status == 403 else ()):
            missed.append(f"{wrong.name}: something was stored")
        before = after
    assert missed == []


def complaints(answer: Answer, wrong: Wrong) -> Iterator[str]:
    """What is not as it should be in the refusal of something wrong."""
    if answer.status != wrong.status:
        yield f"answered {answer.status}"
        return
    first = answer.issues[0]
    if first["severity"] != "error" or (wrong.codes and first["code"] not in wrong.codes):
        yield f"said {first['severity']} {first['code']}"
    said = [place for issue in answer.issues for place in issue.get("expression", [])]
    if wrong.place and not any(place.startswith(wrong.place) for place in said):
        yield f"named {said}"
    if len(first.get("diagnostics", "")) < A_SENTENCE or not first["diagnostics"].endswith("."):
        yield "did not say it in a sentence"
    if FAMILY.encode() in answer.body or FAMILY.lower().encode() in answer.body:
        yield "repeated what was sent"
    if answer.headers["content-type"].partition(";")[0] != "application/fhir+json":
        yield f"came as {answer.headers['content-type']}"


@pytest.mark.parametrize("who", ["another-hospital", "no-scope", "no-token", "wrong-token"])
def test_who_may_not_write_changes_nothing(site: Site, who: str) -> None:
    sent = site.task | {"status": "cancelled", "statusReason": {"text": "We changed our mind."}}
    before = site.snapshot(*AUDIT)
    if who in ("no-token", "wrong-token"):
        headers = {} if who == "no-token" else {"Authorization": f"Bearer {'A' * 43}"}
        headers |= {"Content-Type": "application/fhir+json", "If-Match": site.tag()}
        answer = exchange(site.caller.site, "PUT", site.path(), write(sent), headers)
        assert (answer.status, answer.issues[0]["code"]) == (401, "login")
        assert "Bearer" in answer.headers["www-authenticate"]
    else:
        caller = site.stranger if who == "another-hospital" else site.reader
        answer = caller.send("PUT", site.path(), sent, If_Match=site.tag())
        expected = (404, "not-found") if who == "another-hospital" else (403, "forbidden")
        assert (answer.status, answer.issues[0]["code"]) == expected
    assert site.snapshot(*AUDIT) == before


def test_what_had_been_accepted_is_worked_on_all_the_same(engine_url: str, tmp_path: Path) -> None:
    with opened(tmp_path, engine_url) as site:
        rng = random.Random(SEED)
        for kind in KINDS:
            wrong = rng.choice(list(kind(rng, site)))
            answer = site.caller.send(wrong.method, wrong.path, wrong.body, **dict(wrong.headers))
            assert answer.status == wrong.status
        assert site.caller.get(site.path()).json == site.task
        assert site.worker.drain() > 0
        assert [(one.status, one.origin.task_id) for one in site.referrals() if one.origin] == [
            ("received", site.task["id"])
        ]
        sent = site.caller.get(site.path()).json | {
            "status": "cancelled",
            "statusReason": {"text": "Changed our mind."},
        }
        assert site.caller.send("PUT", site.path(), sent, If_Match=tag_of(sent)).status == 200
        stale = site.caller.send("PUT", site.path(), sent | {"status": "requested"}, If_Match=tag_of(sent))
        assert (stale.status, stale.issues[0]["code"]) == (412, "conflict")
        now = site.caller.get(site.path()).json
        back = site.caller.send("PUT", site.path(), now | {"status": "requested"}, If_Match=tag_of(now))
        assert (back.status, back.issues[0]["expression"]) == (422, ["Task.status"])
        site.worker.drain()
        assert [one.status for one in site.referrals()] == ["withdrawn-referrer"]
