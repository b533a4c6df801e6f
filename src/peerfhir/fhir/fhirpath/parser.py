"""Tokens -> a syntax tree, by precedence climbing over the whole FHIRPath grammar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from peerfhir.fhir.fhirpath.lexer import Token, tokens
from peerfhir.fhir.fhirpath.problems import ExpressionProblem

MAX_CHARACTERS = 4_000
MAX_NODES = 2_000
MAX_NESTED = 60  # brackets inside each other
MAX_DEPTH = 100  # of the finished tree: a long path or chain of operators


class Literal(NamedTuple):
    """A constant. kind: string | integer | decimal | boolean | date | dateTime | time | empty."""

    kind: str
    value: str | int | Decimal | bool | None
    offset: int


class Quantity(NamedTuple):
    """A number with a unit: 4 days, 5 'mg'."""

    value: Decimal
    unit: str
    offset: int


class Variable(NamedTuple):
    """%name."""

    name: str
    offset: int


class Special(NamedTuple):
    """$this, $index or $total."""

    name: str
    offset: int


class Member(NamedTuple):
    """A name, alone (base None) or after a point."""

    base: Expression | None
    name: str
    quoted: bool
    offset: int


class Call(NamedTuple):
    """A function, alone or after a point."""

    base: Expression | None
    name: str
    arguments: tuple[Expression, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Index:
    """base[index]."""

    base: Expression
    index: Expression
    offset: int


class Unary(NamedTuple):
    """A sign before an operand."""

    operator: str
    operand: Expression
    offset: int


class Binary(NamedTuple):
    """Two operands with an operator between; offset is the operator's."""

    operator: str
    left: Expression
    right: Expression
    offset: int


class TypeTest(NamedTuple):
    """`is` or `as` with a type name."""

    operator: str
    operand: Expression
    type_name: str
    offset: int


Expression = Literal | Quantity | Variable | Special | Member | Call | Index | Unary | Binary | TypeTest

_BINDS = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, "<=": 6, ">": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9,
    "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_SIGN_BINDS = 11
_NEVER_NAMES = frozenset(["and", "or", "xor", "implies", "div", "mod", "true", "false"])
_UNITS = frozenset(["year", "month", "week", "day", "hour", "minute", "second", "millisecond"])


