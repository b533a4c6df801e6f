from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.config import Mark, compose
from peerfhir.fhir import model, writer
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import concept_maps
from peerfhir.mapping.code_rows import to_csv
from peerfhir.mapping.codes import CodeMap, CodeMaps, Target
from peerfhir.mapping.problems import Problems
from tests.support.generated import CALM

MARK = Mark("x", 1, 1)


def read(
    name: str, files: dict[str, str], canonicals: dict[str, str] | None = None
) -> tuple[CodeMap | None, list[str]]:
    """The code map that `m: <name>` says, with files beside it and ConceptMaps by canonical."""
    problems = Problems()
    by_url = canonicals or {}
    reader = CodeMaps(
        {}, problems, lambda one, *_: (one, files[one]) if one in files else None,
        lambda url: (url, by_url[url]) if url in by_url else None,
        lambda system, code: code != "no-such-code" if system == "http://known.example" else None,
    )  # fmt: skip
    node = compose(Path("x"), text=name)
    return reader.read("m", node, MARK), [f"{one.code} {one.address}" for one in problems.errors]


def text(*groups: Any, **more: Any) -> str:
    return writer.write({"resourceType": "ConceptMap", "status": "draft", "group": list(groups), **more}).decode()


def element(code: str, *targets: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "target": [{"equivalence": "equivalent", **one} for one in targets]}


ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SCT = "http://snomed.info/sct"
PLAIN = {"source": ICD, "target": SCT, "element": [element("F10", {"code": "7200002", "display": "Alcoholism"})]}


def test_a_concept_map_is_a_code_map_with_systems_and_displays() -> None:
    found, errors = read("m.conceptmap.json", {"m.conceptmap.json": text(PLAIN)})
    assert errors == []
    assert found is not None
    assert found.translate("F10") == {"system": SCT, "code": "7200002", "display": "Alcoholism"}
    assert found.translate({"system": ICD, "code": "F10"})["code"] == "7200002"
    for stranger in ("F11", {"system": "http://else.example", "code": "F10"}):
        with pytest.raises(EvaluationProblem, match="no default"):
            found.translate(stranger)


@pytest.mark.parametrize(
    ("unmapped", "value", "code"),
    [
        ({"mode": "fixed", "code": "x"}, "zz", "x"), ({"mode": "provided"}, "zz", "zz"),
        ({"mode": "other-map", "url": "http://other.example/m"}, "F20", "other"),
        ({"mode": "other-map", "url": "http://other.example/m"}, "zz", "rest"),
    ],
)  # fmt: skip
def test_what_a_concept_map_says_of_other_codes_is_done(unmapped: Any, value: str, code: str) -> None:
    other = text(
        {
            "element": [element("F20", {"code": "other"}), element("F10", {"code": "not this"})],
            "unmapped": {"mode": "fixed", "code": "rest"},
        }
    )
    found, errors = read("m.json", {"m.json": text({**PLAIN, "unmapped": unmapped})}, {"http://other.example/m": other})  # fmt: skip
    assert errors == []
    assert found is not None
    assert found.translate(value)["code"] == code
    assert found.translate("F10")["code"] == "7200002"


def test_a_canonical_names_a_concept_map_that_is_loaded() -> None:
    url = "http://site.example/ConceptMap/icd|2.1"
    found, errors = read(url, {}, {url: text(PLAIN)})
    assert errors == []
    assert found is not None
    assert found.translate("F10")["code"] == "7200002"
    assert read(url, {})[1] == ["PM008 conceptMaps.m"]


