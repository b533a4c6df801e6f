"""Someone with a browser: keeps cookies, reads forms, presses buttons."""

from __future__ import annotations

import http.client
import http.cookiejar
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TypeVar

PATIENCE_SECONDS = 5.0  # for how long people repeat what was not answered
_TIMEOUT_SECONDS = 30
_PAUSE_SECONDS = 0.1
_NOT_ANSWERED = (OSError, http.client.HTTPException)
_ALREADY_SO = (409, 422)  # what a page says to a step that was taken before
T = TypeVar("T")


class Unanswered(Exception):
    """A site gave no answer for as long as people have patience."""

    def __init__(self, site: str) -> None:
        self.site = site
        super().__init__(site)


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
        """GET a page. Raises PageRefused, Unanswered."""
        return patiently(lambda: self._exchange(path, None), self.site)

    def press(self, path: str, fields: Mapping[str, str | Sequence[str]] | None = None) -> Page:
        """POST a form with the token of the page that is open, again while there is no answer.

        A refusal of what was repeated says that the first try was heard: the page is taken as it is.
        Raises  PageRefused, Unanswered
        """
        pairs: list[tuple[str, str]] = [("_token", self.page.token)]
        for name, value in (fields or {}).items():
            pairs += [(name, value)] if isinstance(value, str) else [(name, each) for each in value]
        form = urllib.parse.urlencode(pairs).encode()
        tries = 0

        def once() -> Page:
            nonlocal tries
            tries += 1
            return self._exchange(path, form)

        try:
            return patiently(once, self.site)
        except PageRefused as refusal:
            if tries > 1 and refusal.status in _ALREADY_SO:
                return self._turned(self._url(path), refusal.text)
            raise

    def _url(self, path: str) -> str:
        return path if path.startswith(self.site) else self.site + path

    def _exchange(self, path: str, form: bytes | None) -> Page:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.site} if form else {}
        request = urllib.request.Request(self._url(path), form, headers)  # noqa: S310 - a site we started
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return self._turned(answer.url, answer.read().decode("utf-8"))
        except urllib.error.HTTPError as refusal:
            with refusal:
                text = refusal.read().decode("utf-8", "replace")
            raise PageRefused(request.selector, refusal.code, text) from refusal

    def _turned(self, url: str, html: str) -> Page:
        page = Page(url, html)
        _Reader(page).feed(html)
        self.page = page
        return page


def patiently(ask: Callable[[], T], site: str) -> T:
    """Repeat what was not answered at all: refused, cut off or too late. Raises Unanswered."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except urllib.error.HTTPError:
            raise  # an answer
        except _NOT_ANSWERED as fault:
            if time.monotonic() >= until:
                raise Unanswered(site) from fault
            time.sleep(_PAUSE_SECONDS)


def fetch(request: urllib.request.Request, site: str) -> bytes:
    """The body of a machine's request that may be repeated. Raises Unanswered; HTTPError for a refusal."""

    def once() -> bytes:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - a site we started
            return bytes(answer.read())

    return patiently(once, site)
