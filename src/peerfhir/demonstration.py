"""Sets a stage in its own folder, plays one referral through a practice hospital, and cleans up after itself."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from peerfhir.errors import BadConfiguration, Fault
from peerfhir.operators import Operator
from peerfhir.pathway.people import Actor, Peer, Person, Tag, Wishes
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Modality, Role, ServiceType, Status, TaskStatus
from peerfhir.practice.cast import Cast, Stuck
from peerfhir.practice.moods import MOODS
from peerfhir.practice.people import MARK
from peerfhir.practice.scene import Scene
from peerfhir.practice.stage import NotReady, Stage, free_port
from peerfhir.practice.visitor import PageRefused, Unanswered
from peerfhir.practice.walk import walk
from peerfhir.serving import make_secret
from peerfhir.wiring import House

MARKER = ".made-by-peerfhir-try"
ENDPOINT = "general-hospital"
COMPANIONS = (("Ines", "Calder"), ("Omar", "Field"))
PEERS = ("ana", "ben", "cleo", "dev")
_DEADLINES = "connect_seconds: 1\nread_seconds: 5\ntotal_seconds: 8\nlease_seconds: 20\n"

# What a vendor's settings say beyond its CapabilityStatement. Source: vendor documentation, August 2026.
_RULES = {
    "oracle-like": """
writes:
  Observation: {accept: false, because: this hospital takes only vital signs and laboratory results as Observations}
  DocumentReference: {mapping: summary-oracle}
  Procedure: {mapping: procedure-oracle}
