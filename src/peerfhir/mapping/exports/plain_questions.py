"""`$questionnaire`, `$answers` and `$extract` of a mapping written out as plain nodes, for exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from peerfhir.config import Mark
from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.compile import emit
from peerfhir.fhir.fhirpath.problems import ExpressionProblem
from peerfhir.mapping.answers import FINISHED
from peerfhir.mapping.exports.expression_text import CannotSay, quoted
from peerfhir.mapping.exports.plain_scores import added, chain
from peerfhir.mapping.exports.plain_template import Head, literal, mapping, text
from peerfhir.mapping.instruments import VALUES, Form, Option, Question
from peerfhir.mapping.shelf import Opened

_COPIED = ("subject", "encounter", "basedOn", "partOf")
_NUMBERS = frozenset(("integer", "decimal", "positiveInt", "unsignedInt"))


@dataclass(frozen=True)
class _Given:
    """One answer: what gives it, whether it is there for every record, and what a number says of a reversed item."""

    text: str
    sure: bool
    number: str


class Asked:
    """Writes out one resource with `$questionnaire`.

    Raises  CannotSay where an answer, the score or what is extracted has no plain form
    """

    def __init__(self, opened: Opened, head: Head, form: Form) -> None:
        self._scope = opened.checked.scope
        self._head = head
        self._form = form
        self._mark = head.yaml.mark
        self._given = {
            link_id: self._answer(link_id, node) for link_id, node in head.yaml.value["$answers"].value.items()
        }
        self._total: str | None = None
        if form.total is not None:
            self._total = self._sum()

    def response(self) -> Head:
        """The QuestionnaireResponse itself."""
        mark, form = self._mark, self._form
        kept = {
            key: one
            for key, one in self._head.yaml.value.items()
            if key not in ("$questionnaire", "$answers", "$extract")
        }
        items = [one for question in form.items if (one := self._item(question)) is not None]
        made = {
            "resourceType": text("QuestionnaireResponse", mark),
            "questionnaire": literal(f"{form.url}|{form.version}", mark),
            **kept,
            "item": Yaml("list", items, mark),
        }
        return replace(self._head, type="QuestionnaireResponse", yaml=mapping(made, mark))

    def observations(self) -> Iterator[Head]:
        """The Observations that are extracted from it, the panel last."""
        mode = self._head.yaml.value["$extract"].value if "$extract" in self._head.yaml.value else "none"
        if mode == "none":
            return
        status = self._head.yaml.value.get("status")
        if not self._head.always or "$let" in self._head.yaml.value or status is None or status.value not in FINISHED:
            raise CannotSay("only what is extracted from one finished response that is always there is written out")
        members = []
        for question in self._form.questions.values():
            total = question.link_id == self._form.total
            if not question.relation or (mode == "scores" and not total):
                continue
            if not total and question.link_id not in self._given:
                continue
            if question.relation in ("component", "derived"):
                raise CannotSay("an Observation inside the panel's, or derived from it, is not written out")
            if not total and not self._given[question.link_id].sure:
                raise CannotSay("an Observation that may be absent is not written out")
            own = self._observation(f"{question.link_id}", question.codes, question.category)
            own |= self._scored(question) if total else self._answered(question)
            head = self._named(question.link_id, own)
            if question.relation == "member":
                members.append(head.key)
            yield head
        if members and self._form.codes:
            own = self._observation("", self._form.codes, self._form.category)
            refs = [mapping({"$ref": text(one, self._mark)}, self._mark) for one in members]
            yield self._named("", {**own, "hasMember": Yaml("list", refs, self._mark)})

    # --- answers ----------------------------------------------------------------------------------------------------

    def _answer(self, link_id: str, node: Yaml) -> _Given:
        number = ""
        if node.kind == "map":
            if "$absent" in node.value:
                raise CannotSay(f"why item {link_id} has no answer is not written out")
            number = str(node.value["$number"].value) if "$number" in node.value else ""
            node = node.value["$value"]
        if node.kind != "scalar" or (isinstance(node.value, str) and "{{" in node.value):
            raise CannotSay(f"only one expression or constant answers item {link_id}")
        said = str(node.value)
        if not said.startswith("="):
            return _Given(quoted(said) if isinstance(node.value, str) else said.lower(), True, number)
        try:
            static = emit(said[1:], self._scope).type
        except ExpressionProblem:
            raise CannotSay(f"what answers item {link_id} depends on more than the record") from None
        return _Given(f"({said[1:]})", static.card == "one" and not static.blank, number)

    def _item(self, question: Question) -> Yaml | None:
        mark = self._mark
        made = {
            "linkId": literal(question.link_id, mark),
            **({"text": literal(question.text, mark)} if question.text else {}),
        }
        if question.items:
            below = [one for child in question.items if (one := self._item(child)) is not None]
            conditions = [one.value["$if"].value if "$if" in one.value else "true" for one in below]
            made["item"] = Yaml("list", below, mark)
            return self._there(made, "true" if "true" in conditions else " or ".join(conditions)) if below else None
        if question.link_id == self._form.total and self._total is not None:
            return self._there(
                {**made, "answer": mapping({"valueDecimal": text(f"={self._total}", mark)}, mark)}, "true"
            )
        given = self._given.get(question.link_id)
        if given is None:
            return None
        kind = VALUES[question.type]
        value = self._coding(question, given) if question.options else text(f"={given.text}", mark)
        answer = mapping({f"value{kind[0].upper()}{kind[1:]}": value, "$keep": text(True, mark)}, mark)
        return self._there({**made, "answer": answer}, "true" if given.sure else f"{given.text}.exists()")

    def _there(self, made: Mapping[str, Yaml], condition: str) -> Yaml:
        extra = {} if condition == "true" else {"$if": text(condition, self._mark)}
        return mapping({**made, **extra, "$keep": text(True, self._mark)}, self._mark)

    def _coding(self, question: Question, given: _Given) -> Yaml:
        chosen = self._chosen(question, given)
        made = {}
        for part in ("system", "code", "display"):
            values = {one.coding.get(part) for one, _ in chosen}
            if values == {None}:
                continue
            if len(values) == 1:
                made[part] = literal(values.pop(), self._mark)
            else:
                made[part] = text(f"={_parts(chosen, part)}", self._mark)
        return mapping({**made, "$keep": text(True, self._mark)}, self._mark)

    def _chosen(self, question: Question, given: _Given) -> list[tuple[Option, str]]:
        """Each option with the condition under which it is the answer."""
        static = emit(given.text, self._scope).type
        if static.kinds and frozenset(static.kinds) <= _NUMBERS and question.weights:
            ends = min(question.weights) + max(question.weights)
            return [
                (one, f"{given.text} = {ends - one.weight if given.number == 'printed' else one.weight}")
                for one in question.options
                if one.weight is not None
            ]
        words = {word for one in question.options for word in (one.code, *one.alternatives)}
        if "Coding" in static.kinds or static.codes is None or not static.codes <= words:
            raise CannotSay(f"what chooses an option of item {question.link_id} is neither a number nor a closed code")
        return [
            (one, " or ".join(f"{given.text} = {quoted(word)}" for word in (one.code, *one.alternatives)))
            for one in question.options
        ]

    # --- scores -----------------------------------------------------------------------------------------------------

    def _sum(self) -> str | None:
        """The score as an expression: the sum of the weights of what is answered, where that is what scoring gives."""
        choices = {
            name: one.options for name, one in self._form.questions.items() if one.options and name in self._given
        }
        scored = added(self._form, choices)
        if scored is None:
            raise CannotSay("only a score that is the sum of its weights is written out")
        if not all(self._given[name].sure for name in scored):
            raise CannotSay("a score that allows gaps is not written out")
        parts = []
        for name in scored:
            chosen = self._chosen(self._form.questions[name], self._given[name])
            parts.append(chain(chosen, lambda one: str(one.weight)))
        return " + ".join(parts)

    def _observation(self, link_id: str, codes: Sequence[Any], category: Sequence[Any]) -> dict[str, Yaml]:
        mark, given = self._mark, self._head.yaml.value
        made = {"resourceType": text("Observation", mark), "status": literal("final", mark)}
        if category:
            made["category"] = _plain(list(category), mark)
        made["code"] = mapping({"coding": _plain(list(codes), mark)}, mark)
        made |= {key: given[key] for key in _COPIED if key in given}
        if "authored" in given:
            made["effectiveDateTime"] = given["authored"]
            moment = str(given["authored"].value)
            condition = text(f"({moment.removeprefix('=')}).toString().contains('T')", mark)
            if not moment.startswith("="):
                raise CannotSay("only an expression says when the answers were given")
            made["issued"] = mapping({"$value": given["authored"], "$if": condition}, mark)
        if "author" in given:
            made["performer"] = Yaml("list", [given["author"]], mark)
        return {**made, "derivedFrom": mapping({"$ref": text(self._head.key, mark)}, mark)}

    def _named(self, link_id: str, own: Mapping[str, Yaml]) -> Head:
        key = f"{self._head.key}.{link_id or 'panel'}"
        return Head(key, key, "Observation", mapping(own, self._mark))

    def _answered(self, question: Question) -> dict[str, Yaml]:
        given, mark = self._given[question.link_id], self._mark
        kind = VALUES[question.type]
        if kind == "Coding":
            coding = self._coding(question, given)
            return {"valueCodeableConcept": mapping({"coding": coding, "$keep": text(True, mark)}, mark)}
        value = text(f"={given.text}", mark)
        if kind in ("decimal", "integer"):
            return {"valueQuantity": self._quantity(value, question)}
        return {f"value{'String' if kind == 'uri' else kind[0].upper() + kind[1:]}": value}

    def _scored(self, question: Question) -> dict[str, Yaml]:
        mark, form = self._mark, self._form
        made = {"valueQuantity": self._quantity(text(f"={self._total}", mark), question)}
        bands = form.bands_of(None)
        if bands:
            label = "{}"
            for bound, one in sorted(bands):
                label = f"iif({self._total} >= {bound}, {quoted(one)}, {label})"
            made["interpretation"] = mapping({"text": text(f"={label}", mark), "$keep": text(True, mark)}, mark)
        if form.span is not None:
            low, high = (self._quantity(literal(one, mark), question) for one in form.span)
            made["referenceRange"] = mapping({"low": low, "high": high}, mark)
        return made

    def _quantity(self, value: Yaml, question: Question) -> Yaml:
        unit = question.unit or {}
        named = {
            "unit": unit.get("display") or unit.get("code"),
            "system": unit.get("system"),
            "code": unit.get("code"),
        }
        parts = {key: literal(one, self._mark) for key, one in named.items() if one}
        return mapping({"value": value, **parts, "$keep": text(True, self._mark)}, self._mark)


def _parts(chosen: Sequence[tuple[Option, str]], part: str) -> str:
    """One part of the Coding of the option that is chosen."""
    return chain(chosen, lambda one: quoted(one.coding.get(part, "")))


def _plain(value: Any, mark: Mark) -> Yaml:
    """A constant structure as nodes."""
    if isinstance(value, dict):
        return mapping({key: _plain(one, mark) for key, one in value.items()}, mark)
    if isinstance(value, list):
        return Yaml("list", [_plain(one, mark) for one in value], mark)
    return literal(value, mark)
