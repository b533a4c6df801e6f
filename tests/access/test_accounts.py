from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from peerfhir.access import accounts, logins
from peerfhir.errors import BadRequest, Conflict, Unauthenticated
from peerfhir.pathway.vocabulary import Role
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import login as login_table
from peerfhir.records.schema import user_account

PASSWORD = "the long way round the lake"


def _add(engine, clock, login="ines", role=Role.COORDINATOR, password=PASSWORD, peer_id=None):
    with writing(engine) as connection:
        return accounts.add_user(connection, clock, "alpha", login, "Ines (invented)", role, password, peer_id)


def _in(engine, clock, password=PASSWORD, login="ines", device=None):
    return accounts.sign_in(engine, clock, login, password, known_device_of=device)


def test_who_has_an_account_signs_in_by_any_spelling_of_the_login(engine, clock):
    user_id, _ = _add(engine, clock, login="Ines.R")
    key, account = _in(engine, clock, login=" INES.r ")
    assert account.id == user_id
    with reading(engine) as connection:
        seen = logins.who(connection, clock, key)
        assert seen is not None
        assert (seen.actor.id, seen.actor.role, seen.actor.program_id) == (user_id, Role.COORDINATOR, "alpha")
        rows = str(connection.execute(select(login_table)).all()) + str(connection.execute(select(user_account)).all())
        assert key not in rows
        assert PASSWORD not in rows


def test_a_password_is_made_when_none_is_given(lite, clock):
    _, password = _add(lite, clock, password=None)
    assert len(password) >= 16
    assert _in(lite, clock, password)


def test_a_peers_account_names_the_peer_and_no_other_does(lite, clock):
    _add(lite, clock, role=Role.PEER, peer_id="peer-1")
    key, account = _in(lite, clock)
    assert account.peer_id == "peer-1"
    with reading(lite) as connection:
        seen = logins.who(connection, clock, key)
    assert seen is not None
    assert seen.actor.peer_id == "peer-1"
    with pytest.raises(BadRequest):
        _add(lite, clock, login="two", role=Role.PEER)
    with pytest.raises(BadRequest):
        _add(lite, clock, login="three", role=Role.COORDINATOR, peer_id="peer-1")


@pytest.mark.parametrize("role", [Role.PERSON, Role.REQUESTER, Role.GATEWAY])
def test_roles_that_are_not_staff_have_no_account(lite, clock, role):
    with pytest.raises(BadRequest):
        _add(lite, clock, role=role)


@pytest.mark.parametrize("login", ["", "a b", "x" * 101, "<script>", ".dot", "né", "a\n"])
def test_a_login_is_plain_characters(lite, clock, login):
    if login == "a\n":
        _add(lite, clock, login=login)  # a line end is trimmed, like a space
        return
    with pytest.raises(BadRequest):
        _add(lite, clock, login=login)


def test_a_login_is_taken_once(lite, clock):
    _add(lite, clock)
    with pytest.raises(Conflict):
        _add(lite, clock, login="INES")


def test_every_failed_sign_in_says_the_same(lite, clock):
    user_id, _ = _add(lite, clock)
    said = set()
    for attempt in (lambda: _in(lite, clock, "wrong password"), lambda: _in(lite, clock, PASSWORD, "nobody")):
        with pytest.raises(Unauthenticated) as fault:
            attempt()
        said.add(str(fault.value))
    with writing(lite) as connection:
        assert accounts.revoke_user(connection, clock, user_id)
        assert not accounts.revoke_user(connection, clock, user_id)
    with pytest.raises(Unauthenticated) as fault:
        _in(lite, clock)
    said.add(str(fault.value))
    assert len(said) == 1


def test_guessing_locks_the_account_for_strangers_and_not_for_a_known_browser(engine, clock):
    user_id, _ = _add(engine, clock)
    for _ in range(accounts.FREE_TRIES):
        with pytest.raises(Unauthenticated):
            _in(engine, clock, "a wrong guess")
    with pytest.raises(Unauthenticated):
        _in(engine, clock)  # the right password, from an unknown browser, during the lock
    assert _in(engine, clock, device=user_id)  # the clinician's own browser is let in, and clears the lock
    assert _in(engine, clock)


def test_another_persons_browser_is_a_stranger(lite, clock):
    _add(lite, clock)
    other, _ = _add(lite, clock, login="otto")
    for _ in range(accounts.FREE_TRIES):
        with pytest.raises(Unauthenticated):
            _in(lite, clock, "a wrong guess")
    with pytest.raises(Unauthenticated):
        _in(lite, clock, device=other)


def test_a_lock_ends_by_itself_grows_with_guessing_and_is_never_long(lite, clock):
    _add(lite, clock)
    waits = []
    for _ in range(12):
        for _ in range(accounts.FREE_TRIES if not waits else 1):
            with pytest.raises(Unauthenticated):
                _in(lite, clock, "a wrong guess")
        waited = 0
        while True:
            with reading(lite) as connection:
                until = connection.execute(select(user_account.c.locked_until)).scalar_one()
            if until <= clock.now():
                break
            clock.move(seconds=15)
            waited += 15
        waits.append(waited)
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900, 900]
    assert _in(lite, clock)


def test_guesses_during_a_lock_do_not_prolong_it(lite, clock):
    _add(lite, clock)
    for _ in range(accounts.FREE_TRIES + 20):
        with pytest.raises(Unauthenticated):
            _in(lite, clock, "a wrong guess")
    clock.move(seconds=16)
    assert _in(lite, clock)


def test_guesses_at_the_same_time_are_all_counted(engine, clock):
    _add(engine, clock)

    def guess(_: int) -> None:
        with pytest.raises(Unauthenticated):
            _in(engine, clock, "a wrong guess")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(guess, range(accounts.FREE_TRIES - 1)))
    with reading(engine) as connection:
        assert connection.execute(select(user_account.c.failures)).scalar_one() == accounts.FREE_TRIES - 1


def test_ending_an_account_ends_what_it_is_signed_in_to(engine, clock):
    user_id, _ = _add(engine, clock)
    key, _ = _in(engine, clock)
    with writing(engine) as connection:
        accounts.revoke_user(connection, clock, user_id)
        assert logins.who(connection, clock, key) is None
        assert [one.revoked_at is None for one in accounts.list_users(connection, "alpha")] == [False]
        assert accounts.list_users(connection, "beta") == []
