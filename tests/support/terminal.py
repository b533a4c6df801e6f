"""The installed command with a terminal on standard error, as an operator has it."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.support.console import PEERFHIR

_CHUNK = 65_536


@dataclass(frozen=True)
class Shown:
    """What a command left: exit code, what went to the file on standard output, and all that the terminal was sent."""

    code: int
    output: str
    terminal: str


def at_terminal(*words: object, folder: Path, both: bool = False) -> Shown:
    """Run it with standard error at a terminal of 80 columns; `both`: standard output goes there as well."""
    ours, theirs = pty.openpty()
    kept = folder / "standard-output"
    seen: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, seen))
    with kept.open("wb") as file:
        process = subprocess.Popen(
            [PEERFHIR, *map(str, words)], cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs if both else file,
            stderr=theirs, env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "COLUMNS": "80"},
        )  # fmt: skip
        os.close(theirs)
        reader.start()
        code = process.wait(120)
        reader.join(120)
    os.close(ours)
    return Shown(code, kept.read_text("utf-8"), b"".join(seen).decode())


def _read(terminal: int, seen: list[bytes]) -> None:
    while True:
        try:
            data = os.read(terminal, _CHUNK)
        except OSError:  # Linux says so when the last writer has gone
            return
        if not data:
            return
        seen.append(data)
