"""Writes the generated parts of README.md, the modules and the tree: `python -m tests.support.readme`."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
ROOMS = ROOT / "src" / "peerfhir"

FOLDERS = {
    "config": "settings, programs, one file per hospital, instruments",
    "mappings": "one folder per mapping, each with worked examples",
    "docs": "guides for each reader; decisions, a page each",
    "bench": "the scripts behind every published figure",
    "tests": "the rooms mirrored; path, golden, storm, hostile, interop, house",
}
ORDER = [
    "gateway",
    "inbox",
    "pathway",
    "adapters",
    "mapping",
    "fhir",
    "outbox",
    "records",
    "access",
    "portal",
    "practice",
]


def caption(path: Path) -> str:
    """The first sentence of a module."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def diagram_modules(text: str) -> list[str]:
    """Every "room/module" of the diagram, in its order."""
    block = re.search(r"```mermaid\n(.*?)```", text, re.S)
    assert block
    return list(dict.fromkeys(re.findall(r'\["([a-z]+/[a-z_]+)"\]', block[1])))


def modules(text: str) -> str:
    return "\n".join(f"| `{name}` | {caption(ROOMS / f'{name}.py')} |" for name in diagram_modules(text))


def tree() -> str:
    """The tree as it is: top folders, rooms, and the files beside the rooms."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    tops = {line.split("/")[0] for line in tracked if "/" in line}
    rooms = {line.split("/")[2] for line in tracked if line.startswith("src/peerfhir/") and line.count("/") > 2}
    lines = ["src/peerfhir/"]
    lines += [f"  {room + '/':<24}{caption(ROOMS / room / '__init__.py')}" for room in ORDER if room in rooms]
    lines += [f"  {room + '/':<24}{caption(ROOMS / room / '__init__.py')}" for room in sorted(rooms - set(ORDER))]
    files = sorted(path for path in ROOMS.glob("*.py") if path.name != "__init__.py")
    lines += [f"  {path.name:<24}{caption(path)}" for path in files]
    lines += [f"{name + '/':<26}{words}" for name, words in FOLDERS.items() if name in tops]
    return "```\n" + "\n".join(lines) + "\n```"


def rewritten(text: str) -> str:
    for name, made in (("modules", modules(text)), ("tree", tree())):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m, made=made: m[1] + made + "\n" + m[2],
            text,
            flags=re.S,
        )
    return text


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text("utf-8")), "utf-8")
