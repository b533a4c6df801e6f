"""Apps behind real threaded servers on loopback, with a count of everything they answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


@dataclass(frozen=True)
class Answered:
    """One request and the status it got; `path` with its query."""

    method: str
    path: str
    status: int


class _Silent(WSGIRequestHandler):
    def log(self, *args: Any) -> None:
        """The count takes the place of lines on standard error."""


@dataclass
class Served:
    """One app at one address. The port is bound before the app exists, so that the app may know its address.

    before  called ahead of every request that reaches the app; a test's hand in the middle
    """

    port: int = 0
    answered: list[Answered] = field(default_factory=list)
    before: Callable[[dict[str, Any]], None] | None = None
    _app: Any = None
    _server: BaseWSGIServer | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._bind()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, app: Any = None) -> None:
        """Answer at the address; after `stop` with the app there was."""
        self._app = app or self._app
        if self._server is None:
            self._bind()
        assert self._server is not None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens at the address any more."""
        if self._server is not None:
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()
        self._server = self._thread = None

    def _bind(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._call, threaded=True, request_handler=_Silent)
        self.port = self._server.server_port

    def _call(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")

        def started(status: str, headers: Any, exc_info: Any = None) -> Any:
            self.answered.append(Answered(environ["REQUEST_METHOD"], path, int(status[:3])))
            return start_response(status, headers, exc_info)

        if self.before is not None:
            self.before(environ)
        result: Iterable[bytes] = self._app(environ, started)
        return result
