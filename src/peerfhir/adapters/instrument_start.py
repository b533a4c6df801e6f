"""`instruments add`: a questionnaire -> the folder of an instrument; what only a person can decide is left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from peerfhir.adapters import instrument_form, instrument_sdc
from peerfhir.adapters.instrument_file import DECISIONS
from peerfhir.fhir.writer import indented, write
from peerfhir.mapping.problems import Problem, Problems
from peerfhir.mapping.running import whole
from peerfhir.mapping.syntax import OPEN
from peerfhir.pathway.outcome import Item

_HEAD = "# What the questionnaire itself has no place for. The questions and answers are in questionnaire.json."


@dataclass(frozen=True)
class Started:
    """The files that were written, what is wrong with the questionnaire, and what a person should know."""

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def start(ident: str, source: Path, folder: Path) -> Started:
    """Write `folder`/`ident` with the questionnaire, its scoring as far as it tells, and a place for examples.

    ident   the instrument's id, as in addresses and mappings
    source  a Questionnaire of R4 as JSON; it becomes questionnaire.json with `ident` as its id
    Source  Structured Data Capture, Questionnaire: itemWeight and ordinalValue, calculatedExpression
    """
    problems = Problems()
    written = instrument_form.read(source, problems, judged=False, needed=("item",))
    if written is None:
        return Started((), tuple(problems.every))
    items, _ = instrument_form.questions(written, {})
    instrument_sdc.check_marks(written)
    scored = [one for one in items.values() if one.options and all(o.weight is not None for o in one.options)]
    home = folder / ident
    (home / "examples").mkdir(parents=True)
    form = {"resourceType": "Questionnaire", **written.form, "id": ident}
    texts = {"questionnaire.json": indented(form) + "\n", "instrument.yaml": _document(ident, form, scored)}
    for name, text in texts.items():
        whole(home / name, text)
    return Started(tuple(home / name for name in texts), tuple(problems.every), tuple(_notes(items, scored)))


def _document(ident: str, form: Mapping[str, object], scored: Sequence[Item]) -> str:
    reversed_items = [item.link_id for item in scored if _falls(item)]
    low = sum((min(_weights(item)) for item in scored), Decimal(0))
    high = sum((max(_weights(item)) for item in scored), Decimal(0))
    links = ", ".join(_quoted(item.link_id) for item in scored)
    hints = {name: f"  # {hint}" for name, (_, hint) in DECISIONS.items()}
    lines = [
        _HEAD, f"# {OPEN} stands where a person decides; `peerfhir instruments check {ident}` says what and why.",
        f"id: {ident}", *(f"{name}: {_quoted(form[name]) if name in form else OPEN}" for name in ("title", "version")),
        "licence:", f"  # The questionnaire says: {' '.join(str(form.get('copyright', 'nothing')).split())}",
        f"  spdx_or_text: {OPEN}{hints['spdx_or_text']}", f"  class: {OPEN}{hints['class']}",
        f"items: {OPEN}{hints['items']}",
    ]  # fmt: skip
    lines += [f"  # {_quoted(link)}: {{reverse: true}}   its weights fall" for link in reversed_items]
    lines += ["scoring:", "  method: sum", "  scales:", "    - id: total"]
    lines += [f"      items: [{links}]", f"      range: [{low}, {high}]"] if scored else [f"      items: {OPEN}"]
    lines += [
        f"      direction: {OPEN}{hints['direction']}", f"      missing: {OPEN}{hints['missing']}",
        f"      bands: {OPEN}{hints['bands']}",
        "# change: {mcid: 5, reliable: 6, source: who found that}",
        "# schedule: {baseline_days: 14, every_days: 90, window_days: 14}",
        f"source_urls: [{_quoted(form.get('url', OPEN))}]",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _notes(items: Mapping[str, Item], scored: Sequence[Item]) -> list[str]:
    """What a person should know of what was taken over."""
    notes = [f"scored: {len(scored)} of {len(items)} questions, those with a weight on every answer"]
    fall = [item.link_id for item in scored if _falls(item)]
    if fall:
        notes.append(f"the weights of {', '.join(fall)} fall: say reverse: true if that is meant")
    return [*notes, "then write examples/*.json: the answers, and the total that they have to give"]


def _weights(item: Item) -> list[Decimal]:
    return [one.weight for one in item.options if one.weight is not None]


def _falls(item: Item) -> bool:
    weights = _weights(item)
    return weights != sorted(weights)


def _quoted(text: object) -> str:
    """A text as YAML reads it; link ids with a stroke before them as they are."""
    plain = isinstance(text, str) and text.startswith("/") and text[1:].replace("-", "").replace("/", "").isalnum()
    return str(text) if plain else write(text).decode()
