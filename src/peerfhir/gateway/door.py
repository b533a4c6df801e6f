"""Who is at the door: token or login -> caller or actor, before any body byte is read."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import Request, Response, current_app, g
from itsdangerous import BadData, URLSafeTimedSerializer

from peerfhir.access import accounts, links, logins, tokens
from peerfhir.access.callers import Caller
from peerfhir.errors import BadRequest, DatabaseBusy, HeadersTooLarge, NotFound, Unauthenticated
from peerfhir.gateway.limits import EntryLimit, address_of
from peerfhir.gateway.parts import Parts, parts
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Recipient, Role
from peerfhir.records.database import reading, writing

__all__ = [
    "Caller",
    "Keeper",
    "by_link",
    "caller",
    "check_entry",
    "check_headers",
    "keep",
    "keeper",
    "let_in",
    "let_out",
    "login_key",
    "signed_in",
]

EXTENSION = "peerfhir.keeper"
MOST_HEADER_BYTES = 32 * 1024  # docs/rules.md, Doors; the server's own buffer is only roughly kept
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/-]{1,512}=*)")
_KEY = re.compile(r"[A-Za-z0-9_-]{20,100}")
_DEVICE_DAYS = 180


@dataclass(frozen=True)
class Keeper:
    """What a door needs beside the parts: one per app, so one per process."""

    remembered: tokens.Remembered
    entry: EntryLimit
    limits: logins.Limits


def keep(own: Parts) -> Keeper:
    """The keeper of an app."""
    recipients = {name: Recipient(endpoint.recipient) for name, endpoint in own.endpoints.items()}

    def look_up(token: str) -> tokens.Held | None:
        with reading(own.engine) as connection:
            return tokens.verify(connection, own.clock, token, recipients)

    return Keeper(
        remembered=tokens.Remembered(own.clock, look_up),
        entry=EntryLimit(own.clock, own.settings.workers),
        limits=logins.Limits(
            idle=timedelta(minutes=own.settings.idle_minutes), absolute=timedelta(hours=own.settings.session_hours)
        ),
    )


def keeper() -> Keeper:
    """The keeper of the app that is answering."""
    return cast(Keeper, current_app.extensions[EXTENSION])


def check_headers(request: Request) -> None:
    """Raises HeadersTooLarge, BadRequest; before anything else looks at the request."""
    environ = request.environ
    host = environ.get("HTTP_HOST", "")
    # a server joins what stands twice; a proxy may have gone by the other one (RFC 9112, 3.2)
    if "," in host or (not host and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"):
        raise BadRequest("A request names exactly one host.", place="Host")
    # each as it came: its name without "HTTP_", a colon, a blank and the end of the line
    size = sum(len(name) + len(value) - 1 for name, value in environ.items() if name.startswith("HTTP_"))
    if size + len(environ.get("QUERY_STRING", "")) + len(request.path) > MOST_HEADER_BYTES:
        raise HeadersTooLarge


def check_entry(request: Request) -> None:
    """Count a try to get in from this address. Raises TooManyRequests; before any password or secret is looked at."""
    keeper().entry.knock(address_of(request, parts().settings.base_url))


def caller(request: Request) -> Caller:
    """The client behind the bearer token. Raises Unauthenticated."""
    found = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    known = keeper().remembered.caller(found[1]) if found else None
    if known is None:
        raise Unauthenticated
    return known


def signed_in(request: Request) -> Actor:
    """The member of staff behind the login cookie; slides the idle limit. Raises Unauthenticated."""
    key = login_key(request)
    if key is None:
        raise Unauthenticated("Please sign in.")
    own = parts()
    with reading(own.engine) as connection:
        seen = logins.who(connection, own.clock, key, keeper().limits)
    if seen is None:
        raise Unauthenticated("Please sign in again.")
    if seen.due:
        with suppress(DatabaseBusy), writing(own.engine) as connection:  # a busy moment must not cost a page
            logins.touch(connection, own.clock, key)
    return seen.actor


def by_link(key: str) -> Actor:
    """The person whose own page it is. Raises NotFound for a key that is unknown or ended."""
    own = parts()
    found = None
    if _KEY.fullmatch(key):
        with reading(own.engine) as connection:
            found = links.person_of(connection, key)
    if found is None:
        raise NotFound("This link has ended. Ask the program for a new one.")
    program_id, person_id = found
    return Actor(id=person_id, role=Role.PERSON, program_id=program_id, person_id=person_id)


def login_key(request: Request) -> str | None:
    """The key in the login cookie, as it came: what a form's token is bound to."""
    key = request.cookies.get(_cookie("peerfhir"), "")
    return key if _KEY.fullmatch(key) else None


def let_in(request: Request, response: Response, login: str, password: str) -> Actor:
    """Check a password and set the login cookie on the response; a login this browser had before ends.

    Raises  Unauthenticated, one sentence for every cause
    """
    own = parts()
    key, account = accounts.sign_in(own.engine, own.clock, login, password, known_device_of=_device_of(request))
    before = login_key(request)
    if before is not None:
        with writing(own.engine) as connection:
            logins.sign_out(connection, own.clock, before)
    _set(response, "peerfhir", key, None)
    _set(response, "peerfhir-device", _devices().dumps(account.id), _DEVICE_DAYS * 86400)
    actor = Actor(
        id=account.id,
        role=account.role,
        program_id=account.program_id,
        display=account.display,
        peer_id=account.peer_id,
    )
    _note(actor, "sign-in")
    return actor


def let_out(request: Request, response: Response) -> None:
    """End the login and remove its cookie; the browser stays known."""
    own = parts()
    key = login_key(request)
    if key is not None:
        with reading(own.engine) as connection:
            seen = logins.who(connection, own.clock, key, keeper().limits)
        with writing(own.engine) as connection:
            logins.sign_out(connection, own.clock, key)
        if seen is not None:
            _note(seen.actor, "sign-out")
    _set(response, "peerfhir", "", 0)


def _note(actor: Actor, action: str) -> None:
    with parts().office.work(actor, execution_id=g.get("execution_id")) as work:
        work.audit(action, f"user/{actor.id}")


def _device_of(request: Request) -> str | None:
    """The user id that signed in from this browser before; only a cookie of ours says so."""
    try:
        value = _devices().loads(request.cookies.get(_cookie("peerfhir-device"), ""), max_age=_DEVICE_DAYS * 86400)
    except BadData:
        return None
    return value if isinstance(value, str) else None


def _devices() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(parts().settings.secret_key, salt="peerfhir known device")


def _cookie(name: str) -> str:
    # the prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis); http on loopback cannot have it
    return name if parts().settings.insecure_cookies else f"__Host-{name}"


def _set(response: Response, name: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        _cookie(name),
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=not parts().settings.insecure_cookies,
    )
