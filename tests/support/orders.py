"""Resources of the practice hospital as it would send them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def as_sent(held: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without narrative, and of the metadata the profile alone."""
    return [_bare(one) for one in held]


def _bare(held: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in held.items() if key not in ("text", "meta")}
    profile = held.get("meta", {}).get("profile")
    return {**rest, "meta": {"profile": profile}} if profile else rest
