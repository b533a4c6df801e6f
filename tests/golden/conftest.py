"""`pytest tests/golden --rewrite-golden` rewrites the trees; the difference is then reviewed."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite the golden trees for review")
