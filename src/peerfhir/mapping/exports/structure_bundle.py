"""The entries of a Bundle as rules of a StructureMap: what is made, how it is named, referred to and sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from peerfhir.fhir.fhirpath.parser import parse
from peerfhir.mapping.exports.expression_reads import mentioned, searched
from peerfhir.mapping.exports.expression_text import CannotSay, printed, quoted, said
from peerfhir.mapping.exports.plain_questions import Asked
from peerfhir.mapping.exports.plain_template import Head, Macros, referred
from peerfhir.mapping.exports.structure_conditions import guarded
from peerfhir.mapping.exports.structure_leaves import evaluated, joined
from peerfhir.mapping.exports.structure_nodes import directed, elements
from peerfhir.mapping.exports.structure_rules import At, Rule, Writer, copied, placed, then
from peerfhir.mapping.texts import pieces


def heads(writer: Writer, macros: Macros) -> list[Head]:
    """The resources of a mapping, with what their questionnaires make."""
    found: list[Head] = []
    for head in macros.heads():
        named = head.yaml.value.get("$questionnaire")
        if named is None:
            found.append(head)
            continue
        try:
            asked = Asked(writer.opened, head, writer.opened.checked.forms[str(named.value)])
            found += [asked.response(), *asked.observations()]
        except CannotSay as why:
            writer.gap(head.yaml.mark, f"{head.key}.$questionnaire", str(why))
    return found


class Entries:
    """Writes the entries of one Bundle."""

    def __init__(self, writer: Writer, found: Sequence[Head]) -> None:
        self._writer = writer
        self._heads = found
        self._bundle = writer.opened.document.bundle

    def rules(self, at: At, start: int = 0) -> list[Rule]:
        """The rules of every resource from `start` on; what follows one that is referred to stands inside its rule."""
        rules: list[Rule] = []
        for number in range(start, len(self._heads)):
            head, later = self._heads[number], self._heads[number + 1 :]
            wanted = {name for one in later for name in referred(one.yaml)}
            if head.always and self._bundle != "none" and head.key in wanted:
                return [*rules, *self._entry(head, at, number + 1)]
            rules += directed(self._writer, head.yaml, at, head.key, lambda here, one=head: self._entry(one, here))  # type: ignore[misc]
        return rules

    def _entry(self, head: Head, at: At, onward: int | None = None) -> list[Rule]:
        """The rule of one entry, around the rules of what follows it from `onward` on."""
        writer = self._writer
        entry, made = writer.fresh("e"), writer.fresh("r")
        targets = [placed("target", "entry", variable=entry)]
        if self._bundle != "none":
            bare, whole = writer.fresh("u"), writer.fresh("f")
            targets += [
                placed(entry, "fullUrl", "uuid", variable=bare),
                placed(entry, "fullUrl", "append", {"valueString": "urn:uuid:"}, {"valueId": bare}, variable=whole),
            ]
            known = {**at.words.addresses, head.key: f"%{whole}"}
            at = replace(at, words=replace(at.words, addresses=known))
        targets.append(placed(entry, "resource", "create", {"valueString": head.type}, variable=made))
        below = elements(writer, head.yaml, replace(at, target=made, type=head.type), head.key)
        if self._bundle in ("transaction", "batch"):
            below += self._request(head, entry, at)
        if onward is not None:
            below += self.rules(at, onward)
        return [then({"context": at.here}, targets, below, f"entry-{head.key}")]

    def _request(self, head: Head, entry: str, at: At) -> list[Rule]:
        writer, node = self._writer, head.yaml.value.get("$request")
        given = {key: one.value for key, one in node.value.items()} if node is not None else {}
        parts = {"method": "POST", "url": _address(head, given), **given}
        request = writer.fresh("q")
        inner = replace(at, target=request)
        targets = [placed(entry, "request", variable=request)]
        escaped: list[str] = []
        for key, one in parts.items():
            text = str(one)
            if "{{" not in text and not text.startswith("="):
                targets.append(copied(request, key, text))
            elif key in ("url", "ifNoneExist"):
                targets.append(evaluated(inner, key, _search(text, inner, escaped)))
            else:
                targets.append(evaluated(inner, key, said(text[1:], at.words) if text[0] == "=" else joined(text, at)))
        rules = [then({"context": at.here}, targets, [])]
        for text in escaped:
            try:
                rules = guarded(writer, f"({text}).toString().matches('^[ -~]*$')", at, rules, kind="check")
            except CannotSay as why:
                return writer.gap(head.yaml.mark, f"{head.key}.$request", str(why))
        return rules


def _address(head: Head, given: Mapping[str, Any]) -> str:
    """Where a request goes that does not say it."""
    if given.get("method") != "PUT" or "id" not in head.yaml.value:
        return head.type
    own = str(head.yaml.value["id"].value)
    return f"{head.type}/{{{{{own[1:]}}}}}" if own.startswith("=") else f"{head.type}/{own}"


def _search(text: str, at: At, escaped: list[str]) -> str:
    """Search text as one expression; each value of the record in it is escaped, and noted in `escaped`."""
    parts = []
    for _, piece, kind in pieces(text):
        if kind == "constant":
            parts.append(quoted(piece))
            continue
        tree = parse(piece)
        value = f"({printed(tree, at.words)}).toString()"
        if mentioned(tree, at.words):
            escaped.append(piece)
            value = searched(value)
        parts.append(value)
    return " + ".join(parts)
