from __future__ import annotations

import itertools
import random
import socket
import time
from dataclasses import replace

import pytest

from peerfhir.clock import SystemClock
from peerfhir.config import EndpointAuth, EndpointSettings
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.guard import AddressRefused, check_address, check_url
from peerfhir.outbox.retry import Failure
from tests.support.ehr import Canary, FakeEhr, Trickler

CLOSED = EndpointSettings(
    id="h", program="p", base_url="https://h.example", connect_seconds=1.0, read_seconds=1.0, total_seconds=1.5
)
LOOPBACK = replace(CLOSED, allow_insecure_loopback=True)
SEED = 20261121


def spellings_of_loopback() -> list[str]:
    """Families of ways to write 127.x, each with members drawn from a seed."""
    chance = random.Random(SEED)
    spelled = [
        "localhost",
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "localhost.",
        "127.0.0.1.",
    ]
    for _ in range(4):
        last = chance.randrange(1, 255)
        number = (127 << 24) + last
        spelled += [
            str(number),
            hex(number),
            "0" + oct(number)[2:],
            f"0x7f.0x0.0x0.{hex(last)}",
            f"0177.0.0.{oct(last).replace('0o', '0')}",
            f"127.0.{last}",
            f"127.{chance.randrange(256)}.{chance.randrange(256)}.{last}",
            f"[::ffff:127.0.0.{last}]",
            f"[::ffff:7f00:{last:x}]",
        ]
    return sorted(set(spelled))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_loopback_lets_a_byte_through(scheme):
    spelled = spellings_of_loopback()
    assert len(spelled) >= 40
    with Canary() as canary:
        for host in spelled:
            ehr = Ehr(replace(CLOSED, base_url=f"{scheme}://{host}:{canary.port}/fhir"), SystemClock())
            answer = ehr.exchange("POST", "Observation", b'{"resourceType":"Observation"}')
            ehr.close()
            assert answer.status is None, host
            assert not answer.doubt, host
            assert answer.failure in (Failure.ADDRESS, Failure.CONNECT), (host, answer.failure)
        time.sleep(0.4)
        assert canary.received == b""


def test_the_token_server_is_watched_the_same_way():
    with Canary() as canary:
        auth = EndpointAuth("client-secret", f"https://127.0.0.1:{canary.port}/token", "us", "very secret")
        ehr = Ehr(replace(CLOSED, auth=auth), SystemClock())
        assert ehr.exchange("GET", "Task/1").failure is Failure.ADDRESS
        ehr.close()
        assert canary.received == b""


INSIDE = [
    "10.1.2.3", "172.16.9.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254", "192.0.0.192",
    "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.7", "224.0.0.1", "240.0.0.1", "255.255.255.255", "0.1.2.3",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:100.64.0.1", "::ffff:192.0.0.192", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1", "::7f00:1", "::ffff:0:127.0.0.1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_or_in_disguise_are_refused(address):
    for secure in (True, False):
        with pytest.raises(AddressRefused):
            check_address(address, CLOSED, secure=secure)


def test_addresses_of_the_open_internet_may_be_called_over_tls_only():
    chance = random.Random(SEED)
    for _ in range(300):
        address = f"{chance.choice((8, 23, 52, 93, 151, 185))}.{chance.randrange(1, 255)}.{chance.randrange(1, 255)}.9"
        check_address(address, CLOSED, secure=True)
        with pytest.raises(AddressRefused):
            check_address(address, LOOPBACK, secure=False)
    check_address("2a00:1450:4001:80e::200e", CLOSED, secure=True)


def test_a_hospitals_private_network_is_allowed_by_name_and_nothing_beside_it():
    inside = replace(CLOSED, allowed_networks=("10.20.0.0/16", "fd00:7::/32"))
    check_address("10.20.3.4", inside, secure=True)
    check_address("::ffff:10.20.3.4", inside, secure=True)
    check_address("fd00:7::1", inside, secure=True)
    for other in ("10.21.0.1", "192.168.1.1", "127.0.0.1", "fd00:8::1"):
        with pytest.raises(AddressRefused):
            check_address(other, inside, secure=True)
    with pytest.raises(AddressRefused):
        check_address("10.20.3.4", inside, secure=False)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://h.example/1", "ftp://h.example/", "//h.example/x", "h.example/x", "https://",
        "https://user@h.example/", "https://user:word@h.example/", "https://h.example:0/", "https://h.example:x/",
        "http://h.example/", "javascript:alert(1)", "https://@h.example/", "data:text/plain,x",
    ],
)  # fmt: skip
def test_urls_that_no_endpoint_should_have_are_refused_before_a_name_is_looked_up(url):
    with pytest.raises(AddressRefused):
        check_url(url, CLOSED)


def test_a_name_that_changes_its_address_between_two_looks_is_still_refused(monkeypatch):
    """DNS rebinding: the first answer is harmless, the one that is connected to is not."""
    with Canary() as canary:
        real = socket.getaddrinfo
        looks = itertools.count()

        def flipping(host, port, *args, **kwargs):
            if host != "rebind.example":
                return real(host, port, *args, **kwargs)
            address = "93.184.216.34" if next(looks) == 0 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, canary.port))]

        monkeypatch.setattr(socket, "getaddrinfo", flipping)
        assert socket.getaddrinfo("rebind.example", 443)[0][4][0] == "93.184.216.34"
        ehr = Ehr(replace(CLOSED, base_url=f"https://rebind.example:{canary.port}/fhir"), SystemClock())
        assert ehr.exchange("GET", "Task/1").failure is Failure.ADDRESS
        ehr.close()
        assert canary.received == b""


@pytest.mark.parametrize("head", [True, False])
def test_the_total_deadline_holds_against_a_trickler(head):
    with Trickler(head=head) as server:
        ehr = Ehr(replace(LOOPBACK, base_url=server.url, read_seconds=0.6, total_seconds=1.0), SystemClock())
        begun = time.monotonic()
        answer = ehr.exchange("POST", "Observation", b"{}")
        spent = time.monotonic() - begun
        ehr.close()
    assert 0.9 <= spent <= 1.2
    if head:
        assert (answer.status, answer.failure, answer.doubt) == (None, Failure.LOST, True)
    else:
        assert (answer.status, answer.json, answer.whole) == (200, None, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_answers_and_are_not_followed(status):
    with Canary() as canary, FakeEhr() as hospital:
        elsewhere = {"Location": f"http://127.0.0.1:{canary.port}/fhir/Observation"}
        hospital.script = lambda said: (status, elsewhere, b"")
        ehr = Ehr(replace(LOOPBACK, base_url=hospital.url), SystemClock())
        answer = ehr.exchange("POST", "Observation", b'{"resourceType":"Observation"}')
        ehr.close()
        assert answer.status == status
        assert canary.connections == 0
        assert len(hospital.said) == 1


def test_the_environment_cannot_lead_us_past_the_guard(monkeypatch):
    with Canary() as canary, FakeEhr() as hospital:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        ehr = Ehr(replace(LOOPBACK, base_url=hospital.url), SystemClock())
        assert ehr.exchange("GET", "metadata").status == 200
        ehr.close()
        assert canary.connections == 0
