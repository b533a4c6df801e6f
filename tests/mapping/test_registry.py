from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from peerfhir.errors import BadConfiguration, MappingFailed
from peerfhir.mapping.registry import Mappings
from tests.mapping import samples
from tests.mapping.test_document import GOOD
from tests.support.mapping_folder import CANONICAL, write


def test_the_mappings_of_a_folder_are_known_by_id_and_version() -> None:
    assert samples.mappings().ids() == ("group-session", "referral-csv", "referral-from-ehr")
    assert samples.mappings().version("referral-csv") == "1.0.0"
    with pytest.raises(MappingFailed):
        samples.mappings().run("nothing", {})


def test_the_content_hash_is_the_manifest_of_every_file_used() -> None:
    lines = ["peerfhir-mapping 1"]
    for name in ("program.csv", "referral-csv.map.yaml"):
        data = (samples.DOCUMENTS / "referral-csv" / name).read_bytes()
        lines.append(f"{hashlib.sha256(data).hexdigest()}  documents/referral-csv/{name}")
    expected = hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()
    assert samples.mappings().sha256("referral-csv") == expected


def test_line_ends_do_not_change_the_hash_and_a_comment_does(tmp_path: Path) -> None:
    def hashed(name: str, data: bytes) -> str:
        folder = write(tmp_path / name, "plain", "")
        (folder / "plain" / "plain.map.yaml").write_bytes(data)
        return Mappings.load(folder, canonical=CANONICAL).sha256("plain")

    plain = hashed("a", GOOD.encode())
    assert hashed("b", GOOD.replace("\n", "\r\n").encode()) == plain
    assert hashed("c", (GOOD + "# more\n").encode()) != plain


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "plain", GOOD.replace("text: =id", "text: =ip"))
    write(
        tmp_path,
        "other",
        GOOD.replace("mapping: plain", "mapping: other").replace("resourceType: Basic", "resourceType: Basik"),
    )
    folder = write(tmp_path, "good", GOOD.replace("mapping: plain", "mapping: good"))
    with pytest.raises(BadConfiguration) as refused:
        Mappings.load(folder, canonical=CANONICAL)
    text = "\n".join(refused.value.problems)
    assert "mappings/plain/plain.map.yaml:7:46: error PM111: basic.code.text: 'ip' is not a declared field here" in text
    assert "mappings/other/other.map.yaml:7:25: error PM201: other" not in text
    assert "PM201: basic: 'Basik' is not a known resource type\n    hint: did you mean 'Basic'?" in text
    assert "good.map" not in text


def test_files_that_are_no_mappings_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path, "plain", GOOD)
    assert Mappings.load(folder, canonical=CANONICAL).ids() == ("plain",)
    for name, part in (
        ("library/common.library.yaml", "the first key is 'library: <id>'"),
        ("plain/overlays/x.overlay.yaml", "the first key is 'overlay: <id>'"),
        ("plain/notes.yaml", "ends in .map.yaml"),
        ("lost.map.yaml", "folder and file name differ"),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(GOOD)
        with pytest.raises(BadConfiguration) as refused:
            Mappings.load(folder, canonical=CANONICAL)
        assert len(refused.value.problems) == 1
        assert part in refused.value.problems[0]
        path.unlink()


def test_examples_and_hidden_folders_are_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path, "plain", GOOD)
    for name in ("plain/examples/01.input.yaml", ".schema/x.yaml"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("not: a mapping")
    assert Mappings.load(folder, canonical=CANONICAL).ids() == ("plain",)


def test_a_folder_that_is_not_there_or_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration):
        Mappings.load(tmp_path / "none", canonical=CANONICAL)
    folder = write(tmp_path, "plain", GOOD)
    document = folder / "plain" / "plain.map.yaml"
    for data, part in ((b"\xff\xfe", "not UTF-8"), (b"x" * (1024 * 1024 + 1), "larger than 1 MiB")):
        document.write_bytes(data)
        with pytest.raises(BadConfiguration) as refused:
            Mappings.load(folder, canonical=CANONICAL)
        assert part in refused.value.problems[0]
        assert "PM008" in refused.value.problems[0]
    document.unlink()
    outside = tmp_path / "outside.yaml"
    outside.write_text(GOOD)
    document.symlink_to(outside)
    with pytest.raises(BadConfiguration) as refused:
        Mappings.load(folder, canonical=CANONICAL)
    assert "outside" in refused.value.problems[0]


def test_at_most_fifty_problems_of_a_file_are_told_then_a_count(tmp_path: Path) -> None:
    lines = "".join(f"    wrong{number}: x\n" for number in range(80))
    text = GOOD.replace(
        "  basic: {resourceType: Basic, code: {text: =id}}",
        "  basic:\n    resourceType: Basic\n    code: {text: =id}\n" + lines,
    )
    with pytest.raises(BadConfiguration) as refused:
        Mappings.load(write(tmp_path, "plain", text), canonical=CANONICAL)
    assert len(refused.value.problems) == 51
    assert "30 more problems" in refused.value.problems[-1]
