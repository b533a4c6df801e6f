"""The pages' blueprint: headers, faults as pages, and every route."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from peerfhir.errors import Fault, TooManyRequests, Unauthenticated
from peerfhir.gateway.parts import Parts
from peerfhir.gateway.refusals import fault_of
from peerfhir.logs import log
from peerfhir.pathway.refusals import Refusal
from peerfhir.portal import (
    groups,
    home,
    notes,
    people,
    person,
    playground,
    questionnaires,
    queue,
    referrals,
    signin,
    someone,
    traces,
)
from peerfhir.portal.desk import Desk, must_sign_in
from peerfhir.portal.forgery import Forged

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)


def create_pages(parts: Parts) -> Blueprint:
    """Every page for people. Raises config.YamlProblem when the words cannot be read."""
    desk = Desk(parts)
    pages = Blueprint("portal", __name__, static_folder="static", static_url_path="/static")
    for room in (
        signin,
        home,
        queue,
        referrals,
        people,
        someone,
        notes,
        groups,
        questionnaires,
        person,
        traces,
        playground,
    ):
        room.mount(pages, desk)
    pages.after_request(_finish)
    pages.register_error_handler(Fault, partial(_on_fault, desk))
    pages.register_error_handler(Refusal, partial(_on_refusal, desk))
    pages.register_error_handler(HTTPException, partial(_on_http, desk))
    pages.register_error_handler(Exception, partial(_on_surprise, desk))
    return pages


def _finish(response: Response) -> Response:
    headers = response.headers
    # one page asks again while somebody types, of our own address alone; every other page may open no connection
    more = "; connect-src 'self'" if request.endpoint in playground.ENDPOINTS else ""
    headers["Content-Security-Policy"] = _POLICY + more
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    # not "no-referrer": browsers then send "Origin: null" with our own forms (Fetch standard, "append Origin")
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if request.endpoint == "portal.static" and response.status_code == 200:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"  # the address changes with the content
    else:
        headers["Cache-Control"] = "no-store"
    return response


def _on_fault(desk: Desk, fault: Fault) -> Response:
    if isinstance(fault, Unauthenticated):
        return _closing(must_sign_in())
    if fault.status >= 500:
        log().warning("page refused", code=fault.code, status=fault.status, execution_id=g.get("execution_id"))
    response = _page(desk, fault.status, "403-form" if isinstance(fault, Forged) else "")
    if isinstance(fault, TooManyRequests):
        response.headers["Retry-After"] = str(fault.seconds)
    return _closing(response)


def _closing(response: Response) -> Response:
    """A form that was turned away may be unread: what is left of it must not be taken for the next request."""
    if request.method == "POST":
        response.headers["Connection"] = "close"
    return response


def _on_refusal(desk: Desk, refusal: Refusal) -> Response:
    """A refusal that no form took: most often something that is not there, or not for this reader."""
    fault = fault_of(refusal)
    key = f"refusal.{refusal.reason}"
    if fault.status in (403, 404):
        return _page(desk, fault.status)
    lead = desk.words.say(key) if desk.words.knows(key) else ""
    return _page(desk, fault.status, "refused", lead)


def _on_http(desk: Desk, error: HTTPException) -> Response:
    return _page(desk, error.code or 500)


def _on_surprise(desk: Desk, error: Exception) -> Response:
    """Our own mistake. What was in the request stays out of the page and out of the log."""
    log().error("surprise", exc_info=error, route=str(request.url_rule), execution_id=g.get("execution_id"))
    return _page(desk, 500)


def _page(desk: Desk, status: int, key: str = "", lead: str = "") -> Response:
    """A fault as a page: what happened and what to do, and a way back."""
    words = desk.words
    name = key or str(status)
    if not words.knows(f"faults.{name}.title"):
        name = "500" if status >= 500 else "400"
    own = request.path.startswith("/me/")
    if own and status == 404:
        title, lead = words.say("me.link_gone"), words.say("me.link_gone_lead")
    else:
        title, lead = words.say(f"faults.{name}.title"), lead or words.say(f"faults.{name}.lead")
    return desk.plain_page("fault.html", title, status=status, lead=lead, back="" if own else "/", crisis=own)
