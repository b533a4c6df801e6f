"""The distribution's Chromium, for tests that look at pages; skips with the reason where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
_QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    """A playwright Browser. Keep it no longer than a module: while it lives, this thread has an event loop.

    With REQUIRE_BROWSER set, a machine without Chromium is a failure.
    """
    if not os.path.exists(CHROMIUM):
        reason = f"no Chromium of the distribution at {CHROMIUM}"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()
