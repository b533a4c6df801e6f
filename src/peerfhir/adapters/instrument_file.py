"""`instrument.yaml`: what a questionnaire has no place for, read and held to its form; each problem with its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import OPEN, told

Place = tuple[str | int, ...]
LEVELS = ("urgent", "stat")
_POSITIVE = validate.Range(min=0, min_inclusive=False)

# What `peerfhir instruments add` leaves open, why, and what may be written there.
DECISIONS = {
    "spdx_or_text": ("nobody has said under which terms this may be used", "the licence's name, or its words"),
    "class": ("nobody has said what kind of licence this is", "public-domain, cc, permission or restricted"),
    "items": (
        "nobody has said which answers need a person to act",
        "{'<linkId>': {sentinel: {op: ge, value: 1, level: urgent}}}, or {} when there is none",
    ),
    "direction": ("nobody has said which way is better", "lower-is-better or higher-is-better"),
    "missing": (
        "nobody has said what to do about missing answers",
        "{max: 1, method: prorate-half-up} with its source; without the line every answer is needed",
    ),
    "bands": ("nobody has said where bands begin", "- {from: 0, code: mild, label: Mild} each, or []"),
}


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Number(fields.Decimal):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)


class _SentinelEntry(_Strict):
    op = fields.String(required=True, validate=validate.Equal("ge"))
    value = _Number(required=True)
    level = fields.String(load_default="urgent", validate=validate.OneOf(LEVELS))


class _ItemEntry(_Strict):
    sentinel = fields.Nested(_SentinelEntry, load_default=None)
    ordinals = fields.Dict(keys=fields.String(), values=_Number(), load_default=dict)
    alt_codes = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), load_default=dict)
    reverse = fields.Boolean(load_default=False)  # a check: the weights fall where the printed answers rise


class _MissingEntry(_Strict):
    max = fields.Integer(required=True, validate=validate.Range(min=0))
    method = fields.String(required=True, validate=validate.Equal("prorate-half-up"))


_BandEntry = _Strict.from_dict(
    {  # "from" is a word of Python, so the fields stand in a dict
        "from": _Number(required=True),
        "code": fields.String(required=True),
        "label": fields.String(required=True),
    }
)


class _ScaleEntry(_Strict):
    id = fields.String(required=True)
    items = fields.List(fields.String(), required=True, validate=validate.Length(min=1))
    range = fields.List(_Number(), required=True, validate=validate.Length(equal=2))
    direction = fields.String(required=True, validate=validate.OneOf(["lower-is-better", "higher-is-better"]))
    missing = fields.Nested(_MissingEntry, load_default=None)  # without one every answer is needed
    bands = fields.List(fields.Nested(_BandEntry), load_default=list)


class _ScoringEntry(_Strict):
    method = fields.String(required=True, validate=validate.Equal("sum"))
    scales = fields.List(fields.Nested(_ScaleEntry), required=True, validate=validate.Length(equal=1))


class _ChangeEntry(_Strict):
    mcid = _Number(load_default=None, validate=_POSITIVE)
    reliable = _Number(load_default=None, validate=_POSITIVE)
    source = fields.String(load_default="")


class _ScheduleEntry(_Strict):
    baseline_days = fields.Integer(required=True, strict=True, validate=_POSITIVE)
    every_days = fields.Integer(required=True, strict=True, validate=_POSITIVE)
    window_days = fields.Integer(required=True, strict=True, validate=_POSITIVE)


class _LicenceEntry(_Strict):
    spdx_or_text = fields.String(required=True)
    klass = fields.String(
        required=True,
        data_key="class",
        validate=validate.OneOf(["public-domain", "cc", "permission", "restricted"]),
    )
    ack_required = fields.Boolean(load_default=False)
    ack_by = fields.String(load_default=None)
    attribution = fields.String(load_default="")


class _InstrumentFile(_Strict):
    id = fields.String(required=True)
    title = fields.String(required=True)
    version = fields.String(required=True)
    licence = fields.Nested(_LicenceEntry, required=True)
    items = fields.Dict(keys=fields.String(), values=fields.Nested(_ItemEntry), load_default=dict)
    scoring = fields.Nested(_ScoringEntry, required=True)
    change = fields.Nested(_ChangeEntry, load_default=None)
    schedule = fields.Nested(_ScheduleEntry, load_default=None)
    source_urls = fields.List(fields.String(), load_default=list)
    notes = fields.String(load_default="")


class File:
    """One `instrument.yaml`: its entries as they were checked, and where each stands."""

    def __init__(self, node: Node, entry: Mapping[str, Any], problems: Problems) -> None:
        self.entry = entry
        self._node = node
        self._problems = problems

    def blame(self, code: str, place: Place, what: str, hint: str = "") -> None:
        """Note a problem of an entry, at the entry or at the nearest one above it that is written."""
        self._problems.add(self._node.at(place), code, "", what, hint)


def read(path: Path, problems: Problems) -> File | None:
    """The file, or None after noting what is wrong with it."""
    if not path.is_file():
        problems.add(Mark(str(path), 1, 1), "PM008", "", "the file cannot be read", "an instrument has two files")
        return None
    try:
        node = compose(path)
    except YamlProblem as problem:
        code, what, hint = told(problem)
        problems.add(problem.mark, code, "", what, hint)
        return None
    if node.kind != "map":
        problems.add(node.mark, "PM007", "", "keys and values are expected here")
        return None
    undecided = dict(_undecided(node, ()))
    for place, mark in undecided.items():
        said, hint = DECISIONS.get(str(place[-1]), ("this is not decided", "write what is true of this questionnaire"))
        problems.add(mark, "PM616" if place[0] == "licence" else "PM007", "", f"{_dotted(place)}: {said}", hint)
    try:
        entry: dict[str, Any] = _InstrumentFile().load(node.plain())
    except ValidationError as fault:
        for place, sentence in _flatten(fault.messages):
            if place in undecided:
                continue
            what = f"{_dotted(place)}: {sentence}"
            code, hint = _classed(place, sentence, node)
            problems.add(node.at(place), code, "", what, hint)
        return None
    return None if undecided else File(node, entry, problems)


def _dotted(place: Place) -> str:
    return ".".join(str(step) for step in place)


def _undecided(node: Node, place: Place) -> Iterator[tuple[Place, Mark]]:
    """Where a person has to decide something that no questionnaire says."""
    if node.kind == "scalar":
        if node.value == OPEN:
            yield place, node.mark
        return
    inner = node.value.items() if node.kind == "map" else enumerate(node.value)
    for step, one in inner:
        yield from _undecided(one, (*place, step))


def _flatten(errors: Any, path: Place = ()) -> Iterator[tuple[Place, str]]:
    """Nested messages of marshmallow -> (path, sentence); its own "key" and "value" levels are left out."""
    if isinstance(errors, list):
        yield from ((path, str(message)) for message in errors)
        return
    for key, inner in errors.items():
        yield from _flatten(inner, path if key in ("key", "value", "_schema") else (*path, key))


def _classed(place: Place, sentence: str, node: Node) -> tuple[str, str]:
    """The code of a message of marshmallow, and what to write instead."""
    schema = _schema_at(place[:-1])
    if sentence.startswith("Unknown field"):
        return "PM002", nearest(str(place[-1]), schema)
    if sentence.startswith("Missing data"):
        return ("PM616" if place[0] == "licence" else "PM007"), f"add '{place[-1]}'"
    if place[-2:] == ("sentinel", "level"):
        given = node.plain()
        for step in place:
            given = given[step]
        return "PM614", nearest(str(given), LEVELS) or f"one of {', '.join(LEVELS)}"
    return "PM007", ""


def _schema_at(place: Sequence[str | int]) -> list[str]:
    """The keys that may stand at a place."""
    found: Any = _InstrumentFile()
    for step in place:
        if isinstance(found, fields.Nested):
            found = found.schema
        if isinstance(found, fields.List):
            found = found.inner
        elif isinstance(found, fields.Dict):
            found = found.value_field
        elif isinstance(found, Schema):
            found = next((one for name, one in found.fields.items() if step in (name, one.data_key)), None)
    found = found.schema if isinstance(found, fields.Nested) else found
    return [one.data_key or name for name, one in found.fields.items()] if isinstance(found, Schema) else []
