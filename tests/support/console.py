"""The console script, run as a process by whoever operates a site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PEERFHIR = Path(sys.executable).with_name("peerfhir")
PATIENCE_SECONDS = 60


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The console script, as it is started by whoever operates it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PEERFHIR_", "COV_", "PYTEST"))}
    return subprocess.run(
        [PEERFHIR, *words], cwd=folder, env=clean | environ, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