""",
}


@dataclass
class Demonstration:
    """One run of `peerfhir try`.

    folder   its own; emptied at each run, and only when an earlier run made it
    config   where program.yaml and the instruments are copied from
    database_url, deadlines, make_stage  otherwise than usual: for what is tried out on this stage beside the walk
    """

    folder: Path
    config: Path
    mood: str
    port: int
    hospital_port: int
    tell: Callable[[str], None]
    passwords: dict[str, str] = field(default_factory=dict)
    database_url: str | None = None
    deadlines: str = _DEADLINES
    make_stage: Callable[[Path], Stage] = Stage

    def run(self, *, keep: bool, verbose: bool) -> int:
        """Play it; returns the exit code."""
        started = time.monotonic()
        self.tell("PeerFHIR: one referral, from the chart to a peer and back. Everyone here is invented.")
        if self.mood not in MOODS:
            self.tell(f"There is no hospital '{self.mood}'. Choose one of: {', '.join(MOODS)}.")
            return 2
        self._empty()
        stage = self.make_stage(self.folder)
        try:
            return self._play(stage, started, keep=keep, verbose=verbose)
        except KeyboardInterrupt:
            self.tell("Stopped.")
            return 130
        except NotReady as fault:
            self.tell(f"The {fault.name} went away. The end of its log ({self.folder / fault.name}.log):")
            self.tell(fault.tail)
        except PageRefused as fault:
            self.tell(f"A page said no: {fault}. The end of the gateway's log:")
            self.tell(stage.tail("gateway"))
        except Unanswered as fault:
            self.tell(f"{fault.site} does not answer any more.")
            for name in ("gateway", "hospital"):
                self.tell(f"The end of the {name}'s log:\n{stage.tail(name)}")
        except Stuck as fault:
            self.tell(f"The walk is stuck: {fault}.")
            for name in ("worker", "gateway", "hospital"):
                self.tell(f"The end of the {name}'s log:\n{stage.tail(name)}")
        except BadConfiguration as fault:
            for problem in fault.problems:
                self.tell(problem)
        except Fault as fault:
            self.tell(f"It did not work: {fault}")
        finally:
            stage.close()
        return 1

    def _play(self, stage: Stage, started: float, *, keep: bool, verbose: bool) -> int:
        gateway = f"http://127.0.0.1:{self.port or free_port()}"
        hospital = f"http://127.0.0.1:{self.hospital_port or free_port()}"
        house = self._furnish(gateway, hospital)
        program = house.settings.default_program
        keys = self._people(house, program)
        practice = self._practice_environment(house, program)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PEERFHIR_")}
        ours = clean | self._settings() | {"PEERFHIR_CONFIG": str(self.folder / "config")}
        house.engine.dispose()

        def start_hospital() -> None:
            stage.start(
                "hospital",
                ["practice", "--folder", str(self.folder / "hospital"), "--mood", self.mood,
                 "--port", hospital.rsplit(":", 1)[1], "--gateway", gateway],
                clean | practice,
                f"{hospital}/charts",
            )  # fmt: skip

        def start_worker() -> None:
            stage.start("worker", ["work"], ours)

        start_hospital()
        stage.start("gateway", ["serve"], ours, f"{gateway}/readyz")
        start_worker()
        self.tell(
            f"{time.monotonic() - started:5.1f} s  gateway {gateway}  hospital {hospital} ({self.mood})  worker running"
        )
        scene = Scene(
            Cast(
                mood=self.mood,
                gateway=gateway,
                hospital=hospital,
                hospital_key=practice["PRACTICE_KEY"],
                coordinator=("rosa", self.passwords["rosa"]),
                peer_passwords={name: self.passwords[name] for name in PEERS},
                companions=tuple(f"{given} {family}" for given, family in COMPANIONS),
                admin=keys,
                time_zone=house.programs[program].time_zone,
                start_hospital=start_hospital,
                start_worker=start_worker,
            ),
            stage,
            self.tell,
            started=started,
        )
        self.tell(walk(scene, verbose=verbose))
        if keep:
            self._keep(scene, gateway, hospital, stage)
        return 0

    # -- the stage -------------------------------------------------------------------------------------------

    def _empty(self) -> None:
        """Only what an earlier run made is removed: a folder without our marker is left alone."""
        if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / MARKER).exists():
            raise BadConfiguration((f"{self.folder}:1:1: this folder holds something else; choose another --folder",))
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / MARKER).touch()

    def _furnish(self, gateway: str, hospital: str) -> House:
        """A configuration and a database of its own; never the configured ones."""
        here = self.folder / "config"
        (here / "endpoints").mkdir(parents=True)
        shutil.copy(self.config / "program.yaml", here)
        shutil.copytree(self.config / "instruments", here / "instruments")
        (here / "peerfhir.yaml").write_text(
            f"base_url: {gateway}\ncanonical: http://peerfhir.example.org/fhir\n"
            f"database_url: sqlite:///var/peerfhir.db\nsecret_key_file: var/secret.key\n"
            f"host: 127.0.0.1\nport: {gateway.rsplit(':', 1)[1]}\nworkers: 2\ninsecure_cookies: true\n",
            "utf-8",
        )
        self.partner_secret = secrets.token_urlsafe(32)
        make_secret(here)
        secret = self.folder / "var" / "hospital.secret"
        secret.touch(mode=0o600)
        secret.write_text(self.partner_secret, "utf-8")
        (here / "endpoints" / f"{ENDPOINT}.yaml").write_text(
            f"endpoint: {ENDPOINT}\nprogram: {{program}}\nbase_url: {hospital}/fhir\nallow_insecure_loopback: true\n"
            f"live: true\nauth: {{{{kind: client-secret, token_url: {hospital}/token, client_id: peerfhir, "
            "secret_file: var/hospital.secret}}\n"
            "retry_base_seconds: 0.25\nretry_cap_seconds: 1\n".format(program=self._first_program())
            + self.deadlines
            + _RULES.get(self.mood, ""),
            "utf-8",
        )
        house = House.open(here, self._settings())
        house.migrate()
        return house

    def _settings(self) -> dict[str, str]:
        found = {"PEERFHIR_MAPPINGS": str(self.config.resolve().parent / "mappings")}
        return found | ({"PEERFHIR_DATABASE_URL": self.database_url} if self.database_url else {})

    def _first_program(self) -> str:
        from peerfhir.config import compose

        return str(next(iter(compose(self.config / "program.yaml").plain()["programs"])))

    # -- the people ------------------------------------------------------------------------------------------

    def _people(self, house: House, program: str) -> tuple[str, str]:
        """Staff, a roster of four, two people who come by themselves, and the engineer's tool."""
        self.passwords["rosa"] = Operator(house).add_user("rosa", "coordinator", "Rosa", program=program)[1]
        for peer in _roster(program):
            login = peer.display.split()[0].lower()
            self.passwords[login] = Operator(house).add_peer(login, peer)[1]
        self._companions(house, program)
        ident, secret = Operator(house).add_client("integration-desk", "admin", program=program)
        return ident, secret or ""

    def _companions(self, house: House, program: str) -> None:
        """Two people who came by themselves and walk with the first peer already: no hospital ordered it."""
        with house.office.work(Actor("setting-up", Role.COORDINATOR, program)) as books:
            first = next(peer for peer in books.peers() if peer.display.lower().startswith(PEERS[0]))
            for given, family in COMPANIONS:
                person = books.save_person(
                    Person(books.new_id(), program, given, f"{family} {MARK}", wishes=Wishes(language="en"))
                )
                books.save_referral(
                    Referral(
                        books.new_id(),
                        program,
                        person.id,
                        books.next_number("PF"),
                        Status.ENROLLED,
                        TaskStatus.COMPLETED,
                        peer_id=first.id,
                        received_at=books.now(),
                        accepted_at=books.now(),
                        peer_accepted_at=books.now(),
                    )
                )

    def _practice_environment(self, house: House, program: str) -> dict[str, str]:
        ident, secret = Operator(house).add_client(
            "general-hospital", "system/*.cruds", program=program, endpoint=ENDPOINT
        )
        return {
            "PRACTICE_CLIENT_ID": ident,
            "PRACTICE_SECRET": secret or "",
            "PRACTICE_PARTNER_ID": "peerfhir",
            "PRACTICE_PARTNER_SECRET": self.partner_secret,
            "PRACTICE_KEY": secrets.token_urlsafe(24),
            "PRACTICE_PROGRAM": house.settings.programs[program].organization,
            "PRACTICE_CANONICAL": house.settings.canonical,
        }

    # -- afterwards ------------------------------------------------------------------------------------------

    def _keep(self, scene: Scene, gateway: str, hospital: str, stage: Stage) -> None:
        self.tell("")
        self.tell("Everything stays up until Ctrl-C. Four pages worth opening:")
        self.tell(f"  the chart           {hospital}/charts/p1")
        login = scene.peer_login
        self.tell(f"  the peer's phone    {gateway}{scene.person_path}  ({login} / {self.passwords[login]})")
        self.tell(f"  the person's page   {gateway}{scene.person_link}")
        trace = scene.referral_path.replace("/referrals/", "/trace/")
        self.tell(f"  the trace           {gateway}{trace}  (rosa / {self.passwords['rosa']})")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.5)
                stage.check()
        self.tell("Stopped.")


