"""The playground without a script: what is shown, to whom, within which bounds, and that nothing of it stays."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from peerfhir.mapping.examples import examples, run
from peerfhir.mapping.folder import manifest
from peerfhir.mapping.shelf import look
from peerfhir.portal import choices, playground, playpen
from peerfhir.records import kept
from peerfhir.records.database import open_engine, reading, writing
from peerfhir.records.kept import Used, Version
from peerfhir.records.schema import metadata
from tests.portal import test_pages as every
from tests.portal.browse import Browser, Page
from tests.portal.site import BASE, Site, open_site
from tests.support.clock import HeldClock
from tests.support.playground import HEADER, RECORD, ROW, furnish

CANARY = "Quillfeather"
# Many ways through a short text: it is checked in no time, and each record takes all the time that one may have.
BUSY = """\
mapping: busy
version: 1.0.0
status: draft
fhirVersion: 4.0.1
source: {format: ndjson, key: a, fields: {a: string!}}
vars:
  c: =a.toChars()
bundle: none
resources:
  p:
    resourceType: Patient
    multipleBirthInteger: =%c.select(%c.select(%c.count()).sum()).sum()
    name: {family: =a}
"""

BUSY_RECORDS = ('{"a": "' + "a" * 20_000 + '"}\n') * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("played"))


@pytest.fixture(scope="module")
def played(furnished: Site, folder: Path) -> Iterator[Site]:
    """A site with a playground over that folder."""
    database = folder.parent / "peerfhir.db"
    shutil.copy(furnished.parts.engine.url.database or "", database)
    engine = open_engine(f"sqlite:///{database}")
    yield open_site(engine, HeldClock(), furnished, mappings_dir=folder)
    engine.dispose()


@pytest.fixture
def ed(played: Site) -> Browser:
    made = played.browser("ed")
    assert made.open("/playground").status == 200
    return made


def fields(page: Page, **changed: str) -> dict[str, str]:
    names = ("open", "record", "mapping", "overlay", "example", "number", "against", "other")
    held = {name: page.held(name)[-1] for name in names if page.held(name)}
    return {**held, **changed}


def tried(browser: Browser, status: int = 200, **changed: str) -> Page:
    page = browser.press("/playground", fields(browser.page, **changed))
    assert page.status == status, page.text[:300]
    return page


def problems(page: Page) -> list[str]:
    return [" ".join(e.text.split()) for e in page.all("li") if e.attrs.get("class", "").startswith("problem")]


def behind(page: Page, spots: str, **texts: str) -> list[tuple[str, str]]:
    """What the lit characters are."""
    found = []
    for one in spots.split():
        pane, start, end = one.split(":")
        text = texts.get(pane) or page.held(pane)[0]
        found.append((pane, text[int(start) : int(end)]))
    return found


def differing(page: Page) -> list[list[str]]:
    """Place, before and after, as the grid of differences shows them."""
    grid = page.by_id("changes")
    assert grid is not None
    cells = [e for e in page.all("td") if e.within("details") is grid]
    return [[cell.text.strip() for cell in cells[at : at + 3]] for at in range(0, len(cells), 3)]


def value(page: Page, address: str) -> tuple[str, str]:
    """The explanation of one address, and its spots."""
    for e in page.all("li"):
        said = " ".join(e.text.split())
        if e.attrs.get("id", "").startswith("v") and re.match(re.escape(address) + r"( =|:)", said):
            return said, e.attrs.get("data-spots", "")
    raise AssertionError(address)


# -- what is shown


def test_a_mapping_opens_with_its_first_example_and_what_becomes_of_it(ed: Browser) -> None:
    page = ed.page
    assert page.held("open") == ["referral-csv", "referral-csv"]
    assert page.held("record") == [RECORD]
    assert page.held("mapping")[0].startswith("mapping: referral-csv\n")
    assert "Nothing is wrong." in page.text
    output = next(e for e in page.all("pre") if e.attrs.get("class") == "output")
    assert '"family": "Rivera"' in output.text
    assert output.text.count('"fullUrl"') == 3


def test_every_value_has_its_rule_and_its_cell(ed: Browser) -> None:
    said, spots = value(ed.page, "patient.name[0].family")
    assert (
        said == 'patient.name[0].family = "Rivera" Line 52:35 family: =last_name row 1, column 4 last_name = "Rivera"'
    )
    assert behind(ed.page, spots) == [("mapping", "=last_name"), ("record", "Rivera"), ("record", "last_name")]
    link = next(e for e in ed.page.all("a") if e.text == '"Rivera"')
    assert link.attrs["data-spots"] == spots
    assert ed.page.by_id(link.attrs["href"][1:]) is not None


def test_what_is_absent_says_why(ed: Browser) -> None:
    said, spots = value(ed.page, "patient.telecom[1]")
    assert "every expression is empty" in said
    assert 'email = "" counts as no value (source.empty)' in said
    assert behind(ed.page, spots)[0] == ("mapping", "{system: email, value: =email}")


def test_a_mistake_is_told_with_line_and_column_and_the_place_to_jump_to(ed: Browser) -> None:
    text = ed.page.held("mapping")[0].replace("gender:", "gendr:")
    page = tried(ed, mapping=text)
    first = problems(page)[0]
    assert first == (
        "Error Line 56:5 PM202 patient.gendr: Patient has no element 'gendr' Hint: did you mean 'gender'? "
        "gendr: =sex.translate('sex')"
    )
    place = next(e for e in page.all("a") if e.text == "Line 56:5")
    assert behind(page, place.attrs["data-spots"])[0][1].startswith("gendr")
    assert "There is no result while something is wrong." in page.text
    assert page.by_id("state").text == "Errors: 1. Warnings: 1."
    assert page.held("mapping") == [text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mapping: [a, b\nversion: 1", "PM001"),
        ("mapping: a\n\tversion: 1", "a tab cannot indent"),
        ("mapping: a\nmapping: b\n", "stands twice"),
        ("a: &x {b: *x}", "not allowed here"),
        ("mapping: referral-csv\nsource: " + "[" * 80 + "]" * 80, "nested deeper than 64"),
        ('mapping: "a', "PM001"),
        ("\x07", "PM001"),
        ("", "Error"),
        ("just words", "Error"),
    ],
)
def test_text_that_is_no_mapping_gives_messages_with_places(ed: Browser, text: str, said: str) -> None:
    page = tried(ed, mapping=text)
    assert any(said in one and re.search(r"Line \d+:\d+", one) for one in problems(page)), problems(page)
    assert "Traceback" not in page.html


def test_a_record_that_does_not_fit_is_told_by_row_column_and_rule(ed: Browser) -> None:
    page = tried(ed, record=RECORD.replace("1989-04-17", "17.4.1989"))
    assert "row 1, column 7 (dob)" in problems(page)[0]
    spots = next(e.attrs["data-spots"] for e in page.all("li") if "problem" in e.attrs.get("class", ""))
    assert ("record", "17.4.1989") in behind(page, spots)


def test_one_record_of_several_is_chosen_and_none_fails_the_others(ed: Browser) -> None:
    second = ROW.replace("Rivera", "Okoye").replace("R-1", "R-2")
    page = tried(ed, record=f"{HEADER}\n{ROW.replace('1989-04-17', 'x')}\n{second}\n", number="2")
    assert page.held("number") == ["2"]
    assert '"Okoye"' in page.text
    said, spots = value(page, "patient.name[0].family")
    assert "row 2, column 4" in said
    assert behind(page, spots)[1] == ("record", "Okoye")


def test_an_overlay_is_tried_with_its_mapping_and_may_be_changed(ed: Browser) -> None:
    ed.open("/playground?open=referral-csv%2Bgeneral-hospital&example=01-basic")
    said, spots = value(ed.page, "patient.active")
    assert said.startswith("patient.active = false Line general-hospital.overlay.yaml:6:31")
    assert behind(ed.page, spots) == [("overlay", "false")]
    page = tried(ed, overlay=ed.page.held("overlay")[0].replace("patient.active", "patient.activ"))
    assert "PM400" in problems(page)[0]


def test_what_ones_changes_change_is_shown(ed: Browser) -> None:
    page = tried(ed, mapping=ed.page.held("mapping")[0].replace("active: true", "active: false"))
    assert "What your changes change (1)" in page.text
    assert differing(page) == [["patient.active", "true", "false"]]
    assert "asks for a new major version" in page.text
    page = tried(ed, mapping=page.held("mapping")[0].replace("active: false", "active: true # as it was"))
    assert "What your changes change (0)" in page.text
    assert "Nothing differs for this record." in page.text


def test_another_version_is_compared_by_its_name_or_as_it_is_pasted(ed: Browser) -> None:
    page = tried(ed, against="referral-csv+general-hospital")
    assert page.held("against") == ["referral-csv+general-hospital"]
    assert ["patient.active", "false", "true"] in differing(page)
    assert ["task", "absent"] in [one[:2] for one in differing(page)]
    own = page.held("mapping")[0]
    page = tried(ed, against=playground.PASTED, other=own.replace("active: true", "active: false"))
    assert "Difference to Another version of the mapping (1)" in page.text
    assert differing(page) == [["patient.active", "false", "true"]]
    assert page.held("other") == [own.replace("active: true", "active: false")]
    page = tried(ed, against=playground.PASTED, other="no mapping")
    assert "That version has errors of its own" in page.text
    assert "Nothing is wrong." in page.text
    assert ed.press("/playground", fields(page, against="nothing")).status == 404


def test_a_version_that_was_used_is_compared_with_the_files_it_had(ed: Browser, played: Site, folder: Path) -> None:
    home = folder / "referral-csv"
    files = {
        f"mappings/referral-csv/{name}": (home / name).read_bytes() for name in ("referral-csv.map.yaml", "program.csv")
    }
    label = "mappings/referral-csv/referral-csv.map.yaml"
    files[label] = files[label].replace(b"active: true", b"active: false")
    files["mappings/referral-csv/program.csv"] = files["mappings/referral-csv/program.csv"].replace(
        b"Recovery peer support", b"Recovery"
    )
    used = Used(Version("referral-csv", "0.9.0"), manifest(files), files)
    with writing(played.parts.engine) as connection:
        kept.keep(connection, played.clock.now(), [used])
    ed.open("/playground")
    options = {" ".join(e.text.split()): e.attrs["value"] for e in ed.page.all("option")}
    page = tried(ed, against=options["referral-csv 0.9.0"])
    assert page.held("against") == [f"kept:{used.sha256}"]
    assert "Difference to referral-csv 0.9.0 (" in page.text
    assert ["patient.active", "false", "true"] in differing(page)
    assert ['"Recovery"', '"Recovery peer support"'] in [one[1:] for one in differing(page)]
    for wrong in (f"kept:{'0' * 64}", "kept:", "kept:../x"):
        assert ed.press("/playground", fields(ed.open("/playground"), against=wrong)).status == 404
    ed.open("/playground?open=")
    assert ed.press("/playground", fields(ed.page, against=f"kept:{used.sha256}")).status == 404


def test_a_record_that_the_other_version_refuses_differs_by_its_codes(ed: Browser) -> None:
    other = ed.page.held("mapping")[0].replace("last_name:     string!", "last_name: {type: string!, maxLength: 3}")
    page = tried(ed, against=playground.PASTED, other=other)
    assert ["error", '"PM703"', "absent"] in differing(page)
    assert ["patient", "absent"] in [one[:2] for one in differing(page)]


TRACED = """\
mapping: traced
version: 1.0.0
status: draft
fhirVersion: 4.0.1
source: {format: json, fields: {names: [string], dead: boolean, secret: {type: string, sensitive: true}}}
bundle: none
resources:
  p:
    resourceType: Patient
    name:
      - $each: names as n
        family: =%n.trace('a name')
    contact:
      - $if: dead
        name: {family: gone}
    gender: "=iif(secret.trace('hidden').exists(), 'other', 'unknown')"
    address: {city: =secret}
