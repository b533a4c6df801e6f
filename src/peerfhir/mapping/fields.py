"""The declared fields of a record: their types, and what each may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import NAME, keys
from peerfhir.mapping.formats import Format
from peerfhir.mapping.problems import Problems

PRIMITIVES = ("string", "code", "uri", "boolean", "integer", "decimal", "date", "dateTime", "instant", "time")
_OBJECT = ("fields", "from", "description")
_RANGE = re.compile(r"([A-Za-z_]+)([0-9]+)\.\.([A-Za-z_]+)([0-9]+)")
_LONGEST_RANGE = 1_000
MAX_DEPTH = 16  # objects inside each other in a declaration
TRUE = frozenset(("true",))


@dataclass(frozen=True)
class Field:
    """One declared field.

    key          its name in the record; `name` is what expressions write
    kind         a primitive, or "object" with `fields`
    repeats      a list of them; `split` cuts one text into such a list
    minimum ..   bounds of numbers; `earliest` and `latest` are bounds of dates, moments and times, as FHIR writes them
    format       how a local date or time is written; None for FHIR's own form
    pattern      whether a whole text matches the declared pattern
    code_map     the name of the code map whose keys close `codes`
    sensitive    None, "" for `sensitive: true`, or a security label: the value is shown to nobody who need not see it
    because      the text of `unused`
    example      as declared; None when there is none
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
    code_map: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    earliest: str | None = None
    latest: str | None = None
    max_length: int | None = None
    pattern: Callable[[str], bool] | None = None
    true: frozenset[str] = TRUE
    false: frozenset[str] = frozenset(("false",))
    format: Format | None = None
    decimal_comma: bool = False
    sensitive: str | None = None
    unused: bool = False
    because: str = ""
    example: Node | None = field(default=None, compare=False)
    description: str = ""

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

    def every(self, address: str = "") -> Iterable[tuple[str, Field]]:
        """Each field with its address, those of objects too."""
        for name, one in self.items.items():
            here = f"{address}.{name}" if address else name
            yield here, one
            if one.fields is not None:
                yield from one.fields.every(here)

    def labels(self) -> Mapping[str, str]:
        """Address of each sensitive field -> its security label, "" where it has none."""
        return {address: one.sensitive for address, one in self.every() if one.sensitive is not None}


class Declarations:
    """Reads `fields` of a source, or of the record that a from-fhir mapping writes."""

    def __init__(self, code_maps: Mapping[str, CodeMap], problems: Problems) -> None:
        self._code_maps = code_maps
        self._problems = problems
        self._depth = 0

    def keys_of(self, name: str) -> frozenset[str]:
        """The local codes of a code map; none for a map that is not there."""
        found = self._code_maps.get(name)
        return frozenset(found.entries) if found is not None else frozenset()

    def fields(self, node: Node, address: str) -> Fields:
        """The fields of a map; what cannot be read is noted and left out."""
        found: dict[str, Field] = {}
        keyed: dict[str, str] = {}
        if node.kind != "map":
            self._problems.add(node.mark, "PM007", address, "a map of field names and types is expected here")
            return Fields({})
        if self._depth > MAX_DEPTH:
            self._problems.add(node.mark, "PM750", address, f"objects stand more than {MAX_DEPTH} deep")
            return Fields({})
        for written, value in node.value.items():
            for name in self._names(written, node.key_marks[written], address):
                one = self._field(name, value, node.key_marks[written], f"{address}.{written}")
                if one is None:
                    continue
                if name in found:
                    self._problems.add(one.mark, "PM302", f"{address}.{name}", f"field '{name}' is declared twice")
                elif one.key in keyed:
                    what = f"'{one.key}' is already read by field '{keyed[one.key]}'"
                    self._problems.add(one.mark, "PM302", f"{address}.{name}", what)
                keyed[one.key] = name
                found[name] = one
        return Fields(found)

    def _names(self, written: str, mark: Mark, address: str) -> list[str]:
        span = _RANGE.fullmatch(written)
        if span:
            return self._range(span, mark, address)
        if not NAME.fullmatch(written):
            what = "a field name is made of letters, digits and '_'"
            self._problems.add(mark, "PM007", address, what, "give the column name with from:")
            return []
        return [written]

    def _range(self, span: re.Match[str], mark: Mark, address: str) -> list[str]:
        start, first, end, last = span.groups()
        if start != end or len(first) > 9 or len(last) > 9 or not 0 <= int(last) - int(first) < _LONGEST_RANGE:
            what = f"a range of fields goes upwards, has one name, and at most {_LONGEST_RANGE} fields"
            self._problems.add(mark, "PM007", address, what, "write q1..q9")
            return []
        return [f"{start}{n}" for n in range(int(first), int(last) + 1)]

    def _field(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if node.kind == "list":
            return self._repeating(name, node, mark, address)
        if node.kind == "scalar":
            return self._primitive(name, node, mark, address)
        type_node = node.value.get("type")
        if type_node is not None and type_node.kind == "scalar" and is_primitive(type_node.value):
            return self._with_options(name, node, mark, address)
        return self._object(name, node, mark, address)

    def _repeating(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if len(node.value) != 1 or node.value[0].kind == "list":
            self._problems.add(node.mark, "PM007", address, "a list of one type is expected: [string]")
            return None
        inner = self._field(name, node.value[0], mark, address)
        if inner is None:
            return None
        return replace(inner, repeats=True, required=inner.required and inner.kind != "object")

    def _primitive(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if not is_primitive(node.value):
            hint = nearest(str(node.raw).removesuffix("!"), PRIMITIVES)
            self._problems.add(node.mark, "PM007", address, "a field type is expected here", hint)
            return None
        return Field(name, name, node.value.removesuffix("!"), mark, required=node.value.endswith("!"))

    def _object(self, name: str, node: Node, mark: Mark, address: str) -> Field:
        inner, key, text = node, name, ""
        if "fields" in node.value and node.value["fields"].kind == "map":
            keys(node, _OBJECT, frozenset(), address, self._problems)
            inner = node.value["fields"]
            key = str(node.value["from"].value) if "from" in node.value else name
            text = str(node.value["description"].value) if "description" in node.value else ""
        self._depth += 1
        fields = self.fields(inner, address)
        self._depth -= 1
        return Field(name, key, "object", mark, required=fields.required(), fields=fields, description=text)

    def _with_options(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        from peerfhir.mapping.options import Options  # it fills in the Field of this module

        one = self._primitive(name, node.value["type"], mark, address)
        return None if one is None else Options(node, address, self._code_maps, self._problems).put_on(one)


def is_primitive(value: Any) -> bool:
    """Whether a scalar names a type of the language, with or without '!'."""
    return isinstance(value, str) and value.removesuffix("!") in PRIMITIVES
