"""A syntax tree -> typed Python, for every dialect: literals, variables, paths, and the way to each function."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from peerfhir.fhir.fhirpath import calls, operations, units
from peerfhir.fhir.fhirpath.kinds import below, is_known, of_system
from peerfhir.fhir.fhirpath.made import (
    ENVIRONMENT,
    Focus,
    Made,
    around,
    call,
    empty_list,
    listed,
    name,
    nothing,
    single,
    texts,
)
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
)
from peerfhir.fhir.fhirpath.parser import Quantity as QuantityLiteral
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.profiled import allowed, unknown_item
from peerfhir.fhir.fhirpath.types import EMPTY, OPEN, UNKNOWN, Scope, Shape, Static, made

WELL_KNOWN = {
    "ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org",
}  # fmt: skip
ROOTS = frozenset(("context", "resource", "rootResource", "source"))
_PREFIXES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
_TEMPORAL = {"date": "Date", "dateTime": "DateTime", "time": "Time"}
_WORDS = frozenset(
    ("as", "is", "in", "contains", "asc", "desc", "sort", *units.CALENDAR, *(f"{word}s" for word in units.CALENDAR))
)
_NOT_SUPPORTED = frozenset(("terminologies", "server", "factory"))


class Start(NamedTuple):
    """Where an expression begins.

    context    the value it is started on
    resource   what %resource is, and %rootResource; None: the context
    """

    context: Made
    resource: Made | None = None
    root_resource: Made | None = None


class Emitter:
    """Turns one tree into Python. Made for each expression.

    uses      the declared fields it reads: the shape and the name below it
    findings  rule, offset, what, hint: what a checker may want to say about it
    defines   whether it defines variables while it runs
    """

    def __init__(self, scope: Scope, start: Start) -> None:
        self.scope = scope
        self.start = start
        self.root = Focus(start.context, root=True)
        self.uses: list[tuple[Shape, str]] = []
        self.findings: list[tuple[str, int, str, str]] = []
        self.defined: Mapping[str, tuple[str, Static]] = {}
        self.defines = False
        self.in_union = False  # a path of another type gives nothing there: A.x | B.y is written for both
        self.tolerant = False  # looks for types alone: what it makes is thrown away
        self._fresh = 0

    @property
    def strict(self) -> bool:
        """Whether this stands in a document of the house: nothing is taken for one value or for true in silence."""
        return self.scope.strict

    def fresh(self, *words: str) -> list[str]:
        """Python names that no other part of the expression has."""
        self._fresh += 1
        return [f"{word}_{self._fresh}" for word in words]

    def visit(self, node: Expression, focus: Focus) -> Made:
        """The Python of one node.

        Raises  ExpressionProblem
        """
        match node:
            case Literal():
                return self._literal(node)
            case QuantityLiteral():
                return self._quantity(node)
            case Variable():
                return self._variable(node)
            case Special():
                return self._special(node, focus)
            case Member():
                return self._member(node, focus)
            case Call():
                return calls.called(self, node, focus)
            case Index(base=base, index=index, offset=offset):
                found, at = self.visit(base, focus), self.aside(index, focus)
                code = call("item_at", listed(found), self.one(at, offset, "[ ]"))
                return Made(code, found.type.as_card("opt"), "list")
            case Unary():
                return operations.unary(self, node, focus)
            case TypeTest(operator="is", operand=Call(name="resolve") as target, type_name=word, offset=offset):
                return calls.refers(self, target, self.types(word, offset), focus)
            case TypeTest(operator=operator, operand=operand, type_name=word, offset=offset):
                return calls.typed(self, operator, self.visit(operand, focus), self.types(word, offset), offset)
            case Binary():
                wrong = unknown_item(node, self.scope.link_ids) if self.scope.link_ids is not None else None
                self.findings += [wrong] if wrong is not None else []
                return operations.binary(self, node, focus)

    def aside(self, node: Expression, focus: Focus) -> Made:
        """A part whose variables are not seen by what follows."""
        before = self.defined
        found = self.visit(node, focus)
        self.defined = before
        return found

    # --- one value, true or false ------------------------------------------------------------------------------

    def one(self, value: Made, offset: int, who: str) -> ast.expr:
        """The code of an operand that must be one value. Raises ExpressionProblem PM121 in documents of the house."""
        if self.strict and value.type.card == "many" and is_known(value.type):
            hint = "add .first(), or narrow it with where(...)"
            raise ExpressionProblem("PM121", offset, f"{who} needs one value; this can be many", hint)
        return single(value)

    # --- values ------------------------------------------------------------------------------------------------

    def _literal(self, node: Literal) -> Made:
        value = node.value
        if node.kind == "empty":
            return Made(nothing(), EMPTY)
        if isinstance(value, Decimal):
            return Made(call("decimal", ast.Constant(str(value))), made("decimal", "one"))
        kind = _TEMPORAL.get(node.kind)
        if kind is not None:
            return Made(call("moment", ast.Constant(value), ast.Constant(kind)), of_system(kind, "one"))
        if isinstance(value, str):
            static = Static(("string",), "one", codes=frozenset((value,)), blank=value == "")
            return Made(ast.Constant(value), static, constant=value)
        return Made(ast.Constant(value), made(node.kind, "one"))

    def _quantity(self, node: QuantityLiteral) -> Made:
        if self.strict and units.unit(node.unit) is None:
            raise ExpressionProblem("PM243", node.offset, f"'{node.unit}' is not a UCUM unit in use here")
        code = call("amount", ast.Constant(str(node.value)), ast.Constant(node.unit))
        return Made(code, made("Quantity", "one"))

    def text(self, value: str) -> Made:
        """A text that is known when the expression is loaded."""
        static = Static(("string",), "one", codes=frozenset((value,)), blank=value == "")
        return Made(ast.Constant(value), static, constant=value)

    def _variable(self, node: Variable) -> Made:
        word = node.name
        if word in self.defined:
            key, static = self.defined[word]
            stored = ast.Attribute(name(ENVIRONMENT), "defined", ast.Load())
            return Made(ast.Subscript(stored, ast.Constant(key), ast.Load()), static, "list")
        if word in self.scope.variables:
            bound = self.scope.variables[word]
            if bound.place:
                return Made(name(bound.place), bound.type, "list" if bound.type.card == "many" else "one", native=True)
            static = replace(bound.type, sure=False) if bound.type.kinds else OPEN
            given = () if UNKNOWN in static.kinds else static.kinds
            return Made(around("variable", ast.Constant(word), texts(given)), static, "list")
        found = self._place(word)
        if found is not None:
            return found
        constant = self.scope.constants.get(word) or WELL_KNOWN.get(word)
        for prefix, url in _PREFIXES.items():
            if constant is None and word.startswith(prefix):
                constant = url + word.removeprefix(prefix)
        if constant is None:
            raise self._no_variable(node)
        return self.text(constant)

    def _place(self, word: str) -> Made | None:
        start = self.start
        if word == "context" or (word == "source" and self.scope.dialect.amounts):
            return start.context
        if word == "resource":
            return start.resource or start.context
        if word == "rootResource":
            return start.root_resource or start.context
        if word == "qitem" and self.scope.dialect.name == "sdc":
            return Made(around("question"), Static(("QuestionnaireItem",), "opt", sure=False), "list")
        if word == "questionnaire" and self.scope.dialect.name == "sdc":
            static = Static(("Questionnaire",), "opt", sure=False)
            questionnaire = ast.Attribute(name(ENVIRONMENT), "questionnaire", ast.Load())
            return Made(around("of_resource", questionnaire), static, "list")
        return None

    def _no_variable(self, node: Variable) -> ExpressionProblem:
        if node.name in _NOT_SUPPORTED:
            return ExpressionProblem("PM110", node.offset, f"%{node.name} is not supported: nothing is asked elsewhere")
        known = [*self.scope.variables, *self.defined, *self.scope.constants, *ROOTS, *WELL_KNOWN, "systems"]
        hint = "write %systems.alias" if node.name == "systems" else nearest(node.name, known)
        return ExpressionProblem("PM110", node.offset, f"there is no variable %{node.name}", hint)

    def _special(self, node: Special, focus: Focus) -> Made:
        if node.name == "$this":
            return focus.this
        if node.name == "$index" and focus.index is not None:
            return Made(focus.index, made("integer", "one"))
        if node.name == "$total" and focus.total is not None:
            return focus.total
        where = "inside where(), select(), all() ..." if node.name == "$index" else "inside aggregate()"
        raise ExpressionProblem("PM110", node.offset, f"there is no {node.name} here: it is known {where}")

    # --- paths -------------------------------------------------------------------------------------------------

    def _member(self, node: Member, focus: Focus) -> Made:
        if isinstance(node.base, Variable) and node.base.name == "systems" and self.scope.systems:
            return self._system(node)
        base = focus.this if node.base is None else self.visit(node.base, focus)
        static = base.type
        leads = node.base is None and focus.root and static.shape is None
        if leads and node.name[:1].isupper() and self.is_type(node.name):
            return self._leading_type(node, base)
        if not static.kinds:
            return base
        known = below(self.scope, static, node.name)
        if known is None and self.tolerant:
            return Made(empty_list(), EMPTY, "list")
        if known is None:
            raise self._unknown(node, static)
        if static.shape is not None:
            self.uses.append((static.shape, node.name))
            if node.name in _WORDS and not node.quoted:
                what = f"'{node.name}' is a word of FHIRPath; here it is the field"
                self.findings.append(("PM112", node.offset, what, f"`{node.name}` in backticks says so"))
            return _field(base, node.name, known)
        if not self.tolerant:
            allowed(known, node.name, node.offset)
        return Made(ast.Call(name("step"), [listed(base), ast.Constant(node.name)], []), known, "list")

    def _leading_type(self, node: Member, base: Made) -> Made:
        """Patient.name, where the context is a Patient; nothing, for the types of a union that it is not."""
        if not is_known(base.type):  # then the data tell
            wanted = ast.List([ast.Constant(f"FHIR.{node.name}")], ast.Load())
            code = call("of_type", name(ENVIRONMENT), listed(base), wanted)
            return Made(code, Static((node.name,), base.type.card, sure=False), "list")
        if base.type.kinds and all(self.scope.definitions.is_a(kind, node.name) for kind in base.type.kinds):
            return base
        if not self.in_union:
            raise ExpressionProblem("PM111", node.offset, f"the context is {base.type.called()}, not {node.name}")
        return Made(empty_list(), Static((node.name,), "opt", sure=False), "list")

    def _system(self, node: Member) -> Made:
        uri = self.scope.systems.get(node.name)
        if uri is None:
            hint = nearest(node.name, self.scope.systems) or "an alias with a hyphen stands in backticks"
            raise ExpressionProblem("PM110", node.offset, f"'{node.name}' is not an alias under systems", hint)
        return self.text(uri)

    def _unknown(self, node: Member, base: Static) -> ExpressionProblem:
        names: list[str] = list(base.shape.names()) if base.shape is not None else []
        if base.shape is not None:
            what = f"'{node.name}' is not a declared field here"
            return ExpressionProblem("PM111", node.offset, what, nearest(node.name, names))
        for kind in base.kinds:
            for word, element in self.scope.definitions.elements(kind).items():
                if word == node.name and element.choice:
                    hint = f"write {element.choice}.ofType({element.type})"
                    return ExpressionProblem("PM111", node.offset, f"'{word}' is the JSON name, not FHIRPath", hint)
                names.append(element.choice or word)
        what = f"{base.called()} has no element '{node.name}'"
        return ExpressionProblem("PM111", node.offset, what, nearest(node.name, names))

    # --- types -------------------------------------------------------------------------------------------------

    def is_type(self, word: str) -> bool:
        """Whether it is a type of FHIR."""
        return self.scope.definitions.is_named(word)

    def types(self, word: str, offset: int) -> list[str]:
        """The types that a type name can mean, each with its namespace."""
        space, _, rest = word.rpartition(".")
        if space not in ("", "FHIR", "System"):
            raise ExpressionProblem("PM120", offset, f"there is no type {word}")
        found = [f"FHIR.{rest}"] if space != "System" and self.is_type(rest) else []
        if space != "FHIR" and (rest in calls.SYSTEM_TYPES or (space == "System" and not self.strict)):
            found.append(f"System.{rest}")
        if not found:
            raise ExpressionProblem("PM120", offset, f"there is no type {word}", nearest(rest, calls.SYSTEM_TYPES))
        return found


def _field(base: Made, key: str, static: Static) -> Made:
    """A declared field of an object of the record."""
    many = static.card == "many"
    if base.form != "list" and base.type.card == "one":
        return Made(ast.Subscript(base.code, ast.Constant(key), ast.Load()), static, "list" if many else "one", True)
    if many:
        return Made(call("fields_of", listed(base), ast.Constant(key)), static, "list", native=True)
    code = base.code if base.form != "list" else call("only", base.code)
    return Made(call("field_of", code, ast.Constant(key)), static, native=True)


__all__ = ["ROOTS", "WELL_KNOWN", "Emitter", "Start"]
