from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from peerfhir.adapters import words
from peerfhir.pathway.referral import CLOSED_FORM, Outward
from peerfhir.pathway.vocabulary import Modality, ServiceType, Status, TaskStatus
from tests.adapters.making import PROGRAM, Maker

SEED = 12


def test_text_is_kept_to_the_byte() -> None:
    text = "Two walks a week – ¡bien!"
    made = words.attachment(text)
    assert base64.b64decode(made["data"]).decode() == text
    assert made["size"] == len(text.encode())


def test_every_modality_has_words_and_a_group_is_called_one() -> None:
    maker = Maker(SEED)
    encounter = maker.encounter(maker.person())
    for modality in Modality:
        assert words.of_encounter(replace(encounter, modality=modality), None)
    group = replace(encounter, service=ServiceType.GROUP_FACILITATED)
    assert words.of_encounter(group, None).startswith("Peer support group ")


def test_a_status_is_one_plain_sentence_or_two() -> None:
    maker = Maker(SEED)
    referral = maker.referral(maker.person())
    closed = words.of_status(referral, CLOSED_FORM, PROGRAM.name)
    assert closed == f"Referral {referral.number} to {PROGRAM.name}: Referral closed."
    asked = Outward(TaskStatus.ON_HOLD, Status.INFO_NEEDED, "Question for you", "Which ward?")
    assert words.of_status(referral, asked, PROGRAM.name).endswith(": Question for you. Which ward?")


def test_a_score_is_told_with_its_range() -> None:
    maker = Maker(SEED)
    instrument = maker.instrument()
    outcome = replace(maker.outcome(maker.person(), instrument), total=maker.instrument().scale.high, band_label=None)
    assert words.of_score(outcome, instrument).endswith("Total score 27 of 27.")


def test_a_moment_is_exported_to_the_second_with_its_own_offset() -> None:
    eastern = timezone(timedelta(hours=-5))
    assert words.instant(datetime(2026, 11, 25, 10, 0, 5, 123456, eastern)) == "2026-11-25T10:00:05-05:00"
