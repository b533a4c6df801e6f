"""The arguments of a fragment: constants stand where they are named, expressions are computed once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import replace

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.compile import ROOT_PLACE, Emitted
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import EMPTY, Bound, Scope, Static
from peerfhir.mapping.fragments import Fragment
from peerfhir.mapping.leaves import Leaves, Place, Slot, conversion
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.tree import Const, Leaf

Bind = Callable[[Place, str, Emitted, Mark], tuple[Place, str]]
Names = tuple[tuple[str, ast.expr, bool], ...]


class _Nothing:
    """The fields that a fragment sees: none."""

    def names(self) -> Iterable[str]:
        return ()

    def member(self, name: str) -> Static | None:
        return None


_NO_FIELDS = Static(("object",), "one", _Nothing())


class Arguments:
    """Binds what stands under `with` to the parameters of fragments."""

    def __init__(self, leaves: Leaves, problems: Problems, bind: Bind) -> None:
        self._leaves = leaves
        self._problems = problems
        self._bind = bind

    def bound(self, fragment: Fragment, yaml: Node, place: Place) -> tuple[Names, Place] | None:
        """Names to compute, and the place in which the body stands; None after noting what does not fit."""
        given = yaml.value.get("with")
        if given is not None and given.kind != "map":
            self._problems.add(given.mark, "PM252", place.address, "'with' is a map of arguments")
            return None
        arguments = given.value if given is not None else {}
        for name in arguments:
            if name not in fragment.params:
                what, hint = f"fragment '{fragment.name}' has no parameter '{name}'", nearest(name, fragment.params)
                self._problems.add(given.key_marks[name] if given else yaml.mark, "PM252", place.address, what, hint)
        missing = [name for name in fragment.params if name not in arguments]
        if missing:
            what = f"fragment '{fragment.name}' needs {', '.join(missing)}"
            self._problems.add(yaml.value["$use"].mark, "PM252", place.address, what, f"with: {{{missing[0]}: ...}}")
            return None
        inner = self._inside(place)
        names: list[tuple[str, ast.expr, bool]] = []
        for name, kind in fragment.params.items():
            found = self._argument(name, arguments[name], kind, place)
            if found is None:
                return None
            inner, python = self._bind(inner, name, found, arguments[name].mark)
            if found.constant is not None or isinstance(found.code, ast.Constant):
                inner = replace(inner, given={**inner.given, name: arguments[name]})
            names.append((python, found.code, False))
        return tuple(names), inner

    def unknown(self, fragment: Fragment, place: Place) -> Place:
        """The place of a body whose arguments are not known."""
        inner = self._inside(place)
        variables = {**inner.scope.variables, "source": Bound(EMPTY, ROOT_PLACE)}
        inner = replace(inner, scope=replace(inner.scope, variables=variables))
        for name, kind in fragment.params.items():
            inner, _ = self._bind(inner, name, Emitted(ast.Constant(None), Static((kind,))), fragment.mark)
        return inner

    def _inside(self, place: Place) -> Place:
        scope: Scope = place.scope
        record = scope.variables.get("source", Bound(scope.root, ROOT_PLACE))
        return replace(place, scope=replace(scope, root=_NO_FIELDS, variables={"source": record}), given={})

    def _argument(self, name: str, node: Node, kind: str, place: Place) -> Emitted | None:
        here = place.below(f"with.{name}")
        if node.kind != "scalar":
            self._problems.add(node.mark, "PM252", here.address, "an argument is one value")
            return None
        if isinstance(node.value, str) and node.value.startswith("="):
            found = self._leaves.expression(node, 1, node.value[1:], here)
            if found is None or self._fits(found.type, kind, node, here):
                return found
            return None
        leaf = self._leaves.scalar(node, Slot(kind), here)
        if isinstance(leaf, Leaf):
            return Emitted(leaf.code, Static((kind,), "opt" if leaf.nullable else "one", blank=leaf.blank))
        if isinstance(leaf, Const):
            codes = frozenset((leaf.value,)) if isinstance(leaf.value, str) else None
            static = Static((kind,), "one", codes=codes, blank=False)
            return Emitted(ast.Constant(leaf.value), static, leaf.value if isinstance(leaf.value, str) else None)
        return None

    def _fits(self, static: Static, kind: str, node: Node, place: Place) -> bool:
        if static.card == "many":
            self._problems.add(node.mark, "PM252", place.address, "an argument is one value, and this can be many")
        elif any(conversion(one, kind) is None for one in static.kinds):
            what = f"{static.called()} does not fit: the parameter is a {kind}"
            self._problems.add(node.mark, "PM252", place.address, what)
        else:
            return True
        return False
