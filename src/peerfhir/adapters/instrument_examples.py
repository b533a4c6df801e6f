"""The examples beside an instrument: answers, and the scores, bands and sentinels that they have to give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from peerfhir.adapters.questionnaires import forms
from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.errors import Fault
from peerfhir.fhir.reader import Json, read, read_own
from peerfhir.mapping.answers import Answering
from peerfhir.mapping.identity import seed
from peerfhir.mapping.problems import Problem, Problems
from peerfhir.pathway.outcome import Instrument, answered, score
from peerfhir.pathway.refusals import BadAnswer

_EXPECTED = ("total", "band", "sentinel", "level", "missing", "reason")
_COUNTED = "observations"  # how many Observations are extracted, the panel among them; where an example says so


@dataclass(frozen=True)
class Verdict:
    """One example: whether it gives what it says."""

    path: Path
    problems: tuple[Problem, ...]


def check(folder: Path, instrument: Instrument, problems: Problems) -> None:
    """Every example of the folder gives what it says; a service does not start on an instrument that does not.

    An example is {"tells": why it is there, "answers": {link id: code}, "expected": {total, band, sentinel, ...}};
    what is left out of "expected" is expected to be absent, but for "observations".
    """
    for one in verdicts(folder, instrument):
        problems.extend(one.problems)


def verdicts(folder: Path, instrument: Instrument) -> Iterator[Verdict]:
    """What each example of the folder gives, by name."""
    home = folder.parent
    answering = cache(lambda: Answering(forms(home.parent, {home.name: instrument})[home.name]))
    for path in sorted(folder.glob("*.json")):
        problems = Problems()
        try:
            _check_one(path, read(path.read_bytes()), instrument, answering, problems)
        except OSError:
            problems.add(Mark(str(path), 1, 1), "PM618", "", "the example cannot be read")
        except Fault as fault:
            line, _, column = (fault.place or "1:1").partition(":")
            problems.add(Mark(str(path), int(line), int(column)), "PM618", "", fault.what)
        yield Verdict(path, tuple(problems.every))


def lacking(folder: Path, instrument: Instrument) -> list[Problem]:
    """What no example of the folder shows, though an instrument needs one of each; asked when every one passes.

    The lowest and the highest total, the first total of each band, the most gaps that a total allows, one gap too
    many, and each answer that needs a person to act.
    """
    scale = instrument.scale
    answers = [read_own(path.read_bytes())["answers"] for path in sorted(folder.glob("*.json"))]
    scores = [score(instrument, one) for one in answers]
    totals = {one.total for one in scores if not one.missing}
    edges = {scale.low, scale.high, *(band.from_score for band in scale.bands)}
    found = [f"the total {edge}" for edge in sorted(edges - totals)]
    if scale.max_missing not in {one.missing for one in scores if one.total is not None}:
        found.append(f"{scale.max_missing} missing answers, which a total allows")
    if scale.max_missing + 1 not in {one.missing for one in scores if one.total is None}:
        found.append(f"{scale.max_missing + 1} missing answers, which is one too many")
    for item in instrument.items:
        given = [answered(instrument, one).get(item.link_id) for one in answers]
        reached = [one.weight for one in given if one is not None and one.weight is not None]
        if item.sentinel is not None and max(reached, default=Decimal(-1)) < item.sentinel.at_least:
            found.append(f"an answer of item {item.link_id} that needs a person to act")
    mark = Mark(str(folder), 1, 1)
    return [Problem(mark, "PM618", "", f"no example shows {one}", "add one") for one in found]


def _check_one(
    path: Path, example: Json, instrument: Instrument, answering: Callable[[], Answering], problems: Problems
) -> None:
    parts = example if isinstance(example, dict) else {}
    answers, expected = parts.get("answers"), parts.get("expected")
    if not isinstance(answers, dict) or not isinstance(expected, dict) or not _are_texts(answers):
        what = "an example has 'answers', a text for each link id, and 'expected'"
        problems.add(Mark(str(path), 1, 1), "PM618", "", what)
        return
    for name in expected.keys() - {*_EXPECTED, _COUNTED}:
        hint = ", ".join((*_EXPECTED, _COUNTED))
        problems.add(_place(path, ("expected", name)), "PM618", "", f"unknown key '{name}'", hint)
    try:
        got = _scored(instrument, answers)
    except BadAnswer as fault:
        problems.add(_place(path, ("answers", fault.field or "")), "PM618", "", str(fault))
        return
    if _COUNTED in expected:
        got[_COUNTED] = _extracted(answering(), instrument, answers)
    for name in got:
        wanted = expected.get(name, _ABSENT.get(name))
        if wanted != got[name]:
            what = f"{name}: the answers give {_said(got[name])} and {_said(wanted)} is expected"
            problems.add(_place(path, ("expected", name)), "PM618", "", what)


_ABSENT: Mapping[str, Json] = {"sentinel": "none", "missing": 0}


def _scored(instrument: Instrument, answers: Mapping[str, str]) -> dict[str, Decimal | str | int | None]:
    found = score(instrument, answers)
    return {
        "total": found.total, "band": found.band.code if found.band else None, "sentinel": found.sentinel,
        "level": found.sentinel_level, "missing": found.missing, "reason": found.reason,
    }  # fmt: skip


def _extracted(answering: Answering, instrument: Instrument, answers: Mapping[str, str]) -> int:
    """How many Observations a mapping with `$extract: observation` makes of the answers."""
    given = [(link_id, (option.code,), "", "") for link_id, option in answered(instrument, answers).items()]
    response = {"status": "completed", "item": answering.items(given) or []}
    return len(answering.observations(response, "urn:uuid:x", seed(instrument.id, "example"), (), "observation"))


def _said(value: Json) -> str:
    return "nothing" if value is None else str(value)


def _are_texts(answers: Mapping[str, Json]) -> bool:
    return all(isinstance(one, str) for one in answers.values())


def _place(path: Path, place: tuple[str, ...]) -> Mark:
    try:
        node: Node = compose(path)
    except YamlProblem:  # characters that JSON has and YAML has not
        return Mark(str(path), 1, 1)
    return node.at(place)
