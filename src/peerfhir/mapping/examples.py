"""The examples beside a mapping: found, run, compared, and rewritten when that is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peerfhir.config import Mark
from peerfhir.errors import Fault, MappingFailed
from peerfhir.fhir import reader, writer
from peerfhir.mapping.aside import Made, Refused, RowProblem
from peerfhir.mapping.difference import Change, changes
from peerfhir.mapping.inputs import of_file, output
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.shelf import Opened

Json = Any
_NAME = re.compile(r"(?P<name>[^.]+)\.(?P<part>input|expected|error)\.(?P<kind>[a-z]+)")
_LINE = re.compile(r"(PM[0-9]{3}):?\s*(.*)")


@dataclass(frozen=True)
class Example:
    """One input with what it must give (`expected`) or how it must fail (`error`)."""

    name: str
    input: Path
    expected: Path | None
    error: Path | None


@dataclass(frozen=True)
class Verdict:
    """What became of one example.

    problems  PM502, PM503 and PM505 with their sentence; none when it passes
    changes   expected against what came, for PM502
    told      the expected failure, in words, for an example of one
    """

    example: Example
    problems: tuple[Problem, ...]
    changes: tuple[Change, ...] = ()
    told: str = ""

    @property
    def passed(self) -> bool:
        return not self.problems


def examples(opened: Opened) -> tuple[list[Example], list[Problem]]:
    """The examples of a mapping or of one overlay, by name; PM504 for a file without its pair."""
    found: dict[str, dict[str, Path]] = {}
    folder = opened.examples
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            found.setdefault(match["name"], {})[match["part"]] = path
    whole, problems = [], []
    for name, parts in found.items():
        if "input" not in parts or len(parts) < 2:
            mark = Mark(label(opened, next(iter(parts.values()))), 1, 1)
            lacks = "input" if "input" not in parts else "expected or error"
            problems.append(Problem(mark, "PM504", "", f"the example '{name}' has no {lacks} file"))
            continue
        shown = f"{opened.overlay}/{name}" if opened.overlay else name
        whole.append(Example(shown, parts["input"], parts.get("expected"), parts.get("error")))
    return whole, problems


def label(opened: Opened, path: Path) -> str:
    """How messages name a file beside a mapping."""
    return (Path(opened.label).parent / path.relative_to(opened.folder)).as_posix()


def lacking(opened: Opened) -> list[Problem]:
    """PM500 for a mapping without an example, and PM504; nothing is run."""
    found, problems = examples(opened)
    if not found:
        severity = "error" if opened.checked.document.status == "active" else "warning"
        document, beside = opened.label, "examples"
        if opened.overlay:
            document = (Path(document).parent / "overlays" / f"{opened.overlay}.overlay.yaml").as_posix()
            beside = f"examples/{opened.overlay}"
        what = f"there is no example beside this {'overlay' if opened.overlay else 'mapping'}"
        hint = f"write {beside}/01-name.input.* and 01-name.expected.json"
        problems.append(Problem(Mark(document, 1, 1), "PM500", "", what, hint, severity))
    return problems


def run(opened: Opened, example: Example, *, valid: bool = True) -> Verdict:
    """One example, mapped and compared.

    valid  also hold what came to R4 (PM503)
    """
    outcomes = of_file(opened, example.input)
    if example.error is not None:
        return _failing(opened, example, example.error, outcomes)
    if example.expected is None:
        return Verdict(example, ())
    return _compared(opened, example, example.expected, outcomes, valid)


def came(outcomes: list[Made | Refused]) -> Json:
    """What an input gave, in the form of an expected file."""
    made = [output(one.result) if isinstance(one, Made) else {"error": one.problems[0].code} for one in outcomes]
    return made[0] if len(made) == 1 else made


def _compared(opened: Opened, example: Example, path: Path, outcomes: list[Made | Refused], valid: bool) -> Verdict:
    mark = Mark(label(opened, path), 1, 1)
    try:
        expected = reader.read(path.read_bytes(), max_bytes=16 * 1024 * 1024)
    except Fault as fault:
        return Verdict(example, (Problem(mark, "PM502", "", f"the expected file cannot be read: {fault}"),))
    got = came(outcomes)
    found = tuple(changes(expected, got))
    problems = []
    if found:
        what = f"{len(found)} place{'s differ' if len(found) > 1 else ' differs'} from the expected output"
        problems.append(Problem(mark, "PM502", "", what))
        told = [_said(each) for one in outcomes if isinstance(one, Refused) for each in one.problems]
        problems += [Problem(mark, "PM502", "", one) for one in told[:3]]
    elif valid:
        problems += [Problem(mark, "PM503", *one) for one in faults(got)]
    return Verdict(example, tuple(problems), found)


def _said(problem: RowProblem) -> str:
    """One line: place, code and reason."""
    return str(problem).partition("\n")[0].replace(": error ", ": ")


def faults(value: Json) -> list[tuple[str, str]]:
    """Address and sentence of everything that speaks against an output as R4."""
    from peerfhir.fhir.validate import validate

    found = []
    for resource in value if isinstance(value, list) else [value]:
        if isinstance(resource, dict) and "resourceType" in resource:
            for finding in validate(resource, by_model=False):
                if finding.severity == "error":
                    found.append((str(finding.expression), str(finding.text)))
    return found


def _failing(opened: Opened, example: Example, path: Path, outcomes: list[Made | Refused]) -> Verdict:
    mark = Mark(label(opened, path), 1, 1)
    left = [problem for one in outcomes if isinstance(one, Refused) for problem in one.problems]
    lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    problems = []
    for line in lines:
        match = _LINE.fullmatch(line)
        hit = next((one for one in left if match and _meets(match, one)), None)
        if hit is None:
            problems.append(Problem(mark, "PM505", "", f"expected and did not occur: {line}"))
        else:
            left.remove(hit)
    problems += [Problem(mark, "PM505", "", f"occurred and was not expected: {_said(one)}") for one in left]
    told = "expected " + ", ".join(lines) if lines else ""
    return Verdict(example, tuple(problems), (), told)


def _meets(match: re.Match[str], problem: RowProblem) -> bool:
    return problem.code == match[1] and all(word in _said(problem) for word in match[2].split())


def rewrite(opened: Opened, example: Example) -> bool:
    """Write what the example gives into its expected file; whether that changed it.

    Raises  MappingFailed when a single record fails: then there is nothing to write
    """
    outcomes = of_file(opened, example.input)
    if len(outcomes) == 1 and isinstance(outcomes[0], Refused):
        raise MappingFailed(_said(outcomes[0].problems[0]), advice="Write an .error.txt when it must fail.")
    path = example.expected or example.input.parent / f"{example.input.name.partition('.')[0]}.expected.json"
    text = writer.indented(came(outcomes)) + "\n"
    if path.is_file() and path.read_text("utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True
