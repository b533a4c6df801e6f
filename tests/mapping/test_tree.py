from __future__ import annotations

import ast

from peerfhir.config import Mark
from peerfhir.mapping.tree import Const, Each, If, Items, Leaf, Let, Rule, Struct, is_alive, is_dynamic, is_present

RULE = Rule(Mark("x", 1, 1), "a")
CODE = ast.Constant(None)
CONST = Const(RULE, "x")
MAYBE = Leaf(RULE, CODE)
ALWAYS = Leaf(RULE, CODE, nullable=False)


def struct(*nodes: Const | Leaf | Struct | Items | If, keep: bool = False) -> Struct:
    return Struct(RULE, tuple((str(at), node) for at, node in enumerate(nodes)), keep=keep)


def test_constants_alone_are_present_and_keep_nothing_alive() -> None:
    for node in (CONST, struct(CONST), Items(RULE, (CONST,)), struct()):
        assert (is_dynamic(node), is_alive(node), is_present(node)) == (False, False, True)


def test_an_expression_that_may_be_empty_takes_its_constants_with_it() -> None:
    for node in (MAYBE, struct(CONST, MAYBE), Items(RULE, (MAYBE,)), Let(RULE, (), MAYBE), If(RULE, CODE, CONST)):
        assert (is_dynamic(node), is_alive(node), is_present(node)) == (True, False, False)
    repeated = Each(RULE, CODE, True, "v", "i", CONST)
    assert (is_dynamic(repeated), is_alive(repeated), is_present(repeated)) == (True, False, False)


def test_an_expression_that_is_never_empty_keeps_everything_around_it() -> None:
    for node in (
        ALWAYS,
        struct(MAYBE, ALWAYS),
        Items(RULE, (MAYBE, ALWAYS)),
        struct(struct(ALWAYS)),
        Let(RULE, (), ALWAYS),
    ):
        assert (is_dynamic(node), is_alive(node), is_present(node)) == (True, True, True)
    assert is_present(struct(MAYBE, keep=True))


def test_a_list_with_a_constant_is_present_but_not_alive() -> None:
    mixed = Items(RULE, (CONST, MAYBE))
    assert (is_dynamic(mixed), is_alive(mixed), is_present(mixed)) == (True, False, True)
    assert not is_present(struct(mixed))
