from __future__ import annotations

from decimal import Decimal

import pytest

from peerfhir.adapters.author import author
from peerfhir.errors import MappingFailed
from peerfhir.fhir.reader import read_own
from tests.adapters.making import Maker


def test_what_is_written_is_what_was_made() -> None:
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Score"},
        "valueQuantity": {"value": Decimal("12.50")},
    }
    written = author(resource)
    assert b"12.50" in written
    assert read_own(written) == resource


def test_what_is_not_valid_does_not_leave_and_no_value_is_told() -> None:
    maker = Maker(1)
    secret = maker.canary()
    with pytest.raises(MappingFailed) as failure:
        author({"resourceType": "Encounter", "status": secret, "class": {"code": "VR"}, "subject": {"display": secret}})
    assert secret not in str(failure.value)
    assert "Encounter" in str(failure.value)
    assert failure.value.place
