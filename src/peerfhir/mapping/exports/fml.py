"""A StructureMap as text of the FHIR Mapping Language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peerfhir.mapping.exports.expression_text import named

Json = Any


def text(made: Json) -> str:
    """The map, its ConceptMaps, structures and groups.

    Source  FHIR R4 mapping-language.html, and its grammar
    """
    return "\n".join(_lines(made)) + "\n"


def _lines(made: Json) -> Iterator[str]:
    yield f'map "{made["url"]}" = "{made["name"]}"'
    # the grammar of R4 has no place for these
    for said in (
        f"{made.get('title', made['name'])}, version {made['version']}",
        *made.get("description", "").split("\n"),
    ):
        yield f"// {' '.join(said.split())}" if said else ""
    yield ""
    for contained in made.get("contained", []):
        yield from _concept_map(contained)
        yield ""
    for one in made.get("structure", []):
        alias = f" alias {one['alias']}" if "alias" in one else ""
        yield f'uses "{one["url"]}"{alias} as {one["mode"]}'
    yield ""
    for group in made["group"]:
        inputs = ", ".join(
            f"{one['mode']} {one['name']}" + (f" : {one['type']}" if "type" in one else "") for one in group["input"]
        )
        yield f"group {group['name']}({inputs}) {{"
        for rule in group["rule"]:
            yield from _rule(rule, "  ")
        yield "}"


def _concept_map(made: Json) -> Iterator[str]:
    yield f'conceptmap "{made["id"]}" {{'
    for at, group in enumerate(made["group"]):
        source, target = f"s{at}", f"t{at}"
        yield f'  prefix {source} = "{group["source"]}"'
        yield f'  prefix {target} = "{group["target"]}"'
        for element in group["element"]:
            for one in element["target"]:
                if "code" in one:
                    yield f'  {source}:"{element["code"]}" == {target}:"{one["code"]}"'
    yield "}"


def _rule(rule: Json, indent: str) -> Iterator[str]:
    source = ", ".join(_source(one) for one in rule["source"])
    targets = ", ".join(_target(one) for one in rule.get("target", []))
    head = f"{indent}{source}" + (f" -> {targets}" if targets else "")
    if "rule" not in rule:
        # a number before the rule's name would be read as a quantity with that name as its unit
        head = f"{head[: -len(last)]}({last})" if (last := _number(rule)) else head
        yield f'{head} "{rule["name"]}";'
        return
    yield f"{head} then {{"
    for one in rule["rule"]:
        yield from _rule(one, f"{indent}  ")
    yield f'{indent}}} "{rule["name"]}";'


def _number(rule: Json) -> str:
    """The number that a rule ends with, if any."""
    last = rule["target"][-1] if "target" in rule else {}
    ((kind, value),) = last["parameter"][-1].items() if last.get("transform") == "copy" else (("", ""),)
    return str(value) if kind in ("valueInteger", "valueDecimal") and "variable" not in last else ""


def _source(one: Json) -> str:
    made = str(one["context"]) + (f".{named(one['element'])}" if "element" in one else "")
    made += f" as {one['variable']}" if "variable" in one else ""
    made += f" where ({one['condition']})" if "condition" in one else ""
    return made + (f" check ({one['check']})" if "check" in one else "")


def _target(one: Json) -> str:
    made = f"{one['context']}.{named(one['element'])}"
    if "transform" in one:
        made += f" = {_transform(one)}"
    return made + (f" as {one['variable']}" if "variable" in one else "")


def _transform(one: Json) -> str:
    parameters = one.get("parameter", [])
    if one["transform"] == "copy":
        return _parameter(parameters[0])
    if one["transform"] == "evaluate":
        return f"({parameters[0]['valueString']})"
    return f"{one['transform']}({', '.join(_parameter(each) for each in parameters)})"


def _parameter(one: Json) -> str:
    ((kind, value),) = one.items()
    if kind == "valueId":
        return str(value)
    if kind == "valueString":
        return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    return str(value).lower() if isinstance(value, bool) else str(value)
