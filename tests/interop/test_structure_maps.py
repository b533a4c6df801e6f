"""Exported StructureMaps in an engine of another house: @medplum/core under Node makes the same resources from them.

Skipped with the reason where Node or the package is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.mapping.aside import Made
from peerfhir.mapping.examples import examples
from peerfhir.mapping.fml import text
from peerfhir.mapping.inputs import of_file
from peerfhir.mapping.shelf import Opened, look
from peerfhir.mapping.structure_map import structure_map
from tests.interop import judges
from tests.mapping import samples
from tests.support import shipped
from tests.support.mapping_folder import CANONICAL

Json = Any


def plain(value: Json) -> Json:
    """Numbers as JavaScript has them."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def pruned(value: Json) -> Json:
    """What a StructureMap can say: no names that are derived from the record, and no escaped search text."""
    if isinstance(value, dict):
        found = {key: pruned(one) for key, one in value.items() if key not in ("fullUrl", "ifNoneExist")}
        kept = {key: one for key, one in found.items() if one not in ({}, []) and not derived(key, one)}
        return kept or {}
    return [pruned(one) for one in value] if isinstance(value, list) else value


def derived(key: str, value: Json) -> bool:
    return key == "reference" and isinstance(value, str) and value.startswith("urn:uuid:")


def typed(mapping: Opened) -> Iterator[tuple[Json, Json]]:
    """What the map is given and what our engine makes of it, for every good example."""
    for example in examples(mapping)[0]:
        if example.expected is None:
            continue
        for one in of_file(mapping, example.input):
            if isinstance(one, Made):
                yield given(mapping, one.typed), ours(one.result)


def given(mapping: Opened, record: Json) -> Json:
    """A resource as it is; a typed record below `record`, without its empty fields."""
    return plain(record) if mapping.checked.source.type else {"record": present(plain(record))}


def present(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: present(one) for key, one in value.items() if one is not None and one != []}
    return [present(one) for one in value] if isinstance(value, list) else value


def ours(result: Any) -> Json:
    if result.values:
        return plain(result.values)
    if result.kind == "none" and len(result.entries) == 1:
        return plain(result.entries[0].resource)
    return plain({"resourceType": "Bundle", **result.bundle()})


def generated() -> list[tuple[Opened, list[tuple[Json, Json]]]]:
    """The two worked examples of the language, on two hundred records each."""
    shelf = look(samples.DOCUMENTS, CANONICAL)
    referral, session = shelf.find("referral-csv"), shelf.find("group-session")
    assert referral is not None
    assert session is not None
    rows = [
        samples.referral(
            referral_id=f"R-{at}", middle_name="B." if at % 3 else "", email=f"p{at}@example.org" if at % 2 else "",
            sex=["F", "M", "X", "", "?"][at % 5], priority=["R", "U", "S", ""][at % 4],
            program=["recovery", "mh-peer", "diabetes-peer", "warmline"][at % 4], notes="a 'quoted' note" if at % 7 == 0 else "",
            reason_code="F32.0" if at % 5 == 0 else "",
        )
        for at in range(200)
    ]  # fmt: skip
    sessions = [
        samples.session(at % 7, session_id=f"G-{at}", site="Library" if at % 2 else "", minutes=30 + at)
        for at in range(200)
    ]
    found = []
    for mapping, records in ((referral, rows), (session, sessions)):
        pairs = []
        for record in records:
            read = mapping.program.typed(record)
            pairs.append((given(mapping, read), ours(mapping.program.run_typed(read))))
        found.append((mapping, pairs))
    return found


def test_exported_structure_maps_make_the_same_resources_in_medplum(record_property: Any) -> None:
    version = judges.version("@medplum/core")
    cases = generated()
    for mapping in shipped.shelf().opened:
        pairs = list(typed(mapping))
        _, gaps = structure_map(mapping, CANONICAL)
        if all("fullUrl" in gap or "$ref" in gap or "$request" in gap for gap in gaps):
            cases.append((mapping, pairs))
    asked, wanted = [], []
    for mapping, pairs in cases:
        for inline in (False, True):
            made, _ = structure_map(mapping, CANONICAL, inline=inline)
            target = made["group"][0]["input"][1].get("type", "")
            common = {"type": target, "inputs": [sent for sent, _ in pairs]}
            name = f"{mapping.name}{' inline' if inline else ''}"
            asked.append({"name": f"{name} (json)", "map": made, "fml": None, **common})
            wanted.append(pairs)
            if "\\'" not in text(made):  # that engine's reader of texts loses the sign before a quote
                asked.append({"name": f"{name} (fml)", "map": None, "fml": text(made), **common})
                wanted.append(pairs)
    differing = []
    for answer, pairs in zip(judges.ask("transform.mjs", asked), wanted, strict=True):
        if "error" in answer:
            differing.append(f"{answer['name']}: {answer['error']}")
            continue
        for at, (got, (_, expected)) in enumerate(zip(answer["outputs"], pairs, strict=True)):
            if without_type(pruned(got)) != without_type(pruned(expected)):
                differing.append(f"{answer['name']}: record {at}\n  theirs {pruned(got)}\n  ours   {pruned(expected)}")
    records = sum(len(pairs) for pairs in wanted)
    told = f"{len(asked)} exports of {len(cases)} mappings, {records} records, in @medplum/core {version}"
    record_property("ran", told)
    print(told)
    assert differing == [], "\n".join(differing[:5] + sorted({line.partition(":")[0] for line in differing}))


def without_type(value: Json) -> Json:
    """The engine does not write the type of the target it was given."""
    return {key: one for key, one in value.items() if key != "resourceType"} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["referral-csv", "group-session"])
def test_what_a_structure_map_cannot_say_is_named_with_its_place(name: str) -> None:
    mapping = look(samples.DOCUMENTS, CANONICAL).find(name)
    assert mapping is not None
    _, gaps = structure_map(mapping, CANONICAL)
    assert any("UUIDv5" in gap for gap in gaps)
    assert all(gap.startswith(f"documents/{name}/{name}.map.yaml:") for gap in gaps)
