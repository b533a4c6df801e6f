"""The questionnaires of `config/instruments/` as mappings see them; scores come from the pathway, as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from peerfhir.fhir.reader import Json, read_own
from peerfhir.mapping.instruments import Form, Option, Question, Scored
from peerfhir.pathway.outcome import Instrument, Item, score

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
EXTRACT = f"{_SDC}observationExtract"
CATEGORY = f"{_SDC}observation-extract-category"
UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
_REASONS = {"not-answered": "not-performed", "too-many-missing": "not-performed"}
_FILES = ("questionnaire.json", "instrument.yaml")


def forms(folder: Path, instruments: Mapping[str, Instrument]) -> Mapping[str, Form]:
    """Each loaded instrument with its items as the questionnaire nests them.

    folder       `config/instruments`
    instruments  what was loaded from there and had no problem
    """
    return {name: _form(folder / name, one) for name, one in instruments.items()}


def _form(folder: Path, instrument: Instrument) -> Form:
    files = {name: (folder / name).read_bytes() for name in _FILES}
    written = read_own(files["questionnaire.json"])
    known = {item.link_id: item for item in instrument.items}
    relation, category = relation_of(written, ""), _categories(written, ())
    items = tuple(_question(one, known, relation, category) for one in written["item"])
    total = next((one.link_id for one in items if one.read_only and one.type == "decimal"), None)
    scale = instrument.scale
    codes = _codes(written)
    return Form(
        instrument.id, instrument.url, instrument.version, items, _scoring(instrument), codes, category, total,
        (scale.low, scale.high), {scale.id: [(band.from_score, band.label) for band in scale.bands]},
        {f"config/instruments/{instrument.id}/{name}": data for name, data in files.items()},
    )  # fmt: skip


def _question(one: Json, known: Mapping[str, Item], relation: str, category: tuple[Json, ...]) -> Question:
    relation, category = relation_of(one, relation), _categories(one, category)
    item = known.get(one["linkId"])
    options = item.options if item is not None else ()
    weights = [option.weight for option in options if option.weight is not None]
    codes = _codes(one)
    return Question(
        one["linkId"], one["type"], one.get("text", ""), codes,
        tuple(Option(o.code, o.system, o.display, o.weight, o.alternatives) for o in options),
        one.get("required", False), one.get("repeats", False), one.get("readOnly", False),
        weights != sorted(weights), relation if codes else "", category, _value(one, UNIT, "valueCoding"),
        tuple(_question(below, known, relation, category) for below in one.get("item", ())),
    )  # fmt: skip


def _value(one: Json, url: str, key: str) -> Json:
    return next((each.get(key) for each in one.get("extension", ()) if each.get("url") == url), None)


def _codes(one: Json) -> tuple[Json, ...]:
    """The codes of what is extracted: those that are marked for it, else every one; their marks stay behind."""
    codes = one.get("code", ())
    chosen = [code for code in codes if _value(code, EXTRACT, "valueBoolean") is True] or codes
    return tuple({key: value for key, value in code.items() if key != "extension"} for code in chosen)


def relation_of(one: Json, inherited: str) -> str:
    """How what is extracted of an item belongs to the panel: its own mark, else that of what is around it."""
    code, flag = _value(one, EXTRACT, "valueCode"), _value(one, EXTRACT, "valueBoolean")
    if flag is not None:
        return "independent" if flag else ""
    return code or inherited


def _categories(one: Json, inherited: tuple[Json, ...]) -> tuple[Json, ...]:
    own = [each["valueCodeableConcept"] for each in one.get("extension", ()) if each.get("url") == CATEGORY]
    return tuple(own) or inherited


def _scoring(instrument: Instrument) -> Callable[[Mapping[str, str]], Scored]:
    def scored(answers: Mapping[str, str]) -> Scored:
        found = score(instrument, answers)
        reason = _REASONS.get(found.reason or "", "unknown")
        return Scored(found.total, found.band.label if found.band else "", reason)

    return scored
