"""What a record is made of: the `source` section, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peerfhir.config import Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping import cells
from peerfhir.mapping.cells import check_value
from peerfhir.mapping.document import ID, keys
from peerfhir.mapping.fields import Declarations, Field, Fields
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.record_path import Records, read_path
from peerfhir.mapping.records import RecordReader
from peerfhir.mapping.zones import Unfit

__all__ = ["FORMATS", "RecordReader", "Source", "check_value", "read"]

FORMATS = ("csv", "json", "ndjson", "form", "fhir")
ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "cp1252")
UNKNOWN = ("ignore", "warn", "refuse")
_KEYS = (
    "format", "record", "key", "empty", "trim", "encoding", "delimiter", "quote", "header", "unknown", "fields", "type",
    "profile", "questionnaire",
)  # fmt: skip
_ONLY: Mapping[str, tuple[str, ...]] = {
    "record": ("json",), "encoding": ("csv",), "delimiter": ("csv",), "quote": ("csv",), "header": ("csv",),
    "type": ("fhir",), "profile": ("fhir",), "questionnaire": ("fhir",),
    "fields": ("csv", "json", "ndjson", "form"), "key": ("csv", "json", "ndjson", "form"),
    "empty": ("csv", "json", "ndjson", "form"), "trim": ("csv", "json", "ndjson", "form"),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """The source of a mapping: csv, json, ndjson or form with declared fields; or fhir with a type.

    key            names of the fields that identify a record
    empty          texts that mean "no value"
    refuse         whether an undeclared key fails the record
    unknown        ignore, warn or refuse
    record         where the records of a json document are; None for the document itself
    encoding ..    how a csv file is written; `header` False: the fields are the columns, in order
    profile        alias of a profile; `questionnaire`: id of an instrument. Both of format fhir
    """

    format: str
    fields: Fields
    key: tuple[str, ...] = ()
    empty: frozenset[str] = frozenset()
    trim: bool = False
    refuse: bool = False
    type: str = ""
    unknown: str = "warn"
    record: Records | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    profile: str = ""
    questionnaire: str = ""

    @property
    def is_text(self) -> bool:
        """Whether every value is a text: cells and values of forms."""
        return self.format in ("csv", "form")


def read(node: Node, declarations: Declarations, problems: Problems) -> Source | None:
    """The `source` section, or None when it has no known format."""
    return _Reader(node, problems).source(declarations)


class _Reader:
    def __init__(self, node: Node, problems: Problems) -> None:
        self._node = node
        self._problems = problems
        self._given: Mapping[str, Node] = node.value if node.kind == "map" else {}

    def source(self, declarations: Declarations) -> Source | None:
        """The section as a whole."""
        if not keys(self._node, _KEYS, frozenset(), "source", self._problems):
            return None
        kind = self._choice("format", FORMATS, "")
        if not kind:
            if "format" not in self._given:
                self._problems.add(self._node.mark, "PM007", "source", f"'format' is one of {', '.join(FORMATS)}")
            return None
        for key, formats in _ONLY.items():
            if key in self._given and kind not in formats:
                what = f"'{key}' does not belong to format {kind}"
                self._problems.add(self._node.key_marks[key], "PM007", "source", what)
        if kind == "fhir":
            return self._fhir()
        if "fields" not in self._given:
            self._problems.add(self._node.mark, "PM007", "source", "'fields' is missing")
            return None
        fields = declarations.fields(self._given["fields"], "source.fields")
        return self._declared(kind, fields, declarations)

    def _fhir(self) -> Source | None:
        if "type" not in self._given:
            self._problems.add(self._node.mark, "PM007", "source", "'type' is missing: the type this mapping reads")
            return None
        texts = {key: self._text(key, "") for key in ("type", "profile", "questionnaire")}
        for key in ("profile", "questionnaire"):
            if texts[key] and not ID.fullmatch(texts[key]):
                self._problems.add(self._given[key].mark, "PM007", "source", f"'{key}' is a name of a-z, 0-9 and '-'")
        unknown = self._choice("unknown", UNKNOWN, "warn")
        return Source(
            "fhir", Fields({}), type=texts["type"], unknown=unknown, profile=texts["profile"],
            questionnaire=texts["questionnaire"],
        )  # fmt: skip

    def _declared(self, kind: str, fields: Fields, declarations: Declarations) -> Source:
        flat = kind in ("csv", "form")
        unknown = self._choice("unknown", UNKNOWN, "warn")
        source = Source(
            kind, fields, self._key(fields), self._empty(flat), self._flag("trim", flat), unknown == "refuse", "",
            unknown, self._path(), self._choice("encoding", ENCODINGS, "utf-8"), self._character("delimiter", ","),
            self._character("quote", '"'), self._flag("header", True),
        )  # fmt: skip
        if source.delimiter == source.quote:
            self._problems.add(self._node.mark, "PM312", "source", "delimiter and quote are the same character")
        for address, field in fields.every("source.fields"):
            self._fits(source, field, address)
            self._blank_keys(source, field, address, declarations)
            self._example(source, field, address)
        return source

    def _fits(self, source: Source, field: Field, address: str) -> None:
        if source.is_text and field.kind == "object":
            self._problems.add(field.mark, "PM007", address, f"the fields of format {source.format} are flat")
        if not source.header and field.key != field.name:
            what = "'from' names a column, and the file has no header"
            self._problems.add(field.mark, "PM312", address, what, "fields are taken in order")

    def _blank_keys(self, source: Source, field: Field, address: str, declarations: Declarations) -> None:
        for code in sorted(source.empty & declarations.keys_of(field.code_map)):
            what = f"'{code}' means no value, and is a key of code map '{field.code_map}'"
            self._problems.add(field.mark, "PM313", address, what)

    def _example(self, source: Source, field: Field, address: str) -> None:
        node = field.example
        if node is None or field.kind == "object":
            return
        raw = node.raw if source.is_text and node.kind == "scalar" else node.plain()
        if isinstance(raw, str) and field.split is not None:
            raw = raw.split(field.split)
        for one in raw if isinstance(raw, list) else [raw]:
            text = one.strip() if isinstance(one, str) and source.trim else one
            if isinstance(text, str) and text in source.empty:
                continue
            try:
                cells.typed(field, text, source.is_text)
            except Unfit as problem:
                self._problems.add(node.mark, "PM312", address, f"the example does not fit: {problem}")

    def _key(self, fields: Fields) -> tuple[str, ...]:
        node = self._given.get("key")
        if node is None:
            return ()
        if node.kind == "map":
            self._problems.add(node.mark, "PM007", "source.key", "'key' is a field, or a list of fields")
            return ()
        names = node.value if node.kind == "list" else [node]
        for one in names:
            field = fields.items.get(str(one.value))
            if field is None or not field.required or field.kind == "object" or field.repeats:
                hint = "" if field else nearest(str(one.value), fields.items)
                self._problems.add(one.mark, "PM302", "source.key", "a key is a required field with one value", hint)
        return tuple(str(one.value) for one in names if str(one.value) in fields.items)

    def _empty(self, flat: bool) -> frozenset[str]:
        node = self._given.get("empty")
        if node is None:
            return frozenset(("",)) if flat else frozenset()
        if node.kind != "list" or any(one.kind != "scalar" for one in node.value):
            self._problems.add(node.mark, "PM007", "source", "'empty' is a list of texts", 'write empty: [""]')
            return frozenset()
        return frozenset(one.raw for one in node.value)

    def _path(self) -> Records | None:
        node = self._given.get("record")
        return None if node is None else read_path(node, self._problems)

    def _choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        node = self._given.get(key)
        if node is None:
            return default
        if node.value in allowed:
            return str(node.value)
        hint = nearest(str(node.raw), allowed)
        self._problems.add(node.mark, "PM007", "source", f"'{key}' is one of {', '.join(allowed)}", hint)
        return default

    def _flag(self, key: str, default: bool) -> bool:
        node = self._given.get(key)
        if node is None or isinstance(node.value, bool):
            return default if node is None else node.value is True
        self._problems.add(node.mark, "PM007", "source", f"'{key}' is true or false")
        return default

    def _character(self, key: str, default: str) -> str:
        node = self._given.get(key)
        if node is None:
            return default
        text = node.raw if node.kind == "scalar" else ""
        if len(text) == 1 and (text == "\t" or text.isprintable()) and not text.isalnum():
            return text
        hint = 'a tab is written "\\t"'
        self._problems.add(node.mark, "PM007", "source", f"'{key}' is one character, no letter and no digit", hint)
        return default

    def _text(self, key: str, default: str) -> str:
        node = self._given.get(key)
        if node is None:
            return default
        if node.kind == "scalar" and isinstance(node.value, str) and node.value:
            return node.value
        self._problems.add(node.mark, "PM007", "source", f"'{key}' is a text")
        return default
