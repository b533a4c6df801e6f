"""The checked tree between the document and the compiled function: what each node of a template will do."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir.snapshot import Node as Outline
from peerfhir.mapping.fields import Field


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a node stands: for messages while records are mapped."""

    mark: Mark
    address: str


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is the same for every record."""

    rule: Rule
    value: Any


@dataclass(frozen=True, slots=True)
class Leaf:
    """One expression or text.

    code      Python for the value: a list when `many`, else None or the value
    nullable  whether it can give no value
    blank     whether it can give '', which counts as no value
    form      the primitive whose form is checked while records are mapped; None when it is proven
    codes     a required value set that is checked while records are mapped
    field     the field of a from-fhir record it is written to; its declaration is checked
    wrap      a Coding is put into a CodeableConcept
    copy      a structure is copied, so that nothing is shared with the source
    promised  a profile of the source says that there is a value
    """

    rule: Rule
    code: ast.expr
    nullable: bool = True
    many: bool = False
    blank: bool = False
    form: str | None = None
    codes: frozenset[str] | None = None
    field: Field | None = None
    wrap: bool = False
    copy: bool = False
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """A primitive with what stands beside it under `_name`.

    value   the primitive; None when there is none
    extra   id and extensions
    absent  why there is no value, when there is none
    """

    rule: Rule
    value: Leaf | Const | None
    extra: Struct | None
    absent: str | None


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure.

    needed  keys without which it may not be there
    keep    its constants keep it
    either  groups of keys of which one may be there: spellings of one choice
    kind    its FHIR type; "" in the record of a from-fhir mapping
    outline what a profile says of it
    """

    rule: Rule
    entries: tuple[tuple[str, Node], ...]
    needed: tuple[str, ...] = ()
    keep: bool = False
    either: tuple[tuple[str, ...], ...] = ()
    kind: str = ""
    outline: Outline | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Items:
    """What stands in an element that repeats; inside another one, what stands in a slice of it.

    most  how many a profile allows, where more can be made of some record
    """

    rule: Rule
    nodes: tuple[Node, ...]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """One node per item. `place` and `index` are the Python names of the item and its position."""

    rule: Rule
    code: ast.expr
    many: bool
    place: str
    index: str
    body: Node


@dataclass(frozen=True, slots=True)
class Let:
    """Names for a node and what lies below it: Python name, code, and whether it is a list, in order."""

    rule: Rule
    names: tuple[tuple[str, ast.expr, bool], ...]
    body: Node


@dataclass(frozen=True, slots=True)
class If:
    """A node that is there only when `code` is True."""

    rule: Rule
    code: ast.expr
    body: Node


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one item of a questionnaire.

    codes   Python of each value, and whether it gives a list
    number  what a number says of an item that is scored in reverse: scored, printed, or ""
    absent  why there is no answer, when there is none
    """

    rule: Rule
    link_id: str
    codes: tuple[tuple[ast.expr, bool], ...]
    number: str = ""
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """The items of a QuestionnaireResponse. `form`: the Python name of what makes them."""

    rule: Rule
    answers: tuple[Answer, ...]
    form: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """What is extracted from a QuestionnaireResponse: its mode, and the code of the identity's parts."""

    mode: str
    form: str
    seed: str
    parts: tuple[ast.expr, ...]


Node = Const | Leaf | Pair | Struct | Items | Each | Let | If | Answers


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the template; `body` is a Struct below any Each, Let and If.

    url      Python for its fullUrl, or None for `bundle: none`
    request  method and the other parts of `request`, each with its Python
    labels   security labels of the sensitive fields that its expressions read
    """

    name: str
    type: str
    body: Node
    url: ast.expr | None
    request: tuple[tuple[str, ast.expr], ...]
    rule: Rule
    extract: Extract | None = None
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Template:
    """A whole mapping, checked: resources of a to-fhir mapping, or the record of a from-fhir mapping.

    names  `vars` that some rule reads: Python name, code and whether it is a list, in order
    """

    resources: tuple[Resource, ...]
    record: Struct | None
    names: tuple[tuple[Rule, str, ast.expr, bool], ...] = ()


def is_dynamic(node: Node) -> bool:
    """Whether some expression below decides on the node. Constants alone never keep a structure."""
    match node:
        case Const():
            return False
        case Pair(value=value, extra=extra, absent=absent):
            return absent is not None or any(is_dynamic(one) for one in (value, extra) if one is not None)
        case Struct(entries=entries, keep=keep):
            return keep or any(is_dynamic(child) for _, child in entries)
        case Items(nodes=nodes):
            return any(is_dynamic(child) for child in nodes)
        case Let(body=body):
            return is_dynamic(body)
    return True


def is_alive(node: Node) -> bool:
    """Whether the node keeps the structure around it for every record: an expression below is never empty."""
    match node:
        case Leaf(nullable=nullable):
            return not nullable
        case Pair(value=value, extra=extra, absent=absent):
            return absent is not None or any(is_alive(one) for one in (value, extra) if one is not None)
        case Struct(entries=entries, keep=keep):
            return keep or any(is_alive(child) for _, child in entries)
        case Items(nodes=nodes):
            return any(is_alive(child) for child in nodes)
        case Let(body=body):
            return is_alive(body)
    return False


def is_present(node: Node) -> bool:
    """Whether the node gives a value for every record."""
    match node:
        case Const():
            return True
        case Pair(value=value, extra=extra, absent=absent):
            return absent is not None or any(is_present(one) for one in (value, extra) if one is not None)
        case Struct():
            return is_alive(node) or not is_dynamic(node)
        case Items(nodes=nodes):
            return any(is_present(child) for child in nodes)
        case Let(body=body):
            return is_present(body)
    return is_alive(node)


def is_paired(node: Node) -> bool:
    """Whether something beside a primitive is made here, under `_name`."""
    match node:
        case Pair():
            return True
        case Items(nodes=nodes):
            return any(is_paired(one) for one in nodes)
        case Let(body=body) | If(body=body) | Each(body=body):
            return is_paired(body)
    return False


def most_of(node: Node) -> int | None:
    """How many values a node of a list can become; None for any number."""
    match node:
        case Each() | Leaf(many=True):
            return None
        case Items(nodes=nodes, most=most):
            counts = [most_of(child) for child in nodes]
            whole = None if None in counts else sum(one for one in counts if one is not None)
            return whole if most is None else most if whole is None else min(most, whole)
        case Let(body=body) | If(body=body):
            return most_of(body)
    return 1
