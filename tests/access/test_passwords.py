from __future__ import annotations

import pytest

from peerfhir.access import passwords
from peerfhir.errors import BadRequest


def test_a_password_is_kept_as_argon2id_and_never_twice_alike():
    first, second = (passwords.hash_password("a quiet morning walk") for _ in range(2))
    assert first.startswith("$argon2id$")
    assert first != second
    assert passwords.matches(first, "a quiet morning walk")
    assert not passwords.matches(first, "a quiet morning walk ")


def test_the_same_letters_typed_on_another_keyboard_match():
    kept = passwords.hash_password("caf\u00e9 at the corner")
    assert passwords.matches(kept, "cafe\u0301 at the corner")


@pytest.mark.parametrize("length", [0, 11, 257])
def test_too_short_and_too_long_is_refused(length):
    with pytest.raises(BadRequest):
        passwords.hash_password("x" * length)


def test_nobodys_password_matches_nothing_and_a_broken_row_lets_no_one_in():
    assert not passwords.matches(None, "nobody's password, so that an unknown name takes as long")
    assert not passwords.matches("not a hash at all", "whatever it is")
    assert not passwords.matches(passwords.hash_password("a quiet morning walk"), "x" * 100_000)
