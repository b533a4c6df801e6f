"""What an operation is asked: Parameters, a bare resource or a query, as names and values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from peerfhir.errors import BadRequest, BusinessRule
from peerfhir.fhir.reader import Json

_ABOUT_THE_ANSWER = frozenset({"_format", "_pretty"})
_MOST = 50  # parameters


class NotSupported(BusinessRule):
    """The specification has this parameter; it is not served here, and leaving it out would change the answer."""

    code = "not-supported"
    issue = "not-supported"


class Asked:
    """The parameters of one call of an operation. A value is a text, a JSON value or a resource."""

    def __init__(self, known: Collection[str], unserved: Collection[str] = ()) -> None:
        self._known = known
        self._unserved = unserved
        self._values: dict[str, Json] = {}

    def query(self, text: str) -> Asked:
        """Take what the address says. Raises BadRequest, NotSupported."""
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST, errors="strict")
        except ValueError:
            raise BadRequest("This operation takes few parameters.") from None
        for name, value in pairs:
            if name not in _ABOUT_THE_ANSWER:
                self._take(name, value)
        return self

    def parameters(self, body: Json) -> Asked:
        """Take a Parameters resource. Raises BadRequest, NotSupported."""
        listed = body.get("parameter", [])
        if not isinstance(listed, list) or len(listed) > _MOST:
            raise BadRequest("A list of few parameters is expected.", place="Parameters.parameter")
        for at, one in enumerate(listed):
            place = f"Parameters.parameter[{at}]"
            if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                raise BadRequest("A parameter has a name.", place=place)
            values = [value for key, value in one.items() if key.startswith("value") or key == "resource"]
            if len(values) != 1:
                raise BadRequest("A parameter has one value here.", place=place)
            self._take(one["name"], values[0], place)
        return self

    def _take(self, name: str, value: Json, place: str | None = None) -> None:
        if name in self._unserved:
            raise NotSupported(place=place, advice=f"Leave out {name}.")
        if name not in self._known:
            raise BadRequest("This operation has no such parameter.", place=place)
        if name in self._values:
            raise BadRequest(f"The parameter {name} may be given once.", place=place)
        self._values[name] = value

    def text(self, name: str) -> str:
        """The text of a parameter, or "". Raises BadRequest when it is something else."""
        value = self._values.get(name, "")
        if not isinstance(value, str):
            raise BadRequest(f"The parameter {name} is a text.", place="Parameters.parameter")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, also as the text of a query. Raises BadRequest when it is something else."""
        value = self._values.get(name, False)
        if isinstance(value, bool):
            return value
        if value not in ("true", "false"):
            raise BadRequest(f"The parameter {name} is true or false.", place="Parameters.parameter")
        return bool(value == "true")

    def object(self, name: str) -> Mapping[str, Any] | None:
        """A datatype or resource, or None. Raises BadRequest when it is something else."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise BadRequest(f"The parameter {name} is an object.", place="Parameters.parameter")
        return value
