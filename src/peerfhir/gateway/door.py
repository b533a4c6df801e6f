"""Who is at the door: token or login -> caller or actor, before any body byte is read."""

from __future__ import annotations

from flask import Request, Response

from peerfhir.access.callers import Caller
from peerfhir.pathway.people import Actor

__all__ = ["Caller", "by_link", "caller", "let_in", "let_out", "login_key", "signed_in"]


def caller(request: Request) -> Caller:
    """The client behind the bearer token. Raises Unauthenticated."""
    raise AssertionError


def signed_in(request: Request) -> Actor:
    """The member of staff behind the login cookie; slides the idle limit. Raises Unauthenticated."""
    raise AssertionError


def by_link(key: str) -> Actor:
    """The person whose own page it is. Raises NotFound for a key that is unknown or ended."""
    raise AssertionError


def login_key(request: Request) -> str | None:
    """The key in the login cookie, as it came: what a form's token is bound to."""
    raise AssertionError


def let_in(request: Request, response: Response, login: str, password: str) -> Actor:
    """Check a password and set the login cookie on the response. Raises Unauthenticated, one sentence for every cause."""
    raise AssertionError


def let_out(request: Request, response: Response) -> None:
    """End the login and remove its cookie."""
    raise AssertionError
