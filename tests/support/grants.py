"""What tests of the FHIR doors begin with: a person of one program, referred by riverside, who shares summaries."""

from __future__ import annotations

from sqlalchemy import Connection

from peerfhir.clock import Clock
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.vocabulary import Recipient, ShareClass, Status, TaskStatus
from peerfhir.records import consents, people, referrals


def share_summaries(connection: Connection, clock: Clock) -> None:
    """p1 of alpha, with an ended referral from riverside and a grant of summaries to hospitals."""
    people.save(connection, Person("p1", "alpha", "Test", "Person"), clock.now())
    order = Referral(
        "r1", "alpha", "p1", "PF-1", Status.ENROLLED, TaskStatus.COMPLETED, origin=Origin("riverside", "riverside")
    )
    referrals.save(connection, order, clock.now())
    grant = Grant("g1", "alpha", "p1", Recipient.HOSPITAL, ShareClass.SUMMARY, clock.now())
    consents.save(connection, grant, clock.now())
