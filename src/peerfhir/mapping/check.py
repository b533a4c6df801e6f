"""Everything that can be known before data flows: a document -> a checked template, or problems with places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import Document, keys
from peerfhir.mapping.fields import Declarations, Field, Fields
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.leaves import Leaves, Place, Slot
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.resources import Resources
from peerfhir.mapping.source import Source, read
from peerfhir.mapping.tree import Struct, Template


@dataclass(frozen=True)
class Checked:
    """A document without errors, ready to be compiled."""

    document: Document
    source: Source
    scope: Scope
    template: Template
    heads: tuple[str, ...]  # resource names, in the order of their seeds
    instruments: tuple[str, ...] = ()  # ids of the questionnaires it names


def check(
    document: Document,
    code_maps: Mapping[str, CodeMap],
    canonical: str,
    definitions: Definitions,
    problems: Problems,
    forms: Mapping[str, Form] | None = None,
) -> Checked | None:
    """The checked template of one document, or None when something in it is an error.

    forms  the instruments that the document may name
    """
    checker = _Checker(document, code_maps, canonical, definitions, problems, forms or {})
    found = checker.document_checked()
    _accept(document.accept, problems)
    return None if problems.errors else found


def _accept(node: Yaml | None, problems: Problems) -> None:
    if node is None:
        return
    if node.kind != "list":
        problems.add(node.mark, "PM007", "accept", "a list of {code, at, because} is expected here")
        return
    for entry in node.value:
        if not keys(entry, ("code", "at", "because"), frozenset(), "accept", problems):
            continue
        texts = {key: str(value.value) for key, value in entry.value.items()}
        if "code" not in texts or "because" not in texts:
            problems.add(entry.mark, "PM007", "accept", "'code' and 'because' are needed")
        elif not problems.accept(texts["code"], texts.get("at")):
            problems.add(entry.mark, "PM010", "accept", "this matches no warning")


class _Checker:
    def __init__(
        self,
        document: Document,
        code_maps: Mapping[str, CodeMap],
        canonical: str,
        definitions: Definitions,
        problems: Problems,
        forms: Mapping[str, Form],
    ) -> None:
        self._forms = forms
        self._document = document
        self._code_maps = code_maps
        self._canonical = canonical
        self._definitions = definitions
        self._problems = problems
        self._leaves = Leaves(document.texts, problems)

    def document_checked(self) -> Checked | None:
        document = self._document
        declarations = Declarations(self._code_maps, self._problems)
        source = read(document.source, declarations, self._problems)
        if source is None:
            return None
        if source.type and not self._definitions.is_resource(source.type):
            hint = nearest(source.type, self._definitions.resources())
            self._problems.add(document.source.mark, "PM201", "source", f"'{source.type}' is not a known type", hint)
            return None
        backwards = document.direction == "from-fhir"
        if backwards != (source.format == "fhir"):
            self._problems.add(document.source.mark, "PM007", "source", "format fhir belongs to direction: from-fhir")
        scope = self._scope(source)
        resources = Resources(document, source, self._leaves, self._definitions, self._problems)
        if backwards:
            template = Template((), self._record(declarations, resources, scope))
        else:
            template = Template(resources.checked(scope), None)
            self._unused(source.fields, source.key, "source.fields")
            self._keyless(source)
        return Checked(document, source, scope, template, resources.order)

    def _scope(self, source: Source) -> Scope:
        """What every expression of the document may name."""
        shape = source.fields if not source.type else None
        root = Static((source.type or "object",), "one", shape, sure=not source.type)
        constants = {"canonical": self._canonical}
        return Scope(root, self._definitions, {}, constants, self._document.systems, self._code_maps)

    def _record(self, declarations: Declarations, resources: Resources, scope: Scope) -> Struct | None:
        record = self._document.record
        if record is None or not keys(record, ("fields", "values"), frozenset(), "record", self._problems):
            return None
        if not {"fields", "values"} <= set(record.value):
            self._problems.add(record.mark, "PM007", "record", "'fields' and 'values' are needed")
            return None
        fields = declarations.fields(record.value["fields"], "record.fields")
        root = Field("record", "record", "object", record.mark, fields=fields)
        values = record.value["values"]
        if values.kind != "map":
            self._problems.add(values.mark, "PM007", "record", "a map of field names and values is expected here")
            return None
        return resources.nodes.struct(values, Slot.of_field(root), Place(scope, "record"))

    def _unused(self, fields: Fields, key: tuple[str, ...], address: str) -> None:
        for field in fields.items.values():
            here = f"{address}.{field.name}"
            if (id(fields), field.name) not in self._leaves.used and field.name not in key and not field.unused:
                what = f"source field '{field.name}' is never used"
                self._problems.add(field.mark, "PM300", here, what, 'say so with unused: "reason"')
            elif field.fields is not None:
                self._unused(field.fields, (), here)

    def _keyless(self, source: Source) -> None:
        if not source.key and self._document.bundle != "none":
            what = "without 'key' every id depends on the whole record"
            self._problems.add(self._document.source.mark, "PM303", "source", what)
