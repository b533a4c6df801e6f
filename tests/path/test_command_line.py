"""Every command as somebody who operates a site runs it: real processes, one folder, exit codes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from peerfhir.fhir.writer import write
from peerfhir.practice.visitor import Visitor
from tests.path.accepted import order
from tests.support.caller import Answer, Caller, ask_token, exchange
from tests.support.console import PEERFHIR, run
from tests.support.house import ROOT
from tests.support.loop import sign_in
from tests.support.postgres import free_port

STARTS_WITHIN_SECONDS = 40
STOPS_WITHIN_SECONDS = 20
PARTNER_SECRET = "s" * 40


@dataclass
class Place:
    """A folder with a configuration of its own, and addresses for what is started in it."""

    folder: Path
    gateway: str
    hospital: str
    notes: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        answer = run(self.folder, *words)
        assert "Traceback" not in answer.stderr
        return answer

    def done(self, *words: str) -> str:
        """What a command that has to work says."""
        answer = self.run(*words)
        assert answer.returncode == 0, (words, answer)
        return answer.stdout

    @contextmanager
    def started(self, ready: str, *words: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the console script; asked to end afterwards, and it has to end well."""
        log = self.folder / f"{words[0]}.log"
        with log.open("ab") as out:
            process = subprocess.Popen([PEERFHIR, *words], cwd=self.folder, env={"PATH": "/usr/bin:/bin", **environ},
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
        try:
            _wait_for(ready, process, log)
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOPS_WITHIN_SECONDS) in (0, -signal.SIGTERM), log.read_text("utf-8")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))


def told(text: str, name: str) -> str:
    """The value behind a name at the start of a line."""
    found = re.search(rf"^{name}\s+(\S.*)$", text, re.MULTILINE)
    assert found, text
    return found[1].strip()


