"""Pages stay text (docs/rules.md, Delivery): payloads made from a grammar go through every free-text field there is."""

from __future__ import annotations

import html
import random
from collections.abc import Iterator
from dataclasses import replace

from peerfhir.pathway.people import Program
from tests.portal.browse import Browser, Page
from tests.portal.site import BASE, Site, open_site

SEED = 20261121
MARK = "zqxzqxz"  # every payload carries it, so that a page can be asked whether it was shown at all
BREAKS = (
    "",
    '"',
    "'",
    '">',
    "'>",
    "</textarea>",
    "</title>",
    "</script>",
    "-->",
    "]]>",
    "</p></main>",
    "&quot;>",
    "\\'",
    "`",
)
HARM = (
    "<script>{m}()</script>", "<img src=x onerror={m}()>", "<svg onload={m}()>", "<svg/onload={m}()>",
    "<body onpageshow={m}()>", '<a href="javascript:{m}()">x</a>', "<iframe srcdoc='<script>{m}</script>'>",
    "<math><mtext></mtext><script>{m}</script>", "<style>@import 'http://e.example/{m}'</style>",
    '<link rel=stylesheet href="//e.example/{m}">', '<base href="//e.example/{m}">', "<details open ontoggle={m}()>",
    '<form action="//e.example/{m}"><button>', '<input onfocus={m}() autofocus>', '<meta http-equiv=refresh content="0;{m}">',
    "<!--<img title='--><script>{m}</script>'>", "{{{{ {m} }}}}", "{{% include '{m}' %}}", "${{{m}}}", "&lt;script&gt;{m}",
    ' onmouseover="{m}()" x="', " autofocus onfocus={m}() ", "javascript:{m}()", "data:text/html,<script>{m}</script>",
    "<object data=//e.example/{m}>", "<embed src=//e.example/{m}>", "<video><source onerror={m}()>", "<p style='x:{m}'>",
)  # fmt: skip


def payloads(number: int = 140) -> list[str]:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    made = {chance.choice(BREAKS) + one.format(m=MARK) for one in HARM}
    while len(made) < number:
        one = chance.choice(BREAKS) + chance.choice(HARM).format(m=MARK)
        made.add("".join(letter.upper() if chance.random() < 0.2 else letter for letter in one))
    return sorted(one if MARK in one.lower() else one + MARK for one in made)


def shelves(texts: list[str], limit: int) -> Iterator[str]:
    """The texts joined as far as a field takes them."""
    shelf = ""
    for one in texts:
        if shelf and len(shelf) + len(one) + 1 > limit:
            yield shelf
            shelf = ""
        shelf = f"{shelf} {one}".strip()
    yield shelf


def check(name: str, page: Page) -> None:
    """Nothing in the page but what our templates put there."""
    assert page.reader.mistakes == [], (name, page.reader.mistakes)
    assert page.reader.open == [], name
    for element in page.reader.elements:
        assert element.tag not in (
            "style",
            "iframe",
            "object",
            "embed",
            "base",
            "img",
            "math",
            "video",
            "source",
        ), name
        assert not any(attribute.startswith("on") for attribute in element.attrs), (name, element.attrs)
        assert "style" not in element.attrs, (name, element.attrs)
        for attribute in ("href", "src", "action", "formaction"):
            value = element.attrs.get(attribute, "/")
            assert value.startswith(("/", "#", "tel:")) or element.attrs.get("id") == "person-link", (name, value)
            assert not value.startswith("//"), (name, value)
    assert [e.attrs.get("src", "").partition("?")[0] for e in page.all("script")] == ["/static/niceties.js"], name
    assert [e.attrs["rel"] for e in page.all("link")] == ["icon", "stylesheet"], name
    assert all(e.attrs.get("name") or e.attrs.get("charset") for e in page.all("meta")), name


def seen(name: str, page: Page, *texts: str, status: int = 200) -> Page:
    """The page is whole, and says each text exactly as it was entered."""
    assert page.status == status, (name, page.status)
    check(name, page)
    said = [" ".join(" ".join(page.reader.texts).split())]
    said += [" ".join(value.split()) for element in page.reader.elements for value in element.attrs.values()]
    for text in texts:
        assert any(" ".join(text.split()) in one for one in said), (name, text[:60])
    return page


def test_what_came_from_a_hospital_is_shown_as_text(site):
    """Names, reasons and ways to make contact; read by a lead, a peer, and the person."""
    every = " ".join(payloads())
    referral = site.refer(
        f"Given {every}", f"Family {every}", reason=every, requested_by=every, safe_contact=every, phone=every
    )
    desk = site.browser("carla")
    for path in ("/", "/referrals", "/people", f"/referrals/{referral.id}", f"/people/{referral.person_id}"):
        seen(path, desk.open(path), every)
    own = site.choosing(referral)
    seen("link", desk.press(f"/referrals/{referral.id}/link"), every)
    own = desk.page.by_id("person-link").attrs["href"].removeprefix(BASE)
    person = site.browser()
    seen("own", person.open(own), every)
    person.press(f"{own}/choose", {"peer_id": site.peers["tomas"].id})
    peer = site.browser("tomas")
    for path in ("/", "/referrals", f"/referrals/{referral.id}"):
        seen(path, peer.open(path), every)
    peer.press(f"/referrals/{referral.id}/accept")
    about = f"/people/{referral.person_id}"
    for path in (about, f"{about}/note", f"{about}/phq-9", "/groups/new", "/people"):
        seen(path, peer.open(path), every)


