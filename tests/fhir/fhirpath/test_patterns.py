from __future__ import annotations

import random
import time

import pytest

from peerfhir.fhir.fhirpath.patterns import MAX_SUBJECT, UnsafePattern, at_run_time, compiled, replacement
from peerfhir.fhir.fhirpath.problems import EvaluationProblem

USUAL = [
    r"^[A-Z]([A-Za-z0-9_]){0,254}$", r".*foo", r"\d+-\d+", r"\w+\s\w+", r"[^,]*,[^,]*", r".*,\d+x", r"(a|b)*c",
    r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[a-z0-9]+(-[a-z0-9]+)*", r"([^/]+/)*[^/]+", r"https?://.*",
    r"^[a-zA-Z0-9\-\.]{1,64}$", r"[A-Z][a-z]*( [A-Z][a-z]*)*", r"[a-z]+@[a-z]+\.[a-z]{2,}", r"\+?[0-9 ()-]{5,20}", r"^$",
    r"[^\s.,:;\[\]]{1,64}(\.[^\s.,:;\[\]]{1,64}(\[x\])?(\:[^\s\.]+)?)*", r"(http|https|urn):.*", r"a?b?c?", r"(ab|cb)*",
    r".*Library.*", r"(?i)(routine|urgent|stat)", r"(?i:[a-z]+)-[0-9]+", r"(\(\d{3}\) |\d{3}-)\d{3}-\d{4}", r"(?:^|,)[^,]+", r"[\u0400-\u04ff]+ [A-Z]+",
    r"((http|https)://([A-Za-z0-9\.:%$]*/)+)?(Account|Patient)/[A-Za-z0-9\-.]{1,64}(/_history/[a-z0-9]{1,64})?",
]  # fmt: skip
RUNAWAY = [
    r"(a+)+", r"a*a*", r"(ab|[ab]c)*", r".*a.*b", r"(a{1,10}){1,10}b", r"(a?){30}a{30}", r"(a*)*", r"(.*a){20}",
    r"a?a?a?a?a?a?a?a?a?a{9}", r"([a-z]+)*\d", r"(\w+\s?)*$", r"(x+x+)+y", r".*.*=.*", r"(?:a|aa)+$",
    r"a{0,50}a{0,50}a{0,50}b", r"(([a-z])+.)+[A-Z]([a-z])+$", r"[α-ω]*[α-ω]*x", r"(a)\1", r"(?=a)", r"(?<!a)b", r"(",
    r"(.{3,})b{3,}(?:b|b*)?", "(" * 60 + "a" + ")" * 60, "a" * 2001, r"[[]",
    r"(a|a)+$", r"(ab|ab)*c", r"(\x41|A)+$", r"(a(?#c)|a)+$", r"(?x)( a | a )+$", "(a|a)" * 30 + "b", r"(?i)(ab|AB)+$", r"((?i:a)|A)+$",
    r"[a,]+(?:a|b)?a+.*?^", r"([a-z]|(?i:[A-F]))+$", r"(?i)[a-z]*[A-Z]*[a-z]*x", r"(?i)(kx|\u212ax)+$", r"(\wx|[\u037e-\u0387]x)+$", r"(?i:(sx|ſx)+)$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", USUAL)
