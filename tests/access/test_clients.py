from __future__ import annotations

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from peerfhir.access import clients, passwords, scopes, tokens
from peerfhir.errors import BadRequest, Conflict
from peerfhir.fhir.writer import write
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import client


def test_a_secret_is_shown_once_and_kept_as_a_hash(engine, clock):
    with writing(engine) as connection:
        client_id, secret = clients.add_client(connection, clock, "alpha", "Hospital", "system/*.read", "riverside")
    with reading(engine) as connection:
        row = connection.execute(select(client)).one()
        assert secret is not None
        assert secret not in str(row)
        assert passwords.matches(row.secret_hash, secret)
        (listed,) = clients.list_clients(connection)
    assert (listed.id, listed.scopes, listed.endpoint, listed.signs) == (client_id, "system/*.rs", "riverside", False)
    assert secret not in repr(listed)


def test_a_client_with_keys_has_no_secret(lite, clock):
    jwks = write({"keys": [ECKey.generate_key("P-384").as_dict(private=False)]})
    with writing(lite) as connection:
        _, secret = clients.add_client(connection, clock, "alpha", "Signs", "system/Task.rs", jwks=jwks)
        assert secret is None
        assert clients.list_clients(connection)[0].signs


@pytest.mark.parametrize(("name", "scope"), [("", "system/*.rs"), ("x" * 101, "system/*.rs"), ("x", ""), ("x", "all")])
def test_a_client_without_name_or_scope_is_refused(lite, clock, name, scope):
    with writing(lite) as connection, pytest.raises(BadRequest):
        clients.add_client(connection, clock, "alpha", name, scope)


def test_a_name_is_used_once_per_program_also_after_the_end(lite, clock):
    with writing(lite) as connection:
        first, _ = clients.add_client(connection, clock, "alpha", "Hospital", "system/*.rs")
        clients.add_client(connection, clock, "beta", "Hospital", "system/*.rs")
        clients.revoke_client(connection, clock, first)
    with writing(lite) as connection, pytest.raises(Conflict):
        clients.add_client(connection, clock, "alpha", "Hospital", "system/*.rs")
    with reading(lite) as connection:
        assert sorted(one.program_id for one in clients.list_clients(connection)) == ["alpha", "beta"]
        assert len(clients.list_clients(connection, "alpha")) == 1


def test_an_ended_client_proves_nothing_and_its_tokens_are_dead(engine, clock):
    with writing(engine) as connection:
        client_id, _ = clients.add_client(connection, clock, "alpha", "Hospital", "system/*.rs")
        token = tokens.issue(connection, clock, client_id, "alpha", scopes.parse("system/*.rs"), 300)
        assert clients.credentials_of(connection, client_id) is not None
        assert clients.revoke_client(connection, clock, client_id)
        assert not clients.revoke_client(connection, clock, client_id)
        assert not clients.revoke_client(connection, clock, "client-nobody")
    with reading(engine) as connection:
        assert clients.credentials_of(connection, client_id) is None
        assert tokens.verify(connection, clock, token, {}) is None
