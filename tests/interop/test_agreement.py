"""Two validators that share no line, on the published examples of US Core and on examples with one part taken away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peerfhir.fhir.reader import Json
from peerfhir.fhir.writer import write
from tests.interop import judges
from tests.support.third_party import PACKAGES, claiming, folder, judge_of, profiles_of

EVERY = 6  # of the examples with a required element taken away
Told = Callable[[str, object], None]


def definitions(package: str) -> list[Json]:
    paths = [path for name in PACKAGES[package] for path in folder(f"fhir-packages/{name}").rglob("StructureDef*.json")]
    return [json.loads(path.read_bytes()) for path in sorted(paths)]


def without_one(package: str) -> Iterator[tuple[str, Json]]:
    """Each example without one of the elements that its profile requires."""
    for name, resource in claiming(package):
        for url in resource["meta"]["profile"]:
            root = profiles_of(package).root(url)
            for key, node in root.children.items() if root else ():
                if node.minimum and key in resource:
                    yield f"{name} without {key}", {each: one for each, one in resource.items() if each != key}


def theirs(package: str, cases: list[tuple[str, Json]]) -> dict[str, bool | None]:
    """Whether @medplum/core accepts each, by R4 and every profile claimed; None where it cannot read a profile."""
    sent = [{"name": name, "resource": json.loads(write(one))} for name, one in cases]
    said: dict[str, bool | None] = {}
    for one in judges.ask("validate.mjs", {"definitions": definitions(package), "resources": sent}):
        found = {issue["severity"] for issue in one["issues"]}
        answer = None if "not-judged" in found else not found & {"error", "fatal"}
        before = said.setdefault(one["name"], True)
        said[one["name"]] = None if before is None or answer is None else before and answer
    return said


def ours(package: str, resource: Any) -> bool:
    return not any(one.severity == "error" for one in judge_of(package).findings(resource))


@pytest.mark.parametrize("package", ["us-core-6.1.0", "us-core-7.0.0"])
def test_two_validators_agree(package: str, record_property: Told) -> None:
    version = judges.version("@medplum/core")
    examples = list(claiming(package))
    changed = list(without_one(package))[::EVERY]
    answers = theirs(package, examples + changed)
    for what, cases in (("published examples", examples), ("with a required element taken away", changed)):
        counts: Counter[str] = Counter()
        apart: list[str] = []
        for name, resource in cases:
            we, they = ours(package, resource), answers[name]
            word = {True: "accept", False: "refuse"}
            counts["not judged by both" if they is None else f"both {word[we]}" if we == they else "apart"] += 1
            apart += [f"{name}: we {word[we]}, they {word[they]}"] if they not in (None, we) else []
        told = f"@medplum/core {version}, {package}: {len(cases)} {what}: {dict(counts)}"
        print(told, *apart, sep="\n")
        record_property("judge", told)
        assert apart == []
        assert counts["not judged by both"] <= len(cases) * 0.05
    assert len(examples) > 170
    assert len(changed) > 90
