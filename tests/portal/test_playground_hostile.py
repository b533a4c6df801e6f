"""Documents and records that mean harm: each is answered with a page that says what is wrong, and the next one runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from peerfhir.fhir.reader import read_own
from peerfhir.records.database import open_engine
from tests.portal.browse import Browser
from tests.portal.site import BASE, Site, open_site
from tests.support.clock import HeldClock
from tests.support.playground import furnish

LONG = 640 * 1024  # characters, of which a form takes three bytes each
HEAD = "mapping: x\nversion: 1.0.0\nstatus: draft\nfhirVersion: 4.0.1\nsource: {format: json, fields: {a: string}}\n"
BODY = "bundle: none\nresources: {p: {resourceType: Patient, active: true, name: {family: =a}}}\n"
WHOLE = HEAD + BODY


def expression(text: str) -> str:
    return WHOLE.replace("family: =a", f'family: "={text}"')


def fragments(*bodies: str) -> str:
    """Fragments f0, f1 ... and a resource that uses the first."""
    lines = [f"  f{at}: {{type: Extension, body: {body}}}\n" for at, body in enumerate(bodies)]
    used = "resources: {p: {resourceType: Patient, extension: {$use: f0}}}\n"
    return f"{HEAD}bundle: none\nfragments:\n{''.join(lines)}{used}"


TWICE = [f"{{extension: [{{$use: f{at + 1}}}, {{$use: f{at + 1}}}]}}" for at in range(30)]
DOCUMENTS = {
    "very many brackets": "[" * LONG,
    "very many comments": "#" * LONG,
    "very many quotes": '"' * LONG,
    "very many items in items": "- " * (LONG // 2),
    "maps in maps": "".join(" " * at + "a:\n" for at in range(1_400)),
    "aliases of aliases": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a tag that runs something": "a: !!python/object/apply:os.system ['true']\n",
    "a merge": "<<: {mapping: x}\n" + WHOLE,
    "a character that YAML has not": "mapping: \x07",
    "fragments in a circle": fragments("{$use: f1}", "{$use: f0}"),
    "a fragment that uses itself": fragments("{$use: f0}"),
    "fragments that double thirty times": fragments(*TWICE, "{url: 'http://x.example', valueString: =a}"),
    "a slow pattern of a field": WHOLE.replace("{a: string}", "{a: {type: string, pattern: '(a+)+$'}}"),
    "a slow pattern in an expression": expression("a.replaceMatches('a*a*a*b', 'x')"),
    "two thousand brackets in an expression": expression("(" * 1_900 + "a" + ")" * 1_900),
    "an expression of many steps": expression("a" + " & a" * 1_300),
    "a power without end": expression("(9.power(9)).power(9999).toString()"),
    "a text that multiplies": expression("a" + ".replace('', 'aaaaaaaa')" * 12),
    "a variable that doubles": WHOLE.replace("bundle:", "vars:\n  v0: =a.toChars()\n" + "".join(
        f"  v{at + 1}: =%v{at}.combine(%v{at})\n" for at in range(60)) + "bundle:").replace(
        "=a}", "=%v60.count().toString()}"),
}  # fmt: skip
RECORDS = {
    "lists in lists": "[" * 200_000,
    "objects in objects": '{"a":' * 30_000 + "1" + "}" * 30_000,
    "a key many times": "{" + ",".join(['"a": "x"'] * 20_000) + "}",
    "a number that cannot be kept": '{"a": 1e999999999}',
    "no number": '{"a": NaN}',
    "half a character": '{"a": "\\ud800"}',
    "text and nothing else": "a" * 250_000,
    "a list of many": "[" + ",".join(['{"a": "x"}'] * 20_000) + "]",
}


@pytest.fixture(scope="module")
def ed(furnished: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = furnish(tmp_path_factory.mktemp("harmed"))
    database = folder.parent / "peerfhir.db"
    shutil.copy(furnished.parts.engine.url.database or "", database)
    engine = open_engine(f"sqlite:///{database}")
    browser = open_site(engine, HeldClock(), furnished, mappings_dir=folder).browser("ed")
    browser.open("/playground?open=")
    yield browser
    engine.dispose()


def sent(ed: Browser, mapping: str, record: str) -> None:
    """Both are answered by the page, which says what is wrong; so is the next try, which is good."""
    ed.open("/playground?open=")
    page = ed.press("/playground", {"open": "", "record": record, "mapping": mapping})
    assert page.status in (200, 422), page.status
    assert page.reader.mistakes == []
    told = page.by_id("state")
    assert told is not None
    assert told.text.startswith(("Errors: ", "This takes too long or too much memory")), told.text
    assert "Traceback" not in page.html
    data = {"_token": page.token, "open": "", "mapping": mapping, "pane": "mapping", "at": str(len(mapping))}
    answer = ed.web.post("/playground/offers", data=data, headers={"Origin": BASE}, base_url=BASE)
    assert answer.status_code == 200
    assert set(read_own(answer.data)) == {"start", "end", "offers", "more"}


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_a_hostile_document_is_answered(ed: Browser, name: str) -> None:
    sent(ed, DOCUMENTS[name], '{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}')


@pytest.mark.parametrize("name", list(RECORDS))
def test_a_hostile_record_is_answered(ed: Browser, name: str) -> None:
    sent(ed, WHOLE, RECORDS[name])


def test_after_all_of_it_a_good_one_runs(ed: Browser) -> None:
    ed.open("/playground?open=")
    page = ed.press("/playground", {"open": "", "record": '{"a": "Ana"}', "mapping": WHOLE})
    assert "Nothing is wrong." in page.text
    assert '"family": "Ana"' in page.text


def test_bytes_that_are_no_text_are_refused(ed: Browser) -> None:
    ed.open("/playground?open=")
    assert ed.press("/playground", {"open": "", "record": "\x00", "mapping": WHOLE}).status == 400
    ed.open("/playground?open=")
    body = f"_token={ed.page.token}&open=&record=%ED%A0%80%FF&mapping=%ED%A0%80".encode()
    answer = ed.web.post(
        "/playground",
        data=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Origin": BASE},
        base_url=BASE,
    )
    assert answer.status_code == 400


def test_a_place_that_is_none_is_refused(ed: Browser) -> None:
    ed.open("/playground?open=")
    for more in ({"pane": "record"}, {"pane": "mapping", "at": "-1"}, {"pane": "mapping", "at": "many"}):
        data = {"_token": ed.page.token, "open": "", "mapping": WHOLE, **more}
        answer = ed.web.post("/playground/offers", data=data, headers={"Origin": BASE}, base_url=BASE)
        assert answer.status_code == 400
    data = {"_token": ed.page.token, "open": "", "mapping": WHOLE, "pane": "mapping", "at": "9999999"}
    assert ed.web.post("/playground/offers", data=data, headers={"Origin": BASE}, base_url=BASE).status_code == 200