def test_what_staff_are_called_is_shown_as_text(site):
    every = " ".join(payloads())
    with site.work() as work:
        peer = work.save_peer(replace(work.peer(site.peers["ana"].id), display=f"Ana {every}", title=every))
    referral = site.refer("Marisol", "Vega")
    desk = site.proposed(referral)
    seen("referral", desk.page, every)
    own = site.link(desk, referral)
    person = site.browser()
    seen("own", person.open(own), every)
    person.press(f"{own}/choose", {"peer_id": peer.id})
    seen("own chosen", person.page, every)
    ana = site.browser("ana")
    ana.open(f"/referrals/{referral.id}")
    seen("accepted", ana.press(f"/referrals/{referral.id}/accept"), every)
    ana.open(f"/people/{referral.person_id}/note")
    seen("preview", ana.press(f"/people/{referral.person_id}/note", site.note(show="preview")), every)


def _note_fields(site: Site, text: str) -> dict[str, str]:
    return site.note(working_note=text, summary=text[:400], next_step=text[:190], setting=text[:40], worry="yes")


def test_what_is_written_in_a_note_is_shown_as_text(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    site.share(own, "hospital.attendance", "hospital.summary", "hospital.care-team-contact")
    about = f"/people/{referral.person_id}"
    lead, person = site.browser("sue"), site.browser()
    for number, text in enumerate(shelves(payloads(), 590)):
        peer.open(f"{about}/note")
        fields = _note_fields(site, text)
        again = peer.press(f"{about}/note", {**fields, "show": "edit"})
        seen("note again", again, text, fields["summary"], fields["next_step"])
        seen("note error", peer.press(f"{about}/note", {**fields, "ended_at": text[:100]}), text, status=422)
        seen("preview", peer.press(f"{about}/note", {**fields, "show": "preview"}), text, fields["summary"])
        if number < 5:
            seen("person", peer.press(f"{about}/note", {**fields, "client_uuid": ""}), text, fields["summary"])
            seen("person", lead.open(about), text)
            seen("people", peer.open("/people"))
            sent = fields["summary"]
    site.deliver_all()
    seen("own", person.open(own), sent)


def test_what_is_written_in_any_other_form_is_shown_as_text(site):
    referral = site.refer("Marisol", "Vega")
    at = f"/referrals/{referral.id}"
    desk = site.browser("carla")
    desk.open(at)
    desk.press(f"{at}/triage")
    for text in shelves(payloads(), 480):
        for name in ("question", "decline", "redirect", "transfer", "waitlist"):
            # too long on purpose: the form comes back with what was entered
            came = desk.press(f"{at}/{name}", {"sentence": f"{text} {'x' * 600}", "reason": text})
            seen(name, came, text, status=422)
    for text in shelves(payloads(), 190):
        seen("sign-in", _sign_in(site, text), text, status=401)
    peer, _ = site.matched(site.refer("Amina", "Okoye"))
    for text in shelves(payloads(), 90):
        peer.open("/groups/new")
        fields = {"topic": text, "started_at": text, "ended_at": text, "modality": text, "attendees": text,
                  "summary": text, "working_note": text, "client_uuid": text}  # fmt: skip
        seen("group", peer.press("/groups/new", fields), text, status=422)
    about = peer.open("/people").links
    path = next(link for link in about if link.startswith("/people/"))
    for text in shelves(payloads(), 60):
        peer.open(f"{path}/phq-9")
        fields = {"/44250-9": text, "client_uuid": text, "safe_now": text}
        seen("questions", peer.press(f"{path}/phq-9", fields), status=422)


def _sign_in(site: Site, text: str) -> Page:
    browser: Browser = site.browser()
    browser.open("/sign-in")
    return browser.press("/sign-in", {"login": text, "password": text})


def test_addresses_put_nothing_into_a_page(site):
    desk = site.browser("carla")
    for text in payloads():
        for path in ("/referrals", "/people", "/sign-in"):
            answer = desk.web.get(path, query_string={"done": text, "next": text, text: text}, base_url=BASE)
            page = Page(answer.status_code, answer.text, answer.headers, path)
            check(path, page)
            assert MARK not in page.html.lower(), (path, text)


def test_what_a_site_sets_is_shown_as_text(site, tmp_path):
    """The program's name, its crisis line and a questionnaire's own words are escaped like anything else."""
    every = " ".join(payloads())
    referral = site.refer("Marisol", "Vega")
    hostile = open_site(site.parts.engine, site.clock, site)
    programs = {name: Program(name, every, crisis_line=f"{every} 988") for name in ("riverside", "hilltop")}
    instrument = site.parts.instruments["phq-9"]
    items = tuple(
        replace(i, text=every, options=tuple(replace(o, display=f"{every} {o.code}") for o in i.options))
        for i in instrument.items
    )
    loaded = {"phq-9": replace(instrument, title=every, notices=(every,), copyright=every, items=items)}
    object.__setattr__(hostile.parts, "programs", programs)
    object.__setattr__(hostile.parts, "instruments", loaded)
    hostile.parts.office.programs, hostile.parts.office.instruments = programs, loaded
    peer, own = hostile.matched(referral)
    seen("home", peer.open("/"), every)
    seen("questions", peer.open(f"/people/{referral.person_id}/phq-9"), every)
    seen("own", hostile.browser().open(own), every)


def test_entered_words_come_back_letter_for_letter(site):
    """Also those that look like markup, entities or an empty first line."""
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    about = f"/people/{referral.person_id}"
    for text in ("&amp; &lt;b&gt;", "<b>bold</b>", "line one\n\n  line two", "a\u2028b", "¿Qué? 雪 🙂", "tab\there"):
        peer.open(f"{about}/note")
        page = peer.press(f"{about}/note", site.note(working_note=text, modality=""))
        assert page.status == 422
        assert page.held("working_note") == [text]
        assert html.unescape(html.escape(text)) == text
