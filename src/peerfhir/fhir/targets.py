"""What a reference inside a Bundle or a resource leads to, without a store."""

from __future__ import annotations

from typing import Any

from peerfhir.fhir.reader import Json


class Targets:
    """The resources of one Bundle, by what may refer to them. Made when the first reference is followed."""

    def __init__(self, whole: Json) -> None:
        self._by_name: dict[str, Json] = {}
        entries = whole.get("entry") if type(whole) is dict else None
        for entry in entries if type(entries) is list else ():
            inner = entry.get("resource") if type(entry) is dict else None
            if type(inner) is dict:
                for name in _names(entry.get("fullUrl"), inner):
                    self._by_name.setdefault(name, inner)

    def of(self, text: str, around: dict[str, Any]) -> Json:
        """The resource a reference leads to, from the resource it stands in; None when it is not here."""
        if text[:1] == "#":
            contained = around.get("contained")
            found = [one for one in contained if type(one) is dict] if type(contained) is list else []
            return next((one for one in found if one.get("id") == text[1:]), None)
        return self._by_name.get(text.partition("/_history/")[0])


def _names(full_url: Any, resource: dict[str, Any]) -> list[str]:
    names = [full_url] if type(full_url) is str else []
    kind, ident = resource.get("resourceType"), resource.get("id")
    if type(kind) is str and type(ident) is str:
        names.append(f"{kind}/{ident}")
    return names
