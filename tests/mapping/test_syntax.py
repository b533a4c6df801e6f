from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from peerfhir.mapping.catalogue import survey
from peerfhir.mapping.versions import is_range, version_of, within
from tests.mapping.folders import BASE, OVERLAY, put, told
from tests.mapping.test_every_check import GOOD, loaded
from tests.mapping.test_every_check import OVERLAY as NORTH
from tests.support.mapping_folder import CANONICAL

HOSTILE = {
    "a tab": ("  format: json", "\tformat: json", "PM001"),
    "an open bracket": ("systems: {mrn", "systems: {{mrn", "PM001"),
    "a colon in a value": ("family: =name", "family: =name: x", "PM001"),
    "a comma in a list": ("{family: =name}", "{given: [=iif(word = 'a', name)]}", "PM001"),
    "a tag": ("family: =name", "family: !!python/object:os.system x", "PM005"),
    "an anchor": ("family: =name", "family: &x =name", "PM005"),
    "an alias": ("family: =name", "family: *x", "PM005"),
    "a merge key": ("{family: =name}", "{<<: {family: =name}}", "PM005"),
    "two documents": ("  note:\n", "---\n  note:\n", "PM005"),
    "a list as a key": ("family: =name", "[a]: =name", "PM001"),
    "nothing but a list": (BASE, "- a\n", "PM004"),
    "nothing at all": (BASE, "", "PM004"),
    "a control character": ("family: =name", "family: \x07", "PM001"),
    "deep nesting": ("family: =name", "family: " + "[" * 80 + "]" * 80, "PM001"),
    "far too much": (BASE, BASE + "# " + "x" * 1024 * 1024, "PM008"),
    "a huge number": ("family: =name", "family: " + "9" * 5000, "PM230"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_told_with_its_place_and_without_a_trace(name: str, tmp_path: Path) -> None:
    old, new, code = HOSTILE[name]
    assert old in BASE
    found = put(tmp_path, row__row=BASE.replace(old, new, 1))
    assert code in {one.code for one in found.problems}, [str(one) for one in found.problems]
    assert found.loaded == {}
    assert all(one.mark.line > 0 and one.mark.column > 0 for one in found.problems)


def test_a_missing_quote_is_answered_with_the_quoted_expression(tmp_path: Path) -> None:
    found = put(tmp_path, row__row=BASE.replace("{family: =name}", "{family: =coalesce(word, name), use: official}"))
    problem = next(one for one in found.problems if one.code == "PM001")
    assert problem.hint == 'quote the expression: "=coalesce(word, name)"'
    assert BASE.splitlines()[problem.mark.line - 1] == "    name: {family: =name}"


def test_overlays_extend_mappings_and_never_each_other(tmp_path: Path) -> None:
    again = OVERLAY.replace("row.north", "row.south").replace("row@^1.0", "row.north@^1.0")
    circle = OVERLAY.replace("extends: row@", "extends: row.south@")
    found = put(tmp_path, row__row=BASE, row__overlays__north=circle, row__overlays__south=again)
    assert told(found) == ["E PM401 3", "E PM401 3"]
    imported = put(tmp_path, library__a="library: a\nversion: 1.0.0\nimports: [a@^1.0]\n")
    assert "E PM002 3" in told(imported)


@pytest.mark.parametrize("start", range(4))
def test_a_spoiled_document_is_refused_or_works_and_never_breaks_the_reader(start: int, tmp_path: Path) -> None:
    chance = random.Random(f"spoiled-{start}")
    signs = " \n\t:{}[],#'\"$%=&*!-<>.|x0"
    for _ in range(40):
        texts = []
        for text in (GOOD, NORTH):
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(text))
                text = text[:at] + chance.choice(signs) * chance.randrange(1, 3) + text[at + chance.randrange(3) :]
            texts.append(text)
        found = loaded(tmp_path, *texts)
        assert found.loaded or found.problems
        assert all(str(one).startswith("mappings/") for one in found.problems)


def test_ranges_are_read_as_they_are_meant() -> None:
    inside = {
        "^1.2": "1.9.0",
        "~1.2": "1.2.9",
        "1.2": "1.2.5",
        "1": "1.0.0",
        "1.2.3": "1.2.3",
        "*": "0.0.1",
        "^0.2": "0.2.7",
    }
    outside = {
        "^1.2": "2.0.0",
        "~1.2": "1.3.0",
        "1.2": "1.3.0",
        "1": "2.0.0",
        "1.2.3": "1.2.4",
        "^1.3": "1.2.9",
        "^0.2": "0.3.0",
    }
    for wanted, version in inside.items():
        assert within(version_of(version) or (0, 0, 0), wanted), wanted
    for wanted, version in outside.items():
        assert not within(version_of(version) or (0, 0, 0), wanted), wanted
    assert [is_range(one) for one in ("", "x", "1.", ">=1", "01")] == [False] * 5
    assert version_of("1.2") is None


def test_the_content_hash_is_that_of_the_manifest(tmp_path: Path) -> None:
    put(tmp_path, row__row=BASE, row__overlays__north=OVERLAY)
    crlf = BASE.replace("\n", "\r\n").encode()
    (tmp_path / "mappings/row/row.map.yaml").write_bytes(crlf)
    found = survey(tmp_path / "mappings", canonical=CANONICAL).loaded["row+north"]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (OVERLAY, BASE)]
    manifest = (
        f"peerfhir-mapping 1\n{digests[0]}  mappings/row/overlays/north.overlay.yaml\n"
        f"{digests[1]}  mappings/row/row.map.yaml\n"
    )
    assert found.sha256 == hashlib.sha256(manifest.encode()).hexdigest()