def parse(text: str) -> Expression:
    """The tree of one expression.

    Raises  ExpressionProblem PM100 (syntax), PM125 (literal), PM127 (larger than the limits above)
    Source  FHIRPath N1 2.0.0 grammar
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionProblem("PM127", 0, f"the expression is longer than {MAX_CHARACTERS} characters")
    tree = _Parser(tokens(text)).whole()
    _measure(tree)
    return tree


def children(node: Expression) -> Iterator[Expression]:
    """The operands, base and arguments of a node, in the order of the text."""
    match node:
        case Member(base=base) if base is not None:
            yield base
        case Call(base=base, arguments=arguments):
            if base is not None:
                yield base
            yield from arguments
        case Index(base=base, index=index):
            yield from (base, index)
        case Unary(operand=operand) | TypeTest(operand=operand):
            yield operand
        case Binary(left=left, right=right):
            yield from (left, right)


def _measure(tree: Expression) -> None:
    waiting, count = [(tree, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise ExpressionProblem("PM127", node.offset, "the expression is too large", "divide it with $let")
        waiting += [(child, depth + 1) for child in children(node)]


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, *symbols: str) -> bool:
        return self._next.kind == "symbol" and self._next.text in symbols

    def _need(self, symbol: str) -> Token:
        if not self._is(symbol):
            raise self._unexpected(f"expected '{symbol}'")
        return self._take()

    def _unexpected(self, what: str) -> ExpressionProblem:
        token = self._next
        there = "the expression ends" if token.kind == "end" else f"'{token.text}' stands here"
        return ExpressionProblem("PM100", token.offset, f"{what}, but {there}")

    def whole(self) -> Expression:
        if self._next.kind == "end":
            raise ExpressionProblem("PM100", 0, "the expression is empty", "write {} for no value")
        tree = self._expression(0)
        if self._next.kind != "end":
            raise self._unexpected("expected an operator")
        return tree

    def _operator(self) -> str | None:
        token = self._next
        return token.text if token.kind in ("symbol", "name") and token.text in _BINDS else None

    def _expression(self, floor: int) -> Expression:
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise ExpressionProblem("PM127", self._next.offset, "the expression is nested too deeply")
        left = self._signed()
        while (operator := self._operator()) is not None and _BINDS[operator] > floor:
            offset = self._take().offset
            if operator in ("is", "as"):
                left = TypeTest(operator, left, self._type_name(), offset)
            else:
                left = Binary(operator, left, self._expression(_BINDS[operator]), offset)
        self._depth -= 1
        return left

    def _signed(self) -> Expression:
        if self._is("+", "-"):
            token = self._take()
            return Unary(token.text, self._expression(_SIGN_BINDS), token.offset)
        return self._postfix()

    def _postfix(self) -> Expression:
        node = self._term()
        while True:
            if self._is("."):
                self._take()
                node = self._invocation(node)
            elif self._is("["):
                offset = self._take().offset
                node = Index(node, self._expression(0), offset)
                self._need("]")
            elif self._is("{") and isinstance(node, Member):
                what = "Type{ } is not supported: an expression makes no structures"
                raise ExpressionProblem("PM122", self._next.offset, what, "write the structure in the template")
            else:
                return node

    def _term(self) -> Expression:
        token = self._next
        match token.kind:
            case "string" | "date" | "dateTime" | "time":
                self._take()
                return Literal(token.kind, token.text, token.offset)
            case "number":
                return self._number()
            case "variable":
                self._take()
                return Variable(token.text, token.offset)
            case "name" if token.text in ("true", "false"):
                self._take()
                return Literal("boolean", token.text == "true", token.offset)
            case "name" | "quoted-name":
                return self._invocation(None)
        if self._is("("):
            self._take()
            inner = self._expression(0)
            self._need(")")
            return inner
        if self._is("{"):
            self._take()
            self._need("}")
            return Literal("empty", None, token.offset)
        raise self._unexpected("expected a value")

    def _number(self) -> Expression:
        token = self._take()
        text = token.text.rstrip("L")
        following = self._next
        if following.kind == "string":
            self._take()
            return Quantity(Decimal(text), following.text, token.offset)
        if following.kind == "name" and following.text.removesuffix("s") in _UNITS:
            self._take()
            return Quantity(Decimal(text), following.text, token.offset)
        if "." in text:
            return Literal("decimal", Decimal(text), token.offset)
        most, called = (2**63 - 1, "a Long") if token.text.endswith("L") else (2**31 - 1, "an Integer")
        if len(text) > 19 or int(text) > most:
            raise ExpressionProblem("PM125", token.offset, f"this number is larger than {called} can be")
        return Literal("integer", int(text), token.offset)

    def _invocation(self, base: Expression | None) -> Expression:
        token = self._next
        quoted = token.kind == "quoted-name"
        if not quoted and (token.kind != "name" or token.text in _NEVER_NAMES):
            hint = f"write `{token.text}` in backticks if it is a field" if token.kind == "name" else ""
            problem = self._unexpected("expected a name")
            raise ExpressionProblem(problem.rule, problem.offset, problem.what, hint)
        self._take()
        if token.text.startswith("$") and not quoted:
            return self._special(token, base)
        if not self._is("("):
            return Member(base, token.text, quoted, token.offset)
        self._take()
        arguments: list[Expression] = []
        while not self._is(")"):
            if arguments:
                self._need(",")
            arguments.append(self._directed() if token.text == "sort" else self._expression(0))
        self._take()
        return Call(base, token.text, tuple(arguments), token.offset)

    def _directed(self) -> Expression:
        """A key of sort(), with asc or desc after it."""
        key = self._expression(0)
        if self._next.kind == "name" and self._next.text in ("asc", "desc"):
            word = self._take()
            return Unary("desc", key, word.offset) if word.text == "desc" else key
        return key

    def _special(self, token: Token, base: Expression | None) -> Expression:
        if base is not None or token.text not in ("$this", "$index", "$total"):
            raise ExpressionProblem("PM100", token.offset, f"'{token.text}' cannot stand here")
        return Special(token.text, token.offset)

    def _type_name(self) -> str:
        parts = []
        while True:
            token = self._take()
            if token.kind not in ("name", "quoted-name"):
                self._at -= 1
                raise self._unexpected("expected a type name")
            parts.append(token.text)
            if len(parts) == 2 or not self._is("."):
                return ".".join(parts)
            self._take()
