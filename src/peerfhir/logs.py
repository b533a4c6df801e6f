"""Structured logs that know no one: a line carries codes, counts and our own identifiers, nothing else."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

ALLOWED = frozenset(
    {
        "advice", "address", "attempt", "attempts", "client", "code", "count", "database", "direction", "due",
        "endpoint", "epoch", "event", "execution_id", "exception", "file", "form", "journal", "kind", "level",
        "mapping", "message", "method", "milliseconds", "outcome", "owner", "piece", "place", "port", "program",
        "reason", "route", "rung", "seconds", "sqlite", "state", "status", "timestamp", "url_base", "verdict",
        "version", "worker",
    }
)  # fmt: skip
"""Keys a line may carry. A key that is not here is dropped, so a new one is a decision."""

_MAX_VALUE = 200


def _only_what_is_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drops unknown keys, cuts long values, and of an exception keeps the class and our own lines only."""
    fault = event.pop("exc_info", None)
    if fault:
        error = sys.exc_info()[1] if fault is True else fault
        event["exception"] = type(error).__name__ if isinstance(error, BaseException) else "unknown"
        event["place"] = _where(error) if isinstance(error, BaseException) else None
    dropped = [key for key in event if key not in ALLOWED]
    for key in dropped:
        del event[key]
    return {key: value[:_MAX_VALUE] if isinstance(value, str) else value for key, value in event.items()}


def _where(error: BaseException) -> str | None:
    """File and line of the innermost frame of ours; never the exception's text, which may hold a value."""
    trace, place = error.__traceback__, None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "peerfhir" in name:
            place = f"{name.rsplit('/peerfhir/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


class _Ours(logging.Handler):
    """Lines of our own rooms, written with the standard library, in the same form. They carry no values by rule."""

    def emit(self, record: logging.LogRecord) -> None:
        log().log(record.levelno, record.getMessage(), place=f"{record.filename}:{record.lineno}")


def set_up(stream: TextIO | None = None) -> None:
    """One JSON object per line on standard error; libraries' own loggers are kept to warnings."""
    logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()], force=True)
    ours = logging.getLogger("peerfhir")
    ours.setLevel(logging.INFO)
    ours.handlers = [_Ours()]
    ours.propagate = False
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_what_is_allowed,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def log() -> Any:
    """A logger; `log().info("event", endpoint=..., count=...)`."""
    return structlog.get_logger()
