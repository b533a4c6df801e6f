"""The playground in a browser: it runs while somebody types, and lights up the rule and the cell behind a value."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from peerfhir.access import logins
from peerfhir.records.database import open_engine, writing
from tests.portal.site import Site, open_site
from tests.support.clock import HeldClock
from tests.support.playground import furnish
from tests.support.served import Served

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT = 30_000  # milliseconds; for a machine that has other things to do


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not os.path.exists(CHROMIUM):
        reason = f"no Chromium of the distribution at {CHROMIUM}"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@dataclass
class Tab:
    """An engineer's browser tab, and what went wrong in it."""

    page: Any
    served: Served
    wrong: list[str]

    def lit(self, pane: str) -> list[str]:
        """The characters of a pane that are lit."""
        return list(self.page.locator(f".sheet:has(textarea[data-pane={pane}]) mark").all_text_contents())

    def edit(self, before: str, after: str) -> None:
        """Type over a piece of the mapping, as somebody who marks it and writes."""
        field = self.page.locator("#mapping")
        field.evaluate(
            "(field, piece) => { const at = field.value.indexOf(piece); field.focus();"
            " field.setSelectionRange(at, at + piece.length); }",
            before,
        )
        self.page.keyboard.type(after)


@pytest.fixture(scope="module")
def door(furnished: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """The site at an address of its own, and the key of an engineer's login."""
    served, folder = Served(), furnish(tmp_path_factory.mktemp("browsed"))
    database = folder.parent / "peerfhir.db"
    shutil.copy(furnished.parts.engine.url.database or "", database)
    engine = open_engine(f"sqlite:///{database}")
    site = open_site(engine, HeldClock(), furnished, mappings_dir=folder, base_url=served.url)
    with writing(site.parts.engine) as connection:
        key = logins.begin(connection, site.clock, site.users["ed"], "riverside")
    served.start(site.app)
    yield served, key
    served.stop()
    engine.dispose()


def opened(chromium: Any, door: tuple[Served, str], width: int, **more: Any) -> Tab:
    served, key = door
    context = chromium.new_context(viewport={"width": width, "height": 900}, **more)
    context.set_default_timeout(WAIT)
    context.add_cookies([{"name": "peerfhir", "value": key, "url": served.url}])
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(f"{served.url}/playground?open=referral-csv&example=01-basic")
    return Tab(page, served, wrong)


@pytest.fixture
def tab(chromium: Any, door: tuple[Served, str]) -> Iterator[Tab]:
    made = opened(chromium, door, 1280)
    yield made
    made.page.context.close()
    assert made.wrong == []


def test_a_mistake_is_told_at_its_line_while_it_is_typed_and_gone_when_it_is_mended(tab: Tab) -> None:
    page = tab.page
    tab.edit("gender:", "gendr:")
    problem = page.locator(".problems .is-error", has_text="Patient has no element 'gendr'")
    problem.wait_for()
    assert page.locator(".lines .bad").all_text_contents() == ["56"]
    problem.get_by_role("link", name="Line 56:5").click()
    chosen = page.locator("#mapping").evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")
    assert chosen == "gendr: =sex.translate('sex')"
    assert page.evaluate("document.activeElement.id") == "mapping"
    assert page.locator("#state").text_content() == "Errors: 1. Warnings: 1."
    tab.edit("gendr:", "gender:")
    page.locator(".fine", has_text="Nothing is wrong.").wait_for()
    assert page.locator("#state").text_content() == "Nothing is wrong."
    assert page.locator(".lines .bad").count() == 0
    assert page.locator(".output").get_by_text('"female"').count() == 1


def test_pointing_at_a_value_lights_up_its_rule_and_its_cell(tab: Tab) -> None:
    page = tab.page
    assert (tab.lit("mapping"), tab.lit("record")) == ([], [])
    page.locator(".output a", has_text='"Rivera"').hover()
    assert (tab.lit("mapping"), tab.lit("record")) == (["=last_name"], ["last_name", "Rivera"])
    assert "row 1, column 4" in page.locator("#told").text_content()
    assert "52" in page.locator(".lines .lit").all_text_contents()
    for pane in ("mapping", "record"):
        box = page.locator(f".sheet:has(textarea[data-pane={pane}])").bounding_box()
        mark = page.locator(f".sheet:has(textarea[data-pane={pane}]) mark").last.bounding_box()
        assert box["y"] <= mark["y"] <= box["y"] + box["height"], pane
        assert box["x"] <= mark["x"] <= box["x"] + box["width"], pane


def test_the_light_lies_exactly_under_the_letters(tab: Tab) -> None:
    page = tab.page
    page.locator(".output a", has_text='"Rivera"').hover()
    measured = page.locator("#mapping").evaluate(
        "field => { const style = getComputedStyle(field), under = getComputedStyle(field.parentElement"
        ".querySelector('.under')); return ['fontSize', 'fontFamily', 'lineHeight', 'paddingTop', 'paddingLeft', 'tabSize']"
        ".map(name => [style[name], under[name]]); }"
    )
    assert all(one == other for one, other in measured), measured
    assert page.evaluate(
        "document.querySelector('#mapping').scrollTop === document.querySelector('.at-mapping .under').scrollTop"
    )


def test_the_keyboard_does_what_the_pointer_does(tab: Tab) -> None:
    page = tab.page
    page.locator("#suggest").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == '"usual"'
    for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent") == '"48213"'
    assert (tab.lit("mapping"), tab.lit("record")) == (["=mrn"], ["mrn", "48213"])
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "mapping"
    assert page.locator("#mapping").evaluate("f => f.value.slice(f.selectionStart, f.selectionEnd)") == "=mrn"
    page.locator(".output a", has_text='"48213"').focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.output')") is None


def test_what_is_absent_says_why_and_shows_where(tab: Tab) -> None:
    line = tab.page.locator(".at-absent li", has_text="patient.telecom[1]")
    assert "every expression is empty" in line.text_content()
    assert "counts as no value (source.empty)" in line.text_content()
    line.hover()
    assert tab.lit("mapping") == ["{system: email, value: =email}"]
    assert tab.lit("record")[0] == "email"


@pytest.mark.parametrize("width", [360, 1280])
def test_data_that_look_real_raise_a_banner_where_one_looks(
    chromium: Any, door: tuple[Served, str], width: int
) -> None:
    tab = opened(chromium, door, width)
    page = tab.page
    record = page.locator("#record")
    record.fill(record.input_value().replace("Lonely", "ask ana@hospital.org"))
    banner = page.get_by_role("alert")
    banner.wait_for()
    assert "looks real" in banner.text_content()
    box = banner.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 900
    record.fill(record.input_value().replace("ana@hospital.org", "ana@example.org"))
    banner.wait_for(state="detached")
    page.context.close()


def test_an_example_is_saved_as_two_downloads_and_the_text_stays(tab: Tab) -> None:
    page = tab.page
    tab.edit("active: true", "active: false")
    page.locator(".output a", has_text="false").wait_for()
    page.locator("#save-name").fill("05-from-the-browser")
    names = {}
    for button in ("Download the record", "Download what is expected"):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        names[download.value.suggested_filename] = Path(download.value.path()).read_text("utf-8")
    assert list(names) == ["05-from-the-browser.input.csv", "05-from-the-browser.expected.json"]
    assert names["05-from-the-browser.input.csv"] == page.locator("#record").input_value()
    assert '"active": false' in names["05-from-the-browser.expected.json"]
    assert "active: false" in page.locator("#mapping").input_value()
    assert {one.path for one in tab.served.answered if one.method == "POST"} == {"/playground"}


def test_who_was_signed_out_is_told_and_keeps_the_text(chromium: Any, door: tuple[Served, str]) -> None:
    tab = opened(chromium, door, 1280)
    tab.page.context.clear_cookies()
    tab.edit("active: true", "active: false")
    tab.page.get_by_text("You may have been signed out").wait_for()
    assert "active: false" in tab.page.locator("#mapping").input_value()
    tab.page.context.close()


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_nothing_moves_sideways_at_any_width(chromium: Any, door: tuple[Served, str], width: int) -> None:
    tab = opened(chromium, door, width)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    columns = {round(tab.page.locator(one).bounding_box()["x"]) for one in (".at-record", ".at-mapping", ".at-result")}
    assert len(columns) == {320: 1, 360: 1, 768: 2, 1280: 3, 1920: 3}[width]
    tab.page.context.close()


def test_without_a_script_a_button_runs_it(chromium: Any, door: tuple[Served, str]) -> None:
    tab = opened(chromium, door, 1280, java_script_enabled=False)
    page = tab.page
    page.locator("#mapping").fill(page.locator("#mapping").input_value().replace("gender:", "gendr:"))
    page.get_by_role("button", name="Run").click()
    page.get_by_text("Patient has no element 'gendr'").wait_for()
    assert page.locator("#whys").count() == 0
    page.locator("#mapping").fill(page.locator("#mapping").input_value().replace("gendr:", "gender:"))
    page.get_by_role("button", name="Run").click()
    link = page.locator(".output a", has_text='"Rivera"')
    link.click()
    target = page.locator(f"[id='{link.get_attribute('href')[1:]}']")
    assert target.is_visible()
    assert "row 1, column 4" in target.text_content()
    page.context.close()


def chosen(page: Any) -> tuple[str, str]:
    """What the list says is chosen, and what the text field says is active."""
    active = page.locator("#mapping").get_attribute("aria-activedescendant")
    option = page.locator(f"#{active}")
    assert option.get_attribute("aria-selected") == "true"
    assert page.locator('.offers [aria-selected="true"]').count() == 1
    return option.locator("code").text_content(), option.locator("span").text_content()


def test_the_keyboard_opens_what_fits_goes_through_it_and_takes_one(tab: Tab) -> None:
    page = tab.page
    tab.edit("=sex.translate('sex')", "=sex.tr")
    page.keyboard.press("Control+Space")
    page.locator("#offers li").first.wait_for()
    assert chosen(page) == ("trim()", "trim() → String")
    page.keyboard.press("ArrowDown")
    assert chosen(page) == ("trace()", "trace(name [, projection]) → the same")
    page.keyboard.type("a")
    page.locator("#offers li", has_text="translate()").wait_for()
    page.keyboard.press("ArrowDown")
    assert chosen(page)[0] == "translate()"
    page.keyboard.press("Enter")
    assert page.locator("#offers").is_hidden()
    page.keyboard.type("'")
    page.keyboard.press("Control+Space")
    page.locator("#offers li", has_text="sex").wait_for()
    page.keyboard.type("se")
    page.wait_for_function("document.querySelectorAll('#offers li').length === 1")
    page.keyboard.press("Enter")
    page.keyboard.type("'")
    assert "gender: =sex.translate('sex')\n" in page.locator("#mapping").input_value()
    page.locator(".output a", has_text='"female"').wait_for()
    page.keyboard.press("Control+Z")
    assert "gender: =sex.translate('sex')\n" not in page.locator("#mapping").input_value()


def test_another_version_and_a_traced_run_are_shown_as_soon_as_they_are_chosen(tab: Tab) -> None:
    page = tab.page
    assert page.get_by_label("Another version of the mapping").is_hidden()
    page.get_by_label("Difference to").select_option("referral-csv+general-hospital")
    page.locator("#changes td", has_text="patient.active").wait_for()
    page.get_by_label("Difference to").select_option("a text that I paste")
    text = page.locator("#mapping").input_value()
    page.get_by_label("Another version of the mapping").fill(text.replace("active: true", "active: false"))
    page.locator("#changes summary", has_text="Another version of the mapping (1)").wait_for()
    page.get_by_label("A traced run").check()
    page.locator("#steps").wait_for()
    assert page.get_by_label("Another version of the mapping").is_visible()


def test_escape_and_leaving_close_the_list_and_nothing_is_written(tab: Tab) -> None:
    page = tab.page
    before = page.locator("#mapping").input_value()
    for key in ("Escape", "Tab"):
        page.locator("#mapping").evaluate("field => { field.focus(); field.setSelectionRange(0, 0); }")
        page.keyboard.press("Control+Space")
        page.locator("#offers li").first.wait_for()
        page.keyboard.press(key)
        assert page.locator("#offers").is_hidden()
        assert page.locator("#mapping").get_attribute("aria-activedescendant") is None
    assert page.locator("#mapping").input_value() == before
    assert page.evaluate("document.activeElement.id") != "mapping"


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_a_button_opens_the_same_list_inside_the_window(chromium: Any, door: tuple[Served, str], width: int) -> None:
    tab = opened(chromium, door, width, has_touch=True)
    page = tab.page
    place = (
        "field => { const at = field.value.indexOf('=last_name') + 5; field.focus(); field.setSelectionRange(at, at); }"
    )
    page.locator("#mapping").evaluate(place)
    page.get_by_role("button", name="What fits here").scroll_into_view_if_needed()
    page.evaluate("window.stood = scrollY")
    page.get_by_role("button", name="What fits here").tap()
    page.locator("#offers li", has_text="last_name").wait_for()
    assert page.evaluate("scrollY") == page.evaluate("window.stood")
    box = page.locator("#offers").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#offered").text_content() == "Choices: 1. The arrow keys go through them, Enter takes one."
    page.locator("#offers li").first.tap()
    assert "family: =last_name" in page.locator("#mapping").input_value()
    assert tab.wrong == []
    page.context.close()
