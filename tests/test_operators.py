"""What an operator asks of versions of mappings that were used: read back from the database, and compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from peerfhir.activation import activate
from peerfhir.errors import MappingFailed, NotFound
from peerfhir.fhir import reader
from peerfhir.mapping.registry import Mappings
from peerfhir.operators import Operator
from peerfhir.wiring import House
from tests.mapping.maps import call, example, row, table
from tests.support.clock import HeldClock
from tests.support.house import furnish
from tests.support.mapping_folder import CANONICAL
from tests.support.playground import furnish as put_mappings

OVERLAID = "referral-csv+general-hospital"


@pytest.fixture
def place(tmp_path: Path, sqlite_template: Path) -> Path:
    """A house that has used 1.0.0 of a mapping with an overlay; in its folder the mapping is 1.1.0 by now."""
    mappings = put_mappings(tmp_path)
    path = mappings / "referral-csv" / "referral-csv.map.yaml"
    path.write_text(path.read_text("utf-8").replace("status: draft", "status: active"), "utf-8")
    shutil.copy(sqlite_template, tmp_path / "peerfhir.db")
    house = opened(tmp_path)
    activate(house.engine, HeldClock(), Mappings.load(mappings, canonical=CANONICAL))
    house.engine.dispose()
    text = path.read_text("utf-8").replace("version: 1.0.0", "version: 1.1.0")
    path.write_text(text.replace("intent: order", "intent: plan", 1), "utf-8")
    return tmp_path


def opened(place: Path) -> House:
    return furnish(place, f"sqlite:///{place / 'peerfhir.db'}", PEERFHIR_MAPPINGS=str(place / "mappings"))


def diff(place: Path, a: str, b: str, *more: object) -> tuple[int, str, str]:
    settings = {
        "PEERFHIR_SECRET_KEY": "k" * 40,
        "PEERFHIR_DATABASE_URL": f"sqlite:///{place / 'peerfhir.db'}",
        "PEERFHIR_MAPPINGS": str(place / "mappings"),
    }
    said = call("diff", a, b, "--config", place / "config", *more, env=settings)
    return said.code, said.out, said.err


def test_the_version_that_was_used_is_compared_with_the_one_that_is_here(place: Path) -> None:
    example(place / "mappings", "referral-csv", "01", table(row(), row(referral_id="R-2")))
    code, out, _ = diff(place, "referral-csv@1.0.0", "referral-csv")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].split() == ["request.intent", '"order"', "->", '"plan"', "2", "of", "2", "records"]
    assert lines[-1] == "raise the version: major"
    assert diff(place, "referral-csv@1.1.0", "referral-csv")[:2] == (0, "no difference on 2 records\n")
    (place / "corpus").mkdir()
    (place / "corpus" / "one.csv").write_text(table(row()), "utf-8")
    code, out, _ = diff(place, f"{OVERLAID}@1.0.0", OVERLAID, "--corpus", place / "corpus")
    assert (code, "request.intent" in out) == (1, True)
    code, out, _ = diff(place, "referral-csv@1.0.0", "referral-csv", "--format", "json")
    assert reader.read(out.encode())["version"] == "major"


def test_a_version_that_was_changed_without_a_number_is_compared_with_what_was_used(place: Path) -> None:
    path = place / "mappings" / "referral-csv" / "referral-csv.map.yaml"
    path.write_text(path.read_text("utf-8").replace("version: 1.1.0", "version: 1.0.0"), "utf-8")
    example(place / "mappings", "referral-csv", "01", table(row()))
    code, out, _ = diff(place, "referral-csv@1.0.0", "referral-csv")
    assert (code, "request.intent" in out) == (1, True)


def test_looking_for_a_version_makes_no_database(place: Path) -> None:
    (place / "peerfhir.db").unlink()
    assert diff(place, "referral-csv@1.0.0", "referral-csv")[2].endswith("peerfhir.db is not there.\n")
    assert not (place / "peerfhir.db").exists()


def test_a_version_that_was_never_used_is_told_with_those_that_were(place: Path) -> None:
    code, _, err = diff(place, "referral-csv@9.9.9", "referral-csv")
    assert code == 2
    assert "referral-csv@9.9.9 is not here: of referral-csv, sqlite://" in err
    assert err.endswith("peerfhir.db keeps 1.0.0, and no 9.9.9.\n")
    assert diff(place, "referral-csv", "nothing@1.0.0")[2].endswith("keeps none, and no 1.0.0.\n")


def test_without_a_service_it_says_what_could_be_given_instead(place: Path) -> None:
    shutil.rmtree(place / "config")
    code, _, err = diff(place, "referral-csv@1.0.0", "referral-csv")
    assert (code, "say --config of the service that used it" in err) == (2, True)


def test_what_was_used_is_there_without_its_folder(place: Path) -> None:
    shutil.rmtree(place / "mappings")
    operator = Operator(opened(place))
    found = operator.mapping_used(OVERLAID, "1.0.0")
    assert (found.version, found.overlay, found.document.mark.path) == (
        "1.0.0", "general-hospital", "mappings/referral-csv/referral-csv.map.yaml",
    )  # fmt: skip
    with pytest.raises(NotFound):
        operator.mapping_used("referral-csv", "1.1.0")
    with pytest.raises(MappingFailed):
        found.program.run({})
    operator.house.engine.dispose()
