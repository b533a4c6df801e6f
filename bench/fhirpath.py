"""FHIRPath on a PHQ-9 response: microseconds per call of a compiled expression, beside fhirpathpy where it is there."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath import standard
from peerfhir.fhir.fhirpath.dialects import SDC
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Model
from peerfhir.fhir.fhirpath.types import Scope, Static

EXAMPLES = Path(__file__).parent.parent / "tests" / "fhir" / "examples"
CASES = [
    ("simple path", "QuestionnaireResponse.subject.reference", 3),
    ("where and pick", "item.where(linkId = '/44255-8').answer.value.code", 30),
    ("weight sum", "item.answer.value.weight().sum()", 20),
    ("descendants", "descendants()", 300),
]


def per_call(run: Callable[[], object]) -> float:
    """Microseconds of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < 0.1:
            for _ in range(10):
                run()
            count += 10
        best = min(best, (time.perf_counter() - begin) / count)
    return best * 1e6


def other() -> Any:
    """The module fhirpathpy, or None."""
    try:
        return importlib.import_module("fhirpathpy")
    except ImportError:
        return None


if __name__ == "__main__":
    response = reader.read((EXAMPLES / "QuestionnaireResponse-phq9.json").read_bytes())
    questionnaire = reader.read((EXAMPLES / "Questionnaire-phq9.json").read_bytes())
    model = Model(r4())
    scope = Scope(Static(("QuestionnaireResponse",), "one", sure=False), r4(), strict=False, dialect=SDC)
    environment = Environment(model, resource=response, questionnaire=questionnaire)
    fhirpathpy = other()
    for name, text, target in CASES:
        begin = time.perf_counter()
        path = standard.path(text, scope, model)
        compiling = (time.perf_counter() - begin) * 1e6
        ours = per_call(lambda path=path: path(response, environment))
        beside = "fhirpathpy not installed"
        if fhirpathpy is not None and "weight" not in text:
            run = fhirpathpy.compile(text)
            theirs = per_call(lambda run=run: run(response))
            beside = f"fhirpathpy {theirs:.1f} us, ratio {theirs / ours:.1f}"
        print(f"{name}: {ours:.1f} us, target <= {target} us, compiled in {compiling:.0f} us, {beside}")
