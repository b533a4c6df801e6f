from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.adapters import consent as consents
from peerfhir.adapters.author import author
from peerfhir.adapters.consent import Agreement
from peerfhir.mapping.registry import Mappings
from tests.adapters.making import PROGRAM, Maker
from tests.adapters.order import consent

SEED = 4711


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (None, Agreement("not-asked")),
        (consent(), Agreement("said-so")),
        (consent("Agreed to be contacted: yes, signed"), Agreement("signed")),
        (consent("Agreed to be contacted: not asked: please ask them"), Agreement("not-asked")),
        (consent("Consent to referral"), Agreement("said-so")),
        (consent(status="inactive"), Agreement("not-asked")),
        (consent(status="proposed", provision={"type": "deny"}), Agreement("not-asked")),
        (consent(provision={"type": "deny"}), Agreement("not-asked", refused=True)),
        (consent(sourceAttachment={"contentType": "application/pdf"}), Agreement("signed")),
    ],
)
def test_a_consent_says_whether_contact_may_be_made(
    mappings: Mappings, sent: dict[str, object] | None, meant: Agreement
) -> None:
    assert consents.agreement(mappings, sent) == meant


def test_a_document_that_is_referred_to_was_signed(mappings: Mappings) -> None:
    sent = consent()
    del sent["sourceAttachment"]
    del sent["provision"]
    sent["sourceReference"] = {"reference": "DocumentReference/1"}
    assert consents.agreement(mappings, sent) == Agreement("signed")


def test_a_grant_is_a_valid_consent_and_an_ended_one_is_inactive(mappings: Mappings) -> None:
    maker = Maker(SEED)
    for _ in range(30):
        grant = maker.grant(maker.person())
        made = consents.to_fhir(mappings, grant, maker.refs(), PROGRAM)
        author(made)
        assert made["status"] == "active"
        assert "end" not in made["provision"]["period"]
        assert made["policy"][0]["uri"].endswith(f"/policy/share/{grant.share_class.value}")
        ended = grant.granted_at + timedelta(days=3)
        late = replace(grant, ended_at=ended, until=ended + timedelta(days=1))
        after = consents.to_fhir(mappings, late, maker.refs(), PROGRAM)
        assert after["status"] == "inactive"
        assert after["provision"]["period"]["end"] == ended.isoformat()
        assert not [canary for canary in maker.canaries if canary in str(after)]
