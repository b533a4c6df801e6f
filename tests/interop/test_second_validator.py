"""@medplum/core, a validator that shares no line with ours, judges everything that we make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fhirclient.models import fhirelementfactory
from sqlalchemy import select

from peerfhir.adapters.author import author
from peerfhir.fhir.reader import read, read_own
from peerfhir.fhir.tables import fhir_version
from peerfhir.fhir.writer import write
from peerfhir.mapping.aside import Made
from peerfhir.mapping.examples import examples
from peerfhir.mapping.inputs import of_file
from peerfhir.records.database import reading
from tests.interop import judges
from tests.support import shipped
from tests.support.scene import running

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ROOT / "mappings"
PACKAGES = ROOT.parent / "shared" / "fhir-packages"
CANONICAL = "http://peerfhir.example.org/fhir"
Named = dict[str, Any]
Tell = Callable[[str, object], None]


def definitions(resources: list[Named]) -> list[dict[str, Any]]:
    """The profiles of Gravity and US Core that are claimed, where they are at hand."""
    claimed = {url for one in resources for url in one["resource"].get("meta", {}).get("profile", ())}
    names = {f"StructureDefinition-{url.partition('|')[0].rpartition('/')[2]}.json" for url in claimed}
    paths = [path for package in ("gravity-sdohcc", "us-core-7.0.0") for path in (PACKAGES / package).rglob("*.json")]
    return [json.loads(path.read_text("utf-8")) for path in sorted(paths) if path.name in names]


def resources_of(value: Any) -> Iterator[dict[str, Any]]:
    """A resource, the resources of a list or of a Bundle."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and "resourceType" in one:
            yield one
            for entry in one.get("entry", ()) if one["resourceType"] == "Bundle" else ():
                yield from resources_of(entry.get("resource"))


def written() -> list[Named]:
    """Every expected output of the shipped mappings and of the golden trees, as files say it."""
    paths = [*MAPPINGS.glob("*/examples/**/*.expected.json"), *(ROOT / "tests" / "golden").glob("*/*/2_to_ehr.json")]
    return [
        {"name": f"{path.relative_to(ROOT)} {number}", "resource": one}
        for path in sorted(paths)
        for number, one in enumerate(resources_of(read(path.read_bytes())))
    ]


def mapped() -> list[Named]:
    """What the shipped mappings make now of the inputs of their examples, as it would be sent."""
    return [
        {"name": f"{opened.name}/{example.name}", "resource": read_own(author(one) if alone else write(one))}
        for opened in shipped.shelf().opened
        for example in examples(opened)[0]
        for outcome in of_file(opened, example.input)
        if isinstance(outcome, Made)
        for alone in [outcome.result.kind == "none"]
        for entry in outcome.result.entries
        for one in resources_of(entry.resource)
    ]


def refused(found: list[Named]) -> list[str]:
    return [
        f"{one['name']} {one['profile'] or ''}: {issue['text']} {issue['expression']}"
        for one in found
        for issue in one["issues"]
        if issue["severity"] in ("error", "fatal")
    ]


def ask(resources: list[Named], tell: Tell, what: str) -> list[Named]:
    """Everything it says; how much that was stands in the output of the tests."""
    version = judges.version("@medplum/core")
    found: list[Named] = judges.ask("validate.mjs", {"definitions": definitions(resources), "resources": resources})
    claims = [one for one in found if one["profile"]]
    beyond = sum(issue["severity"] == "not-judged" for one in claims for issue in one["issues"])
    tell(
        "judge",
        f"@medplum/core {version}: {len(resources)} resources {what}, {len(claims) - beyond} claims of profiles "
        f"({beyond} more of profiles it cannot read), {len(refused(found))} refused",
    )
    return found


def test_it_accepts_what_our_mappings_and_trees_say(record_property: Tell) -> None:
    resources = written() + mapped()
    assert len(resources) > 40
    assert refused(ask(resources, record_property, "of mappings and golden trees")) == []


@pytest.fixture(scope="module", params=["open", "oracle-like"])
def left_behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Named]]:
    """Every version of everything a whole referral leaves in our own API and in a hospital's chart."""
    folder = tmp_path_factory.mktemp("referral")
    with running(folder, f"sqlite:///{folder / 'peerfhir.db'}", mood=request.param) as loop:
        walk = loop.refer().to_enrolled("attendance", "summary", "scores", "item-level")
        walk.note(working="Only for the peer.", summary="We met and talked.", next_step="Meet again.")
        walk.phq9()
        loop.settle()
        with reading(loop.house.engine) as connection:
            ours = [read_own(body) for body in connection.execute(select(fhir_version.c.body)).scalars() if body]
        theirs = [one.resource for one in loop.ward.versions() if one.source == "program"]
    kinds = {one["resourceType"] for one in ours}
    assert {"Task", "ServiceRequest", "Patient", "Encounter", "QuestionnaireResponse", "Observation"} <= kinds
    return request.param, [{"name": f"{one['resourceType']}/{one.get('id')}", "resource": one} for one in ours + theirs]


def test_it_accepts_everything_a_whole_referral_leaves_behind(
    left_behind: tuple[str, list[Named]], record_property: Tell
) -> None:
    mood, resources = left_behind
    assert refused(ask(resources, record_property, f"of a referral at a hospital that is {mood}")) == []


def test_the_strict_models_of_fhirclient_take_all_of_it_without_loss(
    left_behind: tuple[str, list[Named]], record_property: Tell
) -> None:
    """A reader of R4 in Python that others wrote: what it has read, it writes again the same."""
    _, resources = left_behind
    for one in resources:
        again = fhirelementfactory.FHIRElementFactory.instantiate(
            one["resource"]["resourceType"], deepcopy(one["resource"])
        ).as_json()
        assert again == one["resource"], one["name"]
    record_property(
        "judge", f"fhirclient {metadata.version('fhirclient')}: {len(resources)} resources read and written"
    )


def test_it_would_refuse_what_is_wrong(record_property: Tell) -> None:
    """A judge that never says no proves nothing."""
    good = next(one for one in written() if one["resource"]["resourceType"] == "Task")
    faults: list[Callable[[dict[str, Any]], object]] = [
        lambda task: task.update(colour="blue"),
        lambda task: task.pop("status"),
        lambda task: task.update(intent=["order"]),
        lambda task: task.update(authoredOn="yesterday"),
        lambda task: task.update(focus={"referenz": "x"}),
        lambda task: task.update(input=[{"valueString": "without a type"}]),
    ]
    wrong = []
    for number, fault in enumerate(faults):
        changed = deepcopy(good["resource"])
        fault(changed)
        wrong.append({"name": str(number), "resource": changed})
    found = refused(ask(wrong, record_property, "with one fault each"))
    assert {line.split()[0] for line in found} == {str(number) for number in range(len(faults))}
