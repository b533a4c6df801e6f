"""The rules of a mapping as they were written: address, place, text, and the source fields each one reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.parser import Call, Expression, Literal, Member, Variable, children, parse
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.document import Document
from peerfhir.mapping.leaves import bare
from peerfhir.mapping.nodes import EACH
from peerfhir.mapping.texts import pieces

_NO_RULES = ("resourceType", "profile", "$keep", "$rows", "$use", "with", "$number", "$absent")
_HEADS = ("$request", "$identity", "$questionnaire", "$extract")
_FOCUSING = frozenset(("where", "exists", "all", "select", "repeat", "sum", "min", "max", "avg", "sort"))
# what they give still has the names of what they were given
_PASSING = frozenset((
    "where", "first", "last", "single", "tail", "skip", "take", "distinct", "ofType", "as", "sort",
))  # fmt: skip

Names = Mapping[str, frozenset[str]]  # %name -> the source fields it reads


@dataclass(frozen=True, slots=True)
class Written:
    """One rule.

    kind         constant, alias, coding, expression, text, each, if, let, ref, identity, request, answer or head
    expressions  the parsed expressions in it, with their text
    reads        dotted paths of the source fields they read
    names        what %names stand for at this place
    """

    address: str
    mark: Mark
    kind: str
    text: str
    resource: str
    node: Yaml = field(repr=False)
    expressions: tuple[Expression, ...] = field(default=(), repr=False)
    reads: frozenset[str] = frozenset()
    names: Names = field(default_factory=dict, repr=False)


def outline(document: Document) -> tuple[Written, ...]:
    """Every rule of the template, in the order of the file: one per scalar that says something about the output."""
    walk = _Walk(_variables(document), document.fragments.items)
    top = document.resources
    if top is not None:
        return tuple(one for name, node in top.value.items() for one in walk.rules(node, name, name, walk.names))
    record = document.record
    entries = record.value["values"].value if record is not None else {}
    return tuple(
        one for name, node in entries.items() for one in walk.rules(node, f"record.{name}", "record", walk.names)
    )


def fields_read(expression: Expression, names: Names, focus: str = "") -> frozenset[str]:
    """The source fields an expression reads, as dotted paths; names below a `where` belong to what it filters."""
    found: set[str] = set()
    _read(expression, names, focus, found)
    return frozenset(found)


def _read(expression: Expression, names: Names, focus: str, found: set[str]) -> frozenset[str]:
    """The paths an expression stands for; what it reads on the way goes to `found`."""
    match expression:
        case Member(base=None, name=name):
            here = frozenset((f"{focus}.{name}" if focus else name,))
        case Member(base=base, name=name) if base is not None:
            above = _read(base, names, focus, found)
            here = frozenset(f"{one}.{name}" for one in above) if above else frozenset()
        case Variable(name=name):
            here = names.get(name, frozenset())
        case Call(base=base, name=name, arguments=arguments):
            here = _read(base, names, focus, found) if base is not None else frozenset()
            below = next(iter(here), focus) if name in _FOCUSING and base is not None else focus
            for argument in arguments:
                _read(argument, names, below, found)
            if name not in _PASSING:
                found |= here
                here = frozenset()
        case _:
            below_it = [
                _read(child, names, focus, found) for child in children(expression)
            ]  # each once: chains are long
            here = below_it[0] if below_it else frozenset()
    found |= here
    return here


def code_maps(expression: Expression) -> list[str]:
    """The names of the code maps an expression translates with."""
    own = []
    if isinstance(expression, Call) and expression.name == "translate" and expression.arguments:
        first = expression.arguments[0]
        own = [str(first.value)] if isinstance(first, Literal) else []
    return [*own, *(name for child in children(expression) for name in code_maps(child))]


def expressions_of(node: Yaml) -> tuple[Expression, ...]:
    """The expressions of a scalar: one after `=`, several in a text; what cannot be read is left to the checker."""
    value = node.value
    texts: list[str] = []
    if isinstance(value, str) and value.startswith("="):
        texts = [value[1:]]
    elif isinstance(value, str) and "{{" in value:
        texts = [piece for _, piece, kind in pieces(value) if kind == "expression"]
    return _parsed(texts)


def _parsed(texts: list[str]) -> tuple[Expression, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ExpressionProblem:
            continue
    return tuple(found)


def _variables(document: Document) -> Names:
    """%name -> fields, for the `vars` of a document; they may use each other, so it is repeated until it is stable."""
    nodes = document.vars.items
    names: dict[str, frozenset[str]] = {}
    for _ in nodes:
        for name, node in nodes.items():
            reads = (fields_read(one, names) for one in _parsed([bare(node)]))
            names[name] = frozenset(path for paths in reads for path in paths)
    return names


class _Walk:
    def __init__(self, names: Names, fragments: Mapping[str, Yaml]) -> None:
        self.names = names
        self._fragments = fragments

    def rules(self, node: Yaml, address: str, resource: str, names: Names) -> Iterator[Written]:
        if node.kind == "list":
            for at, item in enumerate(_flat(node)):
                yield from self.rules(item, f"{address}[{at}]", resource, names)
        elif node.kind == "scalar":
            yield self._scalar(node, address, resource, names)
        else:
            yield from self._map(node, address, resource, names)

    def _map(self, node: Yaml, address: str, resource: str, names: Names) -> Iterator[Written]:
        value = node.value
        if "$each" in value:
            match = EACH.fullmatch(str(value["$each"].value))
            if match is not None:
                parsed = _parsed([match.group(1).removeprefix("=")])
                reads = frozenset(path for one in parsed for path in fields_read(one, names))
                yield _written(value["$each"], f"{address}.$each", "each", resource, parsed, reads, names)
                names = {**names, match.group(2): reads, **({match.group(3): frozenset()} if match.group(3) else {})}
        for name, one in value["$let"].value.items() if "$let" in value and value["$let"].kind == "map" else ():
            rule = self._bare(one, f"{address}.$let.{name}", "let", resource, names)
            yield rule
            names = {**names, name: rule.reads}
        if "$if" in value:
            yield self._bare(value["$if"], f"{address}.$if", "if", resource, names)
        if "$use" in value:
            yield from self._used(node, address, resource, names)
        for key, one in value.items():
            if key not in ("$each", "$let", "$if", *_NO_RULES):
                yield from self._entry(key, one, address, resource, names)

    def _used(self, node: Yaml, address: str, resource: str, names: Names) -> Iterator[Written]:
        """The rules of a fragment; of the caller it sees its arguments alone."""
        fragment = self._fragments.get(str(node.value["$use"].value))
        if fragment is None or "body" not in fragment.value:
            return
        given = node.value["with"].value if "with" in node.value else {}
        inner = {}
        for name, one in given.items():
            read = (rule.reads for rule in self.rules(one, address, resource, names))
            inner[name] = frozenset(path for paths in read for path in paths)
        yield from self.rules(fragment.value["body"], address, resource, inner)

    def _entry(self, key: str, node: Yaml, address: str, resource: str, names: Names) -> Iterator[Written]:
        here = f"{address}.{key}"
        if key in _HEADS:
            yield from self._head(key, node, here, resource, names)
        elif key == "$answers" and node.kind == "map":
            for link, answer in node.value.items():
                yield from self.rules(answer, f"{here}[{link}]", resource, names)
        elif key == "$ref":
            yield _written(node, here, "ref", resource)
        elif key == "$literal":
            yield _written(node, address, "constant", resource)
        else:
            yield from self.rules(node, here, resource, names)

    def _head(self, key: str, node: Yaml, address: str, resource: str, names: Names) -> Iterator[Written]:
        if key == "$identity":
            for one in node.value if node.kind == "list" else [node]:
                yield self._bare(one, address, "identity", resource, names)
        elif key == "$request" and node.kind == "map":
            for part, one in node.value.items():
                rule = self._scalar(one, f"{address}.{part}", resource, names)
                yield _written(one, rule.address, "request", resource, rule.expressions, rule.reads, names)
        else:
            yield _written(node, address, "head", resource)

    def _bare(self, node: Yaml, address: str, kind: str, resource: str, names: Names) -> Written:
        parsed = _parsed([bare(node)])
        reads = frozenset(path for one in parsed for path in fields_read(one, names))
        return _written(node, address, kind, resource, parsed, reads, names)

    def _scalar(self, node: Yaml, address: str, resource: str, names: Names) -> Written:
        parsed = expressions_of(node)
        reads = frozenset(path for one in parsed for path in fields_read(one, names))
        kind = "constant"
        if isinstance(node.value, str):
            if node.value.startswith("="):
                kind = "expression"
            elif "{{" in node.value:
                kind = "text"
            elif node.value.startswith("$"):
                kind = "alias"
        return _written(node, address, kind, resource, parsed, reads, names)


def _written(
    node: Yaml, address: str, kind: str, resource: str, parsed: tuple[Expression, ...] = (),
    reads: frozenset[str] = frozenset(), names: Names | None = None,
) -> Written:  # fmt: skip
    text = node.value if isinstance(node.value, str) else node.raw
    return Written(address, node.mark, kind, str(text), resource, node, parsed, reads, names or {})


def _flat(node: Yaml) -> list[Yaml]:
    return [one for item in node.value for one in (_flat(item) if item.kind == "list" else [item])]
