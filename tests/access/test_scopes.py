from __future__ import annotations

import random

import pytest

from peerfhir.access import scopes
from peerfhir.errors import BadRequest

TYPES = ("Task", "Patient", "Observation", "*")
SEED = 20261121


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("system/Task.rus", "system/Task.rus"),
        ("system/*.cruds", "system/*.cruds"),
        ("system/Task.read", "system/Task.rs"),
        ("system/Task.write", "system/Task.cud"),
        ("system/Task.*", "system/Task.cruds"),
        ("system/Task.c system/Task.r", "system/Task.cr"),
        ("system/Task.rs admin", "system/Task.rs admin"),
        ("  admin  ", "admin"),
        ("", ""),
    ],
)
def test_both_spellings_are_read_and_written_in_the_newer_one(written, read):
    assert str(scopes.parse(written)) == read


@pytest.mark.parametrize(
    "wrong",
    [
        "patient/Task.rs",
        "user/Task.rs",
        "openid",
        "system/Task",
        "system/Task.",
        "system/Task.sr",
        "system/Task.x",
        "system/task.r",
        "system/Task.rs?status=requested",
        "system/Task.rs.rs",
        "System/Task.rs",
        "system/*.*.*",
        "system/Task.rs;admin",
    ],
)
def test_what_is_not_a_system_scope_is_refused_rather_than_guessed(wrong):
    with pytest.raises(BadRequest):
        scopes.parse(f"system/Task.rs {wrong}")
    assert str(scopes.understood(f"system/Task.rs {wrong}")) == "system/Task.rs"


def _some(dice: random.Random) -> scopes.Scopes:
    words = []
    for _ in range(dice.randint(0, 3)):
        letters = "".join(letter for letter in "cruds" if dice.random() < 0.5)
        if letters:
            words.append(f"system/{dice.choice(TYPES)}.{letters}")
    return scopes.parse(" ".join([*words, "admin"] if dice.random() < 0.2 else words))


def test_narrowing_never_gives_more_than_was_given_or_asked():
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    for _ in range(5000):
        given, asked = _some(dice), _some(dice)
        got = scopes.narrow(given, asked)
        for name in ("Task", "Patient", "Observation", "Consent"):
            assert got.letters(name) == given.letters(name) & asked.letters(name)
        assert got.admin == (given.admin and asked.admin)
        assert str(scopes.parse(str(got))) == str(got)


@pytest.mark.parametrize(
    ("interaction", "letter"),
    [("create", "c"), ("read", "r"), ("vread", "r"), ("update", "u"), ("delete", "d"), ("search-type", "s")],
)
def test_each_interaction_needs_its_own_letter(interaction, letter):
    for has in "cruds":
        assert scopes.allows(scopes.parse(f"system/Task.{has}"), interaction, "Task") is (has == letter)
    assert not scopes.allows(scopes.parse("system/Patient.cruds"), interaction, "Task")


def test_an_unknown_interaction_is_never_allowed_and_admin_opens_no_resource():
    assert not scopes.allows(scopes.parse("system/*.cruds"), "expunge", "Task")
    assert not scopes.allows(scopes.parse("admin"), "read", "Task")
