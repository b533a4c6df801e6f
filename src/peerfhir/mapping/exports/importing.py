"""`map import`: a ConceptMap becomes the CSV of a code map, and such a CSV becomes a ConceptMap."""

from __future__ import annotations

from pathlib import Path

from peerfhir.config import Mark, Node
from peerfhir.fhir import writer
from peerfhir.mapping.code_rows import to_csv
from peerfhir.mapping.codes import CodeMap, CodeMaps
from peerfhir.mapping.concept_maps import to_concept_map
from peerfhir.mapping.problems import Problem, Problems

FORMS = ("conceptmap", "csv")


def imported(path: Path, form: str) -> tuple[list[tuple[str, str]], list[Problem]]:
    """What a file becomes, (file name, text), or the problems that stand against it.

    form  conceptmap or csv: what the file is
    """
    problems = Problems()
    name = _name(path)
    table = _read(path, name, f"{name}.csv" if form == "csv" else f"{name}.conceptmap.json", problems)
    if table is None or problems.errors:
        return [], [*problems.errors]
    if form == "conceptmap":
        return [(f"{name}.csv", to_csv(table))], []
    made = to_concept_map(table, f"urn:peerfhir:code-map:{name}", source=f"urn:peerfhir:codes:{name}")
    return [(f"{name}.conceptmap.json", writer.indented(made) + "\n")], []


def _name(path: Path) -> str:
    """The file's name as the name of a code map."""
    stem = path.name.partition(".")[0].lower()
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "-" for one in stem).strip("-_")
    return plain if plain[:1].isalpha() else f"map-{plain}".rstrip("-")


def _read(path: Path, name: str, called: str, problems: Problems) -> CodeMap | None:
    mark = Mark(path.name, 1, 1)
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        problems.add(mark, "PM136", "", "the file is not UTF-8")
        return None

    def beside(_name: str, _mark: Mark, _address: str) -> tuple[str, str]:
        return path.name, text

    return CodeMaps({}, problems, beside).read(name, Node("scalar", called, mark, raw=called), mark)
