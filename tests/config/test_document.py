"""The YAML reader keeps places and refuses what configuration never needs."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from peerfhir.config import YamlProblem, compose

HERE = Path("x.yaml")


def test_scalars_follow_the_core_schema_and_keep_their_digits() -> None:
    node = compose(HERE, "a: yes\nb: 12:30\nc: 2026-01-02\nd: 1.20\ne: true\nf: ~\ng: 007\nh: '1'\ni:\n")
    assert node.plain() == {
        "a": "yes", "b": "12:30", "c": "2026-01-02", "d": Decimal("1.20"), "e": True, "f": None, "g": 7, "h": "1",
        "i": None,
    }  # fmt: skip
    assert str(node.value["d"].value) == "1.20"


def test_every_value_remembers_its_line_and_column() -> None:
    node = compose(HERE, "a:\n  b: [x, {c: =y}]\n")
    assert str(node.at(("a", "b", 1, "c"))) == "x.yaml:2:11"
    assert (node.value["a"].value["b"].value[0].mark.line, node.value["a"].value["b"].value[0].mark.column) == (2, 7)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: &x 1\n", 1), ("a: 1\nb: *x\n", 2), ("a: !t 1\n", 1), ("a: 1\na: 2\n", 2), ("a:\n\tb: 1\n", 2),
     ("a: 1\n---\nb: 2\n", 2), ("a: {<<: b}\n", 1), ("[a]: 1\n", 1), ("a: [1, 2\n", 2), ('a: "x\n', 2)],
)  # fmt: skip
def test_what_is_refused_names_its_line(text: str, line: int) -> None:
    with pytest.raises(YamlProblem) as caught:
        compose(HERE, text)
    assert caught.value.mark.line in (line, line + 1)


def test_a_deep_or_large_document_is_refused_quickly() -> None:
    with pytest.raises(YamlProblem):
        compose(HERE, "[" * 5000)
    with pytest.raises(YamlProblem):
        compose(HERE, "- x\n" * 400_000)


def test_mutated_documents_are_read_or_refused_and_never_crash() -> None:
    seed = 20261121
    rng = random.Random(seed)
    source = Path("config/program.yaml").read_text("utf-8")
    for _ in range(1500):
        chars = list(source)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(chars))
            chars[at] = rng.choice("{}[]:&*!|>'\"%@`#-?, \n\t\x00\ud800aé0")
        try:
            compose(HERE, "".join(chars))
        except YamlProblem as problem:
            assert problem.mark.line >= 1, seed
