from __future__ import annotations

from pathlib import Path

import pytest

from peerfhir.fhir.definitions import r4
from peerfhir.mapping.directives import RESERVED
from tests.mapping.marked import FIELDS, HEAD, places, told

TASK = "resources:\n  task:\n    resourceType: Task\n    status: draft\n    intent: plan\n"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_cannot_be_given(tmp_path: Path, name: str) -> None:
    text = HEAD.format(id="one") + FIELDS + TASK + f"    description: {{$let: {{{name}: =word}}, $value: =word}}\n"
    errors, _ = told(tmp_path, "one", text)
    assert [code for _, code in places(errors)] == ["PM113"]


@pytest.mark.parametrize("kind", r4().resources())
def test_every_resource_asks_for_its_required_elements_and_knows_its_own(tmp_path: Path, kind: str) -> None:
    text = HEAD.format(id="one") + FIELDS + f"resources:\n  one:\n    resourceType: {kind}\n    idd: x\n"
    errors, _ = told(tmp_path, "one", text)
    assert f"{kind} has no element 'idd'" in "\n".join(errors)
    for element in r4().elements(kind).values():
        assert (f"required element '{element.name}'" in "\n".join(errors)) == (
            element.minimum > 0 and not element.choice
        )
