"""What may be written where somebody types: keys, elements, codes, names and functions, each with what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from peerfhir.fhir.definitions import PRIMITIVES, Element, r4
from peerfhir.mapping.exports.schema_json import schema
from peerfhir.portal.cursor import Cursor, Path, cursor, entries, plain, tree
from peerfhir.portal.draft import Draft, Typed
from peerfhir.portal.expressing import Offer, offers
from peerfhir.portal.known import Known, told
from peerfhir.portal.spots import units

Json = Any
MOST = 60
DIRECTIVES = {
    "$each": "one for each item: items as item", "$if": "only where this holds", "$let": "names for expressions",
    "$keep": "stays although it is empty", "$use": "a fragment", "$ref": "a reference to a resource of this document",
    "$value": "the value, with extensions beside it", "$absent": "why there is none: a code",
    "$literal": "text as it is, though it looks like an expression",
}  # fmt: skip
_EXPRESSIONS = frozenset(("$each", "$if", "$identity"))
_HEAD = re.compile(r"[\w$.\-\[\]]*")
_TAIL = re.compile(r"[\w$\-]*")


@dataclass
class Offers:
    """Characters of the pane that are replaced, from `start` up to `end` in UTF-16 units, and by what."""

    start: int = 0
    end: int = 0
    offers: list[Json] = field(default_factory=list)
    more: int = 0


def offered(draft: Draft, pane: str, at: int, instruments: Iterable[str] = ()) -> Offers:
    """What may be written at a character of a pane, `mapping` or `overlay`, counted in UTF-16 units.

    instruments  the questionnaires of the site
    """
    text = draft.overlay_text if pane == "overlay" else draft.text
    at = _character(text, at)
    here = cursor(text, at)
    word, found = _Offerer(draft, pane, tuple(instruments)).found(here)
    fitting = _fitting(found, word)
    tail = _TAIL.match(text, at) if word else None  # what begins behind the cursor stays, when nothing is written yet
    end = tail.end() if tail is not None else at
    if text[end : end + 1] == ":" and here.kind == "key":
        fitting = [Offer(one.text.removesuffix(": "), one.kind, one.about) for one in fitting]
    before = units(text[: at - len(word)])
    return Offers(
        before, before + units(text[at - len(word) : end]), [asdict(one) for one in fitting[:MOST]],
        max(len(fitting) - MOST, 0),
    )  # fmt: skip


def _character(text: str, at: int) -> int:
    """The character that a place in UTF-16 units is."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * at].decode("utf-16-le", "replace"))


def _fitting(found: Iterable[Offer], word: str) -> list[Offer]:
    """Those that begin as the word does, then those that hold it; each once."""
    wanted = word.lower()
    once = list(dict.fromkeys(found))
    first = [one for one in once if one.text.lower().startswith(wanted)]
    return first + [one for one in once if one not in first and wanted in one.text.lower()]


