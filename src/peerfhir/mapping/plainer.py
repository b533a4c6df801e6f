"""Compiled code made plainer where types are proven: lookups for calls, texts put together by Python itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from peerfhir.fhir.fhirpath.compile import ROOT_PLACE, name, table_place
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.mapping.code_map import CodeMap
from peerfhir.mapping.snippets import assign

_TEXTS = frozenset((
    "string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "date", "dateTime", "instant", "time",
))  # fmt: skip
UCUM = "http://unitsofmeasure.org"


class Lookup(dict[Any, Any]):
    """The targets of a code map by source code; what is not there is asked of the map itself."""

    def __init__(self, found: Mapping[Any, Any], translate: Any) -> None:
        super().__init__(found)
        self._translate = translate

    def __missing__(self, key: Any) -> Any:
        return self._translate(key)


def lookups(scope: Scope, used: frozenset[str]) -> dict[str, Any]:
    """The names that plainer code refers to: code maps by text and by whole number."""
    names: dict[str, Any] = {}
    for map_name, table in scope.tables.items():
        place = table_place(scope, map_name)
        if not isinstance(table, CodeMap) or not {f"{place}_text", f"{place}_number"} & used:
            continue
        found = {code: table.translate(code) for code, target in table.entries.items() if target.code is not None}
        numbers = {int(code): target for code, target in found.items() if code.isdecimal() and str(int(code)) == code}
        names[f"{place}_text"] = Lookup(found, table.translate)
        names[f"{place}_number"] = Lookup(numbers, table.translate)
    return names


class Plainer(ast.NodeTransformer):
    """Rewrites the body of one compiled function; the trees it is given stay as they are, for other builds.

    types  Python name -> what is known of the value it holds
    """

    def __init__(self, types: Mapping[str, Static], tables: frozenset[str]) -> None:
        self._types = types
        self._tables = tables
        self._urls: dict[str, tuple[str, ast.expr]] = {}
        self.used: set[str] = set()  # names of `lookups` that the code refers to
        self.names: set[str] = set()  # every name that it reads

    def body(self, block: list[ast.stmt]) -> list[ast.stmt]:
        """The statements, after those that compute each address once."""
        made = [self.visit(one) for one in block]
        return [*(assign(place, code) for place, code in self._urls.values()), *made]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """The node with what lies below it rewritten: another one where something changed."""
        changed: dict[str, Any] = {}
        for key in node._fields:
            value = getattr(node, key, None)
            if isinstance(value, list):
                items = [self.visit(one) if isinstance(one, ast.AST) else one for one in value]
                if any(new is not old for new, old in zip(items, value, strict=True)):
                    changed[key] = items
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                new = self.visit(value)
                if new is not value:
                    changed[key] = new
        if not changed:
            return node
        fields = {key: changed.get(key, getattr(node, key, None)) for key in node._fields}
        return ast.copy_location(type(node)(**fields), node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Nothing lies below it."""
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Nothing lies below it."""
        self.names.add(node.id)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        rewritten = self.generic_visit(node)
        if not isinstance(rewritten, ast.Call):
            return rewritten
        node = rewritten
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in self._tables and len(node.args) == 1:
            return self._looked_up(node, called)
        if called == "f_concatenated":
            return self._joined(node, node.args, blank=True)
        if called == "g_text" and isinstance(node.args[0], ast.List):
            return self._joined(node, node.args[0].elts, blank=False)
        if called == "g_full_url":
            return self._address(node)
        if called == "g_copied" and isinstance(node.args[0], ast.Dict | ast.Call) and _is_fresh(node.args[0]):
            return node.args[0]
        if called == "f_measured":
            return self._measured(node)
        return node

    def _static(self, node: ast.expr) -> Static | None:
        if isinstance(node, ast.Name):
            return self._types.get(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            base = self._static(node.value)
            if base is not None and base.shape is not None and base.card == "one" and isinstance(node.slice.value, str):
                return base.shape.member(node.slice.value)
        return None

    def _is_field(self, node: ast.expr, *, blank: bool) -> bool:
        """A text of the record itself: one of its own making may double another, and its length is looked at."""
        static = self._static(node) if isinstance(node, ast.Subscript) else None
        if static is None or not static.sure or static.card != "one" or (static.blank and not blank):
            return False
        return bool(static.kinds) and _TEXTS.issuperset(static.kinds)

    def _looked_up(self, node: ast.Call, place: str) -> ast.expr:
        static = self._static(node.args[0])
        if static is None or static.card == "many" or not static.sure:
            return node
        kind = "text" if _TEXTS.issuperset(static.kinds) else "number" if static.kinds == ("integer",) else ""
        if not kind or not static.kinds:
            return node
        self.used.add(f"{place}_{kind}")
        return ast.Subscript(name(f"{place}_{kind}"), node.args[0], ast.Load())

    def _joined(self, node: ast.Call, parts: list[ast.expr], *, blank: bool) -> ast.expr:
        values: list[ast.expr] = []
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                values.append(part)
            elif self._is_field(part, blank=blank) or (isinstance(part, ast.Call) and _gives_text(part)):
                values.append(ast.FormattedValue(part, -1, None))
            else:
                return node
        return ast.JoinedStr(values)

    def _address(self, node: ast.Call) -> ast.expr:
        """A fullUrl that depends on the record alone is computed once, before everything else."""
        key = ast.dump(node)
        known = self._urls.get(key)
        if known is None:
            if not all(_is_of_record(one) for one in node.args[1:]):
                return node
            known = self._urls[key] = (f"u{len(self._urls) + 1}", node)
        return name(known[0])

    def _measured(self, node: ast.Call) -> ast.expr:
        static = self._static(node.args[0])
        words = [one.value for one in node.args[1:] if isinstance(one, ast.Constant)]
        if static is None or static.card != "one" or len(words) != len(node.args) - 1 or None in words:
            return node
        keys = [ast.Constant(key) for key in ("value", "unit", "system", "code")]
        unit = [ast.Constant(words[-1]), ast.Constant(UCUM), ast.Constant(words[0])]
        return ast.Dict(list(keys), [node.args[0], *unit])


def _is_of_record(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == ROOT_PLACE


def _is_fresh(node: ast.expr) -> bool:
    called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    return isinstance(node, ast.Dict) or called == "f_measured"


def _gives_text(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in ("g_searched", "g_full_url")
