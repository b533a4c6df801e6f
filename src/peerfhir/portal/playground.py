"""The playground: a mapping tried on an invented record, with the rule and the cell behind every value."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from flask import Blueprint, Response, request
from sqlalchemy import Engine

from peerfhir.errors import BadRequest, BodyTooLarge, NotFound
from peerfhir.fhir import writer
from peerfhir.mapping.folder import MAX_BYTES
from peerfhir.pathway.people import Actor
from peerfhir.pathway.vocabulary import Role
from peerfhir.portal.choices import (
    MOST_RECORD,
    STARTER_RECORD,
    Choice,
    choices,
    chosen,
    examples,
    free_name,
    overlay_of,
    read,
    text_of,
)
from peerfhir.portal.completion import Offers
from peerfhir.portal.desk import Desk, Posted
from peerfhir.portal.draft import Draft
from peerfhir.portal.playpen import Occupied, Playpen, TooMuch
from peerfhir.portal.trial import Trial, Wanted
from peerfhir.portal.versions import draft_of, past

ENDPOINTS = frozenset({"portal.playground", "portal.playground_try"})
MAY = frozenset({Role.ENGINEER})
MOST_FORM = 2 * 1024 * 1024  # bytes, as the form is encoded
PASTED = "."  # no mapping is called so
_NAME = re.compile(r"[0-9]{2}-[a-z0-9-]{1,60}")


@dataclass(frozen=True)
class Sheets:
    """What the panes hold, and what is to be shown.

    example  the name of the files that the record comes from, or that it may be saved as
    against  the version to compare with: "" for the folder's own, `mapping+overlay`, one that was kept, or PASTED
             for `other`
    """

    choice: Choice
    record: str
    text: str
    overlay_text: str
    example: str
    number: int = 1
    show: bool = False
    traced: bool = False
    against: str = ""
    other: str = ""

    def draft(self, root: Path) -> Draft:
        """The documents of it."""
        return Draft(root, self.choice.mapping, self.text, self.choice.overlay, self.overlay_text)

    def wanted(self, root: Path, engine: Engine) -> Wanted:
        """What is shown besides the result. Raises NotFound for a version that is none."""
        against = None
        if self.against == PASTED:
            against = Draft(root, self.choice.mapping, self.other, self.choice.overlay, self.overlay_text)
        elif self.against.startswith("kept:"):
            against = draft_of(engine, self.against, root, self.choice.mapping)
        elif self.against:
            mapping, _, overlay = self.against.partition("+")
            against = Draft(root, mapping, "", overlay).as_on_disk()
        return Wanted(self.show, self.traced, against)


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of the playground; it is nowhere to be found where the settings do not turn it on."""
    settings = desk.parts.settings
    playpen = Playpen(desk.parts.clock, settings.canonical, settings.config_dir)
    pages.add_url_rule("/playground", "playground", partial(_open, desk, playpen))
    pages.add_url_rule("/playground", "playground_try", partial(_try, desk, playpen), methods=["POST"])
    pages.add_url_rule("/playground/offers", "playground_offers", partial(_offer, desk, playpen), methods=["POST"])


def _allowed(desk: Desk) -> Actor:
    actor = desk.staff(MAY)
    if not desk.parts.settings.playground:
        raise NotFound
    return actor


def _open(desk: Desk, playpen: Playpen) -> Response:
    actor = _allowed(desk)
    root = desk.parts.settings.mappings_dir
    known = choices(root)
    choice = chosen(known, request.args.get("open"))
    names = examples(root, choice)
    wanted = request.args.get("example", "")
    name = wanted if wanted in names else next(iter(names), "")
    sheets = Sheets(
        choice, read(names[name]) if name else STARTER_RECORD, text_of(root, choice), overlay_of(root, choice), name
    )
    return _print(desk, actor, sheets, known, _run(desk, playpen, sheets))


def _try(desk: Desk, playpen: Playpen) -> Response:
    actor = _allowed(desk)
    known = choices(desk.parts.settings.mappings_dir)
    posted = desk.posted(most=MOST_FORM)
    sheets = _sheets(posted, known)
    outcome, save = _run(desk, playpen, sheets), _one(posted, "save")
    if save:
        return _saved(desk, actor, sheets, known, outcome, save)
    return _print(desk, actor, sheets, known, outcome)


