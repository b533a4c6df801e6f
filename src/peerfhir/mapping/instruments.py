"""What a mapping needs of a questionnaire that the site has configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Form(Protocol):
    """One instrument, as `config/instruments/` has it."""

    @property
    def id(self) -> str: ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """Its files by label, `config/instruments/<id>/...`, for content hashes."""
        ...
