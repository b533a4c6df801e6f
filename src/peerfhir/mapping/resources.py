"""The resources of a template: which there are, how they are named, and how they refer to each other."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.compile import ROOT_PLACE, Emitted, call, name
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Bound, Scope
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping.directives import EACH
from peerfhir.mapping.document import NAME, Document
from peerfhir.mapping.fragments import Fragment
from peerfhir.mapping.leaves import Leaves, Place, Slot, bare, start_of
from peerfhir.mapping.nodes import Nodes
from peerfhir.mapping.problems import Problems, listed
from peerfhir.mapping.profiles import Outlines
from peerfhir.mapping.questions import Questions
from peerfhir.mapping.requests import Requests
from peerfhir.mapping.searches import Searches
from peerfhir.mapping.source import Source
from peerfhir.mapping.tree import Const, Extract, Items, Node, Resource, Rule, Struct

SEEDS = "s_{}"  # the Python name of a resource's prepared hash
_ASKED = ("$questionnaire", "$answers", "$extract")
_OWN = ("resourceType", "profile", "$request", "$identity", "$each", "$let", "$if")


@dataclass(frozen=True)
class _Head:
    """What other resources need to know of one: its type, whether and how often it is there, how it is named."""

    name: str
    type: str
    yaml: Yaml
    order: int
    row: int | None = None

    @property
    def key(self) -> str:
        """Its address: `answer[2]` for the third row of a table."""
        return self.name if self.row is None else f"{self.name}[{self.row}]"

    @property
    def items(self) -> tuple[str, str] | None:
        """The expression and the item's name of its $each."""
        node = self.yaml.value.get("$each")
        match = EACH.fullmatch(str(node.value)) if node else None
        return (match.group(1).removeprefix("=").strip(), match.group(2)) if match else None


