from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.config import Mark, Node, YamlProblem, compose
from peerfhir.fhir import writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import concept_maps
from peerfhir.mapping.aside import Made, Mapped, Refused
from peerfhir.mapping.bands import Bands
from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.codes import CodeMaps
from peerfhir.mapping.fields import Declarations
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.quick import of_objects
from peerfhir.mapping.readers import InputRefused, rows
from peerfhir.mapping.registry import Mappings
from peerfhir.mapping.source import read
from tests.support.generated import CALM

MARK = Mark("x", 1, 1)
WORDS = st.one_of(
    st.sampled_from([
        "string", "string!", "code", "date!", "dateTime", "time", "integer", "decimal", "boolean", "uri", "csv", "json", "form", "fhir", "ndjson", "YYYY-MM-DD HH:mm", "MM/DD/YYYY", "-05:00", "America/Chicago",
        "earlier", "a", "b", "q1..q3", "[a-z]+", "(a+)+", ";", ",", "", "1", "-5", "1.50", "true", "no", "~", "NaN", "2026-01-01", "10:00:00", "m", "*", "a.b", "$this", "refuse", "cp1252",
    ]),
    st.text(max_size=6),
)  # fmt: skip
KEYS = st.sampled_from([
    "format", "record", "key", "empty", "trim", "encoding", "delimiter", "quote", "header", "unknown", "fields", "type", "profile", "from", "offset", "timezone", "ambiguous", "true", "false", "codes", "split", "min", "max",
    "maxLength", "pattern", "decimalComma", "sensitive", "unused", "example", "description", "map", "system", "unmapped", "code", "equivalence", "instrument", "score", "a", "b", "0", "5", "*", "",
])  # fmt: skip


def node(value: Any) -> Node:
    """Python as the YAML reader would give it."""
    if isinstance(value, dict):
        return Node("map", {key: node(one) for key, one in value.items()}, MARK, dict.fromkeys(value, MARK))
    if isinstance(value, list):
        return Node("list", [node(one) for one in value], MARK)
    try:
        found = compose(Path("x"), text=value)
    except YamlProblem:
        found = Node("scalar", value, MARK, quoted=True, raw=value)
    return found if found.kind == "scalar" else Node("scalar", value, MARK, quoted=True, raw=value)


TREES: Any = st.recursive(WORDS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)), max_leaves=14)  # fmt: skip
FIELDS = st.dictionaries(st.sampled_from(["a", "b", "q1..q3", "c"]), st.one_of(WORDS, st.lists(TREES, max_size=2), st.fixed_dictionaries({"type": WORDS}, optional=dict.fromkeys(["format", "offset", "timezone", "ambiguous", "true", "false", "codes", "split", "min", "max", "maxLength", "pattern", "decimalComma", "sensitive", "unused", "example", "from"], TREES)), TREES), max_size=4)  # fmt: skip
SOURCES = st.fixed_dictionaries({"format": st.sampled_from(["csv", "json", "ndjson", "form"]), "fields": FIELDS}, optional=dict.fromkeys(["record", "key", "empty", "trim", "encoding", "delimiter", "quote", "header", "unknown"], TREES))  # fmt: skip


@seed(71)
@settings(CALM, max_examples=300)
@given(st.one_of(SOURCES, TREES), st.binary(max_size=60), TREES)
def test_any_source_is_refused_with_reasons_or_reads_what_it_is_given(tree: Any, data: bytes, record: Any) -> None:
    problems = Problems()
    code_maps = CodeMaps({}, problems, lambda *_: None)
    made = code_maps.read("m", node({"a": "b"}), MARK)
    assert made is not None
    source = read(node(tree), Declarations({"m": made}, problems), problems)
    for problem in problems.every:
        assert problem.what
    if source is None or problems.errors or source.format == "fhir":
        return
    try:
        for raw in rows(source, io.BytesIO(data)):
            assert raw.code in ("", "PM700", "PM750")
    except InputRefused as refused:
        assert refused.rule.startswith("PM7")
    try:
        found = of_objects(source)(record)
    except Exception:  # a doubt, whatever it is called
        return
    assert set(found) == set(source.fields.names())


