"""Everything that can be known before data flows: a document -> a checked template, or problems with places."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.compile import ROOT_PLACE
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Scope, Static
from peerfhir.mapping.bands import Band
from peerfhir.mapping.bound import Bound
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import Document, keys
from peerfhir.mapping.extent import MOST_NODES, Extent
from peerfhir.mapping.fields import Declarations, Field, Fields
from peerfhir.mapping.fragments import Fragment
from peerfhir.mapping.fragments import read as fragments_of
from peerfhir.mapping.instruments import Form
from peerfhir.mapping.invariants import Invariants, places
from peerfhir.mapping.leaves import Leaves, Place, Slot
from peerfhir.mapping.nodes import Nodes
from peerfhir.mapping.privacy import UNTOLD, Policy
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.profiles import Outlines
from peerfhir.mapping.questions import Questions
from peerfhir.mapping.resources import Resources
from peerfhir.mapping.rows import Rows, Table
from peerfhir.mapping.source import Source, read
from peerfhir.mapping.source_model import modelled
from peerfhir.mapping.tree import Struct, Template
from peerfhir.mapping.variables import Variables


@dataclass(frozen=True)
class Checked:
    """A document without errors, ready to be compiled."""

    document: Document
    source: Source
    scope: Scope
    template: Template
    heads: tuple[str, ...]  # resource names, in the order of their seeds
    instruments: tuple[str, ...] = ()  # ids of the questionnaires it names
    forms: Mapping[str, Form] = field(default_factory=dict)  # those that there are
    types: Mapping[str, Static] = field(default_factory=dict)  # Python name -> what is known of its value


@dataclass(frozen=True)
class Lists:
    """What stands beside the template: tables and bands of the document; what the site has and allows."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    bands: Mapping[str, Band] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)
    outlines: Outlines = field(default_factory=lambda: Outlines({}))
    policy: Policy = UNTOLD


def check_library(
    document: Document,
    code_maps: Mapping[str, CodeMap],
    canonical: str,
    definitions: Definitions,
    problems: Problems,
    lists: Lists,
) -> None:
    """Note what is wrong with a document that has no template: its fragments by themselves."""
    _Checker(document, code_maps, canonical, definitions, problems, lists).library_checked()


