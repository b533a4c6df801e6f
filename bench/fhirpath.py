"""FHIRPath on a PHQ-9 response and a Patient: microseconds per compiled call, beside fhirpathpy where it is there."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
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
    ("invariant dom-2", "contained.contained.empty()", 3),
    ("invariant of a name", "name.family.exists() or name.given.exists()", 5),
]


def per_call(run: Callable[[], object]) -> float:
    """Microseconds of processor time of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        count, begin = 0, time.process_time()
        while time.process_time() - begin < 0.1:
            for _ in range(100):
                run()
            count += 100
        best = min(best, (time.process_time() - begin) / count)
    return best * 1e6


def other() -> Any:
    """The module fhirpathpy, or None."""
    try:
        return importlib.import_module("fhirpathpy")
    except ImportError:
        return None


def compiling(text: str, scope: Scope) -> float:
    """Microseconds of processor time to compile one expression, the best of five."""
    spent = []
    for _ in range(5):
        begin = time.process_time()
        standard.path(text, scope, Model(r4()))  # a model of its own keeps no path of another
        spent.append(time.process_time() - begin)
    return min(spent) * 1e6


def beside(text: str, response: Any, ours: float) -> str:
    """The same expression in fhirpathpy, and how many times longer it takes."""
    fhirpathpy = other()
    if fhirpathpy is None:
        return "fhirpathpy not installed"
    if "weight" in text:
        return "fhirpathpy has no weight()"
    run = fhirpathpy.compile(text)
    theirs = per_call(lambda: run(response))
    return f"fhirpathpy {theirs:.1f} us, ratio {theirs / ours:.1f}"


if __name__ == "__main__":
    response = reader.read((EXAMPLES / "QuestionnaireResponse-phq9.json").read_bytes())
    questionnaire = reader.read((EXAMPLES / "Questionnaire-phq9.json").read_bytes())
    patient = reader.read((EXAMPLES / "Patient.json").read_bytes())
    model = Model(r4())
    for name, text, target in CASES:
        resource = patient if name.startswith("invariant") else response
        root = Static((resource["resourceType"],), "one", sure=False)
        scope = Scope(root, r4(), strict=False, dialect=SDC)
        environment = Environment(model, resource=resource, questionnaire=questionnaire)
        path = standard.path(text, scope, model)
        ours = per_call(partial(path, resource, environment))
        made = f"compiled in {compiling(text, scope):.0f} us, {beside(text, resource, ours)}"
        print(f"{name}: {ours:.1f} us, target <= {target} us, {made}")
