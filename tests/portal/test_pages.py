"""What holds of every page, whoever reads it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from peerfhir.pathway import vocabulary
from peerfhir.portal.paper import STATIC
from tests.portal.browse import Element, Page
from tests.portal.journey import GROUP_WORKING, WORKING

CONTROLS = ("input", "select", "textarea")
NOT_SAID = re.compile(r"\b(patient|case|client|non-compliant|refus\w+|addict|abuse|relapse|frequent flyer)s?\b", re.I)
CODES = sorted(
    {
        str(member)
        for name in dir(vocabulary)
        if isinstance(kind := getattr(vocabulary, name), type) and issubclass(kind, str)
        for member in getattr(kind, "__members__", {}).values()
        if "-" in str(member)
    }
)
LOOKS_CODED = re.compile(r"\bLA\d+-\d\b|\b\d{4,5}-\d\b|\b[0-9a-f]{8}-[0-9a-f]{4}-")
OF_THE_PERSON = ("me choosing", "me chosen", "me booked", "me shared", "me ledger", "me stopped")


def each(pages: dict[str, Page], but: tuple[str, ...] = ()) -> list[tuple[str, Page]]:
    return [(name, page) for name, page in pages.items() if name not in but]


def test_every_page_is_well_formed_and_has_its_landmarks(pages):
    for name, page in each(pages):
        assert page.reader.mistakes == [], name
        assert page.reader.open == [], name
        assert page.html.startswith("<!doctype html>"), name
        assert page.all("html")[0].attrs["lang"] == "en", name
        assert len(page.all("header", **{"class": "top"})) == 1, name
        for tag in ("title", "h1", "main", "footer"):
            assert len(page.all(tag)) == 1, (name, tag)
        assert page.all("title")[0].text.strip(), name
        assert page.all("a")[0].attrs == {"class": "skip", "href": "#main"}, name
        assert page.all("main")[0].attrs["id"] == "main", name


def test_ids_are_unique_and_everything_that_is_pointed_at_is_there(pages):
    for name, page in each(pages):
        ids = [e.attrs["id"] for e in page.reader.elements if "id" in e.attrs]
        assert len(ids) == len(set(ids)), (name, sorted(i for i in ids if ids.count(i) > 1))
        for element in page.reader.elements:
            for attribute in ("aria-describedby", "aria-labelledby", "for"):
                for wanted in element.attrs.get(attribute, "").split():
                    assert wanted in ids, (name, attribute, wanted)
        for href in page.links:
            if href.startswith("#"):
                assert href[1:] in ids, (name, href)


def test_headings_go_down_one_step_at_a_time(pages):
    for name, page in each(pages):
        levels = [int(e.tag[1]) for e in page.reader.elements if re.fullmatch(r"h[1-6]", e.tag)]
        assert all(after - before <= 1 for before, after in pairwise([1, *levels])), (name, levels)


def named(page: Page, control: Element) -> str:
    """The words a control is announced with."""
    around = control.within("label")
    texts = [e.text for e in page.all("label") if e.attrs.get("for") == control.attrs.get("id")]
    return " ".join([around.text if around else "", *texts]).strip()


def test_every_control_has_a_label_and_every_group_a_legend(pages):
    seen = 0
    for name, page in each(pages):
        for control in page.reader.elements:
            kind = control.attrs.get("type", "text")
            if control.tag not in CONTROLS or kind == "hidden":
                continue
            seen += 1
            assert control.attrs.get("id"), (name, control.attrs)
            assert named(page, control), (name, control.attrs)
            if kind == "radio" or (kind == "checkbox" and len(page.offered(control.attrs["name"])) > 1):
                assert control.within("fieldset") is not None, (name, control.attrs)
        for group in page.all("fieldset"):
            legends = [e for e in page.all("legend") if e.within("fieldset") is group]
            assert len(legends) == 1, name
            assert legends[0].text.strip(), name
        for button in (*page.all("button"), *page.all("summary")):
            assert button.text.strip(), name
    assert seen > 200


def test_every_form_is_ours_and_carries_a_token(pages):
    for name, page in each(pages):
        for form in page.all("form"):
            assert form.attrs["method"] == "post", name
            assert re.fullmatch(r"/[A-Za-z0-9/_-]*", form.attrs["action"]), (name, form.attrs)
            tokens = [e for e in page.all("input", name="_token") if e.within("form") is form]
            assert len(tokens) == 1, (name, form.attrs)
            assert tokens[0].attrs["value"] or name in ("link gone",), name


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_but_our_own_file(pages):
    for name, page in each(pages):
        for element in page.reader.elements:
            assert element.tag not in ("style", "iframe", "object", "embed", "base"), (name, element.tag)
            assert not any(attribute.startswith("on") for attribute in element.attrs), (name, element.attrs)
            assert "style" not in element.attrs, (name, element.attrs)
            for attribute in ("src", "srcset", "action", "formaction", "data"):
                assert element.attrs.get(attribute, "/").startswith("/"), (name, element.attrs)
            href = element.attrs.get("href", "/")
            own = href.startswith(("/", "#", "tel:")) or element.attrs.get("id") == "person-link"
            assert own or element.tag == "link", (name, element.attrs)
        assert [e.attrs["src"].partition("?")[0] for e in page.all("script")] == ["/static/niceties.js"], name


def test_words_of_a_chart_stand_on_no_page(pages):
    for name, page in each(pages):
        assert not NOT_SAID.findall(page.text), (name, NOT_SAID.findall(page.text))


def test_no_code_is_visible(pages):
    assert len(CODES) > 80
    for name, page in each(pages, but=("trace",)):
        words = set(re.findall(r"[a-z]+(?:-[a-z]+)+", page.text))
        assert not words.intersection(CODES), (name, words.intersection(CODES))
        text = page.text if name != "link" else ""  # the link itself is a secret key
        assert not LOOKS_CODED.findall(text), (name, LOOKS_CODED.findall(text))
        assert "{" not in page.text, name
        assert not re.search(r"\bNone\b(?! is| of)", page.text), name


def test_every_page_of_a_person_carries_the_crisis_card(pages):
    for name in OF_THE_PERSON:
        assert "Call or text 988, at any hour." in pages[name].text, name
        assert pages[name].all("a", href="tel:988"), name


def test_the_working_note_is_on_no_page_of_the_person(pages):
    for name in OF_THE_PERSON:
        for text in (WORKING, GROUP_WORKING):
            assert text not in pages[name].html, name
        assert "working" not in pages[name].text.lower(), name


def test_other_attendees_are_on_no_page_of_the_person(pages):
    for name in OF_THE_PERSON:
        assert not re.search("Amina|Okoye|Pete|Marsh|Jonas|Lindqvist", pages[name].html), name


def test_an_error_summary_leads_to_the_field(pages):
    for name in ("referral error", "meeting error", "note error", "group error", "questions error"):
        page = pages[name]
        box = next(e for e in page.reader.elements if e.attrs.get("class") == "errors")
        assert box.attrs["role"] == "alert", name
        targets = [e.attrs["href"][1:] for e in page.all("a") if e.within("div") is box]
        assert targets, name
        for target in targets:
            control = page.by_id(target)
            assert control is not None, (name, target)
            group = control.within("fieldset") if control.attrs.get("type") in ("radio", "checkbox") else None
            assert (group or control).attrs.get("aria-invalid") == "true", (name, target)
            closed = [e for e in _above(control) if e.tag == "details" and "open" not in e.attrs]
            assert not closed, (name, target, "the field is folded away")


def _above(element: Element) -> list[Element]:
    found = []
    while element.above is not None:
        element = element.above
        found.append(element)
    return found


# -- the sheet of style

PAIRS = (
    ("ink", "paper"), ("ink", "card"), ("soft", "paper"), ("soft", "card"), ("soft", "stone"), ("deep", "card"),
    ("deep", "paper"), ("deep", "tint"), ("deeper", "tint"), ("card", "deep"), ("card", "deeper"), ("ink", "sun"),
    ("sun-ink", "sun"), ("rose-ink", "rose"), ("rose-ink", "card"), ("card", "rose-ink"), ("sky-ink", "sky"),
    ("ink", "tint"), ("ink", "rose"), ("soft", "tint"), ("soft", "sun"), ("ink", "stone"), ("soft", "rose"),
)  # fmt: skip
EDGES = (
    ("edge", "card"),
    ("edge", "paper"),
    ("edge", "stone"),
    ("focus", "paper"),
    ("focus", "card"),
    ("focus", "deep"),
)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, two: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("pairs", "least"), [(PAIRS, 4.5), (EDGES[:-1], 3.0)])
def test_colours_can_be_told_apart(pairs, least):
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", (STATIC / "style.css").read_text()))
    for one, two in pairs:
        assert _contrast(colours[one], colours[two]) >= least, (one, two, _contrast(colours[one], colours[two]))


def test_the_sheet_is_small_and_loads_nothing():
    style, script = ((STATIC / name).read_text() for name in ("style.css", "niceties.js"))
    assert len(style) < 32_000
    assert len(script) < 4_000
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"innerHTML|eval\(|document\.write|fetch\(|localStorage|sessionStorage", script)
    for least in ("min-height: 2.75rem", "min-height: 3rem"):  # 44 px and more: html is 17 px
        assert least in style
