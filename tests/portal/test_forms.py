from __future__ import annotations

import random
from datetime import date, datetime

import pytest

from peerfhir.pathway.vocabulary import ContactOutcome, Intervention, Modality
from peerfhir.portal import forms
from peerfhir.portal.fields import Filled
from peerfhir.portal.words import Calendar, catalogue
from tests.portal.test_words import NOON

SEED = 20261121
GOOD = {
    "started_at": ("2026-11-25T10:00",),
    "ended_at": ("2026-11-25T10:45:30",),
    "modality": ("phone",),
    "interventions": ("listened", "advocacy"),
    "next_on": ("2026-12-01",),
    "keep_between_us": ("on",),
}


def read(kind, **posted):
    given = {name: value if isinstance(value, tuple) else (value,) for name, value in posted.items()}
    return forms.read(kind(), given, catalogue())


def test_a_note_becomes_values_of_the_pathway():
    data, filled = read(forms.NoteForm, **GOOD, unknown="x", _token="t")
    assert filled.good
    assert data["started_at"] == datetime.fromisoformat("2026-11-25T10:00")
    assert data["ended_at"].second == 30
    assert data["modality"] is Modality.PHONE
    assert data["interventions"] == [Intervention.LISTENED, Intervention.ADVOCACY]
    assert data["next_on"] == date(2026, 12, 1)
    assert (data["keep_between_us"], data["worry"], data["minutes"], data["summary"]) == (True, False, None, "")
    assert "unknown" not in data


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"started_at": ""}, "started_at", "Please fill this in."),
        ({"started_at": "yesterday"}, "started_at", "Please give a day and a time."),
        ({"ended_at": "2026-13-45T10:00"}, "ended_at", "Please give a day and a time."),
        ({"modality": ""}, "modality", "Please fill this in."),
        ({"modality": "telepathy"}, "modality", "Please pick one of these."),
        ({"modality": ("phone", "video")}, "modality", "Please pick one of these."),
        ({"interventions": ("listened", "surgery")}, "interventions", "Please pick one of these."),
        ({"minutes": "a while"}, "minutes", "Please give a number."),
        ({"minutes": "-5"}, "minutes", "Please give a number."),
        ({"minutes": "٣"}, "minutes", "Please give a number."),
        ({"minutes": "0"}, "minutes", "Please give a number from 1 to 1440."),
        ({"minutes": "9999"}, "minutes", "Please give a number from 1 to 1440."),
        ({"next_on": "soon"}, "next_on", "Please give a day."),
        ({"working_note": "x" * 601}, "working_note", "Please make this shorter: at most 600 characters."),
        ({"summary": "word " * 121}, "summary", "Please make this shorter: at most 120 words."),
        (
            {"working_note": "bell\x07"},
            "working_note",
            "This holds a character that we cannot keep. Please type it again.",
        ),
        ({"next_step": "\ud800"}, "next_step", "This holds a character that we cannot keep. Please type it again."),
    ],
)
def test_each_mistake_is_a_sentence_at_its_field_and_nothing_entered_is_lost(changed, field, sentence):
    posted = {**GOOD, **changed}
    _, filled = read(forms.NoteForm, **posted)
    assert filled.errors == {field: sentence}
    assert filled.values[field] == posted[field] if isinstance(posted[field], tuple) else (posted[field],)
    assert filled.values["next_on"] == (("2026-12-01",) if field != "next_on" else ("soon",))


def test_lines_are_ended_alike_and_the_limit_counts_what_is_seen():
    data, filled = read(forms.NoteForm, **GOOD, working_note="  one\r\ntwo\rthree \n", summary="y " * 120)
    assert filled.good
    assert data["working_note"] == "one\ntwo\nthree"
    data, filled = read(forms.NoteForm, **GOOD, working_note="é" * 600)
    assert filled.good


def test_other_forms_take_what_their_pages_offer():
    assert read(forms.ContactForm, channel="phone", outcome="answered")[0]["outcome"] is ContactOutcome.ANSWERED
    assert read(forms.DeclineForm, reason="no-capacity", sentence=" ")[1].errors == {"sentence": "Please fill this in."}
    assert set(read(forms.DeclineForm)[1].errors) == {"sentence", "reason"}
    assert read(forms.MaybeSentenceForm)[0] == {"sentence": ""}
    assert set(read(forms.GroupForm)[1].errors) == {"topic", "started_at", "ended_at", "modality"}
    assert read(forms.ChooseForm)[0] == {"peer_id": ""}
    assert read(forms.SignInForm, login="a", password=" keeps spaces ")[0]["password"] == " keeps spaces "


def test_times_are_of_the_program_and_the_end_comes_after_the_start():
    calendar, words = Calendar(catalogue(), "America/New_York", NOON), catalogue()
    data, filled = read(forms.NoteForm, **GOOD)
    data, filled = forms.wall_clock(data, filled, ("started_at", "ended_at"), calendar, words)
    assert filled.good
    assert data["started_at"].isoformat() == "2026-11-25T15:00:00+00:00"
    for end, sentence in (
        ("2026-11-25T10:00", "The end is before the start."),
        ("2027-03-14T02:30", "That time does not exist on that day. The clocks move forward."),
    ):
        data, filled = read(forms.NoteForm, **{**GOOD, "ended_at": end})
        _, filled = forms.wall_clock(data, filled, ("started_at", "ended_at"), calendar, words)
        assert filled.errors == {"ended_at": sentence}


def test_no_form_can_be_made_to_fall_over():
    """Random names and values: always values or sentences, never an exception."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    kinds = [one for one in vars(forms).values() if isinstance(one, type) and issubclass(one, forms.PageForm)]
    words = catalogue()
    pieces = ["", "phone", "2026-11-25T10:00", "9" * 400, "\x00", "\ud83d", "é" * 700, "[]", "{}", "None", "on", "-1"]
    for _ in range(3000):
        kind = chance.choice(kinds)
        names = [*kind().fields, "x", ""]
        posted = {
            chance.choice(names): tuple(chance.choice(pieces) for _ in range(chance.randrange(4)))
            for _ in range(chance.randrange(12))
        }
        data, filled = forms.read(kind(), posted, words)
        assert isinstance(data, dict)
        assert isinstance(filled, Filled)
        assert all(isinstance(text, str) and text for text in filled.errors.values())
