"""The judge of this installation: R4, and the profiles of the packages that the site has added."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from peerfhir.errors import BadBody, BadConfiguration
from peerfhir.fhir import reader, schema, writer
from peerfhir.fhir.judge import Judge
from peerfhir.fhir.packages import Package, open_package
from peerfhir.fhir.profiles import Profiles

FOLDER = "packages"  # below config/
CACHE = ".compiled"
_FORMAT = "1"  # of the compiled data; raised when the compiler changes what it makes
_COMPILER = ("constraints.py", "overlays.py", "profiles.py", "schema.py", "slices.py", "snapshot.py", "terminology.py")


class _Site:
    """The folder of this process, and its judge once somebody has asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.folder: Path | None = None
        self.judge: Judge | None = None


_SITE = _Site()


def use(folder: Path | None) -> None:
    """Take the packages of this folder from now on; they are read when the first resource is judged. None: none."""
    with _SITE.lock:
        if folder != _SITE.folder:
            _SITE.folder, _SITE.judge = folder, None


def judge() -> Judge:
    """The judge that every door of this process asks.

    Raises  BadConfiguration naming each package that cannot be read, with the reason
    """
    made = _SITE.judge
    if made is None:
        with _SITE.lock:
            made = _SITE.judge = _SITE.judge or judge_of(installed(_SITE.folder) if _SITE.folder else ())
    return made


def installed(folder: Path) -> tuple[Path, ...]:
    """The packages of a site, in the order in which they are read."""
    return tuple(sorted(folder.glob("*.tgz"))) if folder.is_dir() else ()


def judge_of(paths: Sequence[Path], cache: Path | None = None) -> Judge:
    """A judge with the profiles of these packages; from `cache` when the same ones were compiled before.

    paths   .tgz or folders
    cache   where compiled packages are kept; that of the first package of a site unless given
    Raises  BadConfiguration naming each package that cannot be read, with the reason
    """
    if not paths:
        return _plain()
    base = schema.r4()
    archives = [path.read_bytes() for path in paths if path.is_file()]
    if len(archives) < len(paths):  # a folder may change under us: it is read anew each time
        return Judge(base, compiled(_opened(paths)))
    cache = cache or paths[0].parent / CACHE
    kept = cache / f"{_digest(archives)}.json.gz"
    return Judge(base, _restored(kept) or _kept(kept, compiled(_opened(paths))))


@cache
def _plain() -> Judge:
    """R4 without a package; compiled once in a process."""
    return Judge(schema.r4())


def compiled(packages: Iterable[Package]) -> Profiles:
    """The profiles of packages, each read on top of those before it."""
    base = schema.r4()
    packages = list(packages)
    terminology = base.terminology.copy()
    for one in packages:
        for resource in (*one.code_systems, *one.value_sets):
            terminology.add(resource)
    return Profiles(base, [each for one in packages for each in one.definitions], terminology)


def add(folder: Path, source: Path, name: str | None = None) -> tuple[Package, Profiles]:
    """Keep a package for this site and compile it together with those that are there; the same name is replaced.

    Raises  BadConfiguration when it cannot be read or brings nothing; then nothing is kept
    """
    package = open_package(source)
    if name:
        package = Package(name, package.version, package.definitions, package.value_sets, package.code_systems)
    others = [path for path in installed(folder) if path.stem.partition("#")[0] != package.name]
    profiles = compiled([*_opened(others), package])
    folder.mkdir(parents=True, exist_ok=True)
    for path in installed(folder):
        if path not in others:
            path.unlink()
    _write(folder / f"{package.label}.tgz", package.packed())
    _forget(folder)
    paths = installed(folder)
    _kept(folder / CACHE / f"{_digest([path.read_bytes() for path in paths])}.json.gz", compiled(_opened(paths)))
    return package, profiles


def remove(folder: Path, name: str) -> bool:
    """Drop a package, by its name or by name#version; whether there was one."""
    gone = [path for path in installed(folder) if name in (path.stem, path.stem.partition("#")[0])]
    for path in gone:
        path.unlink()
    if gone:
        _forget(folder)
    return bool(gone)


def _opened(paths: Iterable[Path]) -> list[Package]:
    found: list[Package] = []
    problems: list[str] = []
    for path in paths:
        try:
            found.append(open_package(path))
        except BadConfiguration as fault:
            problems.extend(fault.problems)
    if problems:
        raise BadConfiguration(tuple(problems))
    return found


def _digest(archives: Sequence[bytes]) -> str:
    """What the compiled data depend on: the packages, R4, and the compiler itself."""
    made = hashlib.sha256(_FORMAT.encode())
    here = files("peerfhir.fhir")
    made.update(here.joinpath("r4", "base.json.gz").read_bytes())
    for name in _COMPILER:
        made.update(here.joinpath(name).read_bytes())
    for data in archives:
        made.update(hashlib.sha256(data).digest())
    return made.hexdigest()[:32]


def _restored(path: Path) -> Profiles | None:
    try:
        data = reader.read_own(gzip.decompress(path.read_bytes()))
        return Profiles.restored(schema.r4(), data)
    except (OSError, EOFError, zlib.error, BadBody, KeyError, TypeError, ValueError):
        return None  # not there, or not whole: it is made anew


def _kept(path: Path, profiles: Profiles) -> Profiles:
    try:
        path.parent.mkdir(exist_ok=True)
        _write(path, gzip.compress(writer.write(profiles.as_data()), 6, mtime=0))
    except OSError:
        pass  # config/ may be read-only: then each start compiles, which takes a second
    return profiles


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: another process may be reading."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


def _forget(folder: Path) -> None:
    for path in (folder / CACHE).glob("*.json.gz"):
        path.unlink(missing_ok=True)
