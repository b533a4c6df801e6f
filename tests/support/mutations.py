"""Hostile variants of documents: nodes of their YAML deleted, doubled or replaced, and characters likewise."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

# what people and accidents put where something else belongs
VALUES = (
    "null", "true", "0", "-1", "1.5", "99999999999999999999", "''", "[]", "{}", "[[]]", "[null]", "{a: b}", "{$if: x}",
    "{$each: x as y}", "{$ref: nobody}", "{$use: nothing}", "{$value: 1}", "{$literal: {}}", "{$absent: unknown}",
    "{$rows: t}", "=", "=(", "=x.y.z", "='", "=%this", "={}", "=$this", "=record", "'{{'", "'{{x'", "'}}'", "'{{}}'", "$", "$x",
    "a#b", "a#b \"c\"", "2026-13-45", "'2026-02-30'", "'\\u0000'", "'🙂'", "\"\\ud800\"", "!!python/object:os.system x", "&a b", "*a",
    "<<: x", "=iif(true, 1)", "=translate('x')", "=1 / 0", "=word.matches('(a+)+$')", "=@2026-02-30", "=resolve()",
    "Patient", "Observation", "Bundle", "x" * 300, "=" + "(" * 80, "=" + "a." * 200 + "a", "^1.0", "../../etc/passwd", "x.csv",
)  # fmt: skip
KEYS = (
    "$each", "$if", "$let", "$use", "$rows", "$ref", "$value", "$absent", "$literal", "$keep", "$identity", "$request", "with",
    "$questionnaire", "$answers", "$extract", "extension", "meta", "contained", "id", "resourceType", "profile", "system", "value",
    "valueQuantity", "value", "reference", "type", "codes", "format", "sensitive", "split", "pattern", "from", "fields", "map", "unmapped",
)  # fmt: skip
TREES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", [], {}, [[]], [None], {"a": "b"}, {"$if": "x"}, {"$each": "x as y", "$value": "=%y"},
    {"$each": "=name as n, i", "text": "=%n"}, {"$ref": "nobody"}, {"$ref": "patient"}, {"$use": "nothing"}, {"$value": 1},
    {"$literal": {"a": [1]}}, {"$literal": None}, {"$absent": "unknown"}, {"$value": "=id", "extension": [{"url": "x"}]}, {"$rows": "t"},
    {"$let": {"x": "=1"}, "$value": "=%x"}, {"$let": [], "$if": []}, {"resourceType": "Patient", "id": "p"}, {"reference": "#p"},
    {"reference": "Patient?identifier=a|b"}, {"reference": "Nothing/1"}, {"coding": [{"system": "$x", "code": "y"}]},
    {"value": 5, "code": "mins"}, {"start": "2026-02-02", "end": "2026-01-01"}, {"type": "code", "codes": ["a"]}, {"type": ["string"]},
    {"map": {"a": "b"}, "unmapped": "fail"}, {"type": "Period", "params": {"a": "string"}, "body": {"start": "=%a"}},
    "=", "=(", "=x.y.z", "='", "=%this", "={}", "=$this", "=record", "=id", "={{id}}", "{{", "{{id", "}}", "{{}}", "a {{id}} b {{", "$", "$x",
    "a#b", 'a#b "c"', "2026-13-45", "2026-02-30", "\x00", "🙂", "Patient", "Observation", "x" * 300, "=" + "(" * 80, "=" + "a." * 200 + "a",
    "=iif(true, 1)", "=translate('x')", "=1 / 0", "=id.matches('(a+)+$')", "=@2026-02-30", "=resolve()", "=id | id", "=id.select($this)",
    "=id.repeat(id)", "=fullUrl('patient')", "=now()", "=id.as(string)", "=id is System.String", "=-id", "=id[0]", "=id.trace('x')",
    "=id.defineVariable('a')", "=%vars", "=%systems.x", "=iif(id.exists(), id, 5)", "^1.0", "../../etc/passwd", "x.csv", "patient", "string!",
    "[string]", "q1..q9", "q1..q99999999", "[[string]]", "date YYYY", "code!", "<n>",
)  # fmt: skip
CHARACTERS = "\t\n :{}[]'\"#&*!|>%@`=,$-\x00\x85\u2028\ufeff🙂0a"
_LINE = re.compile(r"^(\s*(?:- )?)([^\s#:{\[][^:{\[]*:)\s+(\S.*)$")
_FLOW = re.compile(r"(?<=[:,\[{] )[^,\[\]{}]+(?=[,\]}])")


def mutated(text: str, chance: random.Random) -> str:
    """The text after one to three changes."""
    for _ in range(chance.randint(1, 3)):
        text = chance.choice((_line, _line, _value, _value, _flow, _flow, _character, _indented, _swapped))(
            text, chance
        )
    return text


def _line(text: str, chance: random.Random) -> str:
    """A line, with what lies below it or without, taken out or written twice."""
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines)) if lines else 0
    end = at + 1
    if lines and chance.random() < 0.5:
        depth = len(lines[at]) - len(lines[at].lstrip())
        while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > depth:
            end += 1
    part = lines[at:end]
    return "".join([*lines[:at], *(part * chance.choice((0, 2))), *lines[end:]])


def _value(text: str, chance: random.Random) -> str:
    """The value of one key replaced."""
    lines = text.splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if _LINE.match(line)]
    if places:
        at = chance.choice(places)
        match = _LINE.match(lines[at])
        assert match is not None
        lines[at] = f"{match.group(1)}{match.group(2)} {chance.choice(VALUES)}\n"
    return "".join(lines)


def _flow(text: str, chance: random.Random) -> str:
    """One value inside braces or brackets replaced."""
    found = list(_FLOW.finditer(text))
    if not found:
        return text
    match = chance.choice(found)
    return text[: match.start()] + chance.choice(VALUES) + text[match.end() :]


def _character(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(CHARACTERS) * chance.choice((0, 1, 1, 40)) + text[at + chance.randint(0, 2) :]


def _indented(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    if lines:
        at = chance.randrange(len(lines))
        lines[at] = chance.choice(("  " + lines[at], "\t" + lines[at], lines[at].lstrip()))
    return "".join(lines)


def _swapped(text: str, chance: random.Random) -> str:
    """Two words of the document change places."""
    words = list(re.finditer(r"[A-Za-z_$%][\w-]+", text))
    if len(words) < 2:
        return text
    one, two = sorted(chance.sample(words, 2), key=re.Match.start)
    return text[: one.start()] + two.group() + text[one.end() : two.start()] + one.group() + text[two.end() :]


def mutated_tree(tree: Any, chance: random.Random) -> Any:
    """A document as plain Python after one to three changes of its nodes: taken out, doubled, moved, replaced."""
    for _ in range(chance.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return tree
        holder, key = chance.choice(places)
        others = [
            inner for outer, name in places if isinstance(inner := outer[name], (dict, list)) and outer is not holder
        ]
        change = chance.randrange(6)
        if change == 0:
            del holder[key]
        elif change == 1 and isinstance(holder, list):
            holder.insert(0, copy.deepcopy(holder[key]))
        elif change == 1 and isinstance(holder, dict):
            holder[f"{key}{chance.choice(('2', '[x]', '.a', 's'))}"] = holder.pop(key)
        elif change == 2 and others:
            holder[key] = copy.deepcopy(chance.choice(others))
        elif change == 3:
            holder[key] = [copy.deepcopy(holder[key]), copy.deepcopy(holder[key])]
        elif change == 4 and isinstance(holder, dict):
            holder[chance.choice(KEYS)] = chance.choice(TREES)
        else:
            holder[key] = chance.choice(TREES)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree: what holds it, and its key or index."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            if isinstance(node[key], (dict, list)):
                waiting.append(node[key])
