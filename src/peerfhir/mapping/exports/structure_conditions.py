"""Conditions of a StructureMap that mean the same relative to the element they stand on and to what holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from peerfhir.fhir.fhirpath.parser import parse
from peerfhir.mapping.exports.expression_reads import mentioned
from peerfhir.mapping.exports.expression_text import CannotSay, Words, named, printed
from peerfhir.mapping.exports.structure_rules import At, Path, Rule, Writer, path_of, repeats, then

Say = Callable[[Words], str]


def guarded(writer: Writer, text: str, at: At, rules: list[Rule], kind: str = "condition") -> list[Rule]:
    """Rules that are followed when an expression is true.

    kind    condition; or check, which stops everything when the expression is not true
    Raises  CannotSay
    """
    tree = parse(text)
    return _on(writer, mentioned(tree, at.words), lambda words: printed(tree, words), at, rules, kind)


@dataclass(frozen=True)
class Sign:
    """What shows that something is there: an expression that gives something, or one that is true."""

    text: str
    true: bool = False

    @property
    def said(self) -> str:
        """As a condition."""
        return self.text if self.true else f"({self.text}).exists()"


def present(writer: Writer, signs: Sequence[Sign], at: At, rules: list[Rule]) -> list[Rule]:
    """Rules that are followed when one of some signs is there.

    Raises  CannotSay
    """
    item = at.item
    if item is not None and any(sign.text.strip() == f"%{item.name}" for sign in signs):
        return rules  # the item itself
    paths = [None if sign.true else path_of(sign.text, at) for sign in signs]
    if len(signs) == 1 and paths[0] is not None and not repeats(writer, paths[0], at):
        return along(writer, paths[0], at, writer.fresh("g"), rules)
    trees = [parse(sign.said) for sign in signs]
    reads = frozenset[str]().union(*(mentioned(tree, at.words) for tree in trees))
    if item is not None and reads == {f"%{item.name}"} and item.sure is None:
        fields = [path[1][0] for path in paths if path is not None and len(path[1]) == 1]
        if len(fields) == len(signs):
            return _first_there(writer, fields, at, rules)
    return _on(writer, reads, lambda words: " or ".join(f"({printed(one, words)})" for one in trees), at, rules)


def along(writer: Writer, path: Path, at: At, variable: str, rules: list[Rule]) -> list[Rule]:
    """Rules that are followed for each value of a path, which `variable` holds."""
    context, (*steps, last) = path
    between = [writer.fresh("p") for _ in steps]
    made = [then({"context": between[-1] if between else context, "element": last, "variable": variable}, [], rules)]
    for at_step in reversed(range(len(steps))):
        before = between[at_step - 1] if at_step else context
        made = [then({"context": before, "element": steps[at_step], "variable": between[at_step]}, [], made)]
    return made


def _on(
    writer: Writer, reads: frozenset[str], say: Say, at: At, rules: list[Rule], kind: str = "condition"
) -> list[Rule]:
    """Rules under a condition on the record alone, or on the item of the innermost $each alone."""
    if reads <= {"record"}:
        if writer.opened.checked.source.type:
            raise CannotSay("a condition on a resource needs an element to stand on")
        inside, outside = say(at.words.under("")), say(at.words.under("record."))
        return [_where(writer, "input", "record", f"iif(record.exists(), {outside}, {inside})", rules, kind)]
    item = at.item
    if item is None or reads != {f"%{item.name}"}:
        raise CannotSay("a condition on an item and on what lies around it reads differently in each engine")
    if item.sure is None:
        raise CannotSay("a condition on an item needs a field of it that is always there")
    near, far = say(at.words.at_item(item.name, "")), say(at.words.at_item(item.name, f"%{item.variable}."))
    return [_where(writer, item.variable, item.sure, f"iif({named(item.sure)}.exists(), {near}, {far})", rules, kind)]


def _first_there(writer: Writer, fields: Sequence[str], at: At, rules: list[Rule]) -> list[Rule]:
    """The rules once, on the first field of an item that is there."""
    item = at.item
    made = []
    for number, name in enumerate(fields):
        source: Rule = {"context": item.variable if item else at.source, "element": name, "variable": writer.fresh("g")}
        if number:
            near = " and ".join(f"{named(one)}.exists().not()" for one in fields[:number])
            far = " and ".join(f"%{source['context']}.{named(one)}.exists().not()" for one in fields[:number])
            source["condition"] = f"iif({named(name)}.exists(), {near}, {far})"
        made.append(then(source, [], rules))
    return made


def _where(writer: Writer, context: str, element: str, condition: str, rules: list[Rule], kind: str) -> Rule:
    source = {"context": context, "element": element, "variable": writer.fresh("g"), kind: condition}
    return then(source, [], rules)
