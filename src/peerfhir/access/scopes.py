"""SMART scopes read, compared and narrowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from peerfhir.errors import BadRequest

ADMIN = "admin"  # the one scope that is not SMART's: what /admin shows
_LETTERS = "cruds"
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}  # SMART App Launch 2.2.0, backward compatibility
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]{1,40})\.(\*|read|write|(?=.)c?r?u?d?s?)")
_LETTER_OF = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history": "r",
    "history-instance": "r",
    "history-type": "s",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search": "s",
    "search-type": "s",
}


@dataclass(frozen=True, order=True)
class Scope:
    """What may be done with one resource type, or with every type ("*")."""

    type: str
    letters: str  # of "cruds", in that order

    def __str__(self) -> str:
        return f"system/{self.type}.{self.letters}"


@dataclass(frozen=True)
class Scopes:
    """All that a client or a token may do."""

    entries: tuple[Scope, ...] = ()
    admin: bool = False

    def __bool__(self) -> bool:
        return bool(self.entries) or self.admin

    def __str__(self) -> str:
        words = [str(entry) for entry in self.entries]
        return " ".join([*words, ADMIN] if self.admin else words)

    def letters(self, resource_type: str) -> set[str]:
        """The letters of "cruds" that hold for a type."""
        return {letter for entry in self.entries if entry.type in ("*", resource_type) for letter in entry.letters}


def parse(text: str) -> Scopes:
    """Read a space-separated list, v1 and v2 spellings alike.

    Raises  BadRequest for a word that is not a system scope. Search parameters behind "?" are
            refused too: ignoring them would give more than was asked.
    Source  SMART App Launch 2.2.0, "Scopes for requesting FHIR resources"
    """
    words = text.split()
    if not all(_is_known(word) for word in words):
        raise BadRequest("A scope is written system/Type.cruds, for example system/Task.rus.", place="scope")
    return understood(text)


def understood(text: str) -> Scopes:
    """The scopes we know among those that were asked for; a client may ask for more than any server has."""
    entries: dict[str, set[str]] = {}
    words = [word for word in text.split() if _is_known(word)]
    for word in words:
        if word != ADMIN:
            name, may = word.removeprefix("system/").split(".")
            entries.setdefault(name, set()).update(_V1.get(may, may))
    return _scopes(entries, ADMIN in words)


def _is_known(word: str) -> bool:
    return word == ADMIN or _SCOPE.fullmatch(word) is not None


def narrow(given: Scopes, asked: Scopes) -> Scopes:
    """What is in both; empty when nothing is."""
    entries: dict[str, set[str]] = {}
    for entry in asked.entries:
        # asking for every type gives the types one has, not every type
        types = {own.type for own in given.entries} if entry.type == "*" else {entry.type}
        for name in types:
            both = given.letters(name) & set(entry.letters)
            if both:
                entries.setdefault(name, set()).update(both)
    return _scopes(entries, given.admin and asked.admin)


def allows(scopes: Scopes, interaction: str, resource_type: str) -> bool:
    """Whether an interaction of the RESTful API is within the scopes; an unknown interaction is not."""
    letter = _LETTER_OF.get(interaction)
    return letter is not None and letter in scopes.letters(resource_type)


def _scopes(entries: dict[str, set[str]], admin: bool) -> Scopes:
    return Scopes(tuple(sorted(Scope(name, _ordered(letters)) for name, letters in entries.items())), admin)


def _ordered(letters: Iterable[str]) -> str:
    return "".join(letter for letter in _LETTERS if letter in set(letters))
