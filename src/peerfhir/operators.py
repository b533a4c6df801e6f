"""What an operator asks of the house: clients, users, messages, the trace of a referral, and a report of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from peerfhir.errors import BadRequest, NotFound
from peerfhir.pathway.people import Actor, Peer
from peerfhir.pathway.vocabulary import Modality, Role, ServiceType

if TYPE_CHECKING:
    from peerfhir.access.accounts import Account
    from peerfhir.access.clients import Client
    from peerfhir.mapping.catalogue import Loaded
    from peerfhir.wiring import House

E = TypeVar("E", bound=StrEnum)
_INBOX_COLUMNS = ("id", "program_id", "source", "received_at", "state", "reason", "attempts", "record_id")
_OUTBOX_COLUMNS = ("id", "program_id", "endpoint", "idem", "state", "form", "rung", "reason", "attempts", "created_at")


@dataclass(frozen=True)
class Operator:
    """Whoever stands at the command line of a house; every program of it is theirs to look after."""

    house: House

    def program_id(self, asked: str | None) -> str:
        """The program that was named, or the default one. Raises BadRequest."""
        if asked is not None and asked not in self.house.programs:
            raise BadRequest(
                f"There is no such program; there are: {', '.join(self.house.programs)}.", place="--program"
            )
        return asked or self.house.settings.default_program

    def add_client(
        self,
        name: str,
        scope: str,
        *,
        program: str | None = None,
        endpoint: str | None = None,
        jwks: bytes | None = None,
    ) -> tuple[str, str | None]:
        """Register a client; (id, secret or None when it signs with its key)."""
        from peerfhir.access.clients import add_client
        from peerfhir.records.database import writing

        if endpoint is not None and endpoint not in self.house.settings.endpoints:
            raise BadRequest("There is no such endpoint in config/endpoints.", place="--endpoint")
        with writing(self.house.engine) as connection:
            return add_client(connection, self.house.clock, self.program_id(program), name, scope, endpoint, jwks)

    def list_clients(self) -> Sequence[Client]:
        """Every client."""
        from peerfhir.access.clients import list_clients
        from peerfhir.records.database import reading

        with reading(self.house.engine) as connection:
            return list_clients(connection)

    def revoke_client(self, client_id: str) -> bool:
        """End a client; False when there is no active one."""
        from peerfhir.access.clients import revoke_client
        from peerfhir.records.database import writing

        with writing(self.house.engine) as connection:
            return revoke_client(connection, self.house.clock, client_id)

    def add_user(
        self,
        login: str,
        role: str,
        display: str,
        *,
        program: str | None = None,
        languages: str = "en",
        services: str = "one-to-one",
        credential_until: str | None = None,
    ) -> tuple[str, str]:
        """Add an account; (id, password). A peer joins the roster with it."""
        from peerfhir.access.accounts import add_user
        from peerfhir.records.database import writing

        home = self.program_id(program)
        kind = _member(Role, role, "--role")
        if kind is Role.PEER:
            peer = Peer(
                id="",
                program_id=home,
                display=display,
                languages=frozenset(_listed(languages)),
                services=frozenset(_member(ServiceType, each, "--services") for each in _listed(services)),
                modalities=frozenset(Modality),
                credential_until=_day(credential_until, "--credential-until") if credential_until else None,
            )
            return self.add_peer(login, peer)
        with writing(self.house.engine) as connection:
            return add_user(connection, self.house.clock, home, login, display, kind)

    def add_peer(self, login: str, peer: Peer) -> tuple[str, str]:
        """Add a peer to the roster, with an account; (user id, password)."""
        from peerfhir.access.accounts import add_user

        with self.house.office.work(Actor("command-line", Role.COORDINATOR, peer.program_id)) as books:
            kept = books.save_peer(replace(peer, id=books.new_id()))
            ident, password = add_user(
                books.connection, self.house.clock, peer.program_id, login, peer.display, Role.PEER, peer_id=kept.id
            )
            books.save_peer(replace(kept, user_id=ident))
        return ident, password

    def list_users(self) -> Sequence[Account]:
        """Everyone who may sign in."""
        from peerfhir.access.accounts import list_users
        from peerfhir.records.database import reading

        with reading(self.house.engine) as connection:
            return list_users(connection)

    def inbox_list(self, state: str | None) -> list[dict[str, Any]]:
        """Received messages of every program, without content."""
        from peerfhir.records import messages

        return self._shown(_INBOX_COLUMNS, partial(messages.list_inbox, state=state))

    def inbox_show(self, message_id: str) -> dict[str, Any]:
        """One received message. Raises NotFound."""
        from peerfhir.records import messages

        return self._first(lambda connection, program: messages.show_inbox(connection, program, message_id))

    def outbox_list(self, state: str | None) -> list[dict[str, Any]]:
        """Owed messages of every program, without content."""
        from peerfhir.records import messages

        return self._shown(_OUTBOX_COLUMNS, partial(messages.list_outbox, state=state))

    def outbox_show(self, message_id: int, *, body: bool = False) -> dict[str, Any]:
        """One owed message with its attempts. Raises NotFound."""
        from peerfhir.records import messages

        return self._first(
            lambda connection, program: messages.show_outbox(connection, program, message_id, content=body)
        )

    def inbox_rerun(self, message_id: str) -> None:
        """Process a parked message again. Raises NotFound, Conflict when it is not parked."""
        from peerfhir.inbox.parked import rerun

        rerun(self.house.engine, self.house.clock, self.inbox_show(message_id)["program_id"], message_id)

    def outbox_rerun(self, message_id: int, *, pinned: bool) -> int:
        """Owe a parked message again; the id it has now. Raises NotFound, Conflict when it is not parked."""
        from peerfhir.outbox.parked import CURRENT, PINNED, rerun

        program = self.outbox_show(message_id)["program_id"]
        actor = Actor("command-line", Role.ENGINEER, program)
        return rerun(
            self.house.engine,
            self.house.clock,
            program,
            message_id,
            PINNED if pinned else CURRENT,
            project=partial(self.house.office.rerun_projection, actor),
        )

    def mapping_used(self, name: str, version: str) -> Loaded:
        """A mapping as it was when this version of it was used first.

        name    `id`, or `id+overlay`; the version is that of the mapping
        Raises  NotFound, saying which versions are kept; MappingFailed when this PeerFHIR cannot read it any more
        """
        from peerfhir.records import kept
        from peerfhir.records.database import reading

        if self.house.is_new:
            raise NotFound(f"{self.house.database_name} is not there.")
        self.house.check_schema()
        mapping, _, overlay = name.partition("+")
        with reading(self.house.engine) as connection:
            known = [one for one in kept.versions(connection, mapping) if one.version.overlay == overlay]
            wanted = [one.sha256 for one in known if one.version.version == version]
            if not wanted:
                listed = ", ".join(dict.fromkeys(one.version.version for one in known)) or "none"
                raise NotFound(f"of {name}, {self.house.database_name} keeps {listed}, and no {version}.")
            return self.house.pinned(connection, wanted[-1])

    def trace(self, identifier: str) -> list[str]:
        """The story of one referral, a line each; empty when nothing of that id is known."""
        from peerfhir.records import trace
        from peerfhir.records.database import reading

        with reading(self.house.engine) as connection:
            for program in self.house.programs:
                if hops := trace.trace(connection, program, identifier):
                    return [
                        f"{hop.at:%Y-%m-%d %H:%M:%S}  {hop.kind:<10}  {hop.what:<18}  {hop.detail}".rstrip()
                        for hop in hops
                    ]
        return []

    def _shown(
        self, columns: Sequence[str], listed: Callable[..., Sequence[Mapping[str, Any]]]
    ) -> list[dict[str, Any]]:
        from peerfhir.records.database import reading

        with reading(self.house.engine) as connection:
            rows = [row for program in self.house.programs for row in listed(connection, program)]
        return [{column: row[column] for column in columns} for row in rows]

    def _first(self, shown: Callable[..., Mapping[str, Any]]) -> dict[str, Any]:
        from peerfhir.records.database import reading

        with reading(self.house.engine) as connection:
            for program in self.house.programs:
                try:
                    return dict(shown(connection, program))
                except NotFound:
                    continue
        raise NotFound("Nothing of that id is known here.")

    def report(self) -> list[str]:
        """What `peerfhir check` says when everything is right, and what a site still has to confirm."""
        from peerfhir.records.database import journal

        endpoints = self.house.settings.endpoints
        lines = [
            f"programs     {', '.join(self.house.programs)}",
            f"mappings     {len(self.house.mappings.ids())} checked",
            f"instruments  {', '.join(self.house.instruments)}",
            f"database     {self.house.database_name} ({journal(self.house.engine)})",
        ]
        for each in endpoints.values():
            lines.append(f"endpoint     {each.id}: {'live' if each.live else 'dry run, nothing is sent'}")
        if "example.org" in self.house.settings.canonical:
            lines.append("confirm      canonical is still an example: choose a base you own before anything leaves")
        for program in self.house.programs.values():
            if not program.crisis_line:
                lines.append(f"confirm      {program.id} has no crisis_line; each page of a person needs one")
        return lines


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _day(text: str, place: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadRequest("Write a day as 2027-12-31.", place=place) from fault


def _member(kind: type[E], value: str, place: str) -> E:
    try:
        return kind(value)
    except ValueError as fault:
        raise BadRequest(f"'{value}' is not one of: {', '.join(kind)}.", place=place) from fault
