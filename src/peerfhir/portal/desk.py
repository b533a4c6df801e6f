"""What every page needs: who asks, the form that came, the words, and the sheet it is printed on."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from flask import Response, g, request

from peerfhir.errors import Forbidden
from peerfhir.gateway import door
from peerfhir.gateway.body import MAX_FORM_BYTES, read_form
from peerfhir.gateway.parts import Parts
from peerfhir.pathway.people import Actor, Program
from peerfhir.pathway.vocabulary import Role
from peerfhir.portal.forgery import FIELD, Forgery
from peerfhir.portal.paper import Paper
from peerfhir.portal.words import Calendar, Words, catalogue
from peerfhir.records.work import Work

LEADS = frozenset({Role.COORDINATOR, Role.SUPERVISOR})
WITH_PEOPLE = LEADS | {Role.PEER}
STAFF = WITH_PEOPLE | {Role.ENGINEER}

Posted: TypeAlias = Mapping[str, tuple[str, ...]]

_OWN_PATH = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?")
_DIALLED = re.compile(r"\+?[0-9](?:[0-9 ]*[0-9])")
_VISIT = "peerfhir-visit"


@dataclass(frozen=True)
class Tab:
    """One entry of the main menu."""

    href: str
    text: str
    icon: str
    here: bool


@dataclass(frozen=True)
class Crisis:
    """The card of help in a crisis: the program's own sentence, and the number in it to be dialled."""

    text: str
    number: str = ""

    @property
    def dial(self) -> str:
        """The number as a telephone link takes it."""
        return self.number.replace(" ", "")


@dataclass(frozen=True)
class Frame:
    """What stands around the content of a page. kind: staff | narrow | own."""

    title: str
    kind: str
    token: str
    program: str = ""
    signed_in: str = ""
    tabs: tuple[Tab, ...] = ()
    done: str = ""
    crisis: Crisis | None = None


