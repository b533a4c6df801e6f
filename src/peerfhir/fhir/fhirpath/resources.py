"""Functions that know FHIR: types, extensions, references, profiles and terminology."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, Json, TypeName, Value, kind_of, plain, type_of
from peerfhir.fhir.fhirpath.operators import misfit

Values = Sequence[Value]
SYSTEM_TYPES = frozenset(("Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time", "Quantity"))
_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"


# --- types ---------------------------------------------------------------------------------------------------------


def matches(e: Environment, value: Value, wanted: str, exact: bool = False) -> bool:
    """Whether a value has the type `FHIR.x` or `System.x`. `exact`: a code is no string, as for as() and ofType()."""
    space, _, name = wanted.partition(".")
    if type(value) is not Item:
        return space in ("System", "") and type_of(value) == name
    if space == "System":
        return False
    return value.kind == name if exact and name in PRIMITIVES else e.model.is_a(value.kind, name)


def is_of(e: Environment, base: Values, wanted: Sequence[str]) -> bool | None:
    """`is`."""
    if len(base) > 1:
        raise misfit("'is' takes one value")
    return any(matches(e, base[0], name) for name in wanted) if base else None


def as_of(e: Environment, base: Values, wanted: Sequence[str]) -> list[Value]:
    """`as`."""
    if len(base) > 1:
        raise misfit("'as' takes one value: write ofType()")
    return of_type(e, base, wanted)


def of_type(e: Environment, base: Values, wanted: Sequence[str]) -> list[Value]:
    """`ofType()`: every item of one of the types."""
    found = []
    for value in base:
        for name in wanted:
            if matches(e, value, name, exact=True):
                found.append(value)
                break
    return found


def type_names(base: Values) -> list[Value]:
    """`type()`."""
    return [TypeName("FHIR" if type(value) is Item else "System", type_of(value)) for value in base]


# --- elements ------------------------------------------------------------------------------------------------------


def extension(e: Environment, base: Values, wanted: Value) -> list[Value]:
    """`extension()`."""
    found = e.model.step([value for value in base if type(value) is Item], "extension")
    return [value for value in found if type(value.value) is dict and value.value.get("url") == wanted]


def has_value(base: Values) -> bool:
    """`hasValue()`."""
    if len(base) != 1:
        return False
    value = base[0]
    return type(value) is not Item or (value.kind in PRIMITIVES and value.value is not None)


def get_value(base: Values) -> Value:
    """`getValue()`."""
    return plain(base[0]) if has_value(base) else None


def check_modifiers(e: Environment, base: Values, *known: Value) -> list[Value]:
    """The input, when it has no modifier extension besides the named ones. Raises EvaluationProblem otherwise."""
    for value in e.model.step([one_ for one_ in base if _may_modify(e, one_)], "modifierExtension"):
        if value.value.get("url") not in known:
            raise misfit("a modifier extension that is not known changes the meaning of an element")
    return list(base)


def _may_modify(e: Environment, value: Value) -> bool:
    return type(value) is Item and "modifierExtension" in e.model.names(value.kind)


def html_checks(base: Values) -> bool | None:
    """`htmlChecks()` of a narrative."""
    from peerfhir.fhir.fhirpath.narrative import is_safe  # it brings a reader of HTML

    text = plain(base[0]) if len(base) == 1 else None
    return is_safe(text) if isinstance(text, str) else False if base else None


# --- references ----------------------------------------------------------------------------------------------------


def resolve(e: Environment, base: Values) -> list[Value]:
    """What references point to: contained resources and entries of the Bundle around them; nothing else."""
    found = []
    for value in base:
        text = _reference(value)
        target = None if text is None else _target(e, value, text)
        if target is not None:
            found.append(target)
    return found


def refers_to(e: Environment, base: Values, wanted: Sequence[str]) -> bool | None:
    """`resolve() is X`: from what a reference points to, else from its type or its text; unknown for a bare id."""
    if len(base) > 1:
        raise misfit("'is' takes one value")
    target = resolve(e, base)
    if target:
        return is_of(e, target, wanted)
    kind = _named_type(e, base[0]) if base else None
    return None if kind is None else any(matches(e, Item({}, kind), name) for name in wanted)


def _named_type(e: Environment, value: Value) -> str | None:
    held = value.value if type(value) is Item else None
    named = held.get("type") if type(held) is dict else None
    if type(named) is str:
        return named
    steps = (_reference(value) or "").split("/_history/")[0].split("/")
    return steps[-2] if len(steps) > 1 and e.model.definitions.is_resource(steps[-2]) else None


def _reference(value: Value) -> str | None:
    held = value.value if type(value) is Item else value
    text = held.get("reference") if type(held) is dict else held
    return text if type(text) is str else None


def _target(e: Environment, value: Value, text: str) -> Value:
    around = list(_around(e, value))
    if text.startswith("#"):
        for holder in around:
            if text == "#":
                return holder
            for inner in e.model.step([holder], "contained"):
                if inner.value.get("id") == text[1:]:
                    return inner
        return None
    bundle = next((holder for holder in around if holder.kind == "Bundle"), None)
    for entry in e.model.step([bundle], "entry") if bundle is not None else []:
        resource = entry.value.get("resource")
        if resource is not None and _is_named(text, entry.value.get("fullUrl"), resource):
            return Item(resource, kind_of(resource), None, entry)
    return None


def _around(e: Environment, value: Value) -> Iterator[Item]:
    """The resources around a value, inner ones first, then those of the environment."""
    item = value if type(value) is Item else e.context
    while item is not None:
        if type(item.value) is dict and "resourceType" in item.value:
            yield item
        item = item.parent
    for resource in (e.resource, e.root):
        if resource is not None:
            yield e.model.root(resource)


def _is_named(text: str, full_url: Json, resource: Json) -> bool:
    plain_text = text.split("/_history/")[0]
    if full_url == plain_text:
        return True
    relative = f"{resource.get('resourceType')}/{resource.get('id')}"
    return plain_text == relative and (full_url is None or str(full_url).endswith("/" + relative))


# --- profiles and terminology --------------------------------------------------------------------------------------


def conforms_to(e: Environment, base: Values, profile: Value) -> bool | None:
    """Whether a value has a base type of R4. Raises EvaluationProblem for any other profile."""
    if len(base) != 1:
        return None
    url = str(profile)
    name = url.removeprefix(_STRUCTURES)
    if not url.startswith(_STRUCTURES) or not e.model.definitions.is_named(name):
        raise misfit("conformsTo() knows the types of R4 only")
    return type(base[0]) is Item and e.model.is_a(base[0].kind, name)


def _codes(value: Value) -> list[tuple[str | None, str]]:
    held = value.value if type(value) is Item else value
    if type(held) is str:
        return [(None, held)]
    codings = held.get("coding") or [held] if type(held) is dict else []
    return [(coding.get("system"), coding["code"]) for coding in codings if type(coding.get("code")) is str]


def member_of(e: Environment, base: Values, url: Value) -> bool | None:
    """Whether a code is in a value set; nothing where that cannot be known here."""
    if len(base) != 1 or url is None or e.member_of is None:
        return None
    found = [e.member_of(system, code, str(url)) for system, code in _codes(base[0])]
    return True if True in found else None if None in found else False


def subsumes(e: Environment, base: Values, other: Values) -> bool | None:
    """Whether the code of the left is the other or stands above it; nothing where that cannot be known here."""
    if len(base) != 1 or len(other) != 1:
        return None
    known = False
    for system, code in _codes(base[0]):
        for beside, below in _codes(other[0]):
            if system != beside:
                continue
            answer = True if code == below else e.subsumes(str(system), code, below) if e.subsumes else None
            if answer:
                return True
            known = known or answer is False
    return False if known else None


def subsumed_by(e: Environment, base: Values, other: Values) -> bool | None:
    """`subsumedBy()`."""
    return subsumes(e, other, base)


# --- keys of views -------------------------------------------------------------------------------------------------


def resource_key(base: Values) -> list[Value]:
    """getResourceKey(): Type/id."""
    return [
        f"{item.kind}/{item.value['id']}"
        for item in base
        if type(item) is Item and type(item.value) is dict and "id" in item.value
    ]


def reference_key(base: Values, wanted: Sequence[str] = ()) -> list[Value]:
    """getReferenceKey(): Type/id of a relative reference, of one type when it is named."""
    found = []
    for value in base:
        text = (_reference(value) or "").split("/_history/")[0]
        kind, _, rest = text.partition("/")
        if rest and "/" not in rest and (not wanted or f"FHIR.{kind}" in wanted):
            found.append(text)
    return found
