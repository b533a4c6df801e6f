"""Questionnaires of `config/instruments/`, loaded and checked as frozen values; there is no code per instrument."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from peerfhir.adapters import (
    instrument_examples,
    instrument_expressions,
    instrument_file,
    instrument_form,
    instrument_rules,
    instrument_sdc,
)
from peerfhir.errors import BadConfiguration
from peerfhir.mapping.problems import Problem, Problems, messages
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

    judged  each questionnaire is held to every rule of R4, which takes 0.1 s once, and its expression to our score;
            else to its structure alone
    """
    loaded: dict[str, Instrument] = {}
    problems = Problems()
    for one in look(folder, judged=judged):
        problems.extend(one.problems)
        if one.instrument is not None:
            loaded[one.instrument.id] = one.instrument
    return loaded, problems


@dataclass(frozen=True)
class Shelved:
    """One folder of an instrument: what was loaded from it, if nothing is wrong with it.

    licence  the class of its licence: public-domain, cc, permission or restricted
    """

    folder: Path
    instrument: Instrument | None
    problems: tuple[Problem, ...]
    licence: str = ""


def look(
    folder: Path, *, judged: bool = True, tried: bool = True, only: Container[str] | None = None
) -> Iterator[Shelved]:
    """Every folder below `folder`, by name.

    judged  see `examined`
    tried   the examples have to give what they say
    only    the names that are asked for; None is every one
    """
    for path in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else ():
        if only is not None and path.name not in only:
            continue
        problems = Problems()
        file = instrument_file.read(path / "instrument.yaml", problems)
        written = instrument_form.read(path / "questionnaire.json", problems, judged=judged)
        made = _made(path, file, written, problems, judged=judged, tried=tried) if file and written else None
        licence = file.entry["licence"]["klass"] if file else ""
        yield Shelved(path, made, tuple(problems.every), licence)


def _made(
    path: Path, file: instrument_file.File, written: instrument_form.Written, problems: Problems, *, judged: bool,
    tried: bool,
) -> Instrument | None:  # fmt: skip
    before = len(problems.errors)
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
    instrument_expressions.check_expressions(written, made, compared=judged)
    if tried:
        instrument_examples.check(path / "examples", made, problems)
    return made if len(problems.errors) == before else None