class Resources:
    """Checks the resources of one document.

    order   their names, in the order of their seeds
    nodes   what checks their elements; a from-fhir record uses it too
    """

    def __init__(
        self,
        document: Document,
        source: Source,
        leaves: Leaves,
        definitions: Definitions,
        problems: Problems,
        fragments: Mapping[str, Fragment],
        questions: Questions,
        outlines: Outlines,
    ) -> None:
        self._document = document
        self._source = source
        self._leaves = leaves
        self._definitions = definitions
        self._problems = problems
        searches = Searches(leaves, problems)
        self._requests = Requests(document.bundle, leaves, searches, problems)
        self.nodes = Nodes(leaves, definitions, problems, self._refer, fragments)
        self.nodes.outlines = outlines
        self.nodes.searches = searches if document.bundle == "transaction" else None
        self._heads: dict[str, _Head] = {}
        self._current: tuple[_Head, Place] | None = None
        self._going = False
        self._questions = questions
        self._extract: Extract | None = None
        self._made: tuple[ast.expr | None, tuple[tuple[str, ast.expr], ...]] = (None, ())

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(head.name for head in self._heads.values())

    def checked(self, resources: Yaml, scope: Scope) -> tuple[Resource, ...]:
        """Every resource, after noting what is wrong with any.

        resources  the template after `$rows`: a list stands where a resource is made once per row
        """
        for written, node in resources.value.items():
            rows = node.value if node.kind == "list" else [node]
            for row, yaml in enumerate(rows):
                kind = self._type(written, yaml, resources.key_marks[written])
                if kind is not None:
                    at = row if node.kind == "list" else None
                    head = _Head(written, kind, yaml, len(self._heads), at)
                    self._heads[head.key] = head
        if not resources.value:
            self._problems.add(resources.mark, "PM007", "resources", "there is no resource")
        found = [self._resource(head, Place(scope, head.key)) for head in self._heads.values()]
        return tuple(one for one in found if one is not None)

    def _type(self, written: str, yaml: Yaml, mark: Mark) -> str | None:
        if not NAME.fullmatch(written):
            self._problems.add(mark, "PM007", written, "a resource name is made of letters, digits and '_'")
        if yaml.kind != "map":
            self._problems.add(yaml.mark, "PM007", written, "a resource is a map of elements")
            return None
        named = yaml.value.get("resourceType")
        if "$questionnaire" in yaml.value and (named is None or named.value == "QuestionnaireResponse"):
            return "QuestionnaireResponse"
        if named is None:
            self._problems.add(yaml.mark, "PM200", written, "'resourceType' is missing")
            return None
        if not self._definitions.is_resource(str(named.value)):
            hint = nearest(str(named.value), self._definitions.resources())
            self._problems.add(named.mark, "PM201", written, f"'{named.value}' is not a known resource type", hint)
            return None
        return str(named.value)

    def _resource(self, head: _Head, place: Place) -> Resource | None:
        yaml = head.yaml
        for key, mark in yaml.key_marks.items():
            asked = key in _ASKED and "$questionnaire" in yaml.value
            if key.startswith("$") and key not in _OWN and not asked:
                what = f"{key} cannot stand on a resource"
                self._problems.add(mark, "PM251", head.key, what, nearest(key, _OWN))
        self._leaves.labels.begin(head.type)
        body = self.nodes.wrapped(yaml, Slot(head.type, many=True), place, self._content)
        if body is None:
            return None
        self._leaves.labels.check_security(yaml, head.key)
        url, request = self._made
        rule, labels = Rule(yaml.mark, head.key), self._leaves.labels.reached()
        return Resource(head.name, head.type, body, url, request, rule, self._extract, labels)

    def _content(self, yaml: Yaml, slot: Slot, place: Place) -> Node | None:
        """The body of one resource; notes its URL and request, which stand inside the same $each and $let."""
        head = self._heads[place.address]
        self._current = (head, place)
        bundled = self._document.bundle != "none"
        url = self._url(head, place, yaml.mark) if bundled else None
        self._made = (url, self._requests.request(head.type, yaml, place))
        self.nodes.contained = _contained(yaml)
        plain = replace(slot, many=False, outline=self._outline(yaml, place))
        struct = self.nodes.struct(yaml, plain, place, skip=("resourceType", "profile"))
        if struct is None:
            return None
        entries = dict(struct.entries)
        self._extract = None
        if "$questionnaire" in yaml.value:
            asked = self._asked(head, yaml, place)
            if asked is None:
                return None
            entries |= asked
        if "profile" in yaml.value:
            entries = self._with_profile(yaml.value["profile"], entries, place)
        order = sorted(entries, key=lambda key: {"id": 0, "meta": 1}.get(key, 2))
        kind = Const(Rule(yaml.mark, place.address), head.type)
        return replace(struct, entries=(("resourceType", kind), *((key, entries[key]) for key in order)), keep=True)

    def _asked(self, head: _Head, yaml: Yaml, place: Place) -> dict[str, Node] | None:
        """What $questionnaire writes, after noting what is extracted from it."""
        asked = self._questions.asked(yaml, place)
        if asked is None:
            return None
        form = f"q_{list(self._questions.forms).index(asked.form.id)}"
        if asked.extract != "none":
            parts = self._identity(head, place, yaml.mark) or ()
            self._extract = Extract(asked.extract, form, SEEDS.format(head.order), tuple(parts))
        canonical = Const(
            Rule(yaml.value["$questionnaire"].mark, place.address), f"{asked.form.url}|{asked.form.version}"
        )
        return {"questionnaire": canonical, "item": replace(asked.answers, form=form)}

    def _outline(self, yaml: Yaml, place: Place) -> Outline | None:
        """What the resource's profile asks, where the site has it."""
        named = yaml.value.get("profile")
        canonical = self._document.profiles.get(str(named.value)) if named is not None else None
        if named is None or canonical is None or not self.nodes.outlines:
            return None
        found = self.nodes.outlines.root(canonical)
        if found is None:
            what = "the site has no package with this profile"
            hint = nearest(canonical, self.nodes.outlines.urls())
            self._problems.add(named.mark, "PM201", place.below("profile").address, what, hint)
        return found

    def _with_profile(self, node: Yaml, entries: dict[str, Node], place: Place) -> dict[str, Node]:
        canonical = self._document.profiles.get(str(node.value))
        here = place.below("profile").address
        if canonical is None:
            hint = nearest(str(node.value), self._document.profiles)
            self._problems.add(node.mark, "PM201", here, f"'{node.value}' is not an alias under profiles", hint)
            return entries
        rule = Rule(node.mark, here)
        meta = entries.get("meta", Struct(rule, (), kind="Meta"))
        if not isinstance(meta, Struct) or "profile" in dict(meta.entries):
            self._problems.add(node.mark, "PM205", here, "meta.profile is set twice")
            return entries
        profile: tuple[str, Node] = ("profile", Items(rule, (Const(rule, canonical),)))
        return {**entries, "meta": replace(meta, entries=(profile, *meta.entries), keep=True)}

    def full_url(self, target: str) -> tuple[ast.expr, bool] | None:
        """What fullUrl('target') gives in the resource that is being checked, and whether that is a list."""
        if self._current is None or not any(head.name == target for head in self._heads.values()):
            return None
        head, place = self._current
        if self._going:  # an identity that names another resource's address
            return None
        self._going = True
        node = replace(head.yaml, kind="scalar", value=target)
        found = self._refer(target, node, place, Slot("Reference", many=True))
        self._going = False
        return found

    # --- identity, references, requests -------------------------------------------------------------------------

    def _url(self, head: _Head, place: Place, mark: Mark) -> ast.expr | None:
        """The fullUrl of a resource, in a place where its item is known."""
        parts = self._identity(head, place, mark)
        if parts is None:
            return None
        return ast.Call(name("g_full_url"), [name(SEEDS.format(head.order)), *parts], [])

    def _identity(self, head: _Head, place: Place, mark: Mark) -> list[ast.expr] | None:
        """The parts of a resource's identity: key fields, `$identity`, position, row."""
        given = head.yaml.value.get("$identity")
        parts: list[ast.expr] = []
        if given is None or head.items is not None:
            parts += [ast.Subscript(name(ROOT_PLACE), ast.Constant(key), ast.Load()) for key in self._source.key]
            if not self._source.key:
                parts.append(ast.Call(ast.Attribute(name("run"), "record_key", ast.Load()), [name(ROOT_PLACE)], []))
        if given is not None:
            for node in given.value if given.kind == "list" else [given]:
                found = self._leaves.expression(node, start_of(node), bare(node), place.below("$identity"))
                if found is None:
                    return None
                if found.type.card != "one" or found.type.blank:
                    what = "an identity may never be empty"
                    self._problems.add(node.mark, "PM302", f"{head.name}.$identity", what, "use a required field")
                parts.append(found.code)
        elif head.items is not None:
            what = "the id of each depends on its position: removing one renumbers the others"
            self._problems.add(mark, "PM270", head.name, what, "give $identity")
            parts.append(name(place.index))
        if head.row is not None:
            parts.append(ast.Constant(head.row + 1))
        return parts

    def _refer(self, target: str, node: Yaml, place: Place, slot: Slot) -> tuple[ast.expr, bool] | None:
        head = self._heads.get(target)
        rows = [one for one in self._heads.values() if one.name == target and one.row is not None]
        address = place.address
        if rows:
            return self._refer_to_rows(rows, node, place, slot)
        if head is None:
            hint = nearest(target, self._heads)
            self._problems.add(node.mark, "PM264", address, f"there is no resource '{target}'", hint)
            return None
        if slot.targets and head.type not in slot.targets:
            what = f"a reference to {head.type} is not allowed here ({listed(slot.targets)})"
            self._problems.add(node.mark, "PM260", address, what)
            return None
        if self._document.bundle == "batch":
            self._problems.add(node.mark, "PM266", address, "entries of a batch cannot refer to each other")
            return None
        if "$if" in head.yaml.value or "$let" in head.yaml.value:
            what = f"'{target}' may be absent, or its identity is not known here"
            self._problems.add(node.mark, "PM261", address, what, "refer to a resource without $if and $let")
            return None
        if head.items is None:
            return self._address_of(head, place, node)
        return self._refer_to_repeated(head, node, place, slot)

    def _address_of(self, head: _Head, place: Place, node: Yaml) -> tuple[ast.expr, bool] | None:
        if self._document.bundle != "none":
            url = self._url(head, place, node.mark)
            return (url, False) if url is not None else None
        given = head.yaml.value.get("id")
        if given is None or given.kind != "scalar":
            what = f"'{head.name}' sets no id, and without a Bundle there is no other name for it"
            self._problems.add(node.mark, "PM265", place.address, what)
            return None
        leaf = self._leaves.scalar(given, Slot("id"), replace(place, address=f"{head.name}.id"))
        if leaf is None:
            return None
        if isinstance(leaf, Const):
            return ast.Constant(f"{head.type}/{leaf.value}"), False
        if leaf.nullable:
            what = f"the id of '{head.name}' can be empty; the reference would name nothing"
            self._problems.add(node.mark, "PM261", place.address, what, "use a required field")
            return None
        return call("concatenated", ast.Constant(f"{head.type}/"), leaf.code), False

    def _refer_to_rows(self, rows: list[_Head], node: Yaml, place: Place, slot: Slot) -> tuple[ast.expr, bool] | None:
        """The resource of the same row, or all of them where many fit."""
        current = self._current[0] if self._current else None
        if current is not None and current.row is not None and self._table(current) == self._table(rows[0]):
            return self._refer(rows[current.row].key, node, place, slot)
        if not slot.many:
            what = f"'{rows[0].name}' is made once per row and one reference fits here"
            self._problems.add(node.mark, "PM261", place.address, what, "give both resources the same $rows")
            return None
        urls = [self._refer(one.key, node, place, slot) for one in rows]
        codes = [url[0] for url in urls if url is not None and not url[1]]
        return (ast.List(codes, ast.Load()), True) if len(codes) == len(rows) else None

    def _table(self, head: _Head) -> object:
        written = self._document.resources.value[head.name].value if self._document.resources else {}
        return written["$rows"].value if "$rows" in written else None

    def _refer_to_repeated(self, head: _Head, node: Yaml, place: Place, slot: Slot) -> tuple[ast.expr, bool] | None:
        items = head.items
        current = self._current
        if items is None or current is None:
            return None
        if current[0].items is not None and current[0].items[0] == items[0]:
            inner = current[1]
            bound = inner.scope.variables[current[0].items[1]]
            variables = {**place.scope.variables, items[1]: bound}
            here = replace(place, scope=replace(place.scope, variables=variables), index=inner.index)
            return self._address_of(head, here, node)
        if not slot.many:
            what = f"'{head.name}' is made once per item and one reference fits here"
            self._problems.add(node.mark, "PM261", place.address, what, "give both resources the same $each")
            return None
        found = self._leaves.expression(head.yaml.value["$each"], 0, items[0], place)
        if found is None:
            return None
        bound = Bound(found.type.as_card("one"), f"r{head.order}")
        variables = {**place.scope.variables, items[1]: bound}
        here = replace(place, scope=replace(place.scope, variables=variables), index=f"n{head.order}")
        url = self._address_of(head, here, node)
        return None if url is None else (_for_each(url[0], found, here.index, bound.place), True)


def _contained(yaml: Yaml) -> frozenset[str] | None:
    """The ids of contained resources; None when one of them is known only when data flows."""
    node = yaml.value.get("contained")
    items = node.value if node is not None and node.kind == "list" else [node] if node is not None else []
    ids = [one.value["id"].raw for one in items if one.kind == "map" and "id" in one.value]
    return None if any(one.startswith("=") or "{{" in one for one in ids) else frozenset(ids)


def _for_each(url: ast.expr, items: Emitted, index: str, item: str) -> ast.expr:
    source = items.code if items.type.card == "many" else call("listed", items.code)
    target = ast.Tuple([ast.Name(index, ast.Store()), ast.Name(item, ast.Store())], ast.Store())
    loop = ast.comprehension(target, ast.Call(name("enumerate"), [source], []), [], 0)
    return ast.ListComp(url, [loop])
