"""The worked examples the tests of this room share."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).with_name("examples")
