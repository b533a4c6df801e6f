"""The declared fields of a record: their types, and what each may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import NAME, keys
from peerfhir.mapping.problems import Problems

PRIMITIVES = ("string", "code", "uri", "boolean", "integer", "decimal", "date", "dateTime", "instant", "time")
_OPTIONS = [
    "type", "from", "true", "false", "codes", "split", "min", "max", "maxLength", "sensitive", "unused",
    "example", "description",
]  # fmt: skip
_OPTIONS_LATER = frozenset(["format", "offset", "timezone", "ambiguous", "pattern", "decimalComma"])
_OBJECT = ("fields", "from", "description")
_RANGE = re.compile(r"([A-Za-z_]+)([0-9]+)\.\.([A-Za-z_]+)([0-9]+)")
TRUE = frozenset(("true",))


@dataclass(frozen=True)
class Field:
    """One declared field.

    key         its name in the record; `name` is what expressions write
    kind        a primitive, or "object" with `fields`
    repeats     a list of them; `split` cuts one text into such a list
    """

    name: str
    key: str
    kind: str
    mark: Mark
    required: bool = False
    repeats: bool = False
    split: str | None = None
    fields: Fields | None = None
    codes: frozenset[str] | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    max_length: int | None = None
    true: frozenset[str] = TRUE
    false: frozenset[str] = frozenset(("false",))
    unused: bool = False

    def static(self) -> Static:
        """Its type in an expression."""
        card: Card = "many" if self.repeats else "one" if self.required else "opt"
        return Static((self.kind,), card, self.fields, self.codes, blank=not (self.required or self.codes))


class Fields:
    """The declared names of a record or of an object in it."""

    def __init__(self, items: Mapping[str, Field]) -> None:
        self.items = items

    def names(self) -> Iterable[str]:
        return self.items

    def member(self, name: str) -> Static | None:
        found = self.items.get(name)
        return found.static() if found else None

    def required(self) -> bool:
        """Whether an object of these fields is required: some field of it is."""
        return any(one.required for one in self.items.values())


class Declarations:
    """Reads `fields` of a source, or of the record that a from-fhir mapping writes."""

    def __init__(self, code_maps: Mapping[str, CodeMap], problems: Problems) -> None:
        self._code_maps = code_maps
        self._problems = problems

    def fields(self, node: Node, address: str) -> Fields:
        """The fields of a map; what cannot be read is noted and left out."""
        found: dict[str, Field] = {}
        keyed: dict[str, str] = {}
        if node.kind != "map":
            self._problems.add(node.mark, "PM007", address, "a map of field names and types is expected here")
            return Fields({})
        for written, value in node.value.items():
            for name in self._names(written, node.key_marks[written], address):
                field = self._field(name, value, node.key_marks[written], f"{address}.{written}")
                if field is None:
                    continue
                if field.key in keyed:
                    what = f"'{field.key}' is already read by field '{keyed[field.key]}'"
                    self._problems.add(field.mark, "PM302", f"{address}.{name}", what)
                keyed[field.key] = name
                found[name] = field
        return Fields(found)

    def _names(self, written: str, mark: Mark, address: str) -> list[str]:
        span = _RANGE.fullmatch(written)
        if span and span.group(1) == span.group(3) and 0 <= int(span.group(4)) - int(span.group(2)) < 100:
            return [f"{span.group(1)}{n}" for n in range(int(span.group(2)), int(span.group(4)) + 1)]
        if not NAME.fullmatch(written):
            what = "a field name is made of letters, digits and '_'"
            self._problems.add(mark, "PM007", address, what, "give the column name with from:")
            return []
        return [written]

    def _field(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if node.kind == "list":
            if len(node.value) != 1:
                self._problems.add(node.mark, "PM007", address, "a list of one type is expected: [string]")
                return None
            inner = self._field(name, node.value[0], mark, address)
            if inner is None:
                return None
            return replace(inner, repeats=True, required=inner.required and inner.kind != "object")
        if node.kind == "scalar":
            return self._primitive(name, node, mark, address)
        type_node = node.value.get("type")
        if type_node is not None and type_node.kind == "scalar" and self._is_primitive(type_node.value):
            return self._with_options(name, node, mark, address)
        return self._object(name, node, mark, address)

    def _is_primitive(self, value: object) -> bool:
        return isinstance(value, str) and value.removesuffix("!") in PRIMITIVES

    def _primitive(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if not self._is_primitive(node.value):
            hint = nearest(str(node.raw).removesuffix("!"), PRIMITIVES)
            self._problems.add(node.mark, "PM007", address, "a field type is expected here", hint)
            return None
        return Field(name, name, node.value.removesuffix("!"), mark, required=node.value.endswith("!"))

    def _object(self, name: str, node: Node, mark: Mark, address: str) -> Field:
        inner, key = node, name
        if "fields" in node.value and node.value["fields"].kind == "map":
            keys(node, _OBJECT, frozenset(), address, self._problems)
            inner = node.value["fields"]
            key = str(node.value["from"].value) if "from" in node.value else name
        fields = self.fields(inner, address)
        return Field(name, key, "object", mark, required=fields.required(), fields=fields)

    def _with_options(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        keys(node, _OPTIONS, _OPTIONS_LATER, address, self._problems)
        field = self._primitive(name, node.value["type"], mark, address)
        if field is None:
            return None
        value = node.value
        texts = {key: str(value[key].value) for key in ("from", "split") if key in value}
        numbers = {key: self._number(value[key], address) for key in ("min", "max", "maxLength") if key in value}
        true, false = (self._texts(value.get(key)) for key in ("true", "false"))
        maximum_length = numbers.get("maxLength")
        field = replace(
            field, key=texts.get("from", name), split=texts.get("split"), repeats="split" in texts,
            codes=self._codes(value.get("codes"), address), minimum=numbers.get("min"), maximum=numbers.get("max"),
            max_length=int(maximum_length) if maximum_length is not None else None, unused="unused" in value,
            true=true or field.true, false=false or field.false,
        )  # fmt: skip
        if field.true & field.false:
            self._problems.add(node.mark, "PM312", address, "a text means both true and false")
        if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
            self._problems.add(node.mark, "PM312", address, "min lies above max")
        return field

    def _texts(self, node: Node | None) -> frozenset[str]:
        return frozenset(one.raw for one in node.value) if node is not None and node.kind == "list" else frozenset()

    def _number(self, node: Node, address: str) -> Decimal | None:
        if isinstance(node.value, (int, Decimal)) and not isinstance(node.value, bool):
            return Decimal(node.value)
        self._problems.add(node.mark, "PM007", address, "a number is expected here")
        return None

    def _codes(self, node: Node | None, address: str) -> frozenset[str] | None:
        if node is None:
            return None
        if node.kind == "list":
            return frozenset(one.raw for one in node.value if one.kind == "scalar")
        code_map = self._code_maps.get(str(node.value))
        if code_map is None:
            hint = nearest(str(node.value), self._code_maps)
            self._problems.add(node.mark, "PM130", address, "there is no such code map", hint)
            return None
        if code_map.broken:
            return None
        if code_map.default is not None or code_map.provided:
            self._problems.add(
                node.mark, "PM312", address, f"code map '{code_map.name}' is open and cannot close a list"
            )
            return None
        return frozenset(code_map.entries)
