"""A schema with its table of sentences, run by jsonschema-rs; no message of the engine is ever shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import SAY, Base, Schema

Say = tuple[str, str, str, str]
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WORDS = {
    "object": "This element takes an object.",
    "array": "This element takes a list.",
    "minItems": "A list must not be empty: leave the element out.",
    "minProperties": "An object must not be empty: leave the element out.",
}
_OF_ONE = ("value", "code-invalid")
_ELSE = "This is not what FHIR R4 says for this element."


class Compiled:
    """One schema of several types and profiles, ready to run. Safe to share between threads.

    What is asked stands under its name: `{"Task": resource}`, or `{url of a profile: resource}`.
    """

    def __init__(self, base: Base, schema: Schema, type_of: Callable[[str], str | None]) -> None:
        self._base, self._type_of = base, type_of
        self._says: dict[tuple[str | int, ...], Say] = {}
        plain = _without_says(schema, (), self._says)
        self._validator = jsonschema_rs.validator_for(
            plain, mask="(value)", offline=True, pattern_options=jsonschema_rs.RegexOptions()
        )
        self.is_valid = self._validator.is_valid

    def findings(self, named: Mapping[str, Json], path: str, *, strict: bool) -> Iterator[Finding]:
        """What fails, in words of ours.

        path    FHIRPath of the resource in what was sent
        strict  a reference to a wrong type is an error: for what we send; else a warning
        """
        for error in self._validator.iter_errors(named):
            for one in self._of(error):
                if one.severity == "target":
                    one = Finding("error" if strict else "warning", one.code, one.expression, one.text)
                yield one.below(path)

    def _of(self, error: Any) -> Iterator[Finding]:
        kind, where = error.kind, error.instance_path
        say = self._say(error.schema_path)
        if error.instance is None:
            text = "null is not a value in FHIR: leave the element out."
            yield Finding("error", "structure", self._expression(where), text)
        elif kind.name in ("type", "enum", "anyOf") and type(error.instance) is list and say and say[1] in _OF_ONE:
            text = "This element takes one value, not a list."
            yield Finding("error", "structure", self._expression(where), text)
        elif say is not None:
            severity, code, text, element = say
            yield Finding(severity, code, self._expression([*where, element] if element else where), text)
        elif kind.name == "anyOf":  # an entry of a list of primitives: what is against its type, not against null
            for one in kind.context[0]:
                yield from self._of(one)
        elif kind.name == "required":
            expression = self._expression([*where, kind.property])
            yield Finding("error", "required", expression, "This element is required.")
        elif kind.name == "additionalProperties":
            text = "FHIR R4 has no such element here. Remove it or mend its name."
            for name in kind.unexpected:
                place = self._expression(where)
                yield Finding("error", "structure", f"{place}.{name}" if _PLAIN_NAME.fullmatch(name) else place, text)
        else:
            expected = error.schema_path[-1]
            if kind.name == "type":
                expected = kind.as_dict().get("types", ["object"])[0]
            yield Finding("error", "structure", self._expression(where), _WORDS.get(expected, _ELSE))

    def _say(self, path: list[str | int]) -> Say | None:
        """The innermost sentence around the place in the schema that failed."""
        steps = tuple(path)
        for end in range(len(steps), 0, -1):
            say = self._says.get(steps[:end])
            if say is not None:
                return say
        return None

    def _expression(self, path: list[str | int]) -> str:
        """The place as FHIRPath: `_given` is `given`, `valueQuantity` is `value` where it is a choice."""
        name = str(path[0])
        made = type_name = self._type_of(name) or name
        for step in path[1:]:
            if isinstance(step, int):
                made += f"[{step}]"
                continue
            name = step.removeprefix("_")
            slot, kind = self._base.keys(type_name).get(name, (None, ""))
            made += f".{slot.stem if slot else name[:64]}"
            type_name = "Element" if step != name else kind
        return made


def _without_says(schema: Any, path: tuple[str | int, ...], says: dict[tuple[str | int, ...], Say]) -> Any:
    if isinstance(schema, dict):
        if SAY in schema:
            says[path] = schema[SAY]
        return {key: _without_says(one, (*path, key), says) for key, one in schema.items() if key != SAY}
    if isinstance(schema, list):
        return [_without_says(one, (*path, at), says) for at, one in enumerate(schema)]
    return schema
