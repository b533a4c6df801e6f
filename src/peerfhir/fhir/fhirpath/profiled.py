"""What a profile of the input adds to the types of an expression: how often an element stands, and in which slice."""

from __future__ import annotations

from dataclasses import replace

from peerfhir.fhir.fhirpath.parser import Binary, Expression, Literal, Member
from peerfhir.fhir.fhirpath.problems import ExpressionProblem, nearest
from peerfhir.fhir.fhirpath.types import Static

_TELLS = frozenset(("=", "~", "in"))


def narrowed(found: Static, base: Static, name: str) -> Static:
    """The type of what stands below a value, as far as the profile says more of it than R4."""
    said = base.profile.below(name) if base.profile is not None else None
    if said is None:
        return found
    several = base.card == "many"
    card = "opt" if said.maximum in (0, 1) and not several else found.card
    promised = said.minimum > 0 and base.promised
    return replace(found, card=card, profile=said, promised=promised, spread=base.spread or several)


def sliced(base: Static, name: str, value: str | None) -> Static:
    """The type of the entries of a list whose `name` has a value that tells a slice; `base` itself for no slice."""
    said = base.profile.slice(name, value) if base.profile is not None and value is not None else None
    if said is None:
        return base
    card = "opt" if said.maximum in (0, 1) and not base.spread else base.card
    return replace(base, card=card, profile=said, promised=said.minimum > 0 and base.promised)


def allowed(found: Static, name: str, offset: int) -> Static:
    """The same type. Raises ExpressionProblem PM111 for what the profile takes away."""
    if found.profile is not None and found.profile.maximum == 0:
        raise ExpressionProblem("PM111", offset, f"the profile of the source does not allow '{name}'")
    return found


def told_by(criterion: Expression) -> tuple[str, Expression] | None:
    """The element and the value of a criterion like system = 'x'; None for any other."""
    if isinstance(criterion, Binary) and criterion.operator == "=":
        for one, other in ((criterion.left, criterion.right), (criterion.right, criterion.left)):
            if isinstance(one, Member) and one.base is None:
                return one.name, other
    return None


def unknown_item(node: Binary, link_ids: frozenset[str]) -> tuple[str, int, str, str] | None:
    """PM602 for a link id that the questionnaire of the source does not have."""
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if node.operator in _TELLS and isinstance(one, Member) and one.name == "linkId":
            for text in _texts(other):
                if str(text.value) not in link_ids:
                    what = f"the questionnaire has no item '{text.value}'"
                    return "PM602", text.offset, what, nearest(str(text.value), link_ids)
    return None


def _texts(node: Expression) -> list[Literal]:
    if isinstance(node, Binary) and node.operator == "|":
        return [*_texts(node.left), *_texts(node.right)]
    return [node] if isinstance(node, Literal) and node.kind == "string" else []