def test_canonicals_are_found_below_a_folder_with_and_without_version(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "a.conceptmap.json").write_text(text(PLAIN, url="http://x.example/a", version="2.1"))
    (tmp_path / "b.conceptmap.json").write_text("{broken")
    found = concept_maps.index(tmp_path)
    assert set(found) == {"http://x.example/a", "http://x.example/a|2.1"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{broken", "PM136 "), ("[]", "PM136 "), ('{"resourceType": "Patient"}', "PM136 "),
        (text({"element": [element("a", {"code": "x"}, {"code": "y"})]}), "PM131 group[0].element[0]"),
        (text({"element": [element("a", {"code": "x"}), element("a", {"code": "y"})]}), "PM131 "),
        (text({"element": [element("a", {"code": "x", "dependsOn": [{"property": "p", "value": "v"}]})]}), "PM136 group[0].element[0]"),
        (text({"element": [element("a", {"code": "x", "product": [{"property": "p", "value": "v"}]})]}), "PM136 group[0].element[0]"),
        (text({"element": [element("a", {"display": "x"})]}), "PM136 group[0].element[0]"),
        (text({"element": [element("a", {"code": "x", "equivalence": "same"})]}), "PM136 group[0].element[0]"),
        (text({"element": [], "unmapped": {"mode": "guess"}}), "PM136 group[0].unmapped"),
        (text({"element": [], "unmapped": {"mode": "other-map", "url": "http://no.example"}}), "PM008 unmapped"),
        (text({"element": [], "unmapped": {"mode": "other-map", "url": "http://me.example"}}), "PM136 unmapped"),
        (text({"element": [element("a", {"code": "no-such-code"})], "target": "http://known.example"}), "PM134 conceptMaps.m"),
        ('{"resourceType": "ConceptMap", "resourceType": "ConceptMap"}', "PM136 "),
    ],
)  # fmt: skip
def test_a_concept_map_that_cannot_be_used_is_refused(content: str, problem: str) -> None:
    me = text({"element": [], "unmapped": {"mode": "other-map", "url": "http://me.example"}})
    assert problem in read("m.json", {"m.json": content}, {"http://me.example": me})[1]


def test_targets_that_do_not_match_leave_the_code_unmapped() -> None:
    group = {"element": [element("a", {"equivalence": "unmatched"}), {"code": "b"}], "unmapped": {"mode": "fixed", "code": "rest"}}  # fmt: skip
    found, errors = read("m.json", {"m.json": text(group)})
    assert errors == []
    assert found is not None
    assert [found.translate("a"), found.translate("b")] == ["rest", "rest"]


def test_a_target_that_its_published_code_system_does_not_have_is_refused() -> None:
    gender = "http://hl7.org/fhir/administrative-gender"
    for code, problems in (("female", []), ("femal", ["PM134 conceptMaps.m"])):
        found, errors = (
            CodeMaps({}, noted := Problems(), lambda *_: None).read(
                "m", compose(Path("x"), text=f"{{map: {{F: {code}}}, system: '{gender}'}}"), MARK
            ),
            noted.errors,
        )
        assert found is not None
        assert [f"{one.code} {one.address}" for one in errors] == problems


WORDS = st.text("abcdefgé, \"'\n;#*", min_size=1, max_size=6).filter(lambda one: one.strip() == one and one != "*")
TARGETS = st.builds(
    Target, WORDS, st.sampled_from([None, "http://a.example", "http://b.example"]), st.none() | WORDS,
    st.sampled_from(["equivalent", "equal", "wider", "narrower", "relatedto"]), st.none() | WORDS,
)  # fmt: skip
GONE = st.builds(Target, st.none(), st.none(), st.none(), st.sampled_from(["unmatched", "disjoint"]), st.none() | WORDS)
MAPS = st.builds(
    lambda entries, default, blank: CodeMap("m", MARK, entries, {}, default=default, blank=blank),
    st.dictionaries(WORDS, TARGETS | GONE, min_size=1, max_size=5), st.none() | TARGETS, st.none() | TARGETS,
)  # fmt: skip


@seed(15)
@settings(CALM, max_examples=60)
@given(MAPS)
def test_csv_and_concept_map_hold_the_same_code_map(made: CodeMap) -> None:
    as_json = concept_maps.to_concept_map(made, "http://x.example/m", source="urn:x")
    for name, content in (("m.csv", to_csv(made)), ("m.json", writer.write(as_json).decode())):
        found, errors = read(name, {name: content})
        assert errors == []
        assert found is not None
        assert (dict(found.entries), found.default, found.blank) == (dict(made.entries), made.default, made.blank)


def test_what_is_written_is_a_valid_concept_map() -> None:
    entries = {
        "a": Target("x", "http://a.example", "X", "wider", "no exact code"),
        "b": Target(None, equivalence="unmatched"),
        "c": Target("y"),
    }
    made = CodeMap("m", MARK, entries, {}, default=Target("z", None, None, "narrower", "rest"), blank=Target("w"))
    assert model.parse(concept_maps.to_concept_map(made, "http://x.example/m")) == []


def test_a_map_of_nothing_but_a_default_is_a_valid_concept_map() -> None:
    made = CodeMap("m", MARK, {}, {}, default=Target("x"))
    as_json = concept_maps.to_concept_map(made, "http://x.example/m", version="1.0.0")
    assert model.parse(as_json) == []
    found, errors = read("m.json", {"m.json": writer.write(as_json).decode()})
    assert errors == []
    assert found is not None
    assert found.translate("anything") == "x"
    assert found.translate("") is None