class _Offerer:
    def __init__(self, draft: Draft, pane: str, instruments: tuple[str, ...]) -> None:
        self._draft = draft
        self._kind = "overlay" if pane == "overlay" else "mapping"
        self._instruments = instruments
        self._libraries = dict(_libraries(draft))
        self._own = tree(entries(draft.overlay_text if pane == "overlay" else draft.text))
        imported = [one for name, one in self._libraries.items() if f"{name}@" in draft.text + draft.overlay_text]
        self._known = Known.read(draft.text, draft.overlay_text, *imported)

    def found(self, here: Cursor) -> tuple[str, Iterable[Offer]]:
        """The word that is begun, and what may stand for it."""
        if here.kind == "key":
            quoted = here.word.lstrip("\"'")
            word = quoted if _HEAD.fullmatch(quoted) else ""
            items = isinstance(here.path[-1], int) if here.path else False
            values = [*self._values(here.path, word)] if items else []
            return word, [*self._keys(here.path), *values]
        if here.kind == "value":
            return self._value(here.path, here.word.lstrip("\"'"))
        return "", ()

    # -- keys

    def _keys(self, path: Path) -> Iterator[Offer]:
        taken = self._at(path)
        taken = taken if isinstance(taken, dict) else {}
        for offer in self._possible(path):
            if offer.text.removesuffix(": ") not in taken:
                yield offer

    def _possible(self, path: Path) -> Iterator[Offer]:
        kind, _ = self._typed(path)
        for element in r4().elements(kind).values():
            yield Offer(f"{element.name}: ", "element", told(element))
        if path == ("record", "values"):
            yield from (Offer(f"{name}: ", "field", str(below)) for name, below in self._known.made.items())
        for one in _schemas(self._kind, path):
            for name, below in one.get("properties", {}).items():
                yield Offer(f"{name}: ", "key", DIRECTIVES.get(name) or _about(below))
        if kind and len(path) > 2:
            yield from (Offer(f"{name}: ", "key", about) for name, about in DIRECTIVES.items())

    def _typed(self, path: Path) -> tuple[str, Element | None]:
        """The FHIR type of a node, of a mapping or of what an overlay puts there."""
        match path:
            case ("rules", int() as number, "set" | "add", *rest) if self._kind == "overlay":
                rule = self._at(("rules", number))
                address = rule.get("at") if isinstance(rule, dict) else None
                return self._known.type_at((*self._known.addressed(str(address or "")), *rest))
        return self._known.type_at(path)

    def _at(self, path: Path) -> Any:
        here: Any = self._own
        for step in path:
            here = here.get(step) if isinstance(here, dict) else None
        return here

    # -- values

    def _value(self, path: Path, word: str) -> tuple[str, Iterable[Offer]]:
        key = next((one for one in reversed(path) if isinstance(one, str)), "")
        opened, closed = word.rfind("{{"), word.rfind("}}")
        if opened > closed:
            return offers(word[opened + 2 :], path, self._known)
        if word.startswith("=") or key in _EXPRESSIONS:
            return offers(word.removeprefix("="), path, self._known)
        return word, [*self._values(path, word)]

    def _values(self, path: Path, word: str) -> Iterator[Offer]:
        key = next((one for one in reversed(path) if isinstance(one, str)), "")
        yield from self._named(path, key)
        expressions = False
        for one in _schemas(self._kind, path):
            yield from (Offer(text, "code", _about(one)) for text in _closed(one))
            expressions = expressions or one.get("pattern") == "^="
        kind, element = self._typed(path)
        if kind == "boolean":
            yield from (Offer(text, "code") for text in ("true", "false"))
        for code in sorted(element.codes or ()) if element is not None else ():
            yield Offer(code, "code", f"of {element.name}" if element is not None else "")
        if kind in ("uri", "url", "canonical") or word.startswith("$"):
            yield from (Offer(f"${name}", "name", uri) for name, uri in self._known.names("systems").items())
        if kind in ("Coding", "CodeableConcept"):
            yield from (Offer(f"{name}#", "name", uri) for name, uri in self._known.names("systems").items())
        if kind in PRIMITIVES or expressions or path[:2] == ("record", "values") or path[-2:-1] == ("$let",):
            _, found = offers("", path, self._known)
            yield from (Offer(f"={one.text}", one.kind, one.about, one.back) for one in found)

    def _named(self, path: Path, key: str) -> Iterator[Offer]:
        """Names that are declared elsewhere: of resources, fragments, code maps, profiles, libraries, rules."""
        known = self._known
        sections = {"$use": "fragments", "$ref": "resources", "$rows": "tables", "profile": "profiles"}
        if key == "resourceType" or (key == "type" and path[:1] == ("source",) and len(path) == 2):
            yield from (Offer(name, "name", "resource") for name in r4().resources())
        elif key in sections:
            yield from (Offer(name, "name", about) for name, about in known.names(sections[key]).items())
        elif key in ("$questionnaire", "questionnaire", "instrument"):
            yield from (Offer(name, "name", "questionnaire") for name in sorted(self._instruments))
        elif (key == "codes" and "fields" in path) or key == "replace-map":
            yield from (Offer(name, "name", "code map") for name in known.names("conceptMaps"))
        elif key == "imports":
            yield from (Offer(f"{name}@^{_version(text)}", "name", "library") for name, text in self._libraries.items())
        elif key == "at" and path[:1] == ("rules",):
            yield from (Offer(one, "name", about) for one, about in _addresses(self._draft.text))


def _libraries(draft: Draft) -> Iterator[tuple[str, str]]:
    folder = Typed(draft)
    for path in folder.documents():
        if path.name.endswith(".library.yaml"):
            yield path.name.removesuffix(".library.yaml"), path.read_text("utf-8-sig", errors="replace")


def _version(text: str) -> str:
    """The first two numbers of a library's version."""
    version = next((plain(one.value) for one in entries(text) if one.path == ("version",)), "1.0.0")
    return ".".join(version.split(".")[:2])


def _addresses(text: str) -> Iterator[tuple[str, str]]:
    """Every rule of a mapping as overlays name it."""
    for one in entries(text):
        if one.path[:1] == ("resources",) and len(one.path) > 1:
            yield "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in one.path[1:])[1:], one.value


# -- the JSON Schema of the documents


@cache
def _document(kind: str) -> Json:
    return schema(kind)


def _schemas(kind: str, path: Path) -> list[Json]:
    """What the schema says of a path: one or several alternatives; none where it knows nothing."""
    top = _document(kind)
    found = [top]
    for step in path:
        found = [below for one in found for below in _alternatives(top, _below(one, step))]
    return found


def _below(one: Json, step: str | int) -> Json:
    if isinstance(step, int):
        return one.get("items", {})
    more = one.get("additionalProperties")
    return one.get("properties", {}).get(step) or (more if isinstance(more, dict) else {})


def _alternatives(top: Json, one: Json) -> list[Json]:
    if "$ref" in one:
        one = top["definitions"][one["$ref"].rpartition("/")[2]]
    if "anyOf" in one:
        return [below for other in one["anyOf"] for below in _alternatives(top, other)]
    return [one] if one else []


def _closed(one: Json) -> Iterator[str]:
    """The values that a schema lets be written, where it names them."""
    for value in [*one.get("enum", ()), *([one["const"]] if "const" in one else ())]:
        yield str(value).lower() if isinstance(value, bool) else str(value)
    if one.get("type") == "boolean":
        yield from ("true", "false")


def _about(one: Json) -> str:
    """What a schema says of a value, in few words."""
    if "description" in one:
        return str(one["description"])
    values = list(_closed(one))
    if values:
        return " | ".join(values[:4]) + (" | ..." if len(values) > 4 else "")
    return {"string": "text", "object": "keys", "array": "list", "integer": "number"}.get(one.get("type", ""), "")
