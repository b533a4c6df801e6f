"""The plain text of the notes that stand in for structured resources, and text as an attachment."""

from __future__ import annotations

import base64
from datetime import datetime

from peerfhir.fhir.reader import Json
from peerfhir.pathway.encounter import GROUPS, HOW, Encounter
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Peer
from peerfhir.pathway.referral import Outward, Referral


def attachment(text: str) -> Json:
    """Text as the fields of an attachment: {data: base64 of UTF-8, size: bytes}."""
    body = text.encode()
    return {"data": base64.b64encode(body).decode("ascii"), "size": len(body)}


def instant(moment: datetime) -> str:
    """A moment as it is exported: to the second, with the offset of the record."""
    return moment.isoformat(timespec="seconds")


def of_encounter(encounter: Encounter, peer: Peer | None) -> str:
    """That a meeting took place: when, how and how long; with the peer's name only when it may go out."""
    what = "Peer support group" if encounter.service in GROUPS else "Peer support meeting"
    how = HOW[encounter.modality]
    return f"{what} {how}, {_at(encounter.started_at)}, {encounter.minutes} minutes.{signed(peer)}"


def of_score(outcome: Outcome, instrument: Instrument) -> str:
    """A total as a sentence: no answer of any question is in it."""
    head = f"{instrument.title}, answered {_at(outcome.answered_at)}."
    if outcome.total is None:
        return f"{head} It could not be scored: questions were left open."
    band = f" ({outcome.band_label})" if outcome.band_label else ""
    return f"{head} Total score {outcome.total} of {instrument.scale.high}{band}."


def of_status(referral: Referral, outward: Outward, program_name: str) -> str:
    """Where a referral stands, in its outward words."""
    reason = f" {outward.reason}" if outward.reason and outward.reason != f"{outward.display}." else ""
    return f"Referral {referral.number} to {program_name}: {outward.display}.{reason}"


def signed(peer: Peer | None) -> str:
    """A closing line with the peer's name, for charts whose list of practitioners does not know peers."""
    return "" if peer is None else f"\n{peer.display}, {peer.title}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} {moment:%Z}".rstrip()