class Desk:
    """Opens, prints and checks; one per service."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.words: Words = catalogue()
        self.paper = Paper(self.words)
        settings = parts.settings
        self.forgery = Forgery(settings.secret_key, settings.base_url, loopback=settings.insecure_cookies)

    # -- who asks

    def staff(self, roles: frozenset[Role] = STAFF) -> Actor:
        """The member of staff who asks. Raises Unauthenticated; Forbidden for another role."""
        actor = door.signed_in(request)
        if actor.role not in roles:
            raise Forbidden
        return actor

    def posted(self, bound_to: str | None = None, *, most: int = MAX_FORM_BYTES) -> Posted:
        """The form that was sent, once it is known to be ours: origin first, then the body, then the token.

        bound_to  the link it belongs to; None: the login
        most      bytes of the form
        Raises    Forged, and what gateway.body raises
        """
        self.forgery.check_origin(request)
        form = read_form(request, max_bytes=most)
        given = form.pop(FIELD, [""])
        self.forgery.check_token(given[0] if len(given) == 1 else "", bound_to or door.login_key(request) or "")
        return {name: tuple(values) for name, values in form.items()}

    # -- records

    def program(self, program_id: str) -> Program:
        """The program of whoever asks. Raises Forbidden when it is no longer served."""
        found = self.parts.programs.get(program_id)
        if found is None:
            raise Forbidden
        return found

    def calendar(self, program_id: str) -> Calendar:
        """Days and times in the program's own time zone."""
        return Calendar(self.words, self.program(program_id).time_zone, self.parts.clock.now())

    @contextmanager
    def work(self, actor: Actor) -> Iterator[Work]:
        """One unit of work; reading counts as well, because who looked is written down."""
        with self.parts.office.work(actor, execution_id=g.get("execution_id")) as work:
            yield work

    # -- printing

    def page(
        self, template: str, title: str, actor: Actor, *, here: str = "", status: int = 200, narrow: bool = False,
        crisis: bool = False, **values: object,
    ) -> Response:  # fmt: skip
        """A page for staff."""
        program = self.program(actor.program_id)
        role = self.words.say(f"roles.{actor.role}")
        frame = Frame(
            title=title,
            kind="narrow" if narrow else "staff",
            token=self.forgery.token(door.login_key(request) or ""),
            program=program.name,
            signed_in=self.words.say("site.signed_in_as", name=f"{actor.display}, {role}"),
            tabs=self._tabs(actor.role, here),
            done=self._done(),
            crisis=self.crisis(program) if crisis else None,
        )
        return self._print(template, frame, status, values)

    def own_page(
        self, template: str, title: str, program: Program, key: str, status: int = 200, **values: object
    ) -> Response:
        """A page for the person served."""
        frame = Frame(
            title=title, kind="own", token=self.forgery.token(link_of(key)), program=program.name, done=self._done(),
            crisis=self.crisis(program),
        )  # fmt: skip
        return self._print(template, frame, status, values | {"key": key})

    def plain_page(
        self, template: str, title: str, *, status: int = 200, token: str = "", **values: object
    ) -> Response:
        """A page for whoever it may be."""
        return self._print(template, Frame(title=title, kind="narrow", token=token, done=self._done()), status, values)

    def crisis(self, program: Program) -> Crisis:
        """The crisis card of a program."""
        if not program.crisis_line:
            return Crisis(self.words.say("crisis.none"))
        number = _DIALLED.search(program.crisis_line)
        return Crisis(program.crisis_line, number[0] if number else "")

    def _print(self, template: str, frame: Frame, status: int, values: Mapping[str, object]) -> Response:
        text = self.paper.print(template, frame=frame, **values)
        return Response(text, status=status, content_type="text/html; charset=utf-8")

    def _tabs(self, role: Role, here: str) -> tuple[Tab, ...]:
        tabs = [("/", "home", "home")]
        if role in WITH_PEOPLE:
            tabs += [("/referrals", "referrals", "letter"), ("/people", "people", "people")]
        if role is Role.PEER:
            tabs += [("/groups/new", "group", "group")]
        if role is Role.ENGINEER and self.parts.settings.playground:
            tabs += [("/playground", "playground", "pen")]
        return tuple(Tab(href, self.words.say(f"site.{name}"), icon, href == here) for href, name, icon in tabs)

    def _done(self) -> str:
        """The line that tells what was just done; the address names it, the catalogue says it."""
        key = f"done.{request.args.get('done', '')}"
        return self.words.say(key) if self.words.knows(key) else ""

    # -- visitors who have not signed in

    def visit(self) -> str:
        """What the sign-in form is bound to: a random cookie of this browser, or one to be set."""
        return request.cookies.get(self._visit_cookie(), "") or secrets.token_urlsafe(18)

    def remember_visit(self, response: Response, visit: str) -> None:
        """Set that cookie."""
        secure = not self.parts.settings.insecure_cookies
        response.set_cookie(self._visit_cookie(), visit, path="/", httponly=True, samesite="Lax", secure=secure)

    def _visit_cookie(self) -> str:
        return _VISIT if self.parts.settings.insecure_cookies else f"__Host-{_VISIT}"


def link_of(key: str) -> str:
    """What the forms of a person's page are bound to."""
    return f"link {key}"


def go(path: str, done: str = "") -> Response:
    """On to one of our own pages, after something was done.

    Raises  ValueError for an address that is not a plain path of ours
    """
    if not is_own_path(path):
        raise ValueError("not a path of ours")
    return Response(status=303, headers={"Location": f"{path}?done={done}" if done else path})


def is_own_path(path: str) -> bool:
    """A path below our own root, with nothing in it that a browser could read as another site."""
    return _OWN_PATH.fullmatch(path) is not None


def must_sign_in() -> Response:
    """Where somebody goes who is not signed in, and back to the page they wanted once they are."""
    ask = []
    if request.method == "GET" and request.path != "/" and is_own_path(request.path):
        ask.append(f"next={request.path}")
    if door.login_key(request) is not None:
        ask.append("done=ended")
    return Response(status=303, headers={"Location": "/sign-in" + ("?" + "&".join(ask) if ask else "")})
