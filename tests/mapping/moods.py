"""An instrument with what the shipped ones have not, and a mapping that answers it: for exports."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from peerfhir.mapping.instruments import Form, Option, Question, Scored
from peerfhir.mapping.shelf import Opened, look
from tests.support.mapping_folder import CANONICAL, write

UNIT = {"system": "http://unitsofmeasure.org", "code": "{score}"}
MAPPING = """\
mapping: moods
version: 1.0.0
status: active
fhirVersion: 4.0.1
source:
  format: json
  key: id
  fields:
    id: string!
    a: {type: integer!, min: 0, max: 2}
    h: {type: integer!, min: 0, max: 2}
    w: {type: code, codes: [no, maybe]}
    b: string!
    day: date
    done: dateTime!
bundle: collection
resources:
  qr:
    $questionnaire: moods
    $answers:
      g/a: {$value: =a, $number: printed}
      g/b: =b
      h: =h
      w: =w
      day: =day
      fixed: 3
    $extract: observation
    status: completed
    authored: =done
"""


def options(*weights: int) -> tuple[Option, ...]:
    """no, so and yes with these weights."""
    return tuple(
        Option(code, "http://x.example", code.title(), Decimal(weight), ("maybe",) if code == "so" else ())
        for code, weight in zip(("no", "so", "yes"), weights, strict=True)
    )


def score(answers: Mapping[str, str]) -> Scored:
    """The sum of two items, the first counted backwards."""
    first, second = ({"no": 2, "so": 1, "yes": 0}, {"no": 0, "so": 1, "yes": 2})
    if not {"g/a", "h"} <= set(answers):
        return Scored(None)
    total = Decimal(first[answers["g/a"]] + second[answers["h"]])
    return Scored(total, "much" if total >= 3 else "little")


FORM = Form(
    "moods", "http://x.example/q", "1", (
        Question("g", "group", "Group", items=(
            Question("g/a", "choice", "First", options=options(2, 1, 0), reverse=True),
            Question("g/b", "string", relation="independent", codes=({"code": "b"},)),
        )),
        Question("h", "choice", options=options(0, 1, 2), relation="member", codes=({"code": "h"},)),
        Question("w", "choice", options=options(0, 1, 2)), Question("day", "date"), Question("note", "display"),
        Question("fixed", "integer", relation="member", codes=({"code": "fixed"},)), Question("none", "string"),
        Question("t", "decimal", "Total", codes=({"code": "t"},), read_only=True, relation="member", unit=UNIT),
    ), score, codes=({"code": "panel"},), total="t", span=(Decimal(0), Decimal(4)),
    bands={"t": ((Decimal(0), "little"), (Decimal(3), "much"))},
)  # fmt: skip


def opened(folder: Path, text: str = MAPPING, form: Form = FORM) -> Opened:
    """The mapping, loaded with the instrument."""
    shelf = look(write(folder, "moods", text), CANONICAL, {"moods": form})
    found = shelf.find("moods")
    assert found is not None, [str(one) for one in shelf.problems]
    return found
