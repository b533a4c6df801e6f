from __future__ import annotations

from peerfhir.pathway.refusals import BadTimes, Closed, SharingStopped
from peerfhir.portal.fields import Field, Filled, Option, options, problems, refused
from peerfhir.portal.words import catalogue


def test_a_control_keeps_what_was_entered_and_shows_what_is_wrong():
    control = Field("minutes", "Minutes", "number", values=("30",))
    assert Filled().into(control).value == "30"
    back = Filled({"minutes": ("x",)}, {"minutes": "A number, please."}).into(control)
    assert (back.value, back.error) == ("x", "A number, please.")
    assert Filled({"other": ("1",)}).into(control).value == ""  # a box that was emptied stays empty


def test_ids_are_safe_and_apart():
    assert Field("/44250-9", "Q").id == "f-44250-9"
    assert Field("hospital.summary", "S").id == "f-hospital-summary"
    assert Field("sentence", "S", place="decline-").id != Field("sentence", "S", place="question-").id


def test_more_ticks_unfold_when_one_of_them_is_set():
    control = Field("did", "Did", "checks", options=(Option("a", "A"),), more=(Option("b", "B"),))
    assert not Filled({"did": ("a",)}).into(control).opened
    assert Filled({"did": ("a", "b")}).into(control).opened


def test_the_summary_names_general_things_first_and_then_each_field():
    controls = [Field("a", "First"), Field("b", "Second")]
    found = problems(Filled({}, {"b": "No.", "gone": "Lost."}, ("All of it.",)), controls)
    assert [(one.text, one.target) for one in found] == [("All of it.", ""), ("Second: No.", "f-b"), ("Lost.", "")]


def test_a_refusal_stands_at_its_field_or_above_the_form():
    words = catalogue()
    at = refused(Filled({"minutes": ("5",)}), BadTimes(field="minutes"), words)
    assert at.errors == {"minutes": "The minutes have to fit between start and end."}
    assert at.values == {"minutes": ("5",)}
    assert refused(Filled(), SharingStopped(field="attendees.2"), words).errors.keys() == {"attendees"}
    above = refused(Filled(), Closed(), words)
    assert above.general == ("This referral has ended. A new try is a new referral.",)
    assert not above.good


def test_options_keep_the_order_that_is_asked_for():
    texts = {"a": "A", "b": "B", "c": "C"}
    assert [one.value for one in options(texts)] == ["a", "b", "c"]
    assert [one.value for one in options(texts, ("c", "a"))] == ["c", "a"]
