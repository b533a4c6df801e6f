"""The references inside a resource: where they stand, what kind they are, and whether they lead anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.model import R4_TYPES
from peerfhir.fhir.reader import Json

LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_ABSOLUTE = re.compile(r"https?://[^\s/?#]+(?:/[^\s]*)?", re.IGNORECASE)
_URN = re.compile(r"urn:(?:uuid|oid):[0-9A-Za-z.\-]+")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,63})\?[^\s]+")
_LINK = re.compile(r"""((?:href|src)\s*=\s*["'])([^"']+)(["'])""")
# elements of type uri, url or canonical that may name an entry of the same Bundle
_ADDRESSES = frozenset({"url", "uri", "valueUri", "valueUrl", "valueCanonical", "instantiatesUri", "sourceUri"})


def references(resource: Json, path: str) -> Iterator[tuple[str, str]]:
    """(expression, text) of every Reference.reference, contained resources included; `path` names the resource."""
    waiting: list[tuple[str, Any]] = [(path, resource)]
    while waiting:
        place, node = waiting.pop()
        if type(node) is dict:
            text = node.get("reference")
            if type(text) is str:
                yield place, text
            waiting += [(f"{place}.{key}", one) for key, one in node.items() if type(one) is dict or type(one) is list]
        else:
            waiting += [
                (f"{place}[{at}]", one) for at, one in enumerate(node) if type(one) is dict or type(one) is list
            ]


def local(text: str) -> str | None:
    """ "Type/id" of a relative reference, without its version; None for any other kind."""
    match = LOCAL.fullmatch(text)
    return f"{match.group(1)}/{match.group(2)}" if match else None


def conditional(text: str) -> tuple[str, str] | None:
    """Type and query of a conditional reference (`Patient?identifier=...`), as a transaction may hold."""
    match = _CONDITIONAL.fullmatch(text)
    return (match.group(1), text.partition("?")[2]) if match else None


def check(resource: Json, path: str, *, in_bundle: frozenset[str] | None = None) -> list[Finding]:
    """Findings about references that nobody could follow; whether "Type/id" exists is asked of the store, and whether
    "#id" is contained is ref-1 (see scan).

    in_bundle  the fullUrls of the Bundle around the resource; None when it stands alone
    """
    found = []
    for place, text in references(resource, path):
        problem = _problem(text, in_bundle)
        if problem:
            found.append(Finding("error", problem[0], f"{place}.reference", problem[1]))
    return found


def _problem(text: str, in_bundle: frozenset[str] | None) -> tuple[str, str] | None:
    if text[:1] == "#":
        return None
    if _URN.fullmatch(text):
        if in_bundle is not None and text in in_bundle:
            return None
        return "not-found", "No entry of this Bundle has this fullUrl. Add the entry, or refer to a stored resource."
    match = LOCAL.fullmatch(text) or (_CONDITIONAL.fullmatch(text) if in_bundle is not None else None)
    if match:
        return None if match.group(1) in R4_TYPES else ("value", "This names a type that FHIR R4 does not have.")
    if _ABSOLUTE.fullmatch(text):
        return None
    return "value", "This is not a reference: send Type/id, an http(s) address, or #id of a contained resource."


def rewritten(node: Any, target: Callable[[str], str | None]) -> Any:
    """A copy in which each reference, address and narrative link is what `target` gives for it; None keeps it."""
    if type(node) is list:
        return [rewritten(one, target) if type(one) is dict or type(one) is list else one for one in node]
    if type(node) is not dict:
        return node
    copy = {}
    for key, one in node.items():
        if type(one) is dict or type(one) is list:
            copy[key] = rewritten(one, target)
        elif type(one) is str and (key == "reference" or key in _ADDRESSES):
            copy[key] = target(one) or one
        elif key == "div" and type(one) is str:
            copy[key] = _LINK.sub(lambda link: link[1] + (target(link[2]) or link[2]) + link[3], one)
        else:
            copy[key] = one
    return copy
