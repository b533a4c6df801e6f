"""Validation by compiled schemas: one resource with its profile, a Bundle of 10; fhir.resources in the same run."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from fhir.resources.R4B import get_fhir_model_class

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import read
from peerfhir.fhir.writer import write

PACKAGE = Path(__file__).parents[2] / "shared" / "fhir-packages" / "us-core-7.0.0"
OURS = Path(__file__).parents[1] / "tests" / "fhir" / "examples"


def cost(run: Callable[[], Any], times: int = 50, rounds: int = 5) -> float:
    """Microseconds of CPU, the best of some rounds: others share this machine."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            run()
        found.append((time.process_time() - start) / times * 1e6)
    return min(found)


def spread(values: list[float]) -> str:
    values.sort()
    return f"median {statistics.median(values):.0f}, p95 {values[int(len(values) * 0.95)]:.0f}, max {values[-1]:.0f} us"


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    start = time.process_time()
    base = schema.r4()
    print(f"base read: {(time.process_time() - start) * 1e3:.0f} ms (target <= 100 ms)")
    terminology, definitions = base.terminology.copy(), []
    if (PACKAGE / "definitions").is_dir():
        package = open_package(PACKAGE / "definitions")
        for one in (*package.code_systems, *package.value_sets):
            terminology.add(one)
        definitions = list(package.definitions)
    start = time.process_time()
    profiles = Profiles(base, definitions, terminology)
    spent = (time.process_time() - start) * 1e3
    each = spent / max(len(definitions), 1)
    print(f"{len(definitions)} profiles compiled: {spent:.0f} ms, {each:.1f} ms each (target <= 150 ms)")
    judge = Judge(base, profiles)
    paths = sorted((PACKAGE / "examples").glob("*.json")) if definitions else sorted(OURS.glob("*.json"))
    resources = [read(path.read_bytes(), max_depth=200) for path in paths]
    builds, structure, whole, models = [], [], [], []
    for resource in resources:
        start = time.process_time()
        judge.findings(resource)
        builds.append((time.process_time() - start) * 1e3)
        judge.is_built_right(resource)
        structure.append(cost(lambda: judge.is_built_right(resource)))  # noqa: B023 - run at once
        whole.append(cost(lambda: judge.findings(resource)))  # noqa: B023
    for resource in resources[::8]:
        model = get_fhir_model_class(resource["resourceType"])
        models.append(cost(lambda: model.model_validate(resource), 5))  # noqa: B023
    print(f"first use, all usual types and profiles compiled: {max(builds):.0f} ms")
    print(f"schema with profile, {len(resources)} resources: {spread(structure)} (target median <= 15, p95 <= 40)")
    print(f"the whole judge, invariants of R4 and of profiles with it: {spread(whole)} (the same targets)")
    plain = Judge(base)
    for resource in resources:
        plain.findings(resource)
    print(f"the whole judge without a package: {spread([cost(lambda: plain.findings(one), 20) for one in resources])}")  # noqa: B023
    ratio = statistics.median(models) / statistics.median(structure)
    print(f"fhir.resources, no profile: {spread(models)}: {ratio:.0f} times the schema")
    for name in ("Task-requested", "ServiceRequest-active", "QuestionnaireResponse-phq9"):
        resource = read((OURS / f"{name}.json").read_bytes())
        print(f"{name} with invariants: {cost(lambda: judge.findings(resource)):.0f} us")  # noqa: B023
    own = [read(path.read_bytes()) for path in sorted(OURS.glob("*.json")) if not path.name.startswith("Bundle")]
    print("Bundles of ten in a collection, the whole judge, invariants of R4 and of the profiles with it:")
    bundle_of(judge, "of ours, ten types with a profile", ten_types(profiles, own))
    bundle_of(judge, "of the package, ten types with a profile", ten_types(profiles, resources))
    bundle_of(judge, "the first ten of ours", own[:10])
    bundle_of(judge, "the first ten of the package, Bundles among them", resources[:10])


def ten_types(profiles: Profiles, resources: list[Any]) -> list[Any]:
    """The first of each of ten types that claims a profile at hand; without a package the first of ten types."""
    found: dict[str, Any] = {}
    for one in resources:
        claims = one.get("meta", {}).get("profile", [])
        if one["resourceType"] != "Bundle" and (
            not profiles.urls() or any(profiles.type_of(url.split("|")[0]) for url in claims)
        ):
            found.setdefault(one["resourceType"], one)
    return list(found.values())[:10]


def bundle_of(judge: Judge, whose: str, some: list[Any]) -> None:
    """Both sides on the same Bundle."""
    ten = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in some]}
    shell = {**ten, "entry": [{"fullUrl": f"urn:uuid:{uuid4()}"} for _ in some]}
    found = judge.findings(ten)
    built = cost(lambda: [judge.is_built_right(one) for one in (*some, shell)], 10, 25)
    spent = cost(lambda: judge.findings(ten), 10, 25)
    model = get_fhir_model_class("Bundle")
    theirs = cost(lambda: model.model_validate(ten), 3)
    print(f"  {whose}: {', '.join(one['resourceType'] for one in some)}")
    print(
        f"    {len(write(ten)) / 1024:.0f} KiB: schemas {built:.0f} us (target <= 300 us), {theirs / built:.0f} times;"
    )
    print(f"    the whole judge {spent:.0f} us, {len(found)} findings, {theirs / spent:.0f} times;")
    print(f"    fhir.resources, no profile: {theirs:.0f} us")


if __name__ == "__main__":
    main()
