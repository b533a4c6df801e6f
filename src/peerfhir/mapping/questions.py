"""`$questionnaire`, `$answers` and `$extract`: what a mapping says of an instrument, checked against it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.compile import Emitted
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Static
from peerfhir.mapping.instruments import VALUES, Form, Question
from peerfhir.mapping.leaves import Leaves, Place, Slot, conversion
from peerfhir.mapping.primitives import ABSENT_REASONS
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import keys
from peerfhir.mapping.tree import Answer, Answers, Const, Leaf, Rule

EXTRACTS = ("observation", "scores", "none")
_NUMBERS = frozenset(("integer", "decimal", "positiveInt", "unsignedInt"))
_TEXTS = frozenset(("string", "code", "markdown", "id"))


@dataclass(frozen=True)
class Asked:
    """What a resource with `$questionnaire` makes beside its elements."""

    form: Form
    answers: Answers
    extract: str


class Questions:
    """Checks the answers of one document."""

    def __init__(self, leaves: Leaves, problems: Problems, forms: Mapping[str, Form]) -> None:
        self._leaves = leaves
        self._problems = problems
        self.forms = forms
        self.used: set[str] = set()

    def asked(self, yaml: Yaml, place: Place) -> Asked | None:
        """The instrument and the answers of a resource, or None after noting what is wrong."""
        named = yaml.value["$questionnaire"]
        form = self.forms.get(str(named.value))
        if form is None:
            hint = nearest(str(named.value), self.forms)
            what = f"there is no instrument '{named.value}'"
            self._problems.add(named.mark, "PM130", place.below("$questionnaire").address, what, hint)
            return None
        self.used.add(form.id)
        for key in ("questionnaire", "item"):
            if key in yaml.value:
                what = f"$questionnaire sets '{key}', too"
                self._problems.add(yaml.key_marks[key], "PM205", place.below(key).address, what)
        extract = yaml.value.get("$extract")
        if extract is not None and extract.value not in EXTRACTS:
            what = f"$extract is one of {', '.join(EXTRACTS)}"
            self._problems.add(extract.mark, "PM007", place.below("$extract").address, what)
        found = self._answers(form, yaml, place)
        mode = "none" if extract is None else str(extract.value)
        return None if found is None else Asked(form, found, mode)

    def _answers(self, form: Form, yaml: Yaml, place: Place) -> Answers | None:
        node = yaml.value.get("$answers")
        here = place.below("$answers")
        if node is None or node.kind != "map":
            self._problems.add(
                node.mark if node else yaml.mark, "PM007", here.address, "'$answers' maps link ids to nodes"
            )
            return None
        found: list[Answer] = []
        for link_id, value in node.value.items():
            inside = Place(place.scope, f"{here.address}[{link_id}]", place.depth, place.item, place.index, place.given)
            question = form.questions.get(link_id)
            if question is None:
                hint = nearest(link_id, form.questions)
                self._problems.add(
                    node.key_marks[link_id], "PM610", here.address, f"there is no item '{link_id}'", hint
                )
            elif question.type in ("group", "display") or question.read_only:
                what = f"item '{link_id}' takes no answer: it is {'computed' if question.read_only else question.type}"
                self._problems.add(node.key_marks[link_id], "PM612", inside.address, what)
            elif (answer := self._answer(question, value, inside)) is not None:
                found.append(answer)
        for question in form.questions.values():
            if question.required and question.link_id not in node.value and question.type not in ("group", "display"):
                what = f"the required item '{question.link_id}' is not answered"
                self._problems.add(node.mark, "PM611", here.address, what)
        return Answers(Rule(node.mark, here.address), tuple(found))

    def _answer(self, question: Question, node: Yaml, place: Place) -> Answer | None:
        number, reason = "", ""
        if node.kind == "map":
            if not keys(node, ("$value", "$number", "$absent"), frozenset(), place.address, self._problems):
                return None
            number = self._word(node, "$number", ("scored", "printed"), "PM007", place)
            reason = self._word(node, "$absent", ABSENT_REASONS, "PM234", place)
            if "$value" not in node.value:
                self._problems.add(node.mark, "PM007", place.address, "'$value' is missing")
                return None
            node = node.value["$value"]
        items = node.value if node.kind == "list" else [node]
        if node.kind == "list" and not question.repeats:
            what = f"item '{question.link_id}' takes one answer"
            self._problems.add(node.mark, "PM210", place.address, what)
            return None
        codes: list[tuple[ast.expr, bool]] = []
        for one in items:
            made = self._value(question, one, place, number)
            if made is None:
                return None
            codes.append(made)
        return Answer(Rule(node.mark, place.address), question.link_id, tuple(codes), number, reason)

    def _word(self, node: Yaml, key: str, known: tuple[str, ...], code: str, place: Place) -> str:
        found = node.value.get(key)
        if found is None:
            return ""
        if found.value not in known:
            hint = nearest(str(found.value), known) or f"one of {', '.join(known[:8])}"
            self._problems.add(found.mark, code, place.address, f"'{found.value}' is not known here", hint)
            return ""
        return str(found.value)

    def _value(self, question: Question, node: Yaml, place: Place, number: str) -> tuple[ast.expr, bool] | None:
        """Code for one value, and whether it gives a list."""
        found = self._typed(question, node, place)
        if found is None:
            return None
        if found.type.card == "many" and not question.repeats:
            hint = "add .first(), or narrow it with where(...)"
            self._problems.add(node.mark, "PM211", place.address, "this can be many values and one fits", hint)
            return None
        fits = self._is_option(question, found, node, place, number) if question.options else True
        if not question.options:
            kind = VALUES[question.type]
            fits = not found.type.kinds or all(conversion(one, kind) is not None for one in found.type.kinds)
            if not fits:
                what = f"{found.type.called()} does not fit: item '{question.link_id}' is a {question.type}"
                self._problems.add(node.mark, "PM612", place.address, what)
        return (found.code, found.type.card == "many") if fits else None

    def _typed(self, question: Question, node: Yaml, place: Place) -> Emitted | None:
        if node.kind != "scalar" or node.value is None:
            self._problems.add(node.mark, "PM612", place.address, "an answer is one value")
            return None
        if isinstance(node.value, str) and node.value.startswith("="):
            return self._leaves.expression(node, 1, node.value[1:], place)
        if isinstance(node.value, str) and "{{" in node.value:
            leaf = self._leaves.scalar(node, Slot("string"), place)
            return Emitted(leaf.code, Static(("string",))) if isinstance(leaf, Leaf) else None
        if isinstance(node.value, (bool, str)):
            kind = "boolean" if isinstance(node.value, bool) else "string"
            if not question.options and kind == "string":
                leaf = self._leaves.scalar(node, Slot(VALUES[question.type]), place)
                if not isinstance(leaf, Const):
                    return None
                kind = VALUES[question.type]
            codes = frozenset((node.value,)) if isinstance(node.value, str) else None
            return Emitted(ast.Constant(node.value), Static((kind,), "one", codes=codes, blank=False), str(node.value))
        kind = "integer" if isinstance(node.value, int) else "decimal"
        code = ast.Constant(node.value) if kind == "integer" else ast.Call(
            ast.Name("f_decimal", ast.Load()), [ast.Constant(str(node.value))], []
        )  # fmt: skip
        return Emitted(code, Static((kind,), "one", codes=frozenset((node.raw,)), blank=False))

    def _is_option(self, question: Question, found: Emitted, node: Yaml, place: Place, number: str) -> bool:
        kinds = frozenset(found.type.kinds)
        if not kinds <= _NUMBERS | _TEXTS | {"Coding", "unknown"}:
            what = f"{found.type.called()} does not choose an option of item '{question.link_id}'"
            self._problems.add(node.mark, "PM612", place.address, what, "a code, a Coding, the words or the number do")
            return False
        if kinds and kinds <= _NUMBERS:
            return self._is_weight(question, found, node, place, number)
        codes = found.type.codes if "Coding" not in kinds else None
        words = {word for one in question.options for word in (one.code, *one.alternatives)}
        shown = {" ".join(one.display.split()).casefold() for one in question.options}
        wrong = sorted(c for c in codes or () if c not in words and " ".join(c.split()).casefold() not in shown)
        if wrong:
            what = f"{', '.join(wrong[:8])}: not among the options of item '{question.link_id}'"
            self._problems.add(node.mark, "PM613", place.address, what, nearest(wrong[0], words))
        return not wrong

    def _is_weight(self, question: Question, found: Emitted, node: Yaml, place: Place, number: str) -> bool:
        weights = question.weights
        if len(set(weights)) < len(weights):
            what = f"two options of item '{question.link_id}' have one weight: a number does not choose"
            self._problems.add(node.mark, "PM605", place.address, what, "give a code")
            return False
        if question.reverse and not number:
            what = f"item '{question.link_id}' is scored in reverse: the number may be printed or scored"
            hint = "{$value: ..., $number: printed} or scored"
            self._problems.add(node.mark, "PM615", place.address, what, hint)
            return False
        wrong = [one for one in found.type.codes or () if one not in {str(weight) for weight in weights}]
        if not weights or wrong:
            what = f"no option of item '{question.link_id}' has this number"
            self._problems.add(node.mark, "PM613", place.address, what)
        return bool(weights) and not wrong
