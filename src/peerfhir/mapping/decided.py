"""What an invariant makes of a template: true, false or nothing where that is certain, and open everywhere else."""

from __future__ import annotations

import ast
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from peerfhir.fhir.definitions import PRIMITIVES, Definitions
from peerfhir.fhir.fhirpath.emitter import WELL_KNOWN
from peerfhir.fhir.fhirpath.parser import (
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Special,
    TypeTest,
    Unary,
    Variable,
    parse,
)
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.certain import (
    ALL,
    COMPARED,
    LOGIC,
    NOTHING,
    ON_TEXT,
    OPEN,
    PER_ITEM,
    PLAIN,
    Found,
    Known,
    Part,
    Some,
    Truth,
    both,
    compared,
    decides,
    joined,
    member,
    names_below,
    negated,
    of,
    shared,
    some,
    truth,
)
from peerfhir.mapping.tree import Const, Each, If, Items, Leaf, Let, Node, Pair, Struct, is_present


class Focus(NamedTuple):
    """What an expression is asked of.

    this     the values it begins with
    context  the structure an invariant binds, and the resource around it and the outermost one
    """

    this: Some
    context: Some
    resource: Some
    root: Some


@cache
def _parsed(text: str) -> Expression | None:
    try:
        return parse(text)
    except ExpressionProblem:
        return None


