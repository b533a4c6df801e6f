"""Which addresses may be called, checked on the connected socket; and how long one exchange may take."""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings
from peerfhir.errors import Fault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# is_global calls these global, and each can lead to loopback or into a private network
_DISGUISED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "fec0::/10",  # site-local
    )
)


class AddressRefused(Fault):
    """This address may not be called."""

    code = "address-refused"


@dataclass
class Wire:
    """One exchange: whom it may reach, until when, and whether bytes have left."""

    endpoint: EndpointSettings
    clock: Clock
    deadline: float  # on the monotonic clock
    left: bool = False  # bytes may have left this machine

    def patience(self) -> float:
        """Seconds one read or send may still take. Raises TimeoutError when the total is used up."""
        rest = self.deadline - self.clock.monotonic()
        if rest <= 0:
            raise TimeoutError("the total deadline has passed")
        return min(self.endpoint.read_seconds, rest)


_wire: ContextVar[Wire] = ContextVar("wire")


@contextmanager
def exchange(endpoint: EndpointSettings, clock: Clock) -> Iterator[Wire]:
    """Everything sent inside belongs to one exchange with this endpoint, under its one deadline."""
    wire = Wire(endpoint, clock, clock.monotonic() + endpoint.total_seconds)
    token = _wire.set(wire)
    try:
        yield wire
    finally:
        _wire.reset(token)


def check_url(url: str, endpoint: EndpointSettings) -> None:
    """Refuse what no endpoint's URL should hold, before a name is looked up. Raises AddressRefused."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise AddressRefused("The port is not a number.", place="url") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise AddressRefused("Only https addresses are called.", place="url")
    if parts.scheme == "http" and not endpoint.allow_insecure_loopback:
        raise AddressRefused("http is for loopback with allow_insecure_loopback only.", place="url")
    if parts.username is not None or parts.password is not None or port == 0:
        raise AddressRefused("The address has a user name or port 0.", place="url")


def check_address(text: str, endpoint: EndpointSettings, *, secure: bool) -> None:
    """Whether a connected socket's address may be spoken to.

    text    the peer's address as the socket gives it
    secure  TLS will follow; without it only loopback may be reached
    Raises  AddressRefused
    Source  docs/rules.md, Calls out
    """
    address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_loopback and endpoint.allow_insecure_loopback:
        return
    if not secure:
        raise AddressRefused("http is for loopback only.", place="address")
    if any(address in ipaddress.ip_network(network) for network in endpoint.allowed_networks):
        return
    if not address.is_global or address.is_multicast or any(address in network for network in _DISGUISED):
        raise AddressRefused(place="address")


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class _TimedReader(io.RawIOBase):
    """Reads from a socket under the exchange's deadline: `timeout=` alone starts anew with every byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw  # holds the socket open until the answer is read
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_wire.get().patience())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _Guarded(HTTPConnection):
    """A connection that looks whom it has reached before it says a word."""

    response_class = _TimedResponse
    secure = False

    def _new_conn(self) -> socket.socket:
        wire = _wire.get()
        self.timeout = min(wire.endpoint.connect_seconds, wire.patience())
        sock = super()._new_conn()
        try:
            check_address(sock.getpeername()[0], wire.endpoint, secure=self.secure)
            sock.settimeout(wire.patience())  # of the TLS handshake
        except BaseException:
            sock.close()
            raise
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # a refused address has had no byte from us
        wire = _wire.get()
        self.sock.settimeout(wire.patience())
        wire.left = True
        super().send(data)


class _GuardedTls(_Guarded, HTTPSConnection):
    secure = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class GuardedAdapter(HTTPAdapter):
    """The requests adapter whose every connection is checked; nothing is tried twice here."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
