"""Logs know no one."""

from __future__ import annotations

import io

from peerfhir import logs


def test_a_line_keeps_codes_and_drops_everything_else() -> None:
    out = io.StringIO()
    logs.set_up(out)
    logs.log().info("delivered", endpoint="general", count=2, name="Marisol Vega", note="she said")
    line = out.getvalue()
    assert '"endpoint": "general"' in line
    assert "Marisol" not in line
    assert "she said" not in line


def test_an_exception_is_named_by_class_and_place_never_by_its_text() -> None:
    out = io.StringIO()
    logs.set_up(out)
    try:
        raise ValueError("Marisol Vega")
    except ValueError:
        logs.log().error("fault", exc_info=True)
    assert "ValueError" in out.getvalue()
    assert "Marisol" not in out.getvalue()
