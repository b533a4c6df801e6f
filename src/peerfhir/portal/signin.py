"""Signing in and out."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request

from peerfhir.errors import Unauthenticated
from peerfhir.gateway import door
from peerfhir.gateway.limits import address_of
from peerfhir.portal.desk import Desk, go, is_own_path
from peerfhir.portal.fields import Field, Filled, problems
from peerfhir.portal.forms import SignInForm, read


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of signing in and out."""
    pages.add_url_rule("/sign-in", "sign_in", partial(_form, desk))
    pages.add_url_rule("/sign-in", "sign_in_try", partial(_try, desk), methods=["POST"])
    pages.add_url_rule("/alive", "alive", partial(_alive, desk))
    pages.add_url_rule("/sign-out", "sign_out", partial(_out, desk), methods=["POST"])


def _form(desk: Desk) -> Response:
    wanted = request.args.get("next", "")
    return _print(desk, Filled({"next": (wanted,)} if is_own_path(wanted) else {}))


def _print(desk: Desk, filled: Filled, status: int = 200) -> Response:
    say = desk.words.say
    controls = [
        filled.into(control)
        for control in (
            Field("login", say("sign_in.login"), needed=True, autocomplete="username"),
            Field("password", say("sign_in.password"), "password", needed=True, autocomplete="current-password"),
            Field("next", "", "hidden"),
        )
    ]
    visit = desk.visit()
    response = desk.plain_page(
        "sign_in.html", say("sign_in.title"), status=status, token=desk.forgery.token(f"visit {visit}"),
        controls=controls, problems=problems(filled, controls),
    )  # fmt: skip
    desk.remember_visit(response, visit)
    return response


def _try(desk: Desk) -> Response:
    door.keeper().entry.knock(address_of(request, desk.parts.settings.base_url))
    data, filled = read(SignInForm(), desk.posted(f"visit {desk.visit()}"), desk.words)
    if not filled.good:
        return _print(desk, filled, 422)
    wanted = data["next"]
    response = go(wanted if is_own_path(wanted) else "/")
    try:
        door.let_in(request, response, data["login"], data["password"])
    except Unauthenticated as fault:
        wrong = Filled({**filled.values, "password": ()}, {}, (desk.words.say("sign_in.wrong"),))
        return _print(desk, wrong, fault.status)
    return response


def _alive(desk: Desk) -> Response:
    """Somebody is typing: a long note must not be lost because nothing was sent while it was written."""
    desk.staff()
    return Response(status=204)


def _out(desk: Desk) -> Response:
    desk.staff()
    desk.posted()
    response = go("/sign-in", "signed-out")
    door.let_out(request, response)
    return response
