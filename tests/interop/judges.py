"""Other people's programs under Node: where they are, and how they are asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "node"


def version(package: str) -> str:
    """The installed version of a package of tests/interop/node; skips the test with a reason where there is none."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed on this machine")
    manifest = HERE / "node_modules" / package / "package.json"
    if not manifest.exists():
        pytest.skip(f"{package} is not installed: npm ci --prefix tests/interop/node")
    return str(json.loads(manifest.read_text("utf-8"))["version"])


def ask(script: str, sent: Any, *, seconds: float = 120, **environment: str) -> Any:
    """What a script of tests/interop/node answers to `sent`, both JSON. Fails with its standard error."""
    done = subprocess.run(
        ["node", str(HERE / script)], input=json.dumps(sent), capture_output=True, text=True, timeout=seconds,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
