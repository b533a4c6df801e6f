"""Searches that nothing narrows: walked in the order of an index, in pages that hold each row once."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, text

from peerfhir.fhir import walks
from peerfhir.fhir.index import span_of
from peerfhir.fhir.prepared import Sight
from peerfhir.fhir.search import parse
from peerfhir.fhir.store import Draft, Labels, Store
from peerfhir.records.database import reading, writing
from tests.support.clock import HeldClock

SEED = 20261121
SIZE = 150
_MINE = text("fhir_resource.source = 'mine'")


def _observation(number: int, rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Observation", "id": f"o{number:03}", "code": {"text": "x"},
        "status": "preliminary" if number in (70, 141) else "final",
    }  # fmt: skip
    day = f"2026-{rng.randrange(1, 4):02}-{rng.randrange(1, 5):02}"
    kind = number % 5
    if kind == 0:
        return made
    if kind == 1:
        return {**made, "effectivePeriod": {"start": day} if number % 2 else {"end": day}}
    return {**made, "effectiveDateTime": day if kind == 2 else day[:7] if kind == 3 else f"{day}T10:00:00Z"}


@pytest.fixture
def rows(shared: Engine) -> tuple[str, list[dict[str, Any]]]:
    """A program of its own, and what is in it."""
    print(f"seed {SEED}")
    rng, program = random.Random(SEED), str(uuid.uuid4())
    made = [_observation(number, rng) for number in range(SIZE)]
    with writing(shared) as connection:
        labels = [Labels(source="mine" if number % 3 else "theirs") for number in range(SIZE)]
        drafts = [Draft(*pair) for pair in zip(made, labels, strict=True)]
        Store(connection, program, HeldClock()).write(drafts)
    return program, made


def _pages(engine: Engine, program: str, query: str, *, bounded: bool, mine: bool = False) -> list[list[str]]:
    found: list[list[str]] = []
    following: str | None = ""
    with reading(engine) as connection:
        sight = [Sight(_MINE, {})] if mine else []
        store = Store(connection, program, HeldClock(), *sight)
        while following is not None:
            asked = f"{query}&_after={following}" if following else query
            page = store.search("Observation", parse("Observation", asked), bounded=bounded)
            found.append([one.id for one in page.rows])
            following = page.next
            assert len(found) < 100
    return found


def _by_date(made: list[dict[str, Any]], *, down: bool) -> list[str]:
    """As the specification sorts: by the earliest moment, or falling by the latest; those without a date last."""

    def key(one: dict[str, Any]) -> tuple[int, int, str] | None:
        said = one.get("effectiveDateTime")
        period = one.get("effectivePeriod", {})
        low, high = span_of(said) or (0, 0) if said else (-(2**62), 2**62)
        if "start" in period:
            low = (span_of(period["start"]) or (0, 0))[0]
        if "end" in period:
            high = (span_of(period["end"]) or (0, 0))[1]
        if not said and not period:
            return None
        return (high, low, one["id"]) if down else (low, high, one["id"])

    dated = sorted((one for one in made if key(one)), key=lambda one: key(one) or (0, 0, ""), reverse=down)
    return [one["id"] for one in dated] + sorted((one["id"] for one in made if not key(one)), reverse=down)


@pytest.mark.parametrize("down", [False, True])
def test_an_order_by_date_is_the_same_walked_and_sorted(shared: Engine, rows: Any, down: bool) -> None:
    program, made = rows
    order = f"_count=7&_sort={'-' if down else ''}date"
    wanted = _by_date(made, down=down)
    for bounded in (False, True):
        pages = _pages(shared, program, order, bounded=bounded)
        assert [one for page in pages for one in page] == wanted
        assert all(len(page) == 7 for page in pages[:-1])
    # a list of ids leads here: the same order, made by sorting
    some = ",".join(one["id"] for one in made[::2])
    led = _pages(shared, program, f"_id={some}&{order}", bounded=True)
    assert [one for page in led for one in page] == [one for one in wanted if int(one[1:]) % 2 == 0]


_ORDERS = ["", "&_sort=-_id", "&_sort=_lastUpdated", "&_sort=-_lastUpdated", "&_sort=date", "&_sort=-date"]


@pytest.mark.parametrize("order", _ORDERS)
def test_a_bound_ends_a_page_early_and_its_link_goes_on(
    shared: Engine, rows: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of a hundred and fifty match; no page looks at more than twenty."""
    monkeypatch.setattr(walks, "MOST_WALKED", 20)
    monkeypatch.setattr(walks, "_AT_FIRST", 5)
    program, _ = rows
    query = f"status:not=final&_count=5{order}"
    bounded = _pages(shared, program, query, bounded=True)
    whole = _pages(shared, program, query, bounded=False)
    assert len(whole) == 1
    assert [one for page in bounded for one in page] == whole[0]
    assert sorted(whole[0]) == ["o070", "o141"]
    assert 6 <= len(bounded) <= 9
    frequent = _pages(shared, program, f"status:not=preliminary&_count=5{order}", bounded=True)
    assert [one for page in frequent for one in page] == [
        one
        for page in _pages(shared, program, f"status:not=preliminary&_count=5{order}", bounded=False)
        for one in page
    ]


@pytest.mark.parametrize("order", _ORDERS)
def test_a_link_names_only_what_its_reader_may_see(
    shared: Engine, rows: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "MOST_WALKED", 10)
    monkeypatch.setattr(walks, "_AT_FIRST", 4)
    program, _ = rows
    query = f"status:not=preliminary&_count=50{order}"
    seen = [one for page in _pages(shared, program, query, bounded=True, mine=True) for one in page]
    assert sorted(seen) == sorted(f"o{number:03}" for number in range(SIZE) if number % 3 and number not in (70, 141))
