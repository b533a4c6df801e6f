"""A loop on a database of its own: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.loop import Loop, running

LoopOf = Callable[..., Loop]


@pytest.fixture
def loop_of(tmp_path: Path, engine_url: str) -> Iterator[LoopOf]:
    """Opens a loop of the kind a test asks for; closes it afterwards."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(running(tmp_path, engine_url, **how))


@pytest.fixture
def loop(loop_of: LoopOf) -> Loop:
    """A loop with an open hospital."""
    return loop_of()
