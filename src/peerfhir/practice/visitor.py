"""Someone with a browser: keeps cookies, reads forms, presses buttons."""

from __future__ import annotations

import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

_TIMEOUT_SECONDS = 30


class PageRefused(Exception):
    """A page answered with an error."""

    def __init__(self, path: str, status: int, text: str) -> None:
        self.path = path
        self.status = status
        self.text = text
        super().__init__(f"{path} answered {status}")


@dataclass
class Page:
    """What a browser would have of a page: links, fields by form, and elements with an id."""

    url: str
    html: str
    links: list[tuple[str, str]] = field(default_factory=list)  # (href, text)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)  # id -> attributes
    fields: dict[str, list[str]] = field(default_factory=dict)  # name -> values offered, in order
    texts: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """The form token of the page."""
        return self.fields.get("_token", [""])[0]

    @property
    def text(self) -> str:
        """The words of the page."""
        return " ".join(" ".join(self.texts).split())


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._href: str | None = None
        self._select = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self._page.ids[given["id"]] = given
        if tag == "a" and "href" in given:
            self._href, self._words = given["href"], []
        if tag in ("input", "button", "textarea") and given.get("name"):
            self._page.fields.setdefault(given["name"], []).append(given.get("value", ""))
        if tag == "select":
            self._select = given.get("name", "")
        if tag == "option" and self._select:
            self._page.fields.setdefault(self._select, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            self._page.links.append((self._href, " ".join(" ".join(self._words).split())))
            self._href = None
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        self._page.texts.append(data)
        if self._href is not None:
            self._words.append(data)


class Visitor:
    """One person with one browser at one site."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), urllib.request.ProxyHandler({})
        )
        self.page = Page(site, "")

    def open(self, path: str) -> Page:
        """GET a page. Raises PageRefused."""
        return self._visit(urllib.request.Request(self._url(path)))  # noqa: S310 - a site we started

    def press(self, path: str, fields: Mapping[str, str | Sequence[str]] | None = None) -> Page:
        """POST a form with the token of the page that is open. Raises PageRefused."""
        pairs: list[tuple[str, str]] = [("_token", self.page.token)]
        for name, value in (fields or {}).items():
            pairs += [(name, value)] if isinstance(value, str) else [(name, each) for each in value]
        return self._visit(
            urllib.request.Request(  # noqa: S310 - as above
                self._url(path),
                data=urllib.parse.urlencode(pairs).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": self.site},
            )
        )

    def _url(self, path: str) -> str:
        return path if path.startswith(self.site) else self.site + path

    def _visit(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                page = Page(answer.url, answer.read().decode("utf-8"))
        except urllib.error.HTTPError as refusal:
            text = refusal.read().decode("utf-8", "replace")
            raise PageRefused(request.selector, refusal.code, text) from refusal
        _Reader(page).feed(page.html)
        self.page = page
        return page
