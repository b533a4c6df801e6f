"""How a stored time or number compares with one asked for, prefix by prefix, so that an index can begin somewhere.

Source: R4 search, 3.1.1.4.6 (prefixes on ranges).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

from peerfhir.fhir.index import date_key
from peerfhir.fhir.values import Number, Span


def span(low: Any, high: Any, asked: Span) -> ColumnElement[bool]:
    """A kept span against the one asked.

    Where a comparison looks at both ends, a bound that follows from it stands beside: by it an index is entered.
    """
    return _compared(low, high, asked.prefix, asked.low, asked.high)


def span_text(low: Any, high: Any, asked: Span) -> ColumnElement[bool]:
    """The same for spans that are kept as texts (index.date_key)."""
    return _compared(low, high, asked.prefix, date_key(asked.low), date_key(asked.high))


def _compared(low: Any, high: Any, prefix: str, begin: Any, end: Any) -> ColumnElement[bool]:
    within = and_(low >= begin, high <= end)
    compared: dict[str, ColumnElement[bool]] = {
        "eq": and_(within, low < end),
        "ne": not_(within),
        "gt": high > end,
        "lt": low < begin,
        "ge": and_(high > begin, or_(high > end, low >= begin)),
        "le": and_(low < end, or_(low < begin, high <= end)),
        "sa": low >= end,
        "eb": high <= begin,
        "ap": and_(low < end, high > begin),
    }
    return compared[prefix]


def instant(at: Any, asked: Span) -> ColumnElement[bool]:
    """A moment against the span asked."""
    within = and_(at >= asked.low, at < asked.high)
    compared: dict[str, ColumnElement[bool]] = {
        "eq": within,
        "ap": within,
        "ne": not_(within),
        "gt": at >= asked.high,
        "sa": at >= asked.high,
        "lt": at < asked.low,
        "eb": at < asked.low,
        "ge": at >= asked.low,
        "le": at < asked.high,
    }
    return compared[asked.prefix]


def number(kept: Any, asked: Number) -> ColumnElement[bool]:
    """A kept number against the one asked, which means half a unit of its last digit more and less."""
    within = and_(kept >= asked.low, kept < asked.high)
    tenth = abs(asked.value) / 10
    compared: dict[str, ColumnElement[bool]] = {
        "eq": within,
        "ne": not_(within),
        "gt": kept > asked.value,
        "sa": kept > asked.value,
        "lt": kept < asked.value,
        "eb": kept < asked.value,
        "ge": kept >= asked.value,
        "le": kept <= asked.value,
        "ap": and_(kept >= asked.value - tenth, kept <= asked.value + tenth),
    }
    return compared[asked.prefix]
