"""Files of `config/` as marshmallow reads them, with every problem kept at its file, line and column."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from peerfhir.config.document import YamlProblem, compose
from peerfhir.config.settings import Limits

ID = validate.Regexp(r"^[a-z][a-z0-9-]{0,62}$", error="only a-z, 0-9 and '-', beginning with a letter")
RECIPIENTS = ["referrer", "pcp", "bh-team", "hospital", "payer", "grant", "court", "family", "research"]


class Strict(Schema):
    """Keys that are not known are a mistake."""

    class Meta:
        unknown = RAISE


class Url(fields.Url):
    """An address of http or https; a host inside a house needs no top-level domain."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(require_tld=False, schemes={"http", "https"}, **kwargs)


class Text(fields.String):
    """Text that a person wrote without quotes may look like a number; it is text all the same."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, attr, data, **kwargs)


class LimitsEntry(Strict):
    """`limits:` of the site or of an endpoint: what is named is lowered; nothing can be raised."""

    @staticmethod
    def _up_to(most: float) -> validate.Range:
        return validate.Range(min=0, max=most, min_inclusive=False, error="more than 0 and at most {max}")

    record_seconds = fields.Float(validate=_up_to(Limits.record_seconds))
    resources = fields.Integer(validate=_up_to(Limits.resources))
    output_characters = fields.Integer(validate=_up_to(Limits.output_characters))
    nested_each = fields.Integer(validate=_up_to(Limits.nested_each))
    code_map_rows = fields.Integer(validate=_up_to(Limits.code_map_rows))
    document_bytes = fields.Integer(validate=_up_to(Limits.document_bytes))


def _flatten(errors: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Nested messages of marshmallow -> (path, sentence). Dict fields wrap theirs in "key" and "value"."""
    if isinstance(errors, list):
        for message in errors:
            yield path, str(message).rstrip(".")
        return
    for key, inner in errors.items():
        step = path if key in ("key", "value", "_schema") and not isinstance(inner, str) else (*path, key)
        yield from _flatten(inner, step)


@dataclass
class Collector:
    """Reads files and keeps every problem, so that one start shows the whole list."""

    problems: list[str]

    def file(
        self, path: Path, schema: Schema, overrides: Mapping[str, Any] | None = None, *, prefix: str = ""
    ) -> dict[str, Any] | None:
        """The keys of one file; None where it, or an override of it, is wrong.

        overrides  keys that the environment sets
        prefix     what the names of their variables begin with; a problem of one then names its variable
        """
        try:
            node = compose(path)
        except YamlProblem as problem:
            self.problems.append(str(problem))
            return None
        if node.kind != "map":
            self.problems.append(f"{node.mark}: keys and values are expected here")
            return None
        variables = overrides if prefix and overrides else {}
        plain = node.plain() | dict(overrides or {})
        try:
            return cast(dict[str, Any], schema.load(plain))
        except ValidationError as fault:
            for place, sentence in _flatten(fault.messages):
                dotted = ".".join(str(step) for step in place)
                there = (
                    f"environment:1:1: {prefix}{dotted.upper()}"
                    if dotted in variables
                    else f"{node.at(place)}: {dotted}"
                )
                self.problems.append(f"{there}: {_plainer(sentence)}")
            return None

    def secret(self, path: Path, whose: str) -> str | None:
        """The one line of a key file, which only its owner may read."""
        try:
            mode = path.stat().st_mode
            text = path.read_text("utf-8").strip()
        except OSError:
            self.problems.append(f"{path}:1:1: {whose}: the file cannot be read")
            return None
        if stat.S_IMODE(mode) & 0o077:
            self.problems.append(f"{path}:1:1: {whose}: others can read this file; chmod 600 it")
        return text


def _plainer(sentence: str) -> str:
    return {
        "Unknown field": "this key is not known here; check its spelling or remove it",
        "Missing data for required field": "this key is required",
    }.get(sentence, sentence)
