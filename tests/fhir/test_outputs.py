"""What the shipped mappings and the golden journeys write is clean under Gravity, US Core and the guides of IHE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import open_package
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.site import compiled
from tests.support.fhir import EXAMPLES
from tests.support.third_party import folder

ROOT = Path(__file__).parents[2]
PACKAGES = ("us-core-7.0.0/definitions", "gravity-sdohcc", "ihe-pcf", "ihe-balp", "subscriptions-backport")


def profiles() -> Profiles:
    return compiled(open_package(folder(f"fhir-packages/{name}")) for name in PACKAGES)


def outputs() -> Iterator[tuple[str, Json]]:
    written = [
        *(ROOT / "mappings").glob("*/examples/*.expected.json"),
        *(ROOT / "tests" / "golden").glob("*/*/2_to_ehr.json"),
    ]
    for path in sorted([*written, *EXAMPLES.glob("*.json")]):
        value: Any = read(path.read_bytes())
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, dict) and "resourceType" in one:
                yield f"{path.relative_to(ROOT)} {number}", one


def test_everything_we_write_is_clean_under_the_profiles_of_our_partners() -> None:
    judge = Judge(schema.r4(), profiles())
    claims: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    count = 0
    for name, resource in outputs():
        count += 1
        claims.update(
            url for url in resource.get("meta", {}).get("profile", ()) if judge.profiles.type_of(url.split("|")[0])
        )
        found = [one for one in judge.findings(resource, strict=True) if one.severity == "error"]
        if found:
            wrong[name] = [f"{one.expression}: {one.text}" for one in found]
    print(
        f"{count} resources and Bundles of ours, {sum(claims.values())} claims of {len(claims)} profiles at hand: {len(wrong)} wrong"
    )
    assert wrong == {}
    assert count >= 40
    assert len(claims) >= 8
