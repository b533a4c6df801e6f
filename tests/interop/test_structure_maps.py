"""Exported StructureMaps in an engine of another house: @medplum/core under Node makes the same resources from them.

Skipped with the reason where Node or the package is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from peerfhir.fhir.definitions import r4
from peerfhir.mapping.exports.fml import text
from peerfhir.mapping.exports.logical_model import logical_model
from peerfhir.mapping.exports.structure_map import structure_map
from peerfhir.mapping.shelf import Opened, look
from tests.interop import judges
from tests.interop.records import SEED, examples_of, made_up
from tests.mapping import moods, samples
from tests.support import shipped
from tests.support.mapping_folder import CANONICAL, write

Json = Any
EVERY_FORM = Path(__file__).with_name("every_form.map.yaml")


def plain(value: Json) -> Json:
    """Numbers as JavaScript has them."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def renamed(value: Json, names: dict[str, str]) -> Json:
    """With `urn:uuid:` names numbered in the order in which they come: equal when one renaming makes them equal."""
    if isinstance(value, dict):
        return {key: renamed(value[key], names) for key in sorted(value)}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    if isinstance(value, str) and value.startswith("urn:uuid:"):
        return names.setdefault(value, f"urn:uuid:{len(names)}")
    return value


def theirs(value: Json, *, top: bool = True) -> Json:
    """Without the names of types that this engine writes into what it began, where R4 has no place for them."""
    if isinstance(value, list):
        return [theirs(one, top=False) for one in value]
    if not isinstance(value, dict):
        return value
    named = not top and r4().is_resource(str(value.get("resourceType")))
    return {key: theirs(one, top=False) for key, one in value.items() if named or key != "resourceType"}


def given(mapping: Opened, record: Json) -> Json:
    """A resource as it is; a typed record below `record`, without its empty fields."""
    return plain(record) if mapping.checked.source.type else {"record": present(plain(record))}


def present(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: present(one) for key, one in value.items() if one is not None and one != []}
    return [present(one) for one in value] if isinstance(value, list) else value


def ours(result: Any) -> Json:
    if result.values or not (result.entries or result.kind != "none"):
        return plain(result.values)
    if result.kind == "none" and len(result.entries) == 1:
        return plain(result.entries[0].resource)
    return plain({"resourceType": "Bundle", **result.bundle()})


@dataclass
class Case:
    """One export, what it is given and what it shall make of that."""

    name: str
    sent: Json
    wanted: list[Json]


def cases(mapping: Opened, pairs: list[tuple[Json, Json]]) -> list[Case]:
    """The export as JSON and as text, with ConceptMaps and inline."""
    model = logical_model(mapping, CANONICAL)
    found = []
    for inline in (False, True):
        made, _ = structure_map(mapping, CANONICAL, inline=inline)
        kind = model["type"] if mapping.checked.source.type else made["group"][0]["input"][1]["type"]
        common = {"type": kind, "model": plain(model), "inputs": [sent for sent, _ in pairs]}
        wanted = [expected for _, expected in pairs]
        name = f"{mapping.name}{', inline' if inline else ''}"
        found.append(Case(name, {"map": plain(made), "fml": None, **common}, wanted))
        if "\\" not in text(made):  # that engine's reader of texts loses every escape
            found.append(Case(f"{name}, text", {"map": plain(made), "fml": text(made), **common}, wanted))
    return found


