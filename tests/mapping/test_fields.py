from __future__ import annotations

from pathlib import Path

from peerfhir.config import compose
from peerfhir.mapping.fields import Declarations, Fields
from peerfhir.mapping.problems import Problems


def declared(text: str) -> Fields:
    problems = Problems()
    found = Declarations({}, problems).fields(compose(Path("x"), text=text), "fields")
    assert not problems.errors
    return found


def test_a_field_says_how_often_it_is_there_and_what_it_can_be() -> None:
    found = declared(
        "{a: string!, b: code, c: [date], d: {type: code, codes: [x, y]}, e: {n: string!}, f: [{n: string!}]}"
    )
    types = {name: found.member(name) for name in found.names()}
    assert {name: (one.kinds, one.card) for name, one in types.items() if one} == {
        "a": (("string",), "one"), "b": (("code",), "opt"), "c": (("date",), "many"), "d": (("code",), "opt"),
        "e": (("object",), "one"), "f": (("object",), "many"),
    }  # fmt: skip
    assert types["d"] is not None
    assert types["d"].codes == frozenset("xy")
    assert types["e"] is not None
    assert types["e"].shape is not None
    assert list(types["e"].shape.names()) == ["n"]
    assert found.member("z") is None


def test_an_object_is_required_when_something_in_it_is() -> None:
    assert declared("{a: {b: string!}}").items["a"].required
    assert not declared("{a: {b: string}}").items["a"].required
    assert not declared("{a: [{b: string!}]}").items["a"].required


def test_an_object_with_a_child_named_type_is_spelled_out() -> None:
    found = declared("{a: {from: A b, fields: {type: string, text: string}}}").items["a"]
    assert found.key == "A b"
    assert found.fields is not None
    assert list(found.fields.names()) == ["type", "text"]
