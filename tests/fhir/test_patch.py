"""JSON Patch as RFC 6902 has it, merge patch as RFC 7396 has it, and hostile patches."""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.errors import BadRequest, Fault
from peerfhir.fhir.patch import MAX_OPERATIONS, equal, merged, patched
from peerfhir.fhir.reader import read
from tests.support.third_party import SHARED, folder

SEED = 20261121


def test_every_case_of_others_comes_out_as_they_say() -> None:
    folder("data")
    cases = read((SHARED / "data" / "json-patch-tests.json").read_bytes())
    wanted = failed = 0
    for case in cases:
        if "error" in case:
            failed += 1
            with pytest.raises(Fault):
                patched(case["doc"], case["patch"])
        else:
            wanted += 1
            before = copy.deepcopy(case["doc"])
            assert equal(patched(case["doc"], case["patch"]), case.get("expected", case["doc"])), case.get("comment")
            assert equal(case["doc"], before)
    print(f"{wanted} applied, {failed} refused")
    assert wanted
    assert failed


@pytest.mark.parametrize(
    ("document", "patch", "wanted"),
    [
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/1"}], {"a": [1]}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "replace", "path": "/m~0n", "value": 3}],
         {"m~n": 3}),
        ({"a": {"b": 1}, "c": []}, [{"op": "move", "from": "/a/b", "path": "/c/0"}], {"a": {}, "c": [1]}),
        ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a/b", "path": "/c"}, {"op": "add", "path": "/c/-", "value": 2}],
         {"a": {"b": [1]}, "c": [1, 2]}),
        ({"a": Decimal("1.50")}, [{"op": "test", "path": "/a", "value": Decimal("1.5")}], {"a": Decimal("1.50")}),
        ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 1}}], {"b": 1}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
        ({"a": 1}, [], {"a": 1}),
    ],
)  # fmt: skip
def test_an_operation_does_what_its_name_says(document: Any, patch: Any, wanted: Any) -> None:
    assert patched(document, patch) == wanted


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ("x", 400), (None, 400), (1, 400), ([1], 400), ([{}], 400), ([{"op": "burn", "path": "/a"}], 400),
        ([{"op": "add", "path": "/b"}], 400), ([{"op": "add", "path": "b", "value": 1}], 400),
        ([{"op": "add", "path": "/~2", "value": 1}], 400), ([{"op": "add", "path": 1, "value": 1}], 400),
        ([{"op": "move", "path": "/b"}], 400), ([{"op": ["add"], "path": "/b"}], 400),
        ([{"op": "remove", "path": "/none"}], 422), ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "/none", "value": 1}], 422), ([{"op": "test", "path": "/a", "value": True}], 422),
        ([{"op": "test", "path": "/a", "value": "1"}], 422), ([{"op": "add", "path": "/list/9", "value": 1}], 422),
        ([{"op": "add", "path": "/list/01", "value": 1}], 422), ([{"op": "add", "path": "/list/-1", "value": 1}], 422),
        ([{"op": "remove", "path": "/list/-"}], 422), ([{"op": "add", "path": "/a/b", "value": 1}], 422),
        ([{"op": "move", "from": "/list", "path": "/list/0"}], 422), ([{"op": "add", "path": "/list/١", "value": 1}], 422),
        ([{"op": "test", "path": "/a", "value": 1}] * (MAX_OPERATIONS + 1), 400),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_refused_and_changes_nothing(patch: Any, status: int) -> None:
    document = {"a": 1, "list": [1]}
    with pytest.raises(Fault) as refused:
        patched(document, patch)
    assert refused.value.status == status
    assert document == {"a": 1, "list": [1]}


def test_a_merge_replaces_adds_and_removes() -> None:
    document = {"a": {"b": 1, "c": 2}, "d": [1], "e": 1}
    assert merged(document, {"a": {"b": None, "x": {"y": 1, "z": None}}, "d": [2], "e": None}) == {
        "a": {"c": 2, "x": {"y": 1}}, "d": [2],
    }  # fmt: skip
    assert document == {"a": {"b": 1, "c": 2}, "d": [1], "e": 1}


def test_generated_patches_are_applied_or_refused_and_never_surprise() -> None:
    rng = random.Random(SEED)
    paths = ["", "/", "/a", "/a/b", "/a/b/0", "/list/-", "/list/0", "/list/1/x", "/~0", "/~1", "/~", "x", "/" * 50]
    values: list[Any] = [None, True, 0, "x", [], {}, [[]], {"a": {"b": [1]}}]
    applied = 0
    for number in range(3000):
        document = {"a": {"b": [1, 2]}, "list": [{"x": 1}, {"x": None}]}
        patch = [
            {"op": rng.choice(["add", "remove", "replace", "move", "copy", "test"]), "path": rng.choice(paths),
             "from": rng.choice(paths), "value": rng.choice(values)}
            for _ in range(rng.randrange(1, 4))
        ]  # fmt: skip
        try:
            patched(document, patch)
            applied += 1
        except Fault as fault:
            assert fault.status in (400, 422), f"seed {SEED}, case {number}"
        assert document == {"a": {"b": [1, 2]}, "list": [{"x": 1}, {"x": None}]}
    assert applied > 100


def test_depth_made_by_copying_has_an_end() -> None:
    """A list copied into itself again and again doubles: 1000 operations may not make a gigabyte."""
    patch = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 30
    with pytest.raises(BadRequest):
        patched({"a": [1]}, patch)
