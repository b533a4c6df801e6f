"""Resources and packages by others, read from ../shared and never copied; a test without them says so and is skipped."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import Json, read

SHARED = Path(__file__).parents[2].parent / "shared"
PACKAGES = {
    "us-core-6.1.0": ("us-core-6.1.0/definitions",),
    "us-core-7.0.0": ("us-core-7.0.0/definitions",),
    "gravity-sdohcc": ("gravity-sdohcc", "us-core-7.0.0/definitions"),
}
OTHERS = {  # packages whose examples are judged and counted, what is wrong in them named
    "bser": ("bser", "us-core-7.0.0/definitions"),
    "cow": ("cow",),
    "sdc": ("sdc",),
    "ihe-pcf": ("ihe-pcf",),
    "ihe-balp": ("ihe-balp",),
    "subscriptions-backport": ("subscriptions-backport",),
}
_DEFINITIONS = ("StructureDefinition", "ValueSet", "CodeSystem", "CapabilityStatement", "SearchParameter")


def folder(name: str) -> Path:
    """A folder below ../shared."""
    found = SHARED / name
    if not found.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing beside the repository")
        pytest.skip(f"third-party data are not here: ../shared/{name}")
    return found


def load(path: Path) -> Json:
    """One file of others; some are larger than a request may be."""
    return read(path.read_bytes(), max_bytes=10**8, max_depth=200)


@cache
def profiles_of(package: str) -> Profiles:
    """The profiles of a package and of those it stands on."""
    base = schema.r4()
    opened = [open_package(folder(f"fhir-packages/{name}")) for name in {**PACKAGES, **OTHERS}[package]]
    terminology = base.terminology.copy()
    for one in opened:
        for resource in (*one.code_systems, *one.value_sets):
            terminology.add(resource)
    return Profiles(base, [each for one in opened for each in one.definitions], terminology)


@cache
def judge_of(package: str) -> Judge:
    """A judge with the profiles of a package."""
    return Judge(schema.r4(), profiles_of(package))


@cache
def claiming(package: str) -> tuple[tuple[str, Json], ...]:
    """The examples of a package that claim a profile of it, with their file names."""
    root = folder(f"fhir-packages/{package}")
    examples = root / "examples" if (root / "examples").is_dir() else root
    found = []
    for path in sorted(examples.glob("*.json")):
        if not path.name.startswith(_DEFINITIONS):
            resource = load(path)
            claims = resource.get("meta", {}).get("profile", []) if isinstance(resource, dict) else []
            if any(profiles_of(package).type_of(url.split("|")[0]) for url in claims):
                found.append((path.name, resource))
    return tuple(found)
