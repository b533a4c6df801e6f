"""What the hospital holds after all: its own store as it exports it, and what must be found in it."""

from __future__ import annotations

import base64
import urllib.request
from collections import Counter
from typing import Any

from peerfhir.fhir.reader import read
from peerfhir.fhir.writer import write
from peerfhir.practice.cast import Cast
from peerfhir.practice.visitor import fetch

STATUS_NOTE = "Peer support referral status"

# What the hospital should find in its own store for two meetings and one PHQ-9, when attendance, summary and
# scores are shared and item answers are not. Source: what each mood accepts (moods.py) and the write-back ladder.
EXPECTED: dict[str, dict[str, int]] = {
    "open": {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2},
    "epic-like": {"DocumentReference": 4, "Procedure": 2, "Observation": 2},
    "oracle-like": {"Encounter": 2, "DocumentReference": 3, "Procedure": 2},
    "athena-like": {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2},  # read at our API
}


class Holdings:
    """The hospital's own store, as its staff would look at it."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    def versions(self) -> list[dict[str, Any]]:
        """Every version in the hospital's own store: type, id, version, source, at, resource."""
        if self._cast.mood == "athena-like":  # its statement offers no place to write to: it asks our API instead
            self._hospital("POST", "/practice/look")
        return list(self._hospital("GET", "/practice/export")["versions"])

    def arrived(self, store: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """First versions of chart resources that the peer program made."""
        chart = {"Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse"}
        return [
            v for v in store
            if v["type"] in chart and v["version"] == 1 and v["source"] != "hospital" and not status_words(v)
        ]  # fmt: skip

    def found(self) -> int:
        """How much of what is expected is there."""
        expected = EXPECTED[self._cast.mood]
        counts = Counter(version["type"] for version in self.arrived(self.versions()))
        return sum(min(n, counts.get(name, 0)) for name, n in expected.items())

    def share_of_expected(self, meetings: int) -> int:
        """What the first meeting alone brings: one of everything but the scores."""
        expected = EXPECTED[self._cast.mood]
        notes = {"epic-like": 2}.get(self._cast.mood, 1)
        return meetings * sum(notes if name == "DocumentReference" else 1 for name in expected if name != "Observation")

    def states(self, store: list[dict[str, Any]]) -> list[str]:
        """The referral's states as the clinicians saw them: the Task's versions, or messages that said so."""
        said: list[str] = []
        for version in store:
            resource = version["resource"]
            words = ""
            if version["type"] == "Task":
                coding = (resource.get("businessStatus", {}).get("coding") or [{}])[0]
                words = resource.get("businessStatus", {}).get("text") or coding.get("display", "")
            else:
                words = status_words(version)
            if words and (not said or said[-1] != words):
                said.append(words)
        return said

    def says(self, *words: str) -> bool:
        """Whether the last state that the clinicians saw has one of these words."""
        states = self.states(self.versions())
        return bool(states) and any(each in states[-1] for each in words)

    def _hospital(self, method: str, path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the hospital we started
            self._cast.hospital + path, method=method, headers={"Authorization": f"Bearer {self._cast.hospital_key}"}
        )
        return read(fetch(request, self._cast.hospital), max_bytes=64 * 1024 * 1024)


def status_words(version: dict[str, Any]) -> str:
    """What a document or message says of the referral's state, where the hospital's Task cannot be written."""
    resource = version["resource"]
    attached: list[dict[str, Any]] = []
    if version["type"] == "DocumentReference" and resource.get("type", {}).get("text") == STATUS_NOTE:
        attached = [content["attachment"] for content in resource["content"]]
    elif version["type"] == "Communication":
        attached = [payload.get("contentAttachment", {}) for payload in resource.get("payload", [])]
    return " ".join(base64.b64decode(each.get("data", "")).decode("utf-8", "replace") for each in attached)


def words_of(store: list[dict[str, Any]]) -> str:
    """Everything in the store that the peer program sent or changed, with attachments opened."""
    texts: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "data" and isinstance(inner, str):
                    texts.append(base64.b64decode(inner).decode("utf-8", "replace"))
                else:
                    collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif value is not None:
            texts.append(str(value))

    for version in store:
        collect(version["resource"])
    return "\n".join(texts) + write([v["resource"] for v in store]).decode()
