"""A private PostgreSQL server for one test session, from the system's own binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None where PostgreSQL is not installed."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates += [Path(p).parent for p in (shutil.which("initdb"),) if p]
    return next((c for c in candidates if (c / "initdb").exists() and (c / "postgres").exists()), None)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root; where we are root, a user without rights runs it."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", f"--reuid={name}", f"--regid={pwd.getpwnam(name).pw_gid}", "--clear-groups"]
    raise RuntimeError("no user to run PostgreSQL as")


@contextmanager
def server() -> Iterator[str]:
    """Start a server on loopback; yields the URL of its maintenance database; stops what it started."""
    folder = Path(tempfile.mkdtemp(prefix="peerfhir-pg-"))
    as_user = _as_user()
    if as_user:
        name = as_user[1].split("=")[1]
        os.chown(folder, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
    where = binaries()
    assert where is not None
    data, port = folder / "data", free_port()
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    subprocess.run(
        [*as_user, str(where / "initdb"), "-D", str(data), "-U", "peerfhir", "-A", "trust", "-E", "UTF8"],
        check=True, stdout=subprocess.DEVNULL, env=env, cwd=folder,
    )  # fmt: skip
    # fsync stays on: what is measured and killed here must be what a program runs
    process = subprocess.Popen(
        [*as_user, str(where / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder),
         "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=64MB"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd=folder,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"postgresql+psycopg://peerfhir@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