def worked() -> list[tuple[Opened, list[tuple[Json, Json]]]]:
    """The two worked examples of the language, on two hundred records each."""
    shelf = look(samples.DOCUMENTS, CANONICAL)
    referral, session = shelf.find("referral-csv"), shelf.find("group-session")
    assert referral is not None
    assert session is not None
    rows = [
        samples.referral(
            referral_id=f"R-{at}", middle_name="B." if at % 3 else "", email=f"p{at}@example.org" if at % 2 else "",
            sex=["F", "M", "X", "", "?"][at % 5], priority=["R", "U", "S", ""][at % 4], mrn=f"a, {at}|$\\'%" if at % 9 == 0 else f"M{at}",
            program=["recovery", "mh-peer", "diabetes-peer", "warmline"][at % 4], notes="a 'quoted' note" if at % 7 == 0 else "",
            reason_code="F32.0" if at % 5 == 0 else "",
        )
        for at in range(200)
    ]  # fmt: skip
    sessions = [
        samples.session(at % 7, session_id=f"G-{at}", site="Library" if at % 2 else "", minutes=30 + at)
        for at in range(200)
    ]
    return [
        (mapping, [(given(mapping, one), ours(mapping.program.run_typed(one))) for one in map(mapping.program.typed, raw)])
        for mapping, raw in ((referral, rows), (session, sessions))
    ]  # fmt: skip


def unlike(left: Json, right: Json, at: str = "") -> str:
    """The first place where two values differ, and what stands there: theirs, then ours."""
    if isinstance(left, dict) and isinstance(right, dict):
        key = next(key for key in (*right, *left) if left.get(key) != right.get(key))
        return unlike(left.get(key), right.get(key), f"{at}.{key}")
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        number = next(at for at, (one, other) in enumerate(zip(left, right, strict=True)) if one != other)
        return unlike(left[number], right[number], f"{at}[{number}]")
    return f"{at}: {left!r}, not {right!r}"


def differences(answer: Json, case: Case) -> list[str]:
    if "error" in answer:
        return [f"{case.name}: {answer['error']}"]
    found = []
    for at, (got, expected) in enumerate(zip(answer["outputs"], case.wanted, strict=True)):
        left, right = renamed(theirs(got), {}), renamed(theirs(expected), {})
        if left != right:
            found.append(f"{case.name}: record {at}: {unlike(left, right)}")
    if case.sent["fml"] is not None and answer["read"] != answer["written"]:
        found.append(f"{case.name}: read from the text: {unlike(answer['read'], answer['written'])}")
    return found


def test_exported_structure_maps_make_the_same_resources_in_medplum(tmp_path: Path, record_property: Any) -> None:
    version = judges.version("@medplum/core")
    told, unsaid, asked = [], [], []
    every = look(write(tmp_path, "every-form", EVERY_FORM.read_text("utf-8")), CANONICAL).find("every-form")
    assert every is not None
    for mapping in (*shipped.shelf().opened, every, moods.opened(tmp_path / "moods")):
        _, gaps = structure_map(mapping, CANONICAL)
        if gaps:
            unsaid += gaps
            continue
        kept = [(given(mapping, one), ours(mapping.program.run_typed(one))) for one in examples_of(mapping)]
        made = [(given(mapping, one), ours(result)) for one, result in made_up(mapping)]
        assert len(made) > 4, f"{mapping.name}: records that are made up do not fit it any more"
        told.append(f"{mapping.name}: {len(kept)} of examples, {len(made)} made up")
        asked += cases(mapping, kept + made)
    for mapping, pairs in worked():
        told.append(f"{mapping.name}, as worked in the language: {len(pairs)}")
        asked += cases(mapping, pairs)
    answers = judges.ask("transform.mjs", [{"name": one.name, **one.sent} for one in asked])
    differing = [line for answer, case in zip(answers, asked, strict=True) for line in differences(answer, case)]
    texts = sum(case.sent["fml"] is not None for case in asked)
    whole = {case.name for case in asked}
    told += [
        f"{one}: not read as text, for an escape in it"
        for one in sorted(whole)
        if not {one, f"{one}, text"} <= whole and ", text" not in one
    ]
    told.append(
        f"{len(asked)} exports ({texts} as text), {sum(len(one.wanted) for one in asked)} runs with seed {SEED} in "
        f"@medplum/core {version}: {len(differing)} differences"
    )
    told += [f"cannot be exported: {gap}" for gap in unsaid]
    record_property("ran", told[-1])
    print("\n".join(told))
    assert differing == [], "\n".join([*differing[:40], *sorted({line.partition(":")[0] for line in differing})])
    assert unsaid == []
