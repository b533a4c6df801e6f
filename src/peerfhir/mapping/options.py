"""The options of a declared field: read, checked against its type, and put on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from peerfhir.config import Node
from peerfhir.fhir.fhirpath.patterns import UnsafePattern
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping import forms, shapes, zones
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import keys
from peerfhir.mapping.fields import Field
from peerfhir.mapping.formats import BadFormat, Format, read_format
from peerfhir.mapping.problems import Problems

_TIMES = frozenset(("date", "dateTime", "instant", "time"))
_TEXTS = frozenset(("string", "code", "uri"))
_NUMBERS = frozenset(("integer", "decimal"))
_ANY = frozenset((*_TIMES, *_TEXTS, *_NUMBERS, "boolean"))
_MOMENTS = frozenset(("dateTime", "instant"))
_FITS: Mapping[str, frozenset[str]] = {
    "type": _ANY, "from": _ANY, "split": _ANY, "sensitive": _ANY, "unused": _ANY, "example": _ANY, "description": _ANY,
    "format": _TIMES, "offset": _MOMENTS, "timezone": _MOMENTS, "ambiguous": _MOMENTS,
    "true": frozenset(("boolean",)), "false": frozenset(("boolean",)), "codes": frozenset(("code", "string")),
    "min": _NUMBERS | _TIMES, "max": _NUMBERS | _TIMES, "maxLength": _TEXTS, "pattern": _TEXTS,
    "decimalComma": frozenset(("decimal",)),
}  # fmt: skip


class Options:
    """The options beside one `type`."""

    def __init__(self, node: Node, address: str, code_maps: Mapping[str, CodeMap], problems: Problems) -> None:
        self._node = node
        self._given: Mapping[str, Node] = node.value
        self._address = address
        self._code_maps = code_maps
        self._problems = problems

    def put_on(self, field: Field) -> Field:
        """The field with its options; what contradicts itself is noted (PM312)."""
        keys(self._node, _FITS, frozenset(), self._address, self._problems)
        for key, kinds in _FITS.items():
            if key in self._given and field.kind not in kinds:
                self._clash(key, f"'{key}' does not belong to a field of type {field.kind}")
        split, sensitive = self._text("split"), self._given.get("sensitive")
        field = replace(
            field, key=self._text("from") or field.name, split=split, repeats=split is not None,
            max_length=self._length(), pattern=self._pattern(), unused="unused" in self._given,
            because=self._text("unused") or "", sensitive=self._sensitive(sensitive),
            example=self._given.get("example"), description=self._text("description") or "",
            decimal_comma=self._flag("decimalComma"), format=self._format(field.kind),
        )  # fmt: skip
        return self._bounded(self._worded(self._coded(field)))

    def _coded(self, field: Field) -> Field:
        node = self._given.get("codes")
        if node is None:
            return field
        if node.kind == "list":
            if not node.value or any(one.kind != "scalar" for one in node.value):
                self._problems.add(node.mark, "PM007", self._address, "'codes' is a list of codes, or a code map")
                return field
            texts = [one.raw for one in node.value]
            if len(set(texts)) != len(texts):
                self._clash("codes", "a code stands twice")
            return replace(field, codes=frozenset(texts))
        code_map = self._code_maps.get(str(node.value))
        if code_map is None:
            hint = nearest(str(node.value), self._code_maps)
            self._problems.add(node.mark, "PM130", self._address, "there is no such code map", hint)
            return field
        if code_map.broken:
            return field
        if code_map.default is not None or code_map.provided:
            self._clash("codes", f"code map '{code_map.name}' is open and cannot close a list")
            return field
        return replace(field, codes=frozenset(code_map.entries), code_map=code_map.name)

    def _worded(self, field: Field) -> Field:
        true, false = self._words("true"), self._words("false")
        field = replace(field, true=true or field.true, false=false or field.false)
        if field.true & field.false:
            self._problems.add(self._node.mark, "PM312", self._address, "a text means both true and false")
        return field

    def _words(self, key: str) -> frozenset[str]:
        node = self._given.get(key)
        if node is None:
            return frozenset()
        if node.kind != "list" or not node.value or any(one.kind != "scalar" for one in node.value):
            self._problems.add(node.mark, "PM007", self._address, f"'{key}' is a list of texts")
            return frozenset()
        return frozenset(one.raw for one in node.value)

    def _bounded(self, field: Field) -> Field:
        bounds = [self._given.get(key) for key in ("min", "max")]
        if field.kind in _TIMES:
            early, late = (self._moment(node, field.kind) for node in bounds)
            if early is not None and late is not None and early[: len(late)] > late[: len(early)]:
                self._clash("min", "min lies above max")
            return replace(field, earliest=early, latest=late)
        low, high = (self._number(node) for node in bounds)
        if low is not None and high is not None and low > high:
            self._clash("min", "min lies above max")
        return replace(field, minimum=low, maximum=high)

    def _moment(self, node: Node | None, kind: str) -> str | None:
        if node is None:
            return None
        text = node.raw
        day_of_moment = kind in _MOMENTS and forms.fits("date", text) and len(text) == 10
        if (forms.fits(kind, text) and (kind not in _MOMENTS or len(text) >= 10)) or day_of_moment:
            return text
        what = f"a bound of a {kind} is written as FHIR writes it"
        self._problems.add(node.mark, "PM007", self._address, what, "2026-01-31" if kind != "time" else "08:00:00")
        return None

    def _number(self, node: Node | None) -> Decimal | None:
        if node is None:
            return None
        if isinstance(node.value, (int, Decimal)) and not isinstance(node.value, bool):
            return Decimal(node.value)
        self._problems.add(node.mark, "PM007", self._address, "a number is expected here")
        return None

    def _length(self) -> int | None:
        node = self._given.get("maxLength")
        if node is None:
            return None
        if type(node.value) is int and node.value > 0:
            return node.value
        self._problems.add(node.mark, "PM007", self._address, "'maxLength' is a whole number above 0")
        return None

    def _pattern(self) -> Any:
        node = self._given.get("pattern")
        if node is None:
            return None
        try:
            return shapes.matcher(node.raw)
        except UnsafePattern as problem:
            self._problems.add(node.mark, "PM124", self._address, f"the pattern is refused: {problem}")
            return None

    def _sensitive(self, node: Node | None) -> str | None:
        if node is None or node.value is False:
            return None
        if node.value is True:
            return ""
        if node.kind == "scalar" and isinstance(node.value, str) and forms.fits("code", node.value):
            return node.value
        self._problems.add(node.mark, "PM007", self._address, "'sensitive' is true, or a security label")
        return ""

    def _format(self, kind: str) -> Format | None:
        node = self._given.get("format")
        zone = self._zone()
        if node is None:
            for key in ("offset", "timezone", "ambiguous"):
                if key in self._given:
                    self._clash(key, f"'{key}' belongs to a format")
            return None
        if kind not in _TIMES:
            return None
        if node.kind != "scalar":
            self._problems.add(node.mark, "PM007", self._address, "'format' is a text")
            return None
        try:
            return read_format(node.raw, kind, zone)
        except BadFormat as problem:
            self._problems.add(node.mark, "PM310", self._address, problem.what, problem.hint)
            return None

    def _zone(self) -> zones.Zone | None:
        offset, name, ambiguous = (self._text(key) for key in ("offset", "timezone", "ambiguous"))
        if offset is not None and name is not None:
            self._clash("offset", "an offset and a time zone are both declared")
        if ambiguous is not None and (name is None or ambiguous not in zones.AMBIGUOUS):
            self._clash("ambiguous", "'ambiguous' is error, earlier or later, beside a timezone")
            ambiguous = None
        if name is not None:
            found = zones.named(name, ambiguous or "error")
            if found is None:
                what = "this time zone is not known"
                self._problems.add(
                    self._given["timezone"].mark, "PM310", self._address, what, "write America/Chicago, for example"
                )
            return found or zones.fixed("Z")
        if offset is None:
            return None
        if zones.OFFSET.fullmatch(offset):
            return zones.fixed(offset)
        self._problems.add(
            self._given["offset"].mark, "PM310", self._address, "this is not an offset", 'write offset: "-05:00"'
        )
        return zones.fixed("Z")

    def _text(self, key: str) -> str | None:
        node = self._given.get(key)
        if node is None:
            return None
        if node.kind == "scalar" and node.raw != "":
            return node.raw
        self._problems.add(node.mark, "PM007", self._address, f"'{key}' is a text")
        return None

    def _flag(self, key: str) -> bool:
        node = self._given.get(key)
        if node is not None and not isinstance(node.value, bool):
            self._problems.add(node.mark, "PM007", self._address, f"'{key}' is true or false")
        return node is not None and node.value is True

    def _clash(self, key: str, what: str) -> None:
        self._problems.add(self._given[key].mark, "PM312", self._address, what)
