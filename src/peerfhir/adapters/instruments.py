"""Questionnaires of `config/instruments/`, loaded and checked as frozen values; there is no code per instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from peerfhir.config import YamlProblem, compose
from peerfhir.errors import BadConfiguration, Fault
from peerfhir.fhir.reader import Json, read
from peerfhir.pathway.outcome import AnswerOption, Band, Instrument, Item, Scale, Sentinel

ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
LOINC = "http://loinc.org"
# Source: docs/rules.md: totals, a deprecated interpretation, and the OASIS items, which are other questions
NOT_ITEMS = frozenset({"44261-6", "44262-4", "54635-8"})


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Number(fields.Decimal):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)


class _SentinelEntry(_Strict):
    op = fields.String(required=True, validate=validate.Equal("ge"))
    value = _Number(required=True)
    level = fields.String(load_default="urgent", validate=validate.OneOf(["urgent", "stat"]))


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
    missing = fields.Nested(_MissingEntry, required=True)
    bands = fields.List(fields.Nested(_BandEntry), load_default=list)


class _ScoringEntry(_Strict):
    method = fields.String(required=True, validate=validate.Equal("sum"))
    scales = fields.List(fields.Nested(_ScaleEntry), required=True, validate=validate.Length(equal=1))


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
    source_urls = fields.List(fields.String(), load_default=list)
    notes = fields.String(load_default="")


@dataclass
class _Folder:
    """One instrument's two files, and the problems found in them."""

    path: Path
    problems: list[str]

    def blame_yaml(self, node: Any, place: tuple[str | int, ...], what: str) -> None:
        self.problems.append(f"{node.at(place)}: {what}")

    def blame_json(self, text: str, needle: str, what: str) -> None:
        """A problem of the questionnaire, at the line where `needle` stands in it."""
        at = max(text.find(f'"{needle}"'), 0)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        self.problems.append(f"{self.path / 'questionnaire.json'}:{line}:{column}: {what}")


def load_instruments(folder: Path) -> Mapping[str, Instrument]:
    """Every folder below `folder` that holds an instrument, by its id.

    Raises  BadConfiguration with every problem, each "path:line:column: what is wrong"
    Source  docs/rules.md, Questionnaires
    """
    problems: list[str] = []
    loaded: dict[str, Instrument] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else ():
        one = _load(_Folder(path, problems))
        if one is not None:
            loaded[one.id] = one
    if problems:
        raise BadConfiguration(tuple(problems))
    return loaded


def _load(folder: _Folder) -> Instrument | None:
    before = len(folder.problems)
    checked = _read_yaml(folder)
    questionnaire = _read_json(folder)
    if checked is None or questionnaire is None:
        return None
    node, entry = checked
    form, text = questionnaire
    _check_alike(folder, node, entry, form)
    items, notices = _items(folder, text, form, entry["items"])
    scale = _scale(entry["scoring"]["scales"][0])
    _check_scale(folder, node, scale, items)
    _check_order(folder, node, scale, items, entry["items"])
    _check_items_known(folder, node, entry, items)
    total = _total_item(folder, text, form)
    if len(folder.problems) > before:
        return None
    panel = form["code"][0]
    return Instrument(
        id=entry["id"],
        title=entry["title"],
        version=entry["version"],
        url=form["url"],
        panel_code=panel["code"],
        total_code=total["code"][0]["code"],
        panel_display=panel.get("display", entry["title"]),
        total_display=total["text"],
        items=tuple(items.values()),
        scale=scale,
        notices=notices,
        copyright=form["copyright"],
    )


def _read_yaml(folder: _Folder) -> tuple[Any, dict[str, Any]] | None:
    try:
        node = compose(folder.path / "instrument.yaml")
        if node.kind != "map":
            folder.blame_yaml(node, (), "keys and values are expected here")
            return None
        entry: dict[str, Any] = _InstrumentFile().load(node.plain())
    except YamlProblem as problem:
        folder.problems.append(str(problem))
        return None
    except ValidationError as fault:
        for place, sentence in _flatten(fault.messages):
            folder.blame_yaml(node, place, f"{'.'.join(str(step) for step in place)}: {sentence}")
        return None
    return node, entry


