"""Questionnaires of `config/instruments/`, loaded and checked as frozen values; there is no code per instrument."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from peerfhir.adapters import instrument_examples, instrument_file, instrument_form, instrument_rules, instrument_sdc
from peerfhir.errors import BadConfiguration
from peerfhir.mapping.problems import Problems, messages
from peerfhir.pathway.outcome import Instrument


def load_instruments(folder: Path, *, judged: bool = True) -> Mapping[str, Instrument]:
    """Every folder below `folder` that holds an instrument, by its id.

    judged  see `examined`
    Raises  BadConfiguration with every problem, each "path:line:column: error PM600: what is wrong" and a hint
    Source  docs/rules.md, Questionnaires
    """
    loaded, problems = examined(folder, judged=judged)
    if problems.errors:
        raise BadConfiguration(messages(problems.errors))
    return loaded


def examined(folder: Path, *, judged: bool = True) -> tuple[Mapping[str, Instrument], Problems]:
    """The instruments without errors, and what is wrong with any; never raises for what stands in the files.

    judged  each questionnaire is held to every rule of R4, which takes 0.1 s once; else to its structure alone
    """
    problems = Problems()
    loaded: dict[str, Instrument] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else ():
        one = _load(path, problems, judged=judged)
        if one is not None:
            loaded[one.id] = one
    return loaded, problems


def _load(path: Path, problems: Problems, *, judged: bool) -> Instrument | None:
    before = len(problems.errors)
    file = instrument_file.read(path / "instrument.yaml", problems)
    written = instrument_form.read(path / "questionnaire.json", problems, judged=judged)
    if file is None or written is None:
        return None
    instrument_rules.check_alike(file, written, path.name)
    items, notices = instrument_form.questions(written, file.entry["items"])
    scale = instrument_rules.scale_of(file)
    instrument_rules.check_items(file, items)
    instrument_rules.check_scale(file, scale, items)
    instrument_rules.check_order(file, scale, items)
    change, schedule = instrument_rules.check_change(file, scale), instrument_rules.check_schedule(file)
    instrument_sdc.check_marks(written)
    total, panel = instrument_form.total(written), instrument_form.panel(written)
    if total is None or panel is None or len(problems.errors) > before:
        return None
    made = Instrument(
        id=file.entry["id"],
        title=file.entry["title"],
        version=file.entry["version"],
        url=written.form["url"],
        panel_code=panel["code"],
        total_code=total["code"][0]["code"],
        panel_display=panel.get("display", file.entry["title"]),
        total_display=total["text"],
        items=tuple(items.values()),
        scale=scale,
        notices=notices,
        copyright=written.form["copyright"],
        change=change,
        schedule=schedule,
    )
    instrument_sdc.check_expressions(written, made)
    instrument_examples.check(path / "examples", made, problems)
    return made if len(problems.errors) == before else None
