"""Someone with a browser, who looks at the page the way a machine can: elements, labels, words, addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient

VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})


@dataclass
class Element:
    """One element: its tag, its attributes, the text below it, and what it stands in."""

    tag: str
    attrs: dict[str, str]
    text: str = ""
    above: Element | None = None

    def within(self, tag: str) -> Element | None:
        at = self.above
        while at is not None and at.tag != tag:
            at = at.above
        return at


class Reader(HTMLParser):
    """Reads a page strictly: an element that is never closed, or closed twice, is a mistake."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.mistakes: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if len(given) != len(attrs):
            self.mistakes.append(f"<{tag}> has an attribute twice")
        made = Element(tag, given, above=self.open[-1] if self.open else None)
        self.elements.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, given, above=self.open[-1] if self.open else None))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].tag != tag:
            self.mistakes.append(f"</{tag}> closes {self.open[-1].tag if self.open else 'nothing'}")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        for element in self.open:
            element.text += data


@dataclass
class Page:
    """A page that was answered."""

    status: int
    html: str
    headers: Mapping[str, str]
    path: str

    @cached_property
    def reader(self) -> Reader:
        """The page as it was read, on first use."""
        made = Reader()
        made.feed(self.html)
        made.close()
        return made

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.reader.texts).split())

    def all(self, tag: str, **attrs: str) -> list[Element]:
        return [e for e in self.reader.elements if e.tag == tag and attrs.items() <= e.attrs.items()]

    def by_id(self, wanted: str) -> Element | None:
        return next((e for e in self.reader.elements if e.attrs.get("id") == wanted), None)

    @property
    def token(self) -> str:
        return next((e.attrs["value"] for e in self.all("input", name="_token")), "")

    @property
    def actions(self) -> set[str]:
        return {e.attrs["action"] for e in self.all("form")}

    @property
    def links(self) -> list[str]:
        return [e.attrs["href"] for e in self.all("a") if "href" in e.attrs]

    def offered(self, name: str) -> list[str]:
        return [e.attrs.get("value", "") for e in self.reader.elements if e.attrs.get("name") == name]

    def held(self, name: str) -> list[str]:
        """What the controls of this name hold now: values, ticks, choices and texts."""
        found = []
        for e in self.reader.elements:
            kind = e.attrs.get("type", "text")
            if e.tag == "option" and "selected" in e.attrs and (e.within("select") or e).attrs.get("name") == name:
                found.append(e.attrs["value"])
            if e.attrs.get("name") != name:
                continue
            if e.tag == "textarea":
                found.append(e.text.removeprefix("\n"))
            elif e.tag == "input" and (kind not in ("radio", "checkbox") or "checked" in e.attrs):
                found.append(e.attrs.get("value", ""))
        return found


class Browser:
    """One person with one browser at our site."""

    def __init__(self, web: FlaskClient, site: str) -> None:
        self.web = web
        self.site = site
        self.page = Page(0, "", {}, "")

    def open(self, path: str) -> Page:
        return self._seen(self.web.get(path, base_url=self.site))

    def press(self, path: str, fields: Mapping[str, str | Sequence[str]] | None = None, **more: Any) -> Page:
        """Send the form with the token of the page that is open."""
        given = {"_token": self.page.token, **(fields or {})}
        headers = {"Origin": self.site, **more.pop("headers", {})}
        return self._seen(self.web.post(path, data=given, headers=headers, base_url=self.site, **more))

    def _seen(self, answer: Any) -> Page:
        hops = 0
        while answer.status_code in (302, 303) and hops < 5:
            hops += 1
            answer = self.web.get(answer.headers["Location"], base_url=self.site)
        self.page = Page(answer.status_code, answer.text, answer.headers, answer.request.path)
        return self.page