@seed(72)
@settings(CALM, max_examples=200)
@given(TREES, TREES)
def test_any_code_map_and_any_bands_are_refused_with_reasons_or_translate(tree: Any, bands: Any) -> None:
    problems = Problems()
    code_maps = CodeMaps({"a": "http://a.example"}, problems, lambda *_: None)
    made = code_maps.read("m", node(tree), MARK)
    labels = Bands(code_maps, problems).one("m", node(bands), MARK)
    if made is None or labels is None:
        assert problems.errors
    for table, values in ((made, ["a", "", "zz", True, 5, {"code": "a"}]), (labels, [0, 7, -1])):
        for value in values if table is not None and not problems.errors else ():
            try:
                table.translate(value)
            except EvaluationProblem as refused:
                assert refused.rule in ("PM710", "PM712", "PM713")


JSON: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 9), WORDS.filter(lambda one: one.isprintable())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["group", "element", "target", "code", "source", "unmapped", "mode", "url", "equivalence", "dependsOn", "extension"]), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@seed(73)
@settings(CALM, max_examples=200)
@given(
    st.one_of(
        st.lists(JSON, max_size=3).map(
            lambda groups: writer.write({"resourceType": "ConceptMap", "group": groups}).decode()
        ),
        st.text(max_size=40),
    ),
    st.text(max_size=60),
)
def test_any_file_is_a_code_map_or_told_at_its_place(content: str, table: str) -> None:
    for name, text in (("m.json", content), ("m.csv", table), ("m.csv", f"source,code,system,equivalence\n{table}")):
        problems = Problems()
        found = CodeMaps({}, problems, lambda *_, text=text, name=name: (name, text)).read("m", node(name), MARK)
        assert found is not None or problems.errors
        assert all(one.mark.line >= 1 for one in problems.every)


SHIPPED = Path(__file__).parents[2] / "mappings"
GOOD = SHIPPED / "referral-csv" / "examples"


@seed(74)
@settings(CALM, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.sampled_from([b"", b'"', b",", b"\n", b"\x00", b"\xff", b";", b"9", b"\xe2\x80\xa8", b"Z" * 300]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_damaged_referral_file_gives_whole_referrals_or_reasons(damage: list[tuple[int, bytes]]) -> None:
    data = bytearray(next(iter(sorted(GOOD.glob("01-*.input.csv")))).read_bytes())
    for at, piece in damage:
        place = at % len(data)
        data[place : place + 1] = piece
    program = loaded().get("referral-csv").program
    try:
        found = list(Mapped(program, io.BytesIO(bytes(data))))
    except InputRefused as refused:
        assert refused.rule in ("PM700", "PM750")
        return
    for one in found:
        if isinstance(one, Refused):
            assert all(problem.code != "PM790" for problem in one.problems)
        else:
            assert isinstance(one, Made)
            assert len(one.result.entries) == 3


@cache
def loaded() -> Mappings:
    found = survey(SHIPPED, canonical="http://peerfhir.example.org/fhir")
    return Mappings({name: one for name, one in found.loaded.items() if name == "referral-csv"}, ())


def test_canonicals_of_a_folder_that_holds_rubbish_are_those_that_can_be_read(tmp_path: Path) -> None:
    for name, data in (
        ("a", b"\xff"),
        ("b", b"[]"),
        ("c", b'{"url": 5}'),
        ("d", b"[" * 10_000),
        ("e", b'{"url": "http://x.example"}'),
    ):
        (tmp_path / f"{name}.conceptmap.json").write_bytes(data)
    assert set(concept_maps.index(tmp_path)) == {"http://x.example"}