class Decider:
    """Evaluates the FHIRPath of invariants over the nodes of a template."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def is_false(self, expression: str, part: Part, resource: Struct, root: Struct) -> bool:
        """Whether an invariant is false in every record that makes a value; nothing does not count as false.

        resource, root  what the value stands in: the resource, and the one that this is contained in
        """
        tree = _parsed(expression)
        if tree is None:
            return False
        this = Some((part,))
        inside, outside = (Some((Part(one, one.kind, True),)) for one in (resource, root))
        return truth(self._visit(tree, Focus(this, this, inside, outside))) == {False}

    # --- what stands below a value ------------------------------------------------------------------------------

    def below(self, part: Part, name: str) -> Some:
        """What an element of a value can hold."""
        value = part.value
        if isinstance(value, Pair):
            value = value.extra if value.extra is not None else Known({})
        if isinstance(value, Known):
            return self._in_json(value.value, part, name)
        if isinstance(value, Struct):
            return self._in_struct(value, part, name)
        simple = part.kind in PRIMITIVES and not (isinstance(value, Leaf) and value.copy)
        return NOTHING if simple else OPEN

    def _keys(self, kind: str, name: str) -> tuple[tuple[str, str], ...]:
        """The keys of JSON that a name can mean, each with its type."""
        element = self._definitions.element(kind, name)
        if element is not None:
            return ((name, element.type),)
        return tuple((one.name, one.type) for one in self._definitions.choices(kind, name))

    def _in_json(self, value: Any, part: Part, name: str) -> Some:
        parts: list[Part] = []
        for key, kind in (self._keys(part.kind, name) or ((name, ""),)) if isinstance(value, dict) else ():
            if key in value:
                held = value[key] if isinstance(value[key], list) else [value[key]]
                parts += [Part(Known(one), kind, part.there) for one in held]
        return Some(tuple(parts))

    def _in_struct(self, struct: Struct, part: Part, name: str) -> Some:
        found = NOTHING
        entries = dict(struct.entries)
        for key, kind in self._keys(part.kind, name) or ((name, ""),):
            if key in entries:
                there = is_present(entries[key]) or decides(struct, key)
                found = joined(found, self.held(entries[key], kind, part.there and there))
        return found

    def held(self, node: Node, kind: str, there: bool) -> Some:
        """The values that a node of the template can make."""
        match node:
            case Items(nodes=nodes):
                found = NOTHING
                for one in nodes:
                    alone = there and (is_present(one) or len(nodes) == 1)
                    found = joined(found, self.held(one, kind, alone))
                return found
            case Let(body=body):
                return self.held(body, kind, there)
            case If(body=body):
                return self.held(body, kind, False)
            case Each(body=body):
                return joined(self.held(body, kind, False), OPEN)
            case Const(value=value):
                values = value if isinstance(value, list) else [value]
                return Some(tuple(Part(Known(one), kind, there) for one in values))
            case Leaf(many=many, code=code):
                text = isinstance(code, ast.Constant) and isinstance(code.value, str)
                known = Known(code.value) if text and isinstance(code, ast.Constant) else node
                return OPEN if many else Some((Part(known, kind, there),))
            case Struct(entries=entries, kind=own):
                named = dict(entries).get("resourceType")
                return Some((Part(node, str(named.value) if isinstance(named, Const) else own or kind, there),))
            case Pair():
                return Some((Part(node, kind, there),))
        return OPEN

    def _descendants(self, some: Some) -> Some:
        parts: list[Part] = []
        more = some.more
        waiting = list(some.parts)
        while waiting:
            part = waiting.pop()
            names = names_below(part.value)
            if names is None:
                more = more or part.kind not in PRIMITIVES
            for name in names or ():
                found = self.below(part, name)
                more = more or found.more
                parts += found.parts
                waiting += found.parts
        return Some(tuple(parts), more)

    # --- expressions --------------------------------------------------------------------------------------------

    def _visit(self, node: Expression, focus: Focus) -> Found:
        match node:
            case Literal(kind=kind, value=value):
                return NOTHING if kind == "empty" else of(value, kind)
            case Variable(name=name):
                return self._variable(name, focus)
            case Special(name="$this"):
                return focus.this
            case Member(base=None, name=name) if name[0].isupper() and self._definitions.is_resource(name):
                return focus.this
            case Member(base=base, name=name):
                held = focus.this if base is None else some(self._visit(base, focus))
                return self._members(held, name)
            case Call():
                return self._call(node, focus)
            case Binary():
                return self._binary(node, focus)
            case TypeTest(operator=operator, operand=operand, type_name=name):
                return self._typed(some(self._visit(operand, focus)), name, is_test=operator == "is")
            case Index(base=base) if some(self._visit(base, focus)) == NOTHING:
                return NOTHING
            case Unary(operand=operand) if some(self._visit(operand, focus)) == NOTHING:
                return NOTHING
        return OPEN

    def _members(self, held: Some, name: str) -> Some:
        found = OPEN if held.more else NOTHING
        for part in held.parts:
            found = joined(found, self.below(part, name))
        return found

    def _variable(self, name: str, focus: Focus) -> Found:
        named: dict[str, Found] = {"context": focus.context, "resource": focus.resource, "rootResource": focus.root}
        if name in WELL_KNOWN:
            return of(WELL_KNOWN[name], "string")
        return named.get(name, OPEN)

    def _typed(self, held: Some, name: str, *, is_test: bool) -> Found:
        kept: list[Part] = []
        unsure = held.more
        for part in held.parts:
            fits = self._is(part, name.rpartition(".")[2])
            if fits is None:
                unsure = True
            elif fits:
                kept.append(part)
        if is_test:
            sure = len(held.parts) == 1 and held.parts[0].there and not unsure
            return frozenset((bool(kept),)) if sure else ALL if held.parts or unsure else frozenset((None,))
        return Some(tuple(kept), unsure)

    def _is(self, part: Part, name: str) -> bool | None:
        if not part.kind or part.kind in ("Resource", "DomainResource"):
            return None
        if name[:1].isupper() and name[:1].lower() + name[1:] in PRIMITIVES:
            name = name[:1].lower() + name[1:]
        return self._definitions.is_a(part.kind, name)

    def _binary(self, node: Binary, focus: Focus) -> Found:
        left, right = self._visit(node.left, focus), self._visit(node.right, focus)
        if node.operator in LOGIC:
            pairs = product(truth(left), truth(right))
            return frozenset(LOGIC[node.operator](one, other) for one, other in pairs)
        one, other = some(left), some(right)
        if node.operator == "|":
            return joined(one, other)
        if node.operator in ("in", "contains"):
            return member(one, other) if node.operator == "in" else member(other, one)
        if isinstance(left, frozenset) and isinstance(right, frozenset) and node.operator in ("=", "!="):
            pairs = product(left, right)
            same: Truth = frozenset(None if None in pair else pair[0] == pair[1] for pair in pairs)
            return same if node.operator == "=" else negated(same)
        if node.operator in COMPARED:
            return compared(node.operator, one, other)
        if node.operator in ("&", "+") and (texts := both(one, other)) is not None:
            first, second = texts
            if isinstance(first, str) and isinstance(second, str):
                return of(first + second, "string")
            if node.operator == "+" and isinstance(first, int) and isinstance(second, int):
                return of(first + second, "integer")
        return OPEN

    def _call(self, node: Call, focus: Focus) -> Found:
        held = focus.this if node.base is None else self._visit(node.base, focus)
        if node.name == "not":
            return negated(truth(held))
        if node.name == "iif" and len(node.arguments) > 1:
            return self._iif(node, focus if node.base is None else focus._replace(this=some(held)))
        values = some(held)

        def inner(part: Part) -> Found:
            return self._visit(node.arguments[0], focus._replace(this=Some((part,))))

        if node.name in ("where", "exists", "all", "select") and len(node.arguments) == 1:
            return PER_ITEM[node.name](values, inner)
        if node.name in ("ofType", "as", "is") and len(node.arguments) == 1:
            named = node.arguments[0]
            name = named.name if isinstance(named, Member) else ""
            return self._typed(values, name, is_test=node.name == "is") if name else OPEN
        if node.name == "descendants":
            return self._descendants(values)
        if node.name == "intersect" and len(node.arguments) == 1:
            return shared(values, some(self._visit(node.arguments[0], focus)))
        if node.name in ON_TEXT and len(node.arguments) == 1:
            texts = both(values, some(self._visit(node.arguments[0], focus)))
            return NOTHING if values == NOTHING else OPEN if texts is None else ON_TEXT[node.name](*texts)
        if node.name in PLAIN and len(node.arguments) <= (2 if node.name == "trace" else 0):
            return PLAIN[node.name](values)
        return OPEN

    def _iif(self, node: Call, focus: Focus) -> Found:
        condition = truth(self._visit(node.arguments[0], focus))
        if condition == {True}:
            return self._visit(node.arguments[1], focus)
        if True not in condition:
            return self._visit(node.arguments[2], focus) if len(node.arguments) > 2 else NOTHING
        return OPEN