"""


def test_a_traced_run_tells_loops_conditions_and_what_trace_said(ed: Browser) -> None:
    ed.open("/playground?open=")
    given = {"mapping": TRACED, "record": '{"names": ["Ana", "Bo"], "dead": false, "secret": "Quillfeather"}'}
    assert "Traced run" not in tried(ed, **given).text
    page = tried(ed, traced="yes", **given)
    within = page.by_id("steps")
    assert [" ".join(e.text.split()) for e in page.all("li") if e.within("details") is within] == [
        "p.name[0]: goes round 2 times Line 11:9",
        "p.contact[0].$if: the condition does not hold Line 14:14",
        'a name: ["Ana"] from trace()',
        'a name: ["Bo"] from trace()',
        "hidden: (masked) from trace()",
    ]
    assert page.held("traced") == ["yes"]
    assert '["Quillfeather"]' in (tried(ed, traced="yes", show="yes", **given).by_id("steps") or page).text


def test_what_a_sensitive_field_held_is_hidden_until_somebody_asks(ed: Browser) -> None:
    ed.open("/playground?open=")
    record = '{"names": ["Ana"], "secret": "Quillfeather"}'
    other = TRACED.replace("city: =secret", "district: =secret")
    given = {"mapping": TRACED, "record": record, "against": playground.PASTED, "other": other, "traced": "yes"}
    page = tried(ed, **given)
    shown = [
        e for e in page.reader.elements if "Quillfeather" in e.text and e.tag in ("section", "details", "pre", "div")
    ]
    assert [e.attrs["class"] for e in shown if e.tag in ("section", "pre")] == ["card pane at-record"]
    assert '"city": "(masked)"' in page.text
    assert ["p.address[0].city", "absent", "(masked)"] in differing(page)
    assert "What fields marked sensitive held is hidden here." in page.text
    page = tried(ed, **given, show="yes")
    assert '"city": "Quillfeather"' in page.text
    assert ["p.address[0].city", "absent", '"Quillfeather"'] in differing(page)
    assert "hidden here" not in page.text
    # what is to be expected is no message: an example has to hold it
    assert b"Quillfeather" in saved(ed, "expected", **given, example="07-saved")[1]


@pytest.mark.parametrize(
    ("declared", "value"),
    [("{type: date!, sensitive: true}", '"Quillfeather"'), ("{type: integer!, sensitive: true}", '"Quillfeather"'),
     ("{type: code!, codes: [a, b], sensitive: true}", '"Quillfeather"'), ("{type: boolean!, sensitive: true}", '"Quillfeather"'),
     ("{type: string!, maxLength: 3, sensitive: true}", '"Quillfeather"'),
     ("{type: string!, pattern: '[0-9]+', sensitive: true}", '"Quillfeather"'),
     ("{type: decimal!, min: 3, sensitive: true}", "-73921.5"), ("{type: uri!, sensitive: true}", '"Quill feather"'),
     ("{type: string!, sensitive: true}", '["Quillfeather"]'), ("{type: time!, sensitive: true}", '{"a": "Quillfeather"}')],
)  # fmt: skip
def test_no_message_repeats_what_a_sensitive_field_held(ed: Browser, declared: str, value: str) -> None:
    ed.open("/playground?open=")
    text = f"mapping: one\nversion: 1.0.0\nstatus: draft\nfhirVersion: 4.0.1\nsource: {{format: json, fields: {{a: {declared}}}}}\n"
    text += "bundle: none\nresources: {p: {resourceType: Patient, address: {city: =a.toString()}}}\n"
    page = tried(ed, mapping=text, record=f'{{"a": {value}}}', traced="yes")
    assert "There is no result while something is wrong." in page.text, page.text[-2000:]
    told = next(e for e in page.all("section") if "at-problems" in e.attrs["class"])
    assert "/a" in told.text
    for secret in ("Quill", "feather", "73921"):
        assert secret not in told.text, told.text


def test_code_maps_show_what_the_record_looked_up(ed: Browser) -> None:
    used = [" ".join(e.text.split()) for e in ed.page.all("tr", **{"class": "used"})]
    assert used == ["F looked up by this record female", "U looked up by this record urgent",
                    "recovery looked up by this record mentoring Recovery peer support"]  # fmt: skip


def test_a_new_mapping_begins_with_one_that_works(ed: Browser) -> None:
    page = ed.open("/playground?open=")
    assert "Nothing is wrong." in page.text
    assert '"family": "Example"' in page.text
    page = tried(ed, mapping=page.held("mapping")[0].replace("new-mapping", "my-own"))
    assert "Nothing is wrong." in page.text


def test_data_that_look_real_raise_a_notice_and_nothing_more(ed: Browser) -> None:
    assert "Invented data only" in ed.page.text
    for real in ("ana@hospital.org", "078-05-1120", "(415) 867-5309"):
        page = tried(ed, record=RECORD.replace("Lonely", real))
        assert "looks real" in page.text, real
        assert "Nothing is wrong." in page.text
    page = tried(ed, record=RECORD.replace("Lonely", "ana@mail.example.org 415-555-0134 a@b.test"))
    assert "looks real" not in page.text


def test_the_page_keeps_the_rules_of_every_page(ed: Browser) -> None:
    pages = {"playground": ed.page, "wrong": tried(ed, mapping="no"), "overlay": ed.open(
        "/playground?open=referral-csv%2Bgeneral-hospital")}  # fmt: skip
    every.test_every_page_is_well_formed_and_has_its_landmarks(pages)
    every.test_ids_are_unique_and_everything_that_is_pointed_at_is_there(pages)
    every.test_headings_go_down_one_step_at_a_time(pages)
    for page in pages.values():
        assert not any(
            "style" in e.attrs or any(name.startswith("on") for name in e.attrs) for e in page.reader.elements
        )
        assert [e.attrs["src"].partition("?")[0] for e in page.all("script")] == [
            "/static/niceties.js", "/static/playground.js", "/static/completion.js",
        ]  # fmt: skip
        for control in page.reader.elements:
            if control.tag in every.CONTROLS and control.attrs.get("type") != "hidden":
                assert every.named(page, control), control.attrs


def test_text_is_escaped_wherever_it_stands(ed: Browser) -> None:
    evil = "</textarea><script>alert(1)</script>"
    page = tried(ed, record=RECORD.replace("Rivera", evil), example=evil)
    assert page.reader.mistakes == []
    assert len(page.all("script")) == 3
    assert page.held("record") == [RECORD.replace("Rivera", evil)]
    page = tried(ed, mapping=f"mapping: {evil}\n{evil}")
    assert len(page.all("script")) == 3


# -- to whom


def test_only_engineers_see_it(played: Site) -> None:
    for login in ("carla", "sue", "tomas"):
        browser = played.browser(login)
        token = browser.page.token
        assert "/playground" not in browser.page.links
        assert browser.open("/playground").status == 403
        answer = browser.web.post("/playground", data={"_token": token}, headers={"Origin": BASE}, base_url=BASE)
        assert answer.status_code == 403
    stranger = played.browser().web.get("/playground", base_url=BASE)
    assert (stranger.status_code, stranger.headers["Location"]) == (303, "/sign-in?next=/playground")
    assert "/playground" in played.browser("ed").page.links


def test_where_it_is_not_turned_on_it_is_not_there(played: Site, folder: Path) -> None:
    without = open_site(played.parts.engine, HeldClock(), played, mappings_dir=folder, playground=False)
    ed = without.browser("ed")
    assert "/playground" not in ed.page.links
    token = ed.page.token
    assert ed.open("/playground").status == 404
    assert (
        ed.web.post("/playground", data={"_token": token}, headers={"Origin": BASE}, base_url=BASE).status_code == 404
    )


def test_a_form_of_another_site_is_turned_away(ed: Browser) -> None:
    good = fields(ed.page)
    for token, origin in (("", BASE), ("forged", BASE), (ed.page.token, "https://elsewhere.example")):
        answer = ed.web.post("/playground", data={"_token": token, **good}, headers={"Origin": origin}, base_url=BASE)
        assert answer.status_code == 403


def test_only_this_page_may_ask_again_and_only_of_our_own_address(ed: Browser, played: Site) -> None:
    home = ed.open("/").headers["Content-Security-Policy"]
    assert ed.open("/playground").headers["Content-Security-Policy"] == f"{home}; connect-src 'self'"
    assert "connect-src" not in home
    assert "connect-src" not in played.browser().open("/sign-in").headers["Content-Security-Policy"]
    assert ed.page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "status"),
    [("?open=nothing", 404), ("?open=..%2Fsecret", 404), ("?open=referral-csv%2Bnowhere", 404),
     ("?example=..%2F..%2Fprogram", 200), ("?open=referral-csv&example=nothing", 200)],
)  # fmt: skip
def test_an_address_names_only_what_is_there(ed: Browser, query: str, status: int) -> None:
    page = ed.open(f"/playground{query}")
    assert page.status == status
    if status == 200:
        assert page.held("record") == [RECORD]


# -- within which bounds


def test_what_is_too_long_is_refused(ed: Browser) -> None:
    good = fields(ed.page)
    for changed in ({"record": "x" * (choices.MOST_RECORD + 1)}, {"mapping": "#" * (playground.MAX_BYTES + 1)},
                    {"mapping": "#" * playground.MOST_FORM}):  # fmt: skip
        data = {"_token": ed.page.token, **good, **changed}
        answer = ed.web.post("/playground", data=data, headers={"Origin": BASE}, base_url=BASE)
        assert answer.status_code == 413
    assert tried(ed, mapping="#" * 100_000).status == 200


@pytest.mark.parametrize("changed", [{"number": "-1"}, {"number": "many"}, {"number": ["1", "2"]}])
def test_a_field_that_makes_no_sense_is_refused(ed: Browser, changed: dict[str, Any]) -> None:
    data = {"_token": ed.page.token, **fields(ed.page), **changed}
    answer = ed.web.post("/playground", data=data, headers={"Origin": BASE}, base_url=BASE)
    assert answer.status_code == 400


def test_a_mapping_that_never_ends_is_stopped_and_the_next_try_runs(ed: Browser, played: Site) -> None:
    ed.open("/playground?open=")
    page = tried(ed, 422, mapping=BUSY, record=BUSY_RECORDS)
    assert "so it was stopped" in page.text
    assert "Nothing is wrong." not in page.text
    page = tried(ed, mapping=BUSY, record='{"a": "aaa"}')
    assert '"multipleBirthInteger": 27' in page.text


def test_a_mapping_reads_nothing_outside_its_folder(ed: Browser) -> None:
    text = ed.page.held("mapping")[0].replace("program.csv ", "../../../../../../etc/passwd.csv ")
    assert "PM008" in problems(tried(ed, mapping=text))[0]


# -- what stays: nothing


def _kept(site: Site) -> dict[str, int]:
    with reading(site.parts.engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_nothing_that_is_typed_is_stored_logged_or_put_into_an_address(
    ed: Browser, played: Site, folder: Path, log_lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, files = _kept(played), _files(folder)
    record = RECORD.replace("Rivera", CANARY)
    page = tried(ed, record=record)
    assert CANARY in page.text
    assert not any(CANARY in one for one in [*page.links, *page.actions, page.path])
    tried(ed, record=record.replace("1989-04-17", CANARY), mapping=f"{ed.page.held('mapping')[0]}\n# {CANARY}\n")
    tried(ed, 422, mapping=BUSY.replace("busy", "referral-csv"), record=BUSY_RECORDS.replace("aaaaaaaaaaaa", CANARY))

    def fall_over(*given: Any) -> Any:
        raise ValueError(f"{CANARY} {given}")

    monkeypatch.setattr(playpen.Playpen, "tried", fall_over)
    assert ed.press("/playground", fields(page, record=record)).status == 500
    assert (_kept(played), _files(folder)) == (before, files)
    assert '"exception": "ValueError"' in log_lines.getvalue()
    assert CANARY not in log_lines.getvalue()


def saved(browser: Browser, part: str, **changed: str) -> tuple[str, bytes]:
    data = {"_token": browser.page.token, **fields(browser.page, **changed), "save": part}
    answer = browser.web.post("/playground", data=data, headers={"Origin": BASE}, base_url=BASE)
    assert answer.status_code == 200, answer.text[:300]
    name = re.fullmatch(r'attachment; filename="([0-9a-z.-]+)"', answer.headers["Content-Disposition"])
    assert name is not None
    assert answer.mimetype == "text/plain"
    return name[1], answer.data


@pytest.mark.parametrize(
    ("record", "suffix"),
    [(RECORD, "expected.json"), (RECORD.replace("1989-04-17", "x"), "error.txt"),
     (f"{RECORD}{ROW.replace('R-1', 'R-2').replace('F', 'x').replace('recovery', 'yoga')}\n", "expected.json")],
)  # fmt: skip
def test_an_example_that_was_saved_passes_beside_its_mapping(
    ed: Browser, tmp_path: Path, record: str, suffix: str
) -> None:
    root = furnish(tmp_path)
    home = root / "referral-csv" / "examples"
    for path in home.glob("*.csv"):
        path.unlink()
    for part in ("input", "expected"):
        name, data = saved(ed, part, record=record, example="07-saved")
        (home / name).write_bytes(data)
    assert sorted(path.name for path in home.glob("07*")) == sorted(["07-saved.input.csv", f"07-saved.{suffix}"])
    opened = look(root, "http://peerfhir.example.org/fhir").find("referral-csv")
    assert opened is not None
    (only,), _ = examples(opened)
    verdict = run(opened, only)
    assert verdict.passed, verdict.problems


def test_an_example_needs_a_name_that_is_one_and_a_mapping_that_works(ed: Browser) -> None:
    page = ed.press("/playground", {**fields(ed.page, example="../../x"), "save": "input"})
    assert (page.status, "The name of an example is" in page.text) == (422, True)
    ed.open("/playground")
    page = ed.press("/playground", {**fields(ed.page, mapping="no", example="03-a"), "save": "expected"})
    assert (page.status, "There is nothing to expect yet" in page.text) == (422, True)
    page = ed.press("/playground", {**fields(ed.open("/playground")), "save": "everything"})
    assert page.status == 422