def test_patterns_as_people_write_them_are_accepted(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", RUNAWAY)
def test_a_pattern_that_could_run_away_or_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(UnsafePattern):
        compiled(pattern)


# patterns that are known to run away in engines that step back, each with a text that makes them
KNOWN = [
    (r"(a+)+$", "a"), (r"([a-zA-Z]+)*$", "a"), (r"(a|aa)+$", "a"), (r"(a|a?)+$", "a"), (r"(.*a){12}$", "a"), (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a"),
    (r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$", "a"), (r"^\d*[0-9](|.\d*[0-9]|)*$", "1"),
    (r"\s*#?\s*$", " "), (r"(?:\s*)+$", " "), (r"\s+$", " "), (r"x*y*x*$", "x"), (r"(x+x+)+y", "x"), (r".*.*=.*", "x"), (r"^(.*?,){11}P", ","), (r"(?:.*;)*.*=", "a;"),
    (r"<!--[\s\S]*?-->", "<!--"), (r"^[\w.]+@[\w.]+\.\w+$", "a@a."), (r"(\d+)-(\d+)$", "1"), (r"\w+\d+x", "1"), (r"^(\w+\s?)*$", "a"), (r"([^\"']|\"[^\"]*\")*$", '"'),
    (r"(\w+\.)+\w+@", "a."), (r"(a{0,100}){0,100}b", "a"), (r"a{1,1000}a{1,1000}b", "a"), (r"(\d{1,3}){10}x", "1"), (r"\A(.+)\.(.+)\.(.+)\Z", "."), (r"(.+?)+@", "x"), (r"(?>a+)+b", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), KNOWN)
def test_a_known_runaway_is_refused_or_ends_within_the_square_of_its_text(pattern: str, text: str) -> None:
    try:
        found = compiled(pattern)
    except UnsafePattern:
        return
    begin = time.process_time()
    for subject in (text * (2_000 // len(text)) + "!", "!" + text * (2_000 // len(text))):
        found.sub("", subject)
        found.fullmatch(subject)
    assert time.process_time() - begin < 2  # a hundredth of a second; what runs away would not come back at all


def made(chance: random.Random, depth: int) -> str:
    """A pattern of few letters and many repeats: the kind that runs away."""
    parts = []
    for _ in range(chance.randint(1, 4)):
        kind = chance.random()
        if kind < 0.6 or not depth:
            part = chance.choice(["a", "a", "b", ".", "[ab]", "[^a]", r"\w"])
        elif kind < 0.85:
            part = f"({made(chance, depth - 1)})"
        else:
            part = f"(?:{made(chance, depth - 1)}|{made(chance, depth - 1)})"
        parts.append(part + chance.choice(["", "", "", "*", "+", "?", "{0,20}", "{2}", "{3,}", "{1,3}", "+?"]))
    return "".join(parts)


def test_whatever_is_accepted_ends_soon_on_the_worst_of_texts() -> None:
    chance = random.Random(11)
    subjects = ["a" * 700, "ab" * 350, "a" * 350 + "b" * 350, "aab" * 230]
    accepted = 0
    for _ in range(900):
        pattern = made(chance, 3)
        try:
            found = compiled(pattern)
        except UnsafePattern:
            continue
        accepted += 1
        for subject in subjects:
            start = time.process_time()
            found.search(subject + "!")
            found.fullmatch(subject + "!")
            # a square of 700 takes milliseconds, a cube minutes; what runs away would not come back at all
            assert time.process_time() - start < 3, f"seed 11: {pattern}"
    assert accepted > 100


def test_a_subject_that_is_too_long_is_not_matched() -> None:
    with pytest.raises(EvaluationProblem) as failed:
        at_run_time("a", "a" * (MAX_SUBJECT + 1))
    assert failed.value.rule == "PM750"
    with pytest.raises(EvaluationProblem) as failed:
        at_run_time("(a+)+", "a")
    assert failed.value.rule == "PM712"
    assert "a+" not in failed.value.what
    for pattern, longest in ((r"(?:a|ab)+[ab]{0,20}c", 2_182), (r"\w+a?a?a?x", 5_000)):
        at_run_time(pattern, "a" * longest)
        with pytest.raises(EvaluationProblem) as failed:
            at_run_time(pattern, "a" * (longest + 1))
        assert failed.value.rule == "PM750"


@pytest.mark.parametrize("name", ["?P<word>", "?<word>"])
def test_groups_of_a_replacement_are_written_with_a_dollar(name: str) -> None:
    pattern = compiled(f"([0-9]+)-({name}[a-z]+)")
    assert pattern.sub(replacement(r"${word}\n$1", pattern), "12-ab") == r"ab\n12"


@pytest.mark.parametrize("word", ["$1", "$2$1", "${word}", "$99999"])
def test_a_replacement_that_names_no_group_of_its_pattern_is_refused(word: str) -> None:
    with pytest.raises(UnsafePattern):
        replacement(word, compiled("[a-c]+"))


def test_only_a_group_can_have_a_name_in_the_way_of_the_standard() -> None:
    assert compiled(r"[(?<a]").fullmatch("P") is None
    assert compiled(r"\(?<a").fullmatch("(<a") is not None
