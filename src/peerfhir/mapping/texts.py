"""Texts with {{expressions}}, cut into their pieces."""

from __future__ import annotations

from collections.abc import Iterator


def pieces(text: str) -> Iterator[tuple[int, str, str]]:
    """Start, text and kind ("constant", "expression", "broken") of each piece of a text with {{ }}."""
    at = 0
    while at < len(text):
        opening, closing = text.find("{{", at), text.find("}}", at)
        if closing >= 0 and (opening < 0 or closing < opening):
            yield closing, "", "broken"
            return
        if opening < 0:
            yield at, text[at:], "constant"
            return
        if opening > at:
            yield at, text[at:opening], "constant"
        end = _end(text, opening + 2)
        if end is None:
            yield opening, "", "broken"
            return
        inner = text[opening + 2 : end]
        yield opening + 2 + len(inner) - len(inner.lstrip()), inner.strip(), "expression"
        at = end + 2


def _end(text: str, at: int) -> int | None:
    """Where the }} of an expression stands: not inside a text, and not the end of {}."""
    depth, quote = 0, ""
    while at < len(text):
        sign = text[at]
        if quote:
            if sign == "\\":
                at += 1
            elif sign == quote:
                quote = ""
        elif sign in "'`":
            quote = sign
        elif sign == "{":
            depth += 1
        elif sign == "}":
            if depth == 0:
                return at if text.startswith("}}", at) else None
            depth -= 1
        at += 1
    return None
