"""Narrative: the tags and attributes that R4 allows in a text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_TAGS = frozenset((
    "a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
    "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p",
    "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "tt", "ul", "var",
))  # fmt: skip
_ATTRIBUTES = frozenset((
    "abbr", "accesskey", "align", "alt", "axis", "border", "cellhalign", "cellpadding", "cellspacing",
    "cellvalign", "char", "charoff", "class", "cols", "colspan", "dir", "frame", "headers", "height", "href",
    "hspace", "id", "lang", "longdesc", "name", "nowrap", "rowspan", "rules", "scope", "span", "src", "start",
    "style", "summary", "tabindex", "title", "type", "valign", "value", "vspace", "width", "xml:lang", "xmlns",
))  # fmt: skip
_ALONE = frozenset(("br", "col", "hr", "img"))


class _Narrative(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.good, self.filled, self._open = True, False, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = bool(self._open) or tag == "div"
        known = tag in _TAGS and all(name in _ATTRIBUTES for name, _ in attrs)
        scripts = any(re.match(r"\s*(?:javascript|data):", value or "", re.IGNORECASE) for _, value in attrs)
        self.good = self.good and inside and known and not scripts
        self.filled = self.filled or tag == "img"
        if tag not in _ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _ALONE and (not self._open or self._open.pop() != tag):
            self.good = False

    def handle_data(self, data: str) -> None:
        self.filled = self.filled or bool(data.strip())

    def handle_decl(self, decl: str) -> None:
        self.good = False

    def handle_pi(self, data: str) -> None:
        self.good = False

    def holds(self) -> bool:
        return self.good and self.filled and not self._open


def is_safe(text: str) -> bool:
    """Whether a narrative has the tags and attributes of txt-1 only, and says something (txt-2)."""
    narrative = _Narrative()
    narrative.feed(text)
    narrative.close()
    return text.lstrip().startswith("<div") and narrative.holds()