def _roster(program: str) -> list[Peer]:
    """Four invented peers, different enough that matching has reasons."""
    until = date(datetime.now(UTC).year + 1, 12, 31)
    common = Peer(
        id="", program_id=program, display="", title="Certified Peer Specialist", age_band="30-49",
        languages=frozenset({"en"}), modalities=frozenset(Modality), services=frozenset(ServiceType),
        times=frozenset({"weekday-evening"}), area="27000", load=Decimal("4.0"), credential_until=until,
    )  # fmt: skip
    ana = replace(common, display=f"Ana R. {MARK}", languages=frozenset({"en", "es"}), load=Decimal("6.0"),
                  tags=(Tag("depression", "public"), Tag("refugee-immigrant", "public"), Tag("inpatient")))  # fmt: skip
    ben = replace(common, display=f"Ben K. {MARK}", languages=frozenset({"en", "es"}), area="27100",
                  tags=(Tag("alcohol", "match-only"),))  # fmt: skip
    cleo = replace(common, display=f"Cleo M. {MARK}", languages=frozenset({"en", "es"}), load=Decimal("9.0"),
                   tags=(Tag("anxiety", "public"),))  # fmt: skip
    dev = replace(common, display=f"Dev P. {MARK}", load=Decimal("12.0"), tags=(Tag("veteran", "public"),))
    return [ana, ben, cleo, dev]
