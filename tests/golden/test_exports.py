"""Two mappings in every form they leave in, as files that a reviewer reads; --rewrite-golden writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.mapping.exports.exchange import EXPORTS, exported
from tests.support import shipped
from tests.support.mapping_folder import CANONICAL

HERE = Path(__file__).parent / "exports"
ENDINGS = {
    "structuremap": "structuremap.json", "fml": "fml", "conceptmap": "conceptmap.json", "table": "table.csv",
    "logicalmodel": "model.json", "jsonschema": "schema.json",
}  # fmt: skip


@pytest.mark.parametrize("form", EXPORTS)
@pytest.mark.parametrize("name", ["referral-csv", "group-session"])
def test_a_mapping_leaves_as_it_was_reviewed(name: str, form: str, request: pytest.FixtureRequest) -> None:
    mapping = shipped.shelf().find(name)
    assert mapping is not None
    made, _ = exported(mapping, form, CANONICAL)
    data = (made if made.endswith("\n") else f"{made}\n").encode()
    file = HERE / f"{name}.{ENDINGS[form]}"
    if request.config.getoption("--rewrite-golden"):
        HERE.mkdir(exist_ok=True)
        file.write_bytes(data)
    assert file.read_bytes() == data, f"{file.name} differs; `make golden` rewrites it for review"
