from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from peerfhir.config import YamlProblem, compose
from peerfhir.pathway import refusals
from peerfhir.pathway import vocabulary as v
from peerfhir.portal.actions import ACTIONS
from peerfhir.portal.paper import HERE, TEMPLATES
from peerfhir.portal.words import CATALOGUE, Calendar, Words, catalogue
from tests.portal.test_pages import NOT_SAID

NOON = datetime(2026, 11, 21, 17, 5, tzinfo=UTC)


@pytest.fixture
def words() -> Words:
    return catalogue()


def test_a_sentence_fills_its_slots_and_forgives_an_edited_one():
    words = Words({"a": {"b": "{name} met {other}", "c": 12}})
    assert words.say("a.b", name="Ana") == "Ana met "
    assert words.say("a.c") == "12"
    assert words.say("a.b", name="{other}", other="x") == "{other} met x"
    for missing in ("a", "a.x", "a.b.c", ""):
        assert not words.knows(missing)
        with pytest.raises(KeyError):
            words.say(missing)
    with pytest.raises(KeyError):
        words.under("a.b")
    with pytest.raises(KeyError):
        words.names("a")


def test_a_mistake_in_the_catalogue_is_named_by_its_line(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("site:\n  name: One\n  name: Two\n")
    with pytest.raises(YamlProblem) as raised:
        catalogue(path)
    assert raised.value.place == f"{path}:3:3"


def test_there_is_a_word_for_everything_that_can_be_said(words):
    wanted = {
        "status": v.Status, "meaning": v.Status, "modality": v.Modality, "intervention": v.Intervention,
        "service": v.ServiceType, "priority": v.Priority, "stage": v.Stage, "closing": v.ClosingReason,
        "decline": v.DeclineReason, "contact_outcome": v.ContactOutcome, "recipient": v.Recipient,
        "recipient_to": v.Recipient, "recipient_of": v.Recipient, "share": v.ShareClass, "share_means": v.ShareClass,
        "share_of": v.ShareClass, "piece": v.Piece, "piece_name": v.Piece, "step": ACTIONS, "done": ACTIONS,
        "refusal": {one.reason for one in _all(refusals.Refusal)},
    }  # fmt: skip
    missing = [f"{key}.{one}" for key, each in wanted.items() for one in each if not words.knows(f"{key}.{one}")]
    assert missing == []


def _all(kind: type) -> set[type]:
    return {kind} | {one for below in kind.__subclasses__() for one in _all(below)}


def test_what_is_offered_is_what_the_pathway_knows(words):
    for key, kind in (
        ("modality", v.Modality), ("intervention", v.Intervention), ("stage", v.Stage), ("closing", v.ClosingReason),
        ("decline", v.DeclineReason), ("contact_outcome", v.ContactOutcome),
    ):  # fmt: skip
        assert set(words.under(key)) == {str(one) for one in kind}


def sources() -> str:
    files = [*TEMPLATES.glob("*.html"), *HERE.glob("*.py")]
    return "\n".join(path.read_text() for path in sorted(files))


def test_every_sentence_that_a_page_asks_for_is_there(words):
    asked = set(re.findall(r"""(?:say|words\.say)\(\s*["']([a-z_.-]+)["']""", sources()))
    assert len(asked) > 150
    assert sorted(key for key in asked if not words.knows(key)) == []


def test_no_sentence_of_the_catalogue_is_left_over(words):
    text = sources()
    built = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)?)\.\{""", text)) | set(
        re.findall(r"""under\(["']([a-z_]+)["']\)""", text)
    )
    step = re.compile(r"step\.[a-z-]+(_hint|_go|_sentence|_sentence_hint)?")
    left = [
        key
        for key in words.sentences()
        if f'"{key}"' not in text
        and f"'{key}'" not in text
        and key.rpartition(".")[0] not in built
        and not key.startswith(("faults.", "refusal_at.", "dates."))
        and not step.fullmatch(key)
    ]
    assert left == []


def test_templates_hold_no_words_of_their_own():
    for path in sorted(TEMPLATES.glob("*.html")):
        text = re.sub(r"\{%.*?%\}|\{#.*?#\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.S)
        text = re.sub(r'[\w-]+="[^"]*"|<[^>]*>', " ", text)
        left = re.findall(r"[A-Za-z]{2,}", text)
        assert left == [], (path.name, left)
        for attribute in re.findall(r'(?:title|alt|placeholder|aria-label)="([^"{]+)"', path.read_text()):
            raise AssertionError((path.name, attribute))


def test_the_words_are_those_of_people(words):
    for key in words.sentences():
        if not key.startswith("dates."):
            found = NOT_SAID.findall(words.say(key))
            assert not found, (key, found)


def syllables(word: str) -> int:
    word = re.sub(r"(?:[^laeiouy]es|[^laeiouytd]ed|[^laeiouy]e)$", "", word.lower())
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def grade(text: str) -> float:
    """Flesch-Kincaid grade level (Kincaid et al. 1975)."""
    sentences = max(1, len(re.findall(r"[.!?](?:\s|$)", text)))
    found = re.findall(r"[A-Za-z']+", text)
    return 0.39 * len(found) / sentences + 11.8 * sum(map(syllables, found)) / len(found) - 15.59


def test_the_words_read_at_school_level(words):
    """Grade 6 to 8 (AC-PE-2): all of them together, and each longer text by itself."""
    texts = {key: words.say(key) for key in words.sentences() if not key.startswith(("dates.", "languages."))}
    sentences = [text for text in texts.values() if text.endswith((".", "?", "!"))]
    assert grade(" ".join(sentences)) < 6
    long = {key: grade(text) for key, text in texts.items() if len(text.split()) >= 12 and text.endswith(".")}
    assert len(long) > 30
    assert {key: round(level, 1) for key, level in long.items() if level > 8.9} == {}


def test_days_and_times_are_written_as_people_of_the_program_write_them(words):
    calendar = Calendar(words, "America/New_York", NOON)
    assert calendar.moment(NOON) == "today at 12:05 pm"
    assert calendar.moment(datetime(2026, 11, 21, 4, 59, tzinfo=UTC)) == "yesterday at 11:59 pm"
    assert calendar.moment(datetime(2026, 11, 22, 5, 0, tzinfo=UTC)) == "tomorrow at 12:00 am"
    assert calendar.moment(datetime(2026, 11, 25, 15, 0, tzinfo=UTC)) == "Wednesday, November 25, at 10:00 am"
    assert calendar.moment(datetime(2025, 3, 1, 15, 0, tzinfo=UTC)) == "March 1, 2025, at 10:00 am"
    assert calendar.day(date(2026, 7, 4)) == "Saturday, July 4"
    assert calendar.control(NOON) == "2026-11-21T12:05"


def test_an_hour_that_never_was_is_no_instant(words):
    calendar = Calendar(words, "America/New_York", NOON)
    assert calendar.instant(datetime.fromisoformat("2027-03-14T02:30")) is None  # clocks go forward
    assert calendar.instant(datetime.fromisoformat("2027-03-14T03:30")) == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)
    assert calendar.instant(datetime.fromisoformat("2026-11-01T01:30")) == datetime(
        2026, 11, 1, 5, 30, tzinfo=UTC
    )  # the first of two


def test_the_catalogue_is_plain_text_that_anyone_can_edit():
    node = compose(CATALOGUE)
    assert node.kind == "map"
    text = CATALOGUE.read_text()
    assert "<" not in text.replace("<3", "")
    assert max(map(len, text.splitlines())) < 260
