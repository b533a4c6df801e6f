"""What `instrument.yaml` says of a questionnaire, held against it: names, licence, items, range and bands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from peerfhir.adapters.instrument_file import File
from peerfhir.adapters.instrument_form import Extras, Written
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.pathway.outcome import Band, Change, Item, Scale, Schedule

_SCALE = ("scoring", "scales", 0)


def check_alike(file: File, written: Written, folder: str) -> None:
    """Both files and the folder speak of the same instrument, and its text may be used.

    folder  the folder's name
    """
    entry = file.entry
    for name in ("id", "title", "version"):
        if entry[name] != written.form[name]:
            what = f"{name}: differs from the same element of questionnaire.json"
            file.blame("PM619", (name,), what, f"there it is '{written.form[name]}'")
    if entry["id"] != folder:
        file.blame("PM004", ("id",), "id: differs from the name of the folder", f"the folder is '{folder}'")
    licence = entry["licence"]
    if (licence["klass"] == "restricted" or licence["ack_required"]) and not licence["ack_by"]:
        what = "licence: the text may be used only when ack_by says who accepted it"
        file.blame("PM616", ("licence",), what, "add ack_by")


def check_items(file: File, items: Mapping[str, Item]) -> None:
    """Each item and answer that the file names is one of the questionnaire."""
    for link_id, extra in file.entry["items"].items():
        item = items.get(link_id)
        if item is None:
            what = "items: the questionnaire has no such item"
            file.blame("PM614", ("items", link_id), what, nearest(link_id, items))
            continue
        codes = [option.code for option in item.options]
        for key in ("ordinals", "alt_codes"):
            for code in extra[key]:
                if code not in codes:
                    what = f"item.answerOption: {key} names an answer that is not here"
                    file.blame("PM614", ("items", link_id, key, code), what, nearest(code, codes))
        weights = [option.weight for option in item.options]
        sentinel = extra["sentinel"]
        if sentinel and not any(weight is not None and weight >= sentinel["value"] for weight in weights):
            what = "sentinel: no answer of the item reaches its value"
            file.blame("PM614", ("items", link_id, "sentinel"), what, "give a weight that an answer has")


def scale_of(file: File) -> Scale:
    """The one scale."""
    entry: Mapping[str, Any] = file.entry["scoring"]["scales"][0]
    missing = entry["missing"] or {}
    return Scale(
        id=entry["id"],
        items=tuple(entry["items"]),
        low=entry["range"][0],
        high=entry["range"][1],
        max_missing=missing.get("max", 0),
        bands=tuple(Band(band["from"], band["code"], band["label"]) for band in entry["bands"]),
        lower_is_better=entry["direction"] == "lower-is-better",
    )


def check_scale(file: File, scale: Scale, items: Mapping[str, Item]) -> None:
    """Every scored item is known and weighed, the reachable scores are the range, and the bands cover it."""
    low = high = Decimal(0)
    for at, link_id in enumerate(scale.items):
        item = items.get(link_id)
        weights = _weights(item)
        if item is None or not weights or len(weights) < len(item.options):
            code, hint = ("PM614", nearest(link_id, items)) if item is None else ("PM604", "")
            what = "items: an item with a weight for every answer is needed"
            file.blame(code, (*_SCALE, "items", at), what, hint)
            return
        low, high = low + min(weights), high + max(weights)
    if len(set(scale.items)) < len(scale.items):
        file.blame("PM614", (*_SCALE, "items"), "items: an item is named twice")
    if (low, high) != (scale.low, scale.high):
        what = f"range: the answers reach from {low} to {high}"
        file.blame("PM608", (*_SCALE, "range"), what, f"write range: [{low}, {high}]")
    if scale.max_missing >= len(scale.items):
        what = "missing: at least one answer is needed for a total"
        file.blame("PM007", (*_SCALE, "missing"), what, f"write max: {len(scale.items) - 1} or less")
    starts = [band.from_score for band in scale.bands]
    if starts and (starts[0] != scale.low or starts != sorted(set(starts)) or starts[-1] > scale.high):
        what = "bands: they have to cover the range from its lowest score upwards"
        file.blame("PM609", (*_SCALE, "bands"), what, f"the first begins at {scale.low}, none above {scale.high}")


def check_change(file: File, scale: Scale) -> Change | None:
    """What counts as a change; no more than the range can give."""
    entry = file.entry["change"]
    if entry is None:
        return None
    widest = scale.high - scale.low
    for name in ("mcid", "reliable"):
        if entry[name] is not None and entry[name] > widest:
            what = f"{name}: no two totals lie so far apart"
            file.blame("PM007", ("change", name), what, f"{widest} or less")
    if entry["mcid"] is None and entry["reliable"] is None:
        file.blame("PM007", ("change",), "change: says nothing", "add 'mcid' or 'reliable'")
    return Change(**entry)


def check_schedule(file: File) -> Schedule | None:
    """When the questionnaire is asked; the window around a day ends before the one around the next."""
    entry = file.entry["schedule"]
    if entry is None:
        return None
    if 2 * entry["window_days"] >= entry["every_days"]:
        what = "window_days: the windows of two days of asking overlap"
        hint = f"less than {entry['every_days'] / 2:g}"
        file.blame("PM007", ("schedule", "window_days"), what, hint)
    return Schedule(**entry)


def check_order(file: File, scale: Scale, items: Mapping[str, Item]) -> None:
    """The weights of a scored item rise from answer to answer, or fall when it says `reverse`."""
    extras: Extras = file.entry["items"]
    for at, link_id in enumerate(scale.items):
        weights = _weights(items.get(link_id))
        wanted = sorted(set(weights), reverse=extras.get(link_id, {}).get("reverse", False))
        if weights != wanted:
            what = "items: the weights of its answers do not rise from one to the next"
            hint = "where they fall on purpose, the item says reverse: true"
            file.blame("PM619", (*_SCALE, "items", at), what, hint)


def _weights(item: Item | None) -> list[Decimal]:
    return [option.weight for option in item.options if option.weight is not None] if item else []