def check(
    document: Document,
    code_maps: Mapping[str, CodeMap],
    canonical: str,
    definitions: Definitions,
    problems: Problems,
    lists: Lists | None = None,
) -> Checked | None:
    """The checked template of one document, or None when something in it is an error."""
    checker = _Checker(document, code_maps, canonical, definitions, problems, lists or Lists())
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
        lists: Lists,
    ) -> None:
        self._lists = lists
        self._document = document
        self._code_maps = code_maps
        self._canonical = canonical
        self._definitions = definitions
        self._problems = problems
        self._leaves = Leaves(document.texts, problems, lists.policy)

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
        rows = Rows(self._lists.tables, self._problems)
        fragments = self._fragments(rows)
        if fragments is None:
            return None
        questions = Questions(self._leaves, self._problems, self._lists.forms)
        resources = Resources(
            document, source, self._leaves, self._definitions, self._problems, fragments, questions,
            self._lists.outlines,
        )  # fmt: skip
        declared = replace(self._scope(source), addresses=resources.full_url)
        variables = Variables(self._leaves, resources.nodes, self._problems)
        place, names = variables.checked(document.vars, declared)
        scope = place.scope
        self._alone(fragments, scope)
        if backwards:
            template = Template((), self._record(declarations, resources, scope, rows), names.used())
        else:
            made = resources.checked(rows.expanded(document.resources or Yaml("map", {}, document.mark)), scope)
            template = Template(made, None, names.used())
            self._reverse(source.fields)
            self._unused(source.fields, source.key, "source.fields")
            self._keyless(source)
            self._decided(template)
        types = {ROOT_PLACE: scope.root, **self._leaves.types}
        used = tuple(sorted(questions.used))
        return Checked(document, source, scope, template, resources.order, used, self._lists.forms, types)

    def _decided(self, template: Template) -> None:
        """What R4 and the profiles say of codes and of elements together, where nothing else is wrong."""
        bound = Bound(self._problems, self._leaves.fits)
        bound.maps(self._code_maps.values())
        if self._problems.errors:  # what is missing because of another mistake would be told a second time
            return
        found = [place for one in template.resources for place in places(one, self._definitions)]
        bound.check(found)
        Invariants(self._definitions, self._problems).check(found)

    def _scope(self, source: Source) -> Scope:
        """What every expression of the document may name."""
        shape = source.fields if not source.type else None
        root = Static((source.type or "object",), "one", shape, sure=not source.type)
        constants = {"canonical": self._canonical}
        scope = Scope(
            root, self._definitions, {}, constants, self._document.systems, self._code_maps, self._lists.bands
        )
        return modelled(scope, source, self._document, self._lists.outlines, self._lists.forms, self._problems)

    def _fragments(self, rows: Rows) -> dict[str, Fragment] | None:
        """With their rows written out; None for a document that is too large to be written out."""
        found = fragments_of(self._document.fragments, self._definitions, self._problems)
        document, tables = self._document, self._lists.tables
        extent = Extent({name: one.body for name, one in found.items()}, {n: len(t.rows) for n, t in tables.items()})
        sizes = [(one.mark, f"fragments.{name}", extent.of_fragment(name)) for name, one in found.items()]
        given = {"resources": document.resources, "record": document.record}
        sizes += [(one.mark, name, extent.of(one)) for name, one in given.items() if one is not None]
        large = [one for one in sizes if one[2] > MOST_NODES]
        for mark, address, size in large[:1]:  # what uses it is too large because of it
            what = f"with its rows and fragments written out this has {size:,} nodes; the most are {MOST_NODES:,}"
            self._problems.add(mark, "PM252", address, what)
        if large:
            return None
        return {name: replace(one, body=rows.expanded(one.body, f"fragments.{name}")) for name, one in found.items()}

    def _alone(self, fragments: Mapping[str, Fragment], scope: Scope) -> None:
        """The errors of each fragment by itself; what it warns of is told where it is used."""
        known = Problems()
        leaves = Leaves(self._document.texts, known, self._lists.policy)
        nodes = Nodes(leaves, self._definitions, known, lambda *_: (ast.Constant("urn:uuid:"), False), fragments)
        for name, fragment in fragments.items():
            nodes.fragment(fragment, Place(replace(scope, variables={}), f"fragments.{name}"))
        self._problems.extend(known.errors)

    def library_checked(self) -> None:
        fragments = self._fragments(Rows(self._lists.tables, self._problems))
        if fragments is None:
            return
        self._alone(fragments, self._scope(Source("json", Fields({}))))

    def _record(self, declarations: Declarations, resources: Resources, scope: Scope, rows: Rows) -> Struct | None:
        record = self._document.record
        if record is None or not keys(record, ("fields", "values"), frozenset(), "record", self._problems):
            return None
        if not {"fields", "values"} <= set(record.value):
            self._problems.add(record.mark, "PM007", "record", "'fields' and 'values' are needed")
            return None
        fields = declarations.fields(record.value["fields"], "record.fields")
        root = Field("record", "record", "object", record.mark, fields=fields)
        values = rows.expanded(record.value["values"], "record")
        if values.kind != "map":
            self._problems.add(values.mark, "PM007", "record", "a map of field names and values is expected here")
            return None
        return resources.nodes.struct(values, Slot.of_field(root), Place(scope, "record"))

    def _unused(self, fields: Fields, key: tuple[str, ...], address: str) -> None:
        for one in fields.items.values():
            here = f"{address}.{one.name}"
            if (id(fields), one.name) not in self._leaves.used and one.name not in key and not one.unused:
                what = f"source field '{one.name}' is never used"
                self._problems.add(one.mark, "PM300", here, what, 'say so with unused: "reason"')
            elif one.fields is not None:
                self._unused(one.fields, (), here)

    def _reverse(self, fields: Fields) -> None:
        """`reverse` names declared fields; each is an expression, or says why it is not given back."""
        section = self._document.reverse
        for name, node in section.items.items():
            here = f"reverse.{name}"
            if name not in fields.items:
                what, hint = f"'{name}' is not a declared field", nearest(name, fields.items)
                self._problems.add(section.marks[name], "PM111", here, what, hint)
            skipped = node.kind == "map" and list(node.value) == ["skip"] and node.value["skip"].kind == "scalar"
            if not skipped and not (node.kind == "scalar" and str(node.value).startswith("=")):
                what = "a field is given back by an expression, or skipped with a reason"
                self._problems.add(node.mark, "PM007", here, what, "=... or {skip: why}")

    def _keyless(self, source: Source) -> None:
        if not source.key and self._document.bundle != "none":
            what = "without 'key' every id depends on the whole record"
            self._problems.add(self._document.source.mark, "PM303", "source", what)
