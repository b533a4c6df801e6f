"""`$request`: how a resource is sent, and under which condition."""

from __future__ import annotations

import ast

from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.compile import call
from peerfhir.mapping.leaves import Leaves, Place, Slot
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.searches import Searches
from peerfhir.mapping.syntax import keys
from peerfhir.mapping.tree import Const

_VERSIONED = ("ifMatch", "ifNoneMatch", "ifModifiedSince")
_REQUEST = ["method", "url", "ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince"]


class Requests:
    """Checks the requests of one document, whose Bundle is of the kind `bundle`."""

    def __init__(self, bundle: str, leaves: Leaves, searches: Searches, problems: Problems) -> None:
        self._bundle = bundle
        self._leaves = leaves
        self._searches = searches
        self._problems = problems

    def request(self, kind: str, yaml: Yaml, place: Place) -> tuple[tuple[str, ast.expr], ...]:
        """Method and the other parts of a resource's request, each with its code."""
        node = yaml.value.get("$request")
        here = place.below("$request")
        wanted = self._bundle in ("transaction", "batch")
        if node is None:
            if wanted and kind == "Patient":
                what = "a Patient created without ifNoneExist makes duplicates"
                self._problems.add(yaml.mark, "PM271", here.address, what)
            return (("method", ast.Constant("POST")), ("url", ast.Constant(kind))) if wanted else ()
        if not keys(node, _REQUEST, frozenset(), here.address, self._problems):
            return ()
        if not wanted:
            self._problems.add(node.mark, "PM275", here.address, f"bundle: {self._bundle} has no requests")
            return ()
        method = str(node.value["method"].value) if "method" in node.value else "POST"
        if method not in ("POST", "PUT") or (method == "PUT" and "ifNoneExist" in node.value):
            self._problems.add(node.mark, "PM275", here.address, "the method is POST, or PUT without ifNoneExist")
        if method == "POST" and (other := next((key for key in _VERSIONED if key in node.value), None)):
            self._problems.add(node.key_marks[other], "PM275", here.address, f"{other} belongs to a PUT")
        found = {key: self._part(yaml, kind, key, value, here) for key, value in node.value.items() if key != "method"}
        url = found.pop("url", None) or self._default_url(yaml, kind, method, node, here)
        rest = [(key, code) for key, code in found.items() if code is not None]
        return (("method", ast.Constant(method)), ("url", url), *rest)

    def _part(self, yaml: Yaml, kind: str, key: str, value: Yaml, here: Place) -> ast.expr | None:
        place = here.below(key)
        if key in ("url", "ifNoneExist"):
            self._searches.check(kind, value, place)
            if key == "ifNoneExist":
                self._check_identifier(yaml, value, place)
            return self._searches.text(value, place)
        leaf = self._leaves.scalar(value, Slot("instant" if key == "ifModifiedSince" else "string"), place)
        if isinstance(leaf, Const):
            return ast.Constant(leaf.value)
        if leaf is not None and leaf.nullable:
            what = "this can be empty; the request would not be conditional"
            self._problems.add(value.mark, "PM273", place.address, what, "use a required field")
        return leaf.code if leaf is not None else None

    def _check_identifier(self, yaml: Yaml, value: Yaml, place: Place) -> None:
        """PM274: the identifier that is searched for is not one that the resource carries."""
        written = yaml.value.get("identifier")
        items = written.value if written is not None and written.kind == "list" else [written] if written else []
        systems = [one.value["system"].raw for one in items if one.kind == "map" and "system" in one.value]
        known = {place.scope.systems.get(one.removeprefix("$"), one) for one in systems}
        if any(one.startswith("=") or "{{" in one for one in systems) or any(one.kind != "map" for one in items):
            return
        for system in self._searches.systems(value, place):
            if system not in known:
                what = f"the resource carries no identifier of {system}: each run makes another"
                self._problems.add(value.mark, "PM274", place.address, what)

    def _default_url(self, yaml: Yaml, kind: str, method: str, node: Yaml, here: Place) -> ast.expr:
        if method == "PUT" and "url" not in node.value:
            given = yaml.value.get("id")
            leaf = self._leaves.scalar(given, Slot("id"), here) if given and given.kind == "scalar" else None
            if isinstance(leaf, Const):
                return ast.Constant(f"{kind}/{leaf.value}")
            if leaf is not None and not leaf.nullable:
                return call("concatenated", ast.Constant(f"{kind}/"), leaf.code)
            what = "a PUT needs an id that is never empty, or a search in url"
            self._problems.add(node.mark, "PM275", here.address, what)
        return ast.Constant(kind)
