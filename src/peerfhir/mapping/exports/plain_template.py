"""A template without its macros: `$rows`, `$use` and `$questionnaire` written out as plain nodes, for exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.mapping.fragments import WHOLE, Fragment
from peerfhir.mapping.fragments import read as fragments_of
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.rows import Rows
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.tables import read as tables_of

Gap = Callable[[Mark, str, str], Any]


@dataclass(frozen=True)
class Head:
    """One resource of a plain template.

    key  its address: `answer[2]` for the third row of a table
    """

    name: str
    key: str
    type: str
    yaml: Yaml

    @property
    def always(self) -> bool:
        """Whether there is exactly one for every record."""
        return not {"$each", "$if"} & set(self.yaml.value)


class Macros:
    """Writes out the macros of one document; what cannot be written out is a gap and is left out."""

    def __init__(self, opened: Opened, gap: Gap) -> None:
        document, scope = opened.document, opened.checked.scope
        noted = Problems()
        self._gap = gap
        self._document = document
        self._rows = Rows(tables_of(document.tables, lambda *_: None, noted), noted)
        fragments = fragments_of(document.fragments, scope.definitions, noted)
        self._fragments = {
            name: replace(one, body=self._rows.expanded(one.body, name)) for name, one in fragments.items()
        }

    def heads(self) -> Iterator[Head]:
        """The resources of the template in order, each without macros of nodes; `$questionnaire` is still there."""
        written = self._document.resources
        expanded = self._rows.expanded(written) if written is not None else None
        for name, node in expanded.value.items() if expanded is not None else ():
            rows = node.value if node.kind == "list" else [node]
            for at, one in enumerate(rows):
                key = f"{name}[{at}]" if node.kind == "list" else name
                named = one.value.get("resourceType")
                kind = str(named.value) if named is not None else "QuestionnaireResponse"
                yield Head(name, key, kind, self.plain(one, key))

    def values(self) -> Mapping[str, Yaml]:
        """The values of a record without macros."""
        record = self._document.record
        if record is None:
            return {}
        node = self.plain(self._rows.expanded(record.value["values"], "record"), "record")
        return dict(node.value)

    def plain(self, node: Yaml, address: str) -> Yaml:
        """A node in which no fragment is used."""
        if node.kind == "list":
            return replace(node, value=[self.plain(one, f"{address}[{at}]") for at, one in enumerate(node.value)])
        if node.kind == "scalar":
            return node
        if "$use" in node.value:
            return self._used(node, address)
        return replace(node, value={key: self.plain(one, f"{address}.{key}") for key, one in node.value.items()})

    def _used(self, node: Yaml, address: str) -> Yaml:
        fragment = self._fragments.get(str(node.value["$use"].value))
        if fragment is None or fragment.body.kind != "map":
            self._gap(node.mark, f"{address}.$use", "only a fragment that is a structure is written out")
            return mapping({}, node.mark)
        given = node.value["with"].value if "with" in node.value else {}
        constants = {name: one for name, one in given.items() if not _is_expression(one)}
        body = self.plain(_filled(fragment.body, constants), address)
        beside = {key: self.plain(one, address) for key, one in node.value.items() if key not in ("$use", "with")}
        names = {**dict(_names(beside)), **_arguments(fragment, given), **dict(_names(body.value))}
        value = {**body.value, **beside, **({"$let": mapping(names, node.mark)} if names else {})}
        return replace(node, value=value, key_marks=dict.fromkeys(value, node.mark))


def mapping(value: Mapping[str, Yaml], mark: Mark) -> Yaml:
    """A map that stands where `mark` says."""
    return Yaml("map", dict(value), mark, dict.fromkeys(value, mark))


def text(value: Any, mark: Mark) -> Yaml:
    """A scalar that stands where `mark` says; a text that begins with `=` is an expression."""
    return Yaml("scalar", value, mark, quoted=isinstance(value, str), raw=str(value))


def literal(value: Any, mark: Mark) -> Yaml:
    """A value that is not read any further."""
    return mapping({"$literal": text(value, mark)}, mark)


def referred(node: Yaml) -> Iterator[str]:
    """The names of the resources that a node refers to."""
    if node.kind == "list":
        for one in node.value:
            yield from referred(one)
    elif node.kind == "map":
        for key, one in node.value.items():
            if key == "$ref":
                yield str(one.value)
            yield from referred(one)
    elif isinstance(node.value, str) and "fullUrl(" in node.value:
        yield from (part.partition("'")[0] for part in node.value.split("fullUrl('")[1:])


def _names(value: Mapping[str, Yaml]) -> Mapping[str, Yaml]:
    return value["$let"].value if "$let" in value else {}


def _arguments(fragment: Fragment, given: Mapping[str, Yaml]) -> dict[str, Yaml]:
    return {name: given[name] for name in fragment.params if name in given}


def _is_expression(node: Yaml) -> bool:
    return isinstance(node.value, str) and (node.value.startswith("=") or "{{" in node.value)


def _filled(node: Yaml, constants: Mapping[str, Yaml]) -> Yaml:
    """A body in which a scalar that is one constant argument is that argument."""
    if node.kind == "list":
        return replace(node, value=[_filled(one, constants) for one in node.value])
    if node.kind == "map":
        return replace(node, value={key: _filled(one, constants) for key, one in node.value.items()})
    whole = WHOLE.fullmatch(str(node.value))
    return constants.get(whole.group(1), node) if whole else node
