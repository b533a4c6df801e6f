"""Whether a piece may still be sent, asked at the moment it leaves: it may have waited longer than a consent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from peerfhir.access.policy import may_send
from peerfhir.config import EndpointSettings
from peerfhir.outbox.lease import Message
from peerfhir.pathway.consent import Decision
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass
from peerfhir.records import referrals

MaySend = Callable[[Connection, Message, EndpointSettings, datetime], Decision]


def ask(connection: Connection, message: Message, endpoint: EndpointSettings, now: datetime) -> Decision:
    """Ask the ledger of this instant for the endpoint's recipient, through access.policy."""
    share_class, piece = ShareClass(message.share_class), Piece(message.piece)
    return ask_for(connection, message, endpoint, now, share_class, piece)


def ask_for(
    connection: Connection,
    message: Message,
    endpoint: EndpointSettings,
    now: datetime,
    share_class: ShareClass,
    piece: Piece = Piece.ENCOUNTER,
) -> Decision:
    """The same question for another class, such as the peer's name beside a meeting."""
    referral = (
        referrals.at(connection, message.program_id, message.referral_id) if message.referral_id is not None else None
    )
    return may_send(
        connection,
        message.program_id,
        person_id=message.person_id,
        referral=referral,
        recipient=Recipient(endpoint.recipient),
        share_class=share_class,
        piece=piece,
        now=now,
    )
