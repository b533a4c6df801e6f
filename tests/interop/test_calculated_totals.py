"""The calculated totals of the shipped questionnaires in an engine of another house: fhirpath.js under Node.

Skipped with the reason where Node or the package is not installed.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from peerfhir.adapters.instruments import load_instruments
from peerfhir.pathway.outcome import Instrument, score
from tests.interop import judges

Json = Any
FOLDER = Path(__file__).parents[2] / "config" / "instruments"
SEED, RESPONSES = 44261, 100


def answers(instrument: Instrument, rng: random.Random) -> dict[str, str]:
    """One filled form: every question answered in the first half of them, some left out in the second."""
    gaps = rng.randint(0, len(instrument.items)) if rng.random() < 0.5 else 0
    left = {item.link_id for item in rng.sample(instrument.items, gaps)}
    return {item.link_id: rng.choice(item.options).code for item in instrument.items if item.link_id not in left}


def response(instrument: Instrument, given: dict[str, str]) -> Json:
    codings = {(item.link_id, one.code): one for item in instrument.items for one in item.options}
    items = [
        {"linkId": link_id, "answer": [{"valueCoding": {"system": codings[link_id, code].system, "code": code}}]}
        for link_id, code in given.items()
    ]
    made = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": instrument.url}
    return {**made, "item": items} if items else made


def test_another_engine_computes_the_totals_that_are_scored_here(capsys: Any) -> None:
    version = judges.version("fhirpath")
    rng = random.Random(SEED)
    loaded = load_instruments(FOLDER)
    given = {name: [answers(one, rng) for _ in range(RESPONSES)] for name, one in loaded.items()}
    asked = [
        {
            "questionnaire": json.loads((FOLDER / name / "questionnaire.json").read_text("utf-8")),
            "responses": [response(one, each) for each in given[name]],
        }
        for name, one in loaded.items()
    ]
    told = judges.ask("calculate.mjs", asked)
    for (name, one), results in zip(loaded.items(), told, strict=True):
        ours = [score(one, each).total for each in given[name]]
        theirs = [next(iter(each.values())) for each in results]
        assert [list(each) for each in results] == [[f"/{one.total_code}"]] * RESPONSES
        assert [[] if total is None else [total] for total in ours] == [
            [Decimal(str(v)) for v in each] for each in theirs
        ]
        assert 0 < ours.count(None) < RESPONSES, "the seed gives forms with and without a total"
        with capsys.disabled():
            print(f"\n{name}: {RESPONSES} responses (seed {SEED}), the totals of fhirpath.js {version} are ours")
