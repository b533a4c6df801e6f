"""`map test`: every example of some mappings, what differs, and what the examples reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from peerfhir.errors import MappingFailed
from peerfhir.mapping import examples
from peerfhir.mapping.coverage import Coverage, covered
from peerfhir.mapping.difference import shown
from peerfhir.mapping.examples import Verdict
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.told import as_json, counted

_SHOWN = 20


@dataclass
class _One:
    """The examples of one mapping."""

    opened: Opened
    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    coverage: Coverage | None = None
    rewritten: list[str] = field(default_factory=list)
    below: int | None = None  # the minimum that was not reached


@dataclass(frozen=True)
class Tried:
    """What the examples of some mappings gave."""

    ones: tuple[_One, ...]

    @property
    def failed(self) -> bool:
        return any(
            one.below is not None or one.problems or any(not verdict.passed for verdict in one.verdicts)
            for one in self.ones
        )

    def lines(self) -> Iterator[str]:
        """For a person: one line per example, its differences, the coverage, and the sum."""
        several = len(self.ones) > 1
        for one in self.ones:
            if several:
                yield f"{one.opened.name}"
            width = max((len(verdict.example.name) for verdict in one.verdicts), default=0) + 2
            for verdict in one.verdicts:
                yield from _verdict(verdict, width)
            yield from (str(problem) for problem in one.problems)
            yield from (f"rewrote {name}" for name in one.rewritten)
            if one.coverage is not None:
                yield from _coverage(one.coverage, one.below)
        every = [verdict for one in self.ones for verdict in one.verdicts]
        failed = sum(not verdict.passed for verdict in every)
        yield f"{counted(len(every), 'example')}, {failed or 'none'} failed"

    def json(self) -> str:
        """For a program."""
        from peerfhir.fhir import writer

        return writer.indented([_as_json(one) for one in self.ones])


def tried(
    chosen: Sequence[Opened], word: str = "", *, coverage: bool = False, minimum: int = 0, update: bool = False
) -> Tried:
    """Run the examples of some mappings.

    word      only examples whose name holds it
    coverage  count what they reach; active mappings must reach every rule that `accept` does not excuse
    minimum   percent of the rules to reach; 0 is the default of the mapping's status
    update    rewrite the expected files of examples that differ
    """
    return Tried(tuple(_tried(opened, word, coverage, minimum, update) for opened in chosen))


def _tried(opened: Opened, word: str, coverage: bool, minimum: int, update: bool) -> _One:
    found, problems = examples.examples(opened)
    one = _One(opened, problems=[*problems])
    if not found:
        one.problems += [problem for problem in examples.lacking(opened) if problem.code == "PM500"]
    for example in found:
        if word not in example.name:
            continue
        verdict = examples.run(opened, example)
        one.verdicts.append(verdict)
        if update and example.error is None and not verdict.passed:
            _rewrite(one, verdict)
    if coverage and not word:
        one.coverage = covered(opened, found)
        wanted = minimum or (100 if opened.checked.document.status == "active" else 0)
        if one.coverage.percent < wanted:
            one.below = wanted
    return one


def _rewrite(one: _One, verdict: Verdict) -> None:
    try:
        if examples.rewrite(one.opened, verdict.example):
            one.rewritten.append(verdict.example.name)
    except MappingFailed as fault:
        one.problems.append(Problem(one.opened.checked.document.mark, "PM502", "", str(fault)))


def _verdict(verdict: Verdict, width: int) -> Iterator[str]:
    name = f"{verdict.example.name:<{width}}"
    if verdict.passed:
        yield f"{name}pass" + (f"   ({verdict.told})" if verdict.told else "")
        return
    yield f"{name}FAIL  {verdict.problems[0].code}"
    if verdict.changes:
        for change in verdict.changes[:_SHOWN]:
            yield f"    {change.path:<24}  expected {shown(change.before)}    got {shown(change.after)}"
        if len(verdict.changes) > _SHOWN:
            yield f"    and {len(verdict.changes) - _SHOWN} more"
    for problem in verdict.problems[1 if verdict.changes else 0 :]:
        yield f"    {problem.address + ': ' if problem.address else ''}{problem.what}"


def _coverage(found: Coverage, below: int | None) -> Iterator[str]:
    def part(pair: tuple[int, int]) -> str:
        return f"{pair[0]}/{pair[1]}" if pair[1] else "-"

    yield f"coverage  rules {part(found.rules)}   branches {part(found.branches)}   codes {part(found.codes)}"
    if found.silent:
        places = ", ".join(
            f"{rule.address} ({rule.mark.path.rpartition('/')[2]}:{rule.mark.line}:{rule.mark.column})"
            for rule in found.silent
        )
        yield f"    never produced a value: {places}"
    if found.untaken:
        yield f"    never decided so: {', '.join(found.untaken)}"
    if found.unused:
        names: dict[str, list[str]] = {}
        for name, code in found.unused:
            names.setdefault(name, []).append(code or '""')
        yield "    never used: " + ", ".join(f"{name} {' '.join(codes)}" for name, codes in names.items())
    if below is not None:
        yield f"    {found.percent} % of the rules are reached, {below} % are needed"


def _as_json(one: _One) -> dict[str, object]:
    made: dict[str, object] = {
        "mapping": one.opened.name,
        "examples": [
            {
                "name": verdict.example.name,
                "passed": verdict.passed,
                "problems": [as_json(problem) for problem in verdict.problems],
                "changes": [{"path": change.path, "kind": change.kind} for change in verdict.changes],
            }
            for verdict in one.verdicts
        ],
        "problems": [as_json(problem) for problem in one.problems],
    }
    if one.coverage is not None:
        found = one.coverage
        made["coverage"] = {
            "rules": list(found.rules), "branches": list(found.branches), "codes": list(found.codes),
            "silent": [rule.address for rule in found.silent], "untaken": list(found.untaken),
            "unused": [f"{name} {code}" for name, code in found.unused],
        }  # fmt: skip
    return made