def _offer(desk: Desk, playpen: Playpen) -> Response:
    """What may be written where somebody types, as JSON for the page's own script; none while it cannot be said."""
    _allowed(desk)
    posted = desk.posted(most=MOST_FORM)
    sheets = _sheets(posted, choices(desk.parts.settings.mappings_dir))
    pane, at = _one(posted, "pane"), _one(posted, "at") or "0"
    if pane not in ("mapping", "overlay", "") or not re.fullmatch("[0-9]{1,7}", at):
        raise BadRequest("This is not a place in a document.", place="at")
    try:
        found = playpen.offered(sheets.draft(desk.parts.settings.mappings_dir), pane, int(at))
    except (TooMuch, Occupied):
        found = Offers()
    return Response(writer.write(asdict(found)), content_type="application/json")


def _sheets(posted: Posted, known: list[Choice]) -> Sheets:
    """What was typed. Raises BodyTooLarge, BadRequest; NotFound for a mapping that is not there."""
    record, text = _one(posted, "record"), _one(posted, "mapping")
    overlay_text = _one(posted, "overlay")
    other, against = _one(posted, "other"), _one(posted, "against")
    if len(record) > MOST_RECORD or max(len(text), len(overlay_text), len(other)) > MAX_BYTES:
        raise BodyTooLarge
    number = _one(posted, "number") or "1"
    if not re.fullmatch("[0-9]{1,4}", number):
        raise BadRequest("This is not the number of a record.", place="number")
    if against not in ("", PASTED) and not against.startswith("kept:"):
        chosen(known, against)
    return Sheets(
        chosen(known, _one(posted, "open")), record, text, overlay_text, _one(posted, "example"), int(number),
        show=bool(_one(posted, "show")), traced=bool(_one(posted, "traced")), against=against, other=other,
    )  # fmt: skip


def _one(posted: Posted, name: str) -> str:
    values = posted.get(name, ("",))
    if len(values) > 1:
        raise BadRequest("A field was sent more than once.", place=name)
    return values[0].replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class Outcome:
    """What came of the sheets; `wrong` says why nothing did."""

    trial: Trial
    wrong: str = ""
    status: int = 200


def _run(desk: Desk, playpen: Playpen, sheets: Sheets) -> Outcome:
    try:
        root = desk.parts.settings.mappings_dir
        return Outcome(
            playpen.tried(sheets.draft(root), sheets.record, sheets.number, sheets.wanted(root, desk.parts.engine))
        )
    except TooMuch as fault:
        return Outcome(Trial(), desk.words.say("playground.stopped"), fault.status)
    except Occupied as fault:
        return Outcome(Trial(), desk.words.say("playground.occupied"), fault.status)


def _print(desk: Desk, actor: Actor, sheets: Sheets, known: list[Choice], outcome: Outcome) -> Response:
    trial, words = outcome.trial, desk.words
    names = examples(desk.parts.settings.mappings_dir, sheets.choice)
    count = Counter(one["severity"] for one in trial.problems)
    state = words.say("playground.state", errors=count["error"], warnings=count["warning"])
    if not count["error"] and not count["warning"]:
        state = outcome.wrong or words.say("playground.problems_none")
    return desk.page(
        "playground.html", words.say("playground.title"), actor, here="/playground", status=outcome.status,
        sheets=sheets, trial=trial, known=known, names=list(names), wrong=outcome.wrong, state=state,
        grades=words.under("severity"), worst=count["error"] + count["warning"] > 0,
        there=[one for one in trial.values if one["there"]], absent=[one for one in trial.values if not one["there"]],
        others=[one for one in known if one != sheets.choice], pasted=PASTED,
        used=past(desk.parts.engine, sheets.choice.mapping),
        free=sheets.example if outcome.wrong else free_name(names),
    )  # fmt: skip


def _saved(desk: Desk, actor: Actor, sheets: Sheets, known: list[Choice], outcome: Outcome, part: str) -> Response:
    """One file of an example as a download. Nothing is written here: the examples are reviewed files."""
    trial, wrong = outcome.trial, outcome.wrong
    if not _NAME.fullmatch(sheets.example) or part not in ("input", "expected"):
        wrong = wrong or desk.words.say("playground.wrong_name")
    elif not trial.suffix:
        wrong = wrong or desk.words.say("playground.nothing_expected")
    if wrong:
        return _print(desk, actor, sheets, known, Outcome(trial, wrong, max(outcome.status, 422)))
    suffix = {"csv": "csv", "ndjson": "ndjson", "form": "txt"}.get(trial.format, "json")
    name = f"{sheets.example}.input.{suffix}" if part == "input" else f"{sheets.example}.{trial.suffix}"
    response = Response(sheets.record if part == "input" else trial.expected, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
