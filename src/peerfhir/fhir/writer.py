"""Object -> bytes, decimals kept as written; the only JSON writer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from peerfhir.fhir.reader import Json


def write(value: Json) -> bytes:
    """One JSON value as UTF-8 bytes: keys in their order, the digits of a Decimal as they are (1.50 stays 1.50).

    Raises  TypeError for anything JSON does not have, NaN and Infinity included
    """
    return orjson.dumps(value, default=_other)


class Raw:
    """JSON that is bytes already, to stand inside a larger value as it is."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _other(value: Any) -> Any:
    if isinstance(value, Raw):
        return orjson.Fragment(value.data)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError("JSON has no such value")


def indented(value: Json) -> str:
    """The same for people's eyes: two spaces a level."""
    return orjson.dumps(value, default=_other, option=orjson.OPT_INDENT_2).decode()
