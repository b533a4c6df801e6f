from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from peerfhir.config import compose
from peerfhir.errors import MappingFailed
from peerfhir.mapping.lossy import losses
from peerfhir.mapping.overview import checked
from peerfhir.mapping.shelf import Opened, look
from peerfhir.mapping.told import FORMS, written
from tests.support.mapping_folder import CANONICAL
from tests.support.mutations import mutated, mutated_tree

SHIPPED = Path(__file__).parents[2] / "mappings"
DOCUMENTS = sorted(
    path
    for path in SHIPPED.rglob("*")
    if path.suffix in (".yaml", ".csv", ".json") and "examples" not in path.parts and path.is_file()
)
SEEDS = range(10)
VARIANTS = 20


def variant(folder: Path, chance: random.Random) -> str:
    """One damaged mapping with the library beside it, in `folder`; the name of what was damaged."""
    document = chance.choice(DOCUMENTS)
    home = document.relative_to(SHIPPED).parts[0]
    shutil.rmtree(folder, ignore_errors=True)
    for name in {home, "library"}:
        shutil.copytree(SHIPPED / name, folder / name, ignore=shutil.ignore_patterns("examples"))
    if document.suffix == ".yaml" and chance.random() < 0.7:
        tree = mutated_tree(compose(document).plain(), chance)
        text = json.dumps(tree, default=str, ensure_ascii=False)  # JSON is YAML: the damage is in the nodes alone
    else:
        text = mutated(document.read_text("utf-8"), chance)
    target = folder / document.relative_to(SHIPPED)
    target.write_text(text, "utf-8", errors="surrogatepass", newline="")
    return document.name


def run(one: Opened) -> None:
    """Give a mapping records that fit it badly: they are mapped or refused."""
    losses(one)
    names = list(one.checked.source.fields.items)
    one.program.ready()
    for record in ({}, dict.fromkeys(names, "x"), dict.fromkeys(names, 1), [], None, {name: [{}] for name in names}):
        try:
            one.program.run(record)
        except MappingFailed as refused:
            assert str(refused)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_mapping_is_told_with_its_place_or_still_runs(seed: int, tmp_path: Path) -> None:
    chance = random.Random(f"mutations {seed}")
    for _ in range(VARIANTS):
        name = variant(tmp_path / "mappings", chance)
        shelf = look(tmp_path / "mappings", CANONICAL)
        found = checked(shelf)
        for one in found.problems:
            assert one.what, name
            assert min(one.mark.line, one.mark.column) >= 1, str(one)
        for form in FORMS:
            written(found.problems, form)
        for opened in shelf.opened:
            run(opened)