def rows(text: str) -> list[dict[str, str]]:
    """A table that was printed: a dict for each line below the head."""
    head, *lines = text.splitlines()
    columns = [(match[0], match.start()) for match in re.finditer(r"\S+", head)]
    ends = [*(start for _, start in columns[1:]), None]
    return [{name: line[start:end].strip() for (name, start), end in zip(columns, ends, strict=True)} for line in lines]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Set up the way README says: config/, then `peerfhir init`."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("config", "mappings"):
        shutil.copytree(ROOT / name, folder / name)
    made = Place(folder, f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    main = folder / "config" / "peerfhir.yaml"
    port = made.gateway.rpartition(":")[2]
    text = main.read_text("utf-8").replace("http://127.0.0.1:8080", made.gateway).replace("port: 8080", f"port: {port}")
    main.write_text(text.replace("workers: 2", "workers: 1"), "utf-8")
    (folder / "config/endpoints/general.yaml").write_text(
        f"endpoint: general\nprogram: riverside\nbase_url: {made.hospital}/fhir\nallow_insecure_loopback: true\n"
        f"live: true\nauth: {{kind: client-secret, token_url: {made.hospital}/token, client_id: peerfhir, "
        "secret_file: var/general.secret}\n",
        "utf-8",
    )
    (folder / "var").mkdir()
    (folder / "var/general.secret").touch(mode=0o600)
    (folder / "var/general.secret").write_text(PARTNER_SECRET, "utf-8")
    said = made.done("init")
    assert "var/secret.key" in said
    assert "database ready: sqlite:///" in said
    return made


def test_init_may_be_run_again_and_makes_nothing_anew(place: Place) -> None:
    key = (place.folder / "var/secret.key").read_bytes()
    said = place.done("init")
    assert "made" not in said
    assert (place.folder / "var/secret.key").read_bytes() == key
    assert (place.folder / "var/secret.key").stat().st_mode & 0o077 == 0


def test_version_and_check_say_what_there_is(place: Place) -> None:
    assert re.fullmatch(r"peerfhir \d+\.\d+\.\d+\S*\n", place.done("version"))
    said = place.done("check")
    assert told(said, "programs") == "riverside"
    assert told(said, "instruments") == "gad-7, phq-9"
    assert "general: live" in said
    assert "hapi: dry run" in said


def test_wrong_usage_is_exit_code_2_and_a_refusal_is_1(place: Place) -> None:
    wrong = [
        ("nonsense",), ("users", "add", "x"), ("outbox", "show", "not-a-number"),
        ("clients", "add", "x", "--scope", "system/*.rs", "--jwks", "nothing.json"),
        ("try", "--hospital", "nowhere", "--folder", "var/try"),
    ]  # fmt: skip
    refused = [
        ("clients", "add", "x", "--scope", "everything"), ("clients", "revoke", "nobody"),
        ("users", "add", "x", "--role", "king"),
        ("users", "add", "x", "--role", "peer", "--credential-until", "someday"),
        ("inbox", "show", "nothing"), ("outbox", "rerun", "1"), ("trace", "nothing"), ("practice", "--mood", "gloomy"),
    ]  # fmt: skip
    assert {words: place.run(*words).returncode for words in wrong} == dict.fromkeys(wrong, 2)
    assert {words: place.run(*words).returncode for words in refused} == dict.fromkeys(refused, 1)
    assert place.done("inbox", "list") == place.done("outbox", "list") == "none\n"
    assert len(place.done("clients", "list").splitlines()) == len(place.done("users", "list").splitlines()) == 1


def test_clients_get_tokens_by_secret_and_by_their_own_key_until_they_are_revoked(place: Place) -> None:
    by_secret = place.done("clients", "add", "reporting", "--scope", "system/*.rs")
    client_id, secret = told(by_secret, "client_id"), told(by_secret, "client_secret")
    assert told(by_secret, "token_url") == f"{place.gateway}/oauth/token"
    key = ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})
    (place.folder / "keys.json").write_bytes(write(KeySet([key]).as_dict(private=False)))
    by_key = place.done("clients", "add", "signing", "--scope", "system/*.rs", "--jwks", "keys.json")
    signer = told(by_key, "client_id")
    assert told(by_key, "client_secret").startswith("none")
    assert place.run("clients", "add", "reporting", "--scope", "system/*.rs").returncode == 1  # a name is taken once
    listed = {row["name"]: row for row in rows(place.done("clients", "list"))}
    assert {name: row["state"] for name, row in listed.items()} == {"reporting": "active", "signing": "active"}
    assert secret not in str(listed)
    with place.started(f"{place.gateway}/readyz", "serve"):
        first = Caller(place.gateway, client_id, secret)
        assert first.get("/fhir/Task").status == 200
        assert ask_token(place.gateway, client_id, "wrong").status == 401
        signed = assertion(place, signer, key)
        given = by_assertion(place, signed)
        assert given.status == 200, given.body
        second = Caller(place.gateway, signer, "", _token=given.json["access_token"])
        assert second.get("/fhir/Task").status == 200
        assert by_assertion(place, signed).status == 401  # each assertion once
        stranger = ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})
        assert by_assertion(place, assertion(place, signer, stranger)).status == 401
        for ident in (client_id, signer):
            assert place.done("clients", "revoke", ident) == "revoked\n"
        assert place.run("clients", "revoke", client_id).returncode == 1
        time.sleep(1.1)  # "its tokens are refused within a second"
        assert first.get("/fhir/Task").status == second.get("/fhir/Task").status == 401
        assert ask_token(place.gateway, client_id, secret).status == 401
        assert by_assertion(place, assertion(place, signer, key)).status == 401
    states = {row["name"]: row["state"] for row in rows(place.done("clients", "list"))}
    assert states == {"reporting": "revoked", "signing": "revoked"}


def assertion(place: Place, client_id: str, key: ECKey) -> str:
    """A client assertion, as SMART Backend Services has it."""
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": f"{place.gateway}/oauth/token", "exp": now + 240,
              "jti": str(uuid.uuid4())}  # fmt: skip
    return jwt.encode({"alg": "ES384", "kid": "k1", "typ": "JWT"}, claims, key, algorithms=["ES384"])


def by_assertion(place: Place, signed: str) -> Answer:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return exchange(place.gateway, "POST", "/oauth/token", urlencode(form).encode(), headers)


