"""Whether every tag of a narrative is closed, and what a stranger might send instead."""

from __future__ import annotations

import time

import pytest

from peerfhir.fhir.narrative import is_closed

CLOSED = [
    "<div>x</div>",
    '<div xmlns="http://www.w3.org/1999/xhtml"><p>a<br/>b</p><img src="x"/></div>\n',
    "<div>&nbsp;&copy;</div>",  # entities of HTML, which XML does not know
    '<div title="a > b">x</div>',
    "<div>5 > 3 <b>it's 5' > 4'</b></div>",
    """<div title='/>'>"<p>"<br title="/>" /></p></div>""",
    "<div><!-- <p> --></div>",
    "<div>\ud800</div>",  # half a character: refused elsewhere, no fault here
]
OPEN = ["<div>", "<div><p>x</div>", "<div><b><i>x</b></i></div>", "<div>x</div><div>y</div>", "</div>", "", "x",
        "<div>&nbsp;<p></div>", "<div>&undefined;</div>", "<div><br></div>", '<div><p title="/>"></div>']  # fmt: skip


@pytest.mark.parametrize("div", CLOSED)
def test_it_is_closed(div: str) -> None:
    assert is_closed(div)


@pytest.mark.parametrize("div", OPEN)
def test_it_is_not_closed(div: str) -> None:
    assert not is_closed(div)


def test_what_declares_entities_is_never_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    start = time.process_time()
    is_closed(f'<!DOCTYPE div [<!ENTITY l0 "ha">{laughs}]><div>&l11;</div>')
    is_closed("<div>" * 200_000)
    assert time.process_time() - start < 2
