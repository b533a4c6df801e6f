"""One record that a partner sends, mapped: what `$transform` answers."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from io import BytesIO
from itertools import islice
from typing import Any

from peerfhir.errors import BadRequest, InvalidResource
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json
from peerfhir.fhir.writer import write
from peerfhir.mapping.aside import Made, Refused
from peerfhir.mapping.inputs import outcomes, output
from peerfhir.mapping.run import RecordFailed
from peerfhir.mapping.shelf import Opened

_MEDIA = {
    "csv": frozenset({"text/csv"}),
    "json": frozenset({"application/json"}),
    "ndjson": frozenset({"application/x-ndjson", "application/ndjson"}),
    "form": frozenset({"application/x-www-form-urlencoded"}),
}


def mapped(opened: Opened, content: dict[str, Any], now: datetime) -> Json:
    """What a mapping makes of one record: a resource, or a record in a Binary.

    Raises  BadRequest, InvalidResource with one finding per problem; no values
    """
    if content.get("resourceType") == "Binary" and opened.checked.source.type != "Binary":
        found = list(islice(outcomes(opened, BytesIO(_data(opened, content)), now), 2))
        if len(found) != 1:
            raise _unprocessed("one record is mapped at a time", opened)
        outcome = found[0]
        if isinstance(outcome, Refused):
            raise InvalidResource(
                tuple(_finding(str(one).partition("\n")[0].replace(": error ", ": ")) for one in outcome.problems)
            )
        return _returned(outcome)
    if opened.checked.source.format not in ("fhir", "json", "ndjson"):
        raise _unprocessed("records of this mapping are sent in a Binary", opened)
    try:
        return _returned(Made("", opened.program.run(content, now=now), None))
    except RecordFailed as failed:
        findings = (
            _finding(f"{one.code}: " + (f"{one.address}: " if one.address else "") + one.what)
            for one in failed.problems
        )
        raise InvalidResource(tuple(findings)) from None


def _data(opened: Opened, binary: dict[str, Any]) -> bytes:
    """The bytes of a Binary. Raises BadRequest; InvalidResource when it is not of the mapping's format."""
    kind = str(binary.get("contentType", "")).partition(";")[0].strip().lower()
    if kind not in _MEDIA.get(opened.checked.source.format, frozenset()):
        raise _unprocessed("the contentType is not the format of this mapping's records", opened)
    try:
        return base64.b64decode(binary.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadRequest("The data are not base64.", place="Binary.data") from None


def _returned(made: Made) -> Json:
    """The one parameter of the answer: the resource itself; a record that is no resource lies in a Binary."""
    value = output(made.result)
    if isinstance(value, dict) and "resourceType" in value:
        return value
    data = base64.b64encode(write(value)).decode()
    return {"resourceType": "Binary", "contentType": "application/json", "data": data}


def _unprocessed(what: str, opened: Opened) -> InvalidResource:
    return InvalidResource((_finding(f"{what} (format {opened.checked.source.format})"),))


def _finding(text: str) -> Finding:
    return Finding("error", "processing", "", text)