def _flatten(errors: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Nested messages of marshmallow -> (path, sentence); its own "key" and "value" levels are left out."""
    if isinstance(errors, list):
        yield from ((path, str(message)) for message in errors)
        return
    for key, inner in errors.items():
        yield from _flatten(inner, path if key in ("key", "value", "_schema") else (*path, key))


def _read_json(folder: _Folder) -> tuple[dict[str, Json], str] | None:
    path = folder.path / "questionnaire.json"
    try:
        data = path.read_bytes()
        form = read(data)
    except OSError:
        folder.problems.append(f"{path}:1:1: the file cannot be read")
        return None
    except Fault as fault:
        folder.problems.append(f"{path}:{fault.place or '1:1'}: {fault.what}")
        return None
    text = data.decode()
    if not isinstance(form, dict) or form.get("resourceType") != "Questionnaire":
        folder.problems.append(f"{path}:1:1: a FHIR Questionnaire is expected here")
        return None
    missing = [name for name in ("id", "url", "version", "title", "copyright", "code", "item") if not form.get(name)]
    for name in missing:
        folder.blame_json(text, "resourceType", f"'{name}' is required")
    return None if missing else (form, text)


def _check_alike(folder: _Folder, node: Any, entry: Mapping[str, Any], form: Mapping[str, Json]) -> None:
    for name in ("id", "title", "version"):
        if entry[name] != form[name]:
            folder.blame_yaml(node, (name,), f"{name}: differs from the same element of questionnaire.json")
    if entry["id"] != folder.path.name:
        folder.blame_yaml(node, ("id",), "id: differs from the name of the folder")
    licence = entry["licence"]
    if (licence["klass"] == "restricted" or licence["ack_required"]) and not licence["ack_by"]:
        folder.blame_yaml(node, ("licence",), "licence: the text may be used only when ack_by says who accepted it")


def _items(
    folder: _Folder, text: str, form: Mapping[str, Json], extras: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Item], tuple[str, ...]]:
    """The questions by link id, and the sentences between them."""
    items: dict[str, Item] = {}
    notices: list[str] = []
    for one in form["item"]:
        link_id = one.get("linkId", "")
        if one.get("type") == "display":
            notices.append(one.get("text", ""))
        elif one.get("type") == "choice":
            if link_id in items or not link_id:
                folder.blame_json(text, link_id, "item.linkId: each item needs its own")
            items[link_id] = _item(folder, text, one, extras.get(link_id, {}))
    return items, tuple(notices)


def _item(folder: _Folder, text: str, one: Mapping[str, Json], extra: Mapping[str, Any]) -> Item:
    link_id = one["linkId"]
    code = next((coding["code"] for coding in one.get("code", ()) if coding.get("system") == LOINC), None)
    if code in NOT_ITEMS:
        folder.blame_json(text, link_id, "item.code: this code is a total or another questionnaire's item")
    options = tuple(_option(choice, extra) for choice in one.get("answerOption", ()))
    if not options or len({option.code for option in options}) < len(options):
        folder.blame_json(text, link_id, "item.answerOption: needs answers, each with its own code")
    unknown = {*extra.get("ordinals", ()), *extra.get("alt_codes", ())} - {option.code for option in options}
    if unknown:
        folder.blame_json(text, link_id, "item.answerOption: instrument.yaml names an answer that is not here")
    sentinel = extra.get("sentinel")
    watched = Sentinel(sentinel["value"], sentinel["level"]) if sentinel else None
    return Item(link_id, one.get("text", ""), code, options, watched)


def _option(choice: Mapping[str, Json], extra: Mapping[str, Any]) -> AnswerOption:
    coding = choice.get("valueCoding", {})
    code = coding.get("code", "")
    ordinal = next((e.get("valueDecimal") for e in choice.get("extension", ()) if e.get("url") == ORDINAL), None)
    if ordinal is None:
        ordinal = extra.get("ordinals", {}).get(code)
    weight = None if ordinal is None else Decimal(ordinal)
    alternatives = tuple(extra.get("alt_codes", {}).get(code, ()))
    return AnswerOption(code, coding.get("system", ""), coding.get("display", ""), weight, alternatives)


def _total_item(folder: _Folder, text: str, form: Mapping[str, Json]) -> Mapping[str, Json]:
    totals = [one for one in form["item"] if one.get("type") == "decimal" and one.get("readOnly")]
    if len(totals) == 1 and totals[0].get("code"):
        found: Mapping[str, Json] = totals[0]
        return found
    folder.blame_json(text, "item", "item: one read-only decimal item with a code is the total")
    return {}


def _scale(entry: Mapping[str, Any]) -> Scale:
    return Scale(
        id=entry["id"],
        items=tuple(entry["items"]),
        low=entry["range"][0],
        high=entry["range"][1],
        max_missing=entry["missing"]["max"],
        missing_method=entry["missing"]["method"],
        bands=tuple(Band(band["from"], band["code"], band["label"]) for band in entry["bands"]),
        lower_is_better=entry["direction"] == "lower-is-better",
    )


def _check_scale(folder: _Folder, node: Any, scale: Scale, items: Mapping[str, Item]) -> None:
    """Every scored item is known and weighed, the reachable scores are the range, and the bands cover it."""
    place = ("scoring", "scales", 0)
    low = high = Decimal(0)
    for at, link_id in enumerate(scale.items):
        item = items.get(link_id)
        weights = [option.weight for option in item.options if option.weight is not None] if item else []
        if item is None or not weights or len(weights) < len(item.options):
            folder.blame_yaml(node, (*place, "items", at), "items: an item with a weight for every answer is needed")
            return
        low, high = low + min(weights), high + max(weights)
    if len(set(scale.items)) < len(scale.items):
        folder.blame_yaml(node, (*place, "items"), "items: an item is named twice")
    if (low, high) != (scale.low, scale.high):
        folder.blame_yaml(node, (*place, "range"), f"range: the answers reach from {low} to {high}")
    if scale.max_missing >= len(scale.items):
        folder.blame_yaml(node, (*place, "missing"), "missing: at least one answer is needed for a total")
    starts = [band.from_score for band in scale.bands]
    if starts and (starts[0] != scale.low or starts != sorted(set(starts)) or starts[-1] > scale.high):
        folder.blame_yaml(node, (*place, "bands"), "bands: they have to cover the range from its lowest score upwards")


def _check_order(
    folder: _Folder, node: Any, scale: Scale, items: Mapping[str, Item], extras: Mapping[str, Mapping[str, Any]]
) -> None:
    """The weights of a scored item rise from answer to answer, or fall when it says `reverse`."""
    for at, link_id in enumerate(scale.items):
        item = items.get(link_id)
        weights = [option.weight for option in item.options if option.weight is not None] if item else []
        wanted = sorted(set(weights), reverse=extras.get(link_id, {}).get("reverse", False))
        if weights != wanted:
            place = ("scoring", "scales", 0, "items", at)
            folder.blame_yaml(node, place, "items: the weights of its answers do not rise from one to the next")


def _check_items_known(folder: _Folder, node: Any, entry: Mapping[str, Any], items: Mapping[str, Item]) -> None:
    for link_id in entry["items"]:
        if link_id not in items:
            folder.blame_yaml(node, ("items", link_id), "items: the questionnaire has no such item")
