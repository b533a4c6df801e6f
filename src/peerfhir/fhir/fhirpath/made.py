"""Python that gives a value or a collection, what is known of it, and how it changes from one form to another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.kinds import TEMPORAL
from peerfhir.fhir.fhirpath.types import Card, Static, made, system

ENVIRONMENT = "environment"  # the Python name of the environment in compiled code
Form = Literal["one", "raw", "list"]


@dataclass(frozen=True, slots=True)
class Made:
    """One part of an expression as Python.

    form      "one": a System value, a structure or None; "raw": an item that is there; "list": a collection
    native    values as a record or a variable holds them: JSON, dates as text, no items
    constant  the text, when it is known already
    """

    code: ast.expr
    type: Static
    form: Form = "one"
    native: bool = False
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """What $this, $index and $total are at one place."""

    this: Made
    index: ast.expr | None = None
    total: Made | None = None
    root: bool = False


def name(identifier: str) -> ast.expr:
    """A Python name."""
    return ast.Name(identifier, ast.Load())


def call(function: str, *arguments: ast.expr) -> ast.expr:
    """A call of one of the names of `runtime.names`, without its "f_"."""
    return ast.Call(name(f"f_{function}"), list(arguments), [])


def function_of(names: Sequence[str], body: ast.expr) -> ast.expr:
    """A lambda."""
    return ast.Lambda(ast.arguments([], [ast.arg(one) for one in names], None, [], [], None, []), body)


def around(attribute: str, *arguments: ast.expr) -> ast.expr:
    """A call of a method of the environment."""
    return ast.Call(ast.Attribute(name(ENVIRONMENT), attribute, ast.Load()), list(arguments), [])


def texts(values: Iterable[str]) -> ast.expr:
    """A tuple of texts."""
    return ast.Tuple([ast.Constant(value) for value in values], ast.Load())


def nothing() -> ast.expr:
    """None; fresh, since each node of a tree has a line of its own."""
    return ast.Constant(None)


def empty_list() -> ast.expr:
    """A collection of nothing."""
    return ast.List([], ast.Load())


def boolean(code: ast.expr, card: Card = "opt") -> Made:
    """True, False or None."""
    return Made(code, made("boolean", card))


# --- forms ---------------------------------------------------------------------------------------------------------


def as_system(value: Made) -> Made:
    """The same value as the library has it: items, and dates that can be compared."""
    if not value.native:
        return value
    static = value.type
    if "object" in static.kinds or (static.sure and not TEMPORAL & set(static.kinds) and _simple(static)):
        return Made(value.code, static, value.form, constant=value.constant)
    way: str = "item_of"
    more: ast.expr = texts(static.kinds)
    if static.sure and _simple(static):
        way, more = "moment_of", ast.Constant(system(next(kind for kind in static.kinds if kind in TEMPORAL)))
    if value.form == "list":
        loop = ast.comprehension(ast.Name("each", ast.Store()), value.code, [], 0)
        return Made(ast.ListComp(call(way, name("each"), more), [loop]), static, "list")
    return Made(call(way, value.code, more), static, value.form)


def _simple(static: Static) -> bool:
    return all(kind in PRIMITIVES for kind in static.kinds)


def listed(value: Made) -> ast.expr:
    """The value as a collection."""
    value = as_system(value)
    if value.form == "list":
        return value.code
    if value.form == "raw" or value.type.card == "one":
        return ast.List([value.code], ast.Load())
    if isinstance(value.code, ast.Constant) and value.code.value is None:
        return empty_list()
    return call("listed", value.code)


def kept(value: Made) -> tuple[ast.expr, bool]:
    """The value as a collection in the form it has, and whether that is native: for what only chooses items."""
    if not value.native:
        return listed(value), False
    if value.form == "list":
        return value.code, True
    if value.form == "raw" or value.type.card == "one":
        return ast.List([value.code], ast.Load()), True
    return call("listed", value.code), True


def item_of(value: Made, word: str, native: bool) -> Made:
    """One item of a collection, under a Python name."""
    form: Form = "one" if native or value.type.sure else "raw"
    return Made(name(word), value.type.as_card("one"), form, native)


def single(value: Made) -> ast.expr:
    """The value as at most one System value: a collection of more fails while it runs."""
    value = as_system(value)
    if value.form == "list":
        return call("one", value.code)
    return value.code if _is_plain(value) else call("plain", value.code)


def _is_plain(value: Made) -> bool:
    return value.form == "one" and value.type.sure


def condition(value: Made) -> ast.expr:
    """The value as true, false or unknown."""
    value = as_system(value)
    if value.form == "list":
        return call("truth", value.code)
    if value.type.kinds in (("boolean",), ()) and _is_plain(value):
        return value.code
    return call("truth_of", value.code)


def is_there(value: Made) -> ast.expr:
    """Whether there is any."""
    if value.form == "list":
        return ast.Compare(value.code, [ast.NotEq()], [empty_list()])
    if value.form == "raw":
        return ast.Constant(True)
    if isinstance(value.code, ast.Constant):
        return ast.Constant(value.code.value is not None)
    return ast.Compare(value.code, [ast.IsNot()], [nothing()])


def outward(value: Made) -> ast.expr:
    """The value as a mapping has it: None or JSON where one is possible, else a list of JSON."""
    static = value.type
    many = static.card == "many"
    same = value.native or (static.sure and _simple(static) and not TEMPORAL & set(static.kinds))
    if value.form == "list":
        if many:
            return value.code if same else call("plain_list", value.code)
        return call("only" if same else "plain_single", value.code)
    code = value.code if same else call("plain_json", value.code)
    return call("listed", code) if many else code
