from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.adapters import engagement as engagements
from peerfhir.adapters.author import author
from peerfhir.mapping.registry import Mappings
from tests.adapters.making import PROGRAM, Maker

SEED = 3


@pytest.mark.parametrize("status", ["planned", "active", "onhold", "finished"])
def test_an_engagement_tells_that_it_is_and_no_more(mappings: Mappings, status: str) -> None:
    maker = Maker(SEED)
    engagement = maker.engagement(maker.referral(maker.person()))
    assert engagement.started_at is not None
    changed = replace(engagement, status=status, ended_at=engagement.started_at + timedelta(days=9))
    made = engagements.to_fhir(mappings, changed, maker.refs(), PROGRAM)
    author(made)
    assert made["status"] == status
    assert made["identifier"][0]["value"] == engagement.number
    assert made["period"]["end"] == (engagement.started_at + timedelta(days=9)).isoformat()
    assert "reconnect" not in str(made)
    assert not [canary for canary in maker.canaries if canary in str(made)]


def test_one_that_has_not_begun_has_no_period(mappings: Mappings) -> None:
    maker = Maker(SEED)
    planned = replace(maker.engagement(maker.referral(maker.person())), status="planned", started_at=None)
    assert "period" not in engagements.to_fhir(mappings, planned, maker.refs(), PROGRAM)
