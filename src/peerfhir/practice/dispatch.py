"""What the peer program still has to send, and the form each piece took, as its integration engineer is told."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any
from urllib.parse import urlencode

from peerfhir.fhir.reader import read
from peerfhir.practice.cast import Cast
from peerfhir.practice.visitor import fetch


class Dispatch:
    """The outbox, through the API for administrators."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    def waiting(self) -> int:
        """How many messages are still to go out."""
        return sum(1 for message in self._messages() if message["state"] in ("ready", "leased"))

    def rungs(self) -> list[str]:
        """Which form each piece took where it was not the richest one, and why."""
        lower = {
            f"{message['piece']} as {message['form']}: {message['rung_reason']}"
            for message in self._messages()
            if (message.get("rung") or 1) > 1
        }
        return sorted(lower)

    def _messages(self) -> list[dict[str, Any]]:
        return list(self._admin("/admin/outbox")["messages"])

    def _admin(self, path: str) -> Any:
        form = urlencode({"grant_type": "client_credentials", "scope": "admin"}).encode()
        basic = base64.b64encode(":".join(self._cast.admin).encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the gateway we started
            f"{self._cast.gateway}/oauth/token",
            data=form,
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
        )
        token = read(fetch(request, self._cast.gateway))["access_token"]
        request = urllib.request.Request(  # noqa: S310 - as above
            f"{self._cast.gateway}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        return read(fetch(request, self._cast.gateway))
