"""Templates -> HTML text: everything escaped, nothing undefined."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from peerfhir.portal.words import Words

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"


@cache
def _stamp(name: str) -> str:
    """A short digest of one of our own files, so that browsers may keep it until it changes."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def own(name: str) -> str:
    """The address of a file in static/."""
    return f"/static/{name}?v={_stamp(name)}"


class Paper:
    """What pages are printed on."""

    def __init__(self, words: Words) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(say=words.say, own=own)

    def print(self, template: str, **values: object) -> str:
        """The page as HTML text."""
        return self._jinja.get_template(template).render(**values)
