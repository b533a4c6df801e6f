"""`questionnaire.json`: read as R4, with the line and column of everything in it, and its questions as values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from peerfhir.adapters.instrument_file import Place
from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.errors import Fault
from peerfhir.fhir.definitions import PRIMITIVES, Element, r4
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.weights import WEIGHTS
from peerfhir.fhir.reader import Json
from peerfhir.fhir.reader import read as read_json
from peerfhir.mapping.problems import Problems
from peerfhir.pathway.outcome import AnswerOption, Item, Sentinel

LOINC = "http://loinc.org"
# Source: docs/rules.md: totals, a deprecated interpretation, and the OASIS items, which are other questions
NOT_ITEMS = frozenset({"44261-6", "44262-4", "54635-8", "70274-6"})
NEEDED = ("id", "url", "version", "title", "copyright", "code", "item")
_STEP = re.compile(r"\.([A-Za-z]+)|\[([0-9]+)\]")
Extras = Mapping[str, Mapping[str, Any]]


class Written:
    """One questionnaire whose form is proven, and the places in its file."""

    def __init__(self, path: Path, text: str, form: Mapping[str, Json], problems: Problems) -> None:
        self.form = form
        self._path = path
        self._text = text
        self._problems = problems
        self._known = len(problems.errors)

    @property
    def refused(self) -> bool:
        """Whether something was wrong since it was read."""
        return len(self._problems.errors) > self._known

    def blame(self, code: str, place: Place, what: str, hint: str = "", *, warning: bool = False) -> None:
        """Note a problem at an element, or at the nearest one above it that is written."""
        self._problems.add(self._marks.at(place), code, "", what, hint, warning=warning)

    @cached_property
    def items(self) -> tuple[tuple[Place, Mapping[str, Json]], ...]:
        """Every item with its place, groups and what is in them, in the order of the file."""
        return tuple(_below(self.form, ()))

    @cached_property
    def _marks(self) -> Node:
        """The file once more for its lines and columns: what is JSON is YAML. Asked only when something is wrong."""
        try:
            return compose(self._path, text=self._text)
        except YamlProblem:  # characters that JSON has and YAML has not
            return Node("scalar", None, Mark(str(self._path), 1, 1))


def _below(parent: Mapping[str, Json], place: Place) -> Iterator[tuple[Place, Mapping[str, Json]]]:
    for at, one in enumerate(parent.get("item", ())):
        here = (*place, "item", at)
        yield here, one
        yield from _below(one, here)


def read(path: Path, problems: Problems, *, judged: bool, needed: tuple[str, ...] = NEEDED) -> Written | None:
    """The questionnaire, or None after noting what is wrong with it.

    judged  held to every rule of R4; else to its elements, their kinds and their required codes
    needed  elements that R4 leaves open and an instrument must have
    """
    nowhere = Mark(str(path), 1, 1)
    try:
        data = path.read_bytes()
        form = read_json(data)
    except OSError:
        problems.add(nowhere, "PM600", "", "the file cannot be read", "an instrument has two files")
        return None
    except Fault as fault:
        line, _, column = (fault.place or "1:1").partition(":")
        problems.add(Mark(str(path), int(line), int(column)), "PM600", "", fault.what, fault.advice or "")
        return None
    if not isinstance(form, dict) or form.get("resourceType") != "Questionnaire":
        problems.add(nowhere, "PM600", "", "a FHIR Questionnaire is expected here")
        return None
    before = len(problems.errors)
    written = Written(path, data.decode(), form, problems)
    for name in (name for name in needed if not form.get(name)):
        code = "PM616" if name == "copyright" else "PM600"
        written.blame(code, ("resourceType",), f"'{name}' is required", f"add '{name}'")
    for place, what, hint in _misfits(form, "Questionnaire", ()):
        written.blame("PM601" if place[-1:] == ("linkId",) else "PM600", place, what, hint)
    if len(problems.errors) == before:
        _check_links(written)
    if judged and len(problems.errors) == before:
        _judge(written)
    return written if len(problems.errors) == before else None


def _misfits(value: Json, kind: str, place: Place) -> Iterator[tuple[Place, str, str]]:
    """(place, what, hint) of each element that R4 does not have, or has in another form."""
    if kind in PRIMITIVES:
        if not _is_primitive(value, kind):
            yield place, f"a value of type {kind} is expected here", ""
        return
    if kind == "Resource":  # what is contained is left to the judge
        return
    if not isinstance(value, dict) or not value:
        yield place, f"a {kind} is expected here", ""
        return
    known = r4().elements(kind)
    for name, one in value.items():
        element = known.get(name.removeprefix("_"))
        if element is None and (name, place) != ("resourceType", ()):
            yield (*place, name), "FHIR R4 has no such element here", nearest(name, known)
        elif element is not None and not name.startswith("_"):
            yield from _misfits_of(element, one, (*place, name))
    for element in known.values():
        if element.minimum and not element.choice and element.name not in value:
            yield (*place, element.name), f"'{element.name}' is required", f"add '{element.name}'"


def _misfits_of(element: Element, value: Json, place: Place) -> Iterator[tuple[Place, str, str]]:
    """The same of the one or many values of an element."""
    if element.many and (not isinstance(value, list) or not value):
        yield place, "a list is expected here", ""
        return
    for inside, one in [((*place, at), each) for at, each in enumerate(value)] if element.many else [(place, value)]:
        yield from _misfits(one, element.type, inside)
        if element.codes is not None and isinstance(one, str) and one not in element.codes:
            hint = nearest(one, element.codes) or f"one of {', '.join(sorted(element.codes)[:20])}"
            yield inside, "this code is not allowed here", hint


def _is_primitive(value: Json, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "positiveInt", "unsignedInt"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "decimal":
        return isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    return isinstance(value, str) and value.strip() != ""


def _check_links(written: Written) -> None:
    """Each item has a link id of its own, and every condition names one that is there."""
    seen: set[str] = set()
    every = {one["linkId"] for _, one in written.items}
    for place, one in written.items:
        if one["linkId"] in seen:
            written.blame("PM601", (*place, "linkId"), "item.linkId: each item needs its own")
        seen.add(one["linkId"])
        for at, condition in enumerate(one.get("enableWhen", ())):
            if condition["question"] not in every:
                here = (*place, "enableWhen", at, "question")
                written.blame("PM602", here, "enableWhen: there is no such item", nearest(condition["question"], every))


def _judge(written: Written) -> None:
    """What else R4 refuses, its invariants before all."""
    from peerfhir.fhir.site import judge_of  # the whole of R4: only who starts a service waits for it

    for one in judge_of(()).findings(written.form):
        if one.severity in ("error", "fatal"):
            steps = _STEP.findall(one.expression)
            place = tuple(name or int(index) for name, index in steps)
            written.blame("PM600", place, one.text)


def questions(written: Written, extras: Extras) -> tuple[dict[str, Item], tuple[str, ...]]:
    """The questions by link id, and the sentences between them."""
    items: dict[str, Item] = {}
    notices: list[str] = []
    for place, one in written.items:
        if len(place) > 2 and one["type"] not in ("group", "display"):
            what = "item: a question inside a group is not asked by this version"
            written.blame("PM623", (*place, "linkId"), what, "put the questions beside each other")
        elif one["type"] == "display" and len(place) == 2:
            notices.append(one.get("text", ""))
        elif one["type"] == "choice":
            items[one["linkId"]] = _item(written, place, one, extras.get(one["linkId"], {}))
    return items, tuple(notices)


def _item(written: Written, place: Place, one: Mapping[str, Json], extra: Mapping[str, Any]) -> Item:
    link_id = one["linkId"]
    code = next((coding.get("code") for coding in one.get("code", ()) if coding.get("system") == LOINC), None)
    if code in NOT_ITEMS:
        what = "item.code: this code is a total or another questionnaire's item"
        written.blame("PM600", (*place, "code", 0, "code"), what)
    options = tuple(_option(choice, extra) for choice in one.get("answerOption", ()))
    if not options or "" in (codes := [option.code for option in options]) or len(set(codes)) < len(options):
        written.blame("PM600", (*place, "answerOption"), "item.answerOption: needs answers, each with its own code")
    weights = [option.weight for option in options if option.weight is not None]
    if 0 < len(weights) < len(options):
        what = "item.answerOption: some answers have a weight and some have none"
        written.blame("PM604", (*place, "answerOption"), what, "give each its itemWeight, or none")
    elif len(set(weights)) < len(weights):
        what = "item.answerOption: two answers have one weight, so a number does not choose between them"
        written.blame("PM605", (*place, "answerOption"), what, "mappings give a code here", warning=True)
    sentinel = extra.get("sentinel")
    watched = Sentinel(sentinel["value"], sentinel["level"]) if sentinel else None
    return Item(link_id, one.get("text", ""), code, options, watched)


def _option(choice: Mapping[str, Json], extra: Mapping[str, Any]) -> AnswerOption:
    coding = choice.get("valueCoding", {})
    code = coding.get("code", "")
    weight = _weight(choice)
    if weight is None:
        weight = _weight(coding)
    if weight is None:
        weight = extra.get("ordinals", {}).get(code)
    alternatives = tuple(extra.get("alt_codes", {}).get(code, ()))
    return AnswerOption(code, coding.get("system", ""), coding.get("display", ""), weight, alternatives)


def _weight(holder: Mapping[str, Json]) -> Decimal | None:
    """What an answer counts, by either extension that says so."""
    held = (one for one in holder.get("extension", ()) if one["url"] in WEIGHTS)
    found = next((one.get("valueDecimal", one.get("valueInteger")) for one in held), None)
    return None if found is None else Decimal(found)


def panel(written: Written) -> Mapping[str, Json] | None:
    """The Coding of the whole, or None after noting that it has no code."""
    found: Mapping[str, Json] = written.form["code"][0]
    if found.get("code"):
        return found
    written.blame("PM600", ("code", 0), "code: the code of the questionnaire is missing", "add 'code'")
    return None


def total(written: Written) -> Mapping[str, Json] | None:
    """The item that takes the score, or None after noting that there is none."""
    totals = [(place, one) for place, one in written.items if one["type"] == "decimal" and one.get("readOnly")]
    if len(totals) == 1 and totals[0][1].get("code"):
        place, found = totals[0]
        if found["code"][0].get("code") and found.get("text"):
            return found
        written.blame("PM600", place, "item: the total has a code and a text")
    else:
        what = "item: one read-only decimal item with a code is the total"
        written.blame("PM600", totals[-1][0] if totals else ("item",), what)
    return None
