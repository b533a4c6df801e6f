from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from peerfhir.portal.desk import Frame
from peerfhir.portal.paper import STATIC, TEMPLATES, Paper, own
from peerfhir.portal.words import catalogue


def test_everything_is_escaped_and_nothing_is_undefined():
    paper = Paper(catalogue())
    frame = Frame(title="<b>", kind="narrow", token='"')
    text = paper.print("fault.html", frame=frame, lead="<i>&", back="", crisis=False)
    assert "&lt;i&gt;&amp;" in text
    assert "<i>" not in text
    assert "&lt;b&gt;" in text
    with pytest.raises(UndefinedError):
        paper.print("fault.html", frame=frame)


def test_no_template_switches_escaping_off():
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        assert "autoescape" not in text
        assert text.count("| safe") == (1 if path.name == "parts.html" else 0), path.name  # our own drawings


def test_the_address_of_a_file_changes_with_its_content():
    assert own("style.css").startswith("/static/style.css?v=")
    assert own("style.css") != own("niceties.js").replace("niceties.js", "style.css")
    own_files = {"style.css", "niceties.js", "playground.css", "playground.js", "completion.js", "mark.svg"}
    assert {path.name for path in STATIC.iterdir()} == own_files