def test_a_referral_is_followed_from_the_command_line(place: Place) -> None:
    rosa = told(place.done("users", "add", "rosa", "--role", "coordinator"), "password")
    until = ("--credential-until", "2099-12-31")
    place.done("users", "add", "ana", "--role", "peer", "--display", "Ana K.", "--languages", "en,es", *until)
    assert place.run("users", "add", "rosa", "--role", "peer").returncode == 1  # a login is taken once
    people = {row["login"]: row for row in rows(place.done("users", "list"))}
    assert {login: (row["role"], row["state"]) for login, row in people.items()} == {
        "rosa": ("coordinator", "active"),
        "ana": ("peer", "active"),
    }
    added = place.done("clients", "add", "general", "--scope", "system/*.cruds", "--endpoint", "general")
    client = {"id": told(added, "client_id"), "secret": told(added, "client_secret")}
    environ = {
        "PRACTICE_CLIENT_ID": client["id"], "PRACTICE_SECRET": client["secret"],
        "PRACTICE_PARTNER_SECRET": PARTNER_SECRET,
    }  # fmt: skip
    practice = ("practice", "--port", place.hospital.rpartition(":")[2], "--gateway", place.gateway)
    with ExitStack() as stack:
        stack.enter_context(place.started(f"{place.gateway}/readyz", "serve"))
        stack.enter_context(place.started(f"{place.hospital}/charts", *practice, **environ))
        clinician = Visitor(place.hospital)
        clinician.open("/charts/p1")
        assert "said=sent" in clinician.press("/charts/p1/refer", {"why": "Lonely.", "urgency": "routine"}).url
        (received,) = rows(place.done("inbox", "list"))
        assert (received["state"], received["source"], received["program_id"]) == ("ready", "general", "riverside")
        assert place.done("work", "--once") == "2 message(s) handled\n"  # the order in, its status out
        assert [row["state"] for row in rows(place.done("inbox", "list", "--state", "done"))] == ["done"]
        shown = place.done("inbox", "show", received["id"])
        assert told(shown, "record_type") == "referral"
        assert "Vega" not in shown
        (status,) = rows(place.done("outbox", "list"))
        assert (status["endpoint"], status["state"], status["form"]) == ("general", "done", "Task")
        shown = place.done("outbox", "show", status["id"])
        assert "tries:" in shown
        assert "Received by peer team" not in shown
        assert "Received by peer team" in place.done("outbox", "show", status["id"], "--body")
        assert place.run("outbox", "rerun", status["id"]).returncode == 1  # only what is parked is run again
        assert place.run("inbox", "rerun", received["id"]).returncode == 1
        stories = [place.done("trace", way) for way in ("PF-000001", received["id"])]
        assert stories[0] == stories[1]
        assert "Vega" not in stories[0]
        assert sign_in(place.gateway, "rosa", rosa).open("/referrals").text
        _what_is_parked_can_be_run_again(place, Caller(place.gateway, client["id"], client["secret"]))
    assert place.done("work", "--once") == "0 message(s) handled\n"


def _what_is_parked_can_be_run_again(place: Place, hospital: Caller) -> None:
    # an order whose ServiceRequest stayed at home cannot be read
    bundle: dict[str, Any] = order(50)
    bundle["entry"] = [one for one in bundle["entry"] if one["resource"]["resourceType"] != "ServiceRequest"]
    assert hospital.send("POST", "/fhir", bundle).status == 200
    place.done("work", "--once")
    (parked,) = rows(place.done("inbox", "list", "--state", "parked"))
    shown = place.done("inbox", "show", parked["id"])
    assert told(shown, "reason") == "reference-missing"
    assert "Task.focus" in told(shown, "advice")
    assert place.done("inbox", "rerun", parked["id"]) == "it will be processed again\n"
    place.done("work", "--once")
    assert [row["id"] for row in rows(place.done("inbox", "list", "--state", "parked"))] == [parked["id"]]

    # a Task that is not at the hospital's address cannot be updated there
    elsewhere: dict[str, Any] = order(51)
    text = write(elsewhere).replace(b"http://127.0.0.1:9/fhir", f"{place.hospital}/fhir".encode())
    assert hospital.send("POST", "/fhir", text).status == 200
    place.done("work", "--once")
    (owed,) = rows(place.done("outbox", "list", "--state", "parked"))
    assert told(place.done("outbox", "show", owed["id"]), "reason") == "not-found"
    assert place.run("outbox", "rerun", owed["id"], "--pinned").returncode == 1  # it never had bytes
    again = place.done("outbox", "rerun", owed["id"])
    assert again.startswith("owed again as ")
    place.done("work", "--once")
    assert [row["id"] for row in rows(place.done("outbox", "list", "--state", "parked"))] == [again.split()[-1]]
