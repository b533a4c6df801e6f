"""What a value of each primitive type must look like, in words for who has to mend it."""

from __future__ import annotations

_SENTENCES = {
    "boolean": "true or false, without quotation marks",
    "integer": "a whole number of 32 bits, without quotation marks",
    "unsignedInt": "a whole number from 0",
    "positiveInt": "a whole number from 1",
    "decimal": "a number, without quotation marks",
    "string": "a text that is not empty",
    "markdown": "a text that is not empty",
    "code": "a code: no space at the ends, single spaces inside",
    "id": "1 to 64 letters, digits, '-' or '.'",
    "uri": "an address without spaces",
    "url": "an address without spaces",
    "canonical": "an address without spaces",
    "oid": "urn:oid: and an OID",
    "uuid": "urn:uuid: and a UUID",
    "date": "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date, or a date and time with seconds and zone",
    "instant": "a date and time with seconds and zone",
    "time": "a time of day: hh:mm:ss",
    "base64Binary": "base64",
    "xhtml": "a <div> of XHTML without scripts, forms, events or a document type",
}


def sentence(kind: str) -> str:
    """What a value of this type must be, for a person who has to mend it."""
    return f"This must be {_SENTENCES[kind]}."
