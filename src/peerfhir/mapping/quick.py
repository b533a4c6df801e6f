"""The quick reader: the fields of a source as one Python function, which leaves every doubt to the careful reader."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from peerfhir.config import Mark
from peerfhir.mapping import cells, forms
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.records import RecordReader

if TYPE_CHECKING:
    from peerfhir.mapping.source import Source

Quick = Callable[[Any], dict[str, Any]]


class Doubt(Exception):
    """The record is not plainly good: the careful reader decides."""


def of_objects(source: Source) -> Quick:
    """A function of one raw record (names -> values): its typed record. Any exception means a doubt."""
    return _Emitter(source, None).function()


def of_cells(source: Source, columns: Sequence[str]) -> Quick:
    """A function of one row (as many cells as columns): its typed record. Any exception means a doubt.

    columns  the names in the header; without a header, those of the fields
    """
    return _Emitter(source, {name: at for at, name in reversed(list(enumerate(columns)))}).function()


class _Names(ast.NodeTransformer):
    """Puts constants where their generated names stand."""

    def __init__(self, constants: dict[str, Any]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._constants:
            return ast.copy_location(ast.Constant(self._constants[node.id]), node)
        return node


class _Emitter:
    """Lines of Python that hold generated names and numbers alone: what a mapping wrote goes in as constants."""

    def __init__(self, source: Source, columns: dict[str, int] | None) -> None:
        self._source = source
        self._columns = columns
        self._careful = RecordReader(source, Mark("", 1, 1))
        self._lines: list[str] = []
        self._texts: dict[str, Any] = {}
        self._names: dict[str, Any] = {"g_Doubt": Doubt, "g_empty": source.empty}
        self._functions = 0

    def function(self) -> Quick:
        """The finished function."""
        top = self._object(self._source.fields)
        tree = _Names(self._texts).visit(ast.parse("\n".join(self._lines)))
        exec(compile(ast.fix_missing_locations(tree), "<source>", "exec"), self._names)  # noqa: S102 - see the class
        found: Quick = self._names[top]
        return found

    def _object(self, fields: Fields) -> str:
        self._functions += 1
        made = f"f{self._functions}"
        lines = [f"def {made}(r):"]
        at_top = made == "f1"
        if self._columns is None or not at_top:
            lines.append("  if type(r) is not dict: raise g_Doubt")
            if self._source.refuse:
                known = self._keep(frozenset(one.key for one in fields.items.values()))
                lines.append(f"  if not r.keys() <= {known}: raise g_Doubt")
        parts = []
        for at, (name, field) in enumerate(fields.items.items()):
            lines += [f"  {line}" for line in self._field(field, f"t{at}", at_top)]
            parts.append(f"{self._text(name)}: t{at}")
        self._lines += [*lines, f"  return {{{', '.join(parts)}}}"]
        return made

    def _field(self, field: Field, place: str, at_top: bool) -> list[str]:
        if self._columns is not None and at_top:
            start = f"{place} = r[{self._columns[field.key]}]"
        else:
            get = "r[{0}]" if field.required and not field.repeats else "r.get({0})"
            start = f"{place} = {get.format(self._text(field.key))}"
        if field.fields is not None and not self._source.is_text:
            return [start, *self._structure(field, field.fields, place)]
        if field.repeats or field.fields is not None:
            return [start, f"{place} = {self._keep(self._general(field))}({place})"]
        return [start, *self._blank(field, place), *self._value(field, place)]

    def _structure(self, field: Field, fields: Fields, place: str) -> list[str]:
        inner = self._object(fields)
        if field.repeats:
            return [
                f"if {place} is None: {place} = []",
                f"elif type({place}) is not list: raise g_Doubt",  # an empty object would pass for an empty list
                f"else: {place} = [{inner}(x) for x in {place} if x is not None]",
            ]
        if field.required:
            return [f"{place} = {inner}({place})"]
        return [f"if {place} is not None: {place} = {inner}({place})"]

    def _blank(self, field: Field, place: str) -> list[str]:
        """What is no value becomes None; a required field without one is a doubt."""
        is_sure = self._columns is not None
        lines = []
        if self._source.trim:
            lines.append(
                f"{place} = {place}.strip()" if is_sure else f"if type({place}) is str: {place} = {place}.strip()"
            )
        empties = self._source.empty | ({""} if field.required or field.kind != "string" else set())
        test = f"not {place}" if is_sure and empties == {""} else f"{place} in {self._keep(empties)}"
        if not is_sure:
            test = f"{place} is None or (type({place}) is str and {test})" if empties else f"{place} is None"
        elif not empties:
            return lines
        return [*lines, f"if {test}: {'raise g_Doubt' if field.required else place + ' = None'}"]

    def _value(self, field: Field, place: str) -> list[str]:
        """The conversion and the checks of a value that is there."""
        lines = self._inline(field, place)
        if lines is None:
            lines = [f"{place} = {self._keep(self._one(field))}({place})"]
        if not lines or field.required:
            return lines
        return [f"if {place} is not None:", *[f"  {line}" for line in lines]]

    def _inline(self, field: Field, place: str) -> list[str] | None:
        plain = field.max_length is None and field.pattern is None and field.earliest is None and field.latest is None
        is_text = [] if self._columns is not None else [f"if type({place}) is not str: raise g_Doubt"]
        if not plain:
            return None
        if field.codes is not None and field.kind in ("code", "string"):
            fitting = frozenset(one for one in field.codes if field.kind == "string" or forms.fits("code", one))
            return [f"if {place} not in {self._keep(fitting)}: raise g_Doubt"]
        if field.kind == "string":
            blanks = [] if self._source.trim else [f"if {place}.isspace(): raise g_Doubt"]
            long = f"if len({place}) > {forms.MAX_TEXT}: raise g_Doubt"
            return [*is_text, *blanks, long]
        if field.kind in ("code", "uri") and is_text == []:
            return [f"if {self._keep(forms.form(field.kind))}({place}) is None: raise g_Doubt"]
        if field.format is not None and is_text == []:
            return [f"{place} = {self._keep(field.format.parse)}({place})"]
        return None

    def _one(self, field: Field) -> Callable[[Any], Any]:
        is_text = self._source.is_text
        return lambda raw: cells.typed(field, raw, is_text)

    def _general(self, field: Field) -> Callable[[Any], Any]:
        def read(raw: Any) -> Any:
            problems: list[Problem] = []
            found = self._careful.field(field, raw, problems)
            if problems:
                raise Doubt
            return found

        return read

    def _keep(self, value: Any) -> str:
        place = f"k{len(self._names)}"
        self._names[place] = value
        return place

    def _text(self, value: str) -> str:
        place = f"s{len(self._texts)}"
        self._texts[place] = value
        return place
