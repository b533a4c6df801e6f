"""A resource against the compiled schemas of its type and profiles, and the invariants beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from peerfhir.fhir import invariants, references, referral, scan, terms
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.nesting import nested, without
from peerfhir.fhir.pathrules import PathRules
from peerfhir.fhir.places import spoken
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base
from peerfhir.fhir.shelves import Shelves
from peerfhir.fhir.stated import constraints_of_type
from peerfhir.fhir.targets import Targets

MAX_FINDINGS = 200
_MAX_DEPTH = 80
_RANKS = {"fatal": 0, "error": 1, "warning": 2, "information": 3}
_NONE: frozenset[str] = frozenset()
_HOLDERS = ("Bundle", "Parameters")  # what holds resources beside contained ones
_WELL_BUILT = frozenset({"structure", "value", "too-costly"})  # codes of what the invariants could not read

Met = dict[
    tuple[int, str | tuple[str, ...]], bool
]  # id of a resource here, and a profile or some of which it needs one


@dataclass
class _Asked:
    """One question: how it was put, where what was sent is read from, and what was found."""

    whole: Json
    strict: bool
    at_door: bool
    informed: bool
    found: list[Finding] = field(default_factory=list)
    full_urls: frozenset[str] | None = None
    targets: Targets | None = None
    met: Met = field(default_factory=dict)  # whether a resource here is of a profile
    systems: set[str] = field(default_factory=set)  # code systems that were said not to be at hand
    counted: int = 0  # findings that `is_refused` has looked at, and the errors among them
    errors: int = 0

    def is_refused(self) -> bool:
        """Whether there are more errors already than anybody reads."""
        self.errors += sum(one.severity == "error" for one in self.found[self.counted :])
        self.counted = len(self.found)
        return self.errors > MAX_FINDINGS


class Judge:
    """Everything that is known about right and wrong: the base, and the profiles of a site. Made once, then shared."""

    def __init__(self, base: Base, profiles: Profiles | None = None) -> None:
        self.base = base
        self.profiles = profiles or Profiles(base)
        self._shelves = Shelves(base, self.profiles)
        self._rules = PathRules(
            self.profiles.terminology, lambda url: self.profiles.constraints(url) or constraints_of_type(url)
        )
        self._extended = frozenset(url for url in self.profiles.extensions if self.profiles.constraints(url))
        self._has_constraints = any(self.profiles.constraints(url) for url in self.profiles.urls())

    def findings(
        self, resource: Json, *, profiles: Iterable[str] = (), strict: bool = False, at_door: bool = False,
        informed: bool = False,
    ) -> list[Finding]:  # fmt: skip
        """What speaks against a resource; empty when nothing does. Never raises.

        profiles  canonical urls to hold it against beside those it claims; of a Bundle, each entry of their type
        strict    for what we send: a reference to a wrong type is an error, not a warning
        at_door   what this house asks of what is stored, beside the specification: a urn or a conditional reference
                  is one of the Bundle around it, and a referral Task says what it needs to
        informed  says as well which codes could not be looked up, and what is good practice; for people, not for doors
        """
        asked = _Asked(resource, strict, at_door, informed)
        name = resource.get("resourceType") if type(resource) is dict else None
        path = name if type(name) is str and name in self.base.resources else ""
        self._judge(resource, path, tuple(profiles), asked, 0)
        if not asked.found:
            return []
        # errors first: what is said beside them must not push one of them out
        return sorted(dict.fromkeys(asked.found), key=lambda one: _RANKS[one.severity])[:MAX_FINDINGS]

    def _of_others(self, also: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Of what a Bundle is asked for, the profiles that its entries are meant by."""
        return tuple(url for url in also if self.profiles.type_of(url.split("|")[0]) not in (None, name))

    def _of_type(self, urls: tuple[str, ...], resource: Json) -> tuple[str, ...]:
        name = resource.get("resourceType") if urls and type(resource) is dict else None
        return tuple(url for url in urls if self.profiles.type_of(url.split("|")[0]) == name)

    def _is_of_another_type(self, url: str, name: str) -> bool:
        """Whether the url names another type of R4 itself; every resource is a Resource."""
        named = url.rpartition("/")[2]
        return self.profiles.is_base(url) and named not in (name, "Resource", "DomainResource")

    def is_built_right(self, resource: Json) -> bool:
        """Whether the schemas alone accept a resource of R4 without resources in it; for measuring."""
        name = resource["resourceType"]
        return bool(
            self._shelves.of(name).is_valid(dict.fromkeys(self._claimed(resource, "", (), []) or (name,), resource))
        )

    def _judge(self, resource: Json, path: str, also: tuple[str, ...], asked: _Asked, depth: int) -> None:
        found = asked.found
        name = resource.get("resourceType") if type(resource) is dict else None
        if type(name) is not str or name not in self.base.resources:
            place = f"{path}.resourceType".lstrip(".")
            found.append(Finding("error", "structure", place, "This is not a resource type of FHIR R4."))
            return
        if depth > _MAX_DEPTH:
            found.append(Finding("error", "too-costly", path, "This is nested deeper than can be judged."))
            return
        before = len(found)
        if before > MAX_FINDINGS and asked.is_refused():
            return
        inner = nested(resource, path) if name in _HOLDERS or "contained" in resource else []
        shell = without(resource) if inner else resource
        if name == "Bundle" and depth == 0 and asked.at_door:
            asked.full_urls = _full_urls(shell)
        passed = self._of_others(also, name) if also and name == "Bundle" else ()
        own = tuple(url for url in also if url not in passed) if passed else also
        claims = self._claimed(resource, path, own, found)
        compiled = self._shelves.of(name)
        # a profile may say something of the resources inside as well: then the schema is given them too
        named = dict.fromkeys(claims, resource) if claims else {name: shell}
        try:
            is_valid = _is_met(resource, claims, asked.met) or compiled.is_valid(named)
            if not is_valid:
                found += compiled.findings(named, path, strict=asked.strict)
        except (ValueError, TypeError, RecursionError):  # the engine's own limit of depth, or what no JSON can hold
            found.append(Finding("error", "too-costly", path, "This is nested deeper than can be judged."))
            return
        # the invariants read lists, objects and texts where R4 has them: what is built otherwise is mended first
        codes = _NONE if is_valid else {one.code for one in found[before:] if one.severity == "error"}
        if not codes & _WELL_BUILT:
            is_contained = depth > 0 and path.endswith("]")  # entries and parameters end in a name
            seen = self._beside(resource, shell, path, asked, is_contained=is_contained)
            stated = (name,) if constraints_of_type(name) else _NONE
            if stated or (self._has_constraints and (claims or seen is None or seen.extensions)):
                self._by_path(resource, (*stated, *claims), path, asked, seen)
        if "structure" not in codes:
            for place, one in inner:
                self._judge(one, place, self._of_type(passed, one), asked, depth + 1)

    def _beside(
        self, resource: dict[str, Any], shell: dict[str, Any], path: str, asked: _Asked, *, is_contained: bool
    ) -> scan.Seen | None:
        """What no schema says. Returns what `scan` saw; None when it was not told, and anything may be there.

        Places are turned into FHIRPath only where there is something to say.
        """
        said: list[Finding] = []
        seen: scan.Seen | None = None
        if not is_contained:  # what is contained was looked at together with the resource around it
            seen = scan.Seen()
            around = resource if "contained" in resource else shell
            is_quiet = scan.is_quiet(around, self.base.integers, self._extended, seen)
            is_local = is_odd = not is_quiet
            for text in seen.references:  # what is neither `Type/id` nor an address: local, a urn, or conditional
                first = text[:1]
                is_local |= first == "#"
                is_odd |= first == "#" or first == "u" or "?" in text
            if is_local or around is not shell:
                said += scan.look(around, path, self.base)
            if is_odd and asked.at_door:
                said += references.check(around, path, in_bundle=asked.full_urls)
            if not is_quiet:
                seen = None
        said += invariants.of_type(resource, path)
        if asked.informed and len(asked.found) <= MAX_FINDINGS:
            said += terms.check(resource, path, self.profiles.terminology, asked.systems)
            if not is_contained and "text" not in resource and "text" in self.base.slots(resource["resourceType"]):
                said.append(Finding("warning", "invariant", path, "A resource should have a narrative (dom-6)."))
        if asked.at_door and resource["resourceType"] == "Task":
            said += referral.check(resource, path)
        for one in said:
            asked.found.append(replace(one, expression=spoken(self.base, asked.whole, one.expression)))
        return seen

    def _by_path(
        self, resource: dict[str, Any], claims: tuple[str, ...], path: str, asked: _Asked, seen: scan.Seen | None
    ) -> None:
        """The invariants of a type, of the profiles a resource claims, and of the extensions that it holds."""
        said: list[Finding] = []
        for url in claims:
            said += self._rules.broken(url, resource, path, asked.whole)
        if claims and (asked.whole is not resource or "contained" in resource):
            said += self._beyond(claims, resource, path, asked, seen)
        if seen is None or "contained" in resource or self._are_broken(seen.extensions, asked.whole):
            for place, one in _extensions(resource, path, self._extended):
                said += self._rules.broken(one["url"], one, place, asked.whole)
        for each in said:
            asked.found.append(replace(each, expression=spoken(self.base, asked.whole, each.expression)))

    def _are_broken(self, extensions: list[dict[str, Any]], whole: Json) -> bool:
        """Whether there is something to say of them; their places are looked for only then."""
        return any(found for one in extensions for found in self._rules.broken(one["url"], one, "", whole))

    def _beyond(
        self, claims: tuple[str, ...], resource: dict[str, Any], path: str, asked: _Asked, seen: scan.Seen | None
    ) -> Iterator[Finding]:
        """References of the resource whose target is at hand and meets none of the profiles it should."""
        if asked.targets is None:
            asked.targets = Targets(asked.whole)
        if seen is None or resource["resourceType"] in _HOLDERS:  # then not every reference was seen
            texts = [text for _, text in references.references(resource, path)]
        else:
            texts = seen.references
        here = {text: one for text in texts if (one := asked.targets.of(text, resource)) is not None}

        def is_right(text: str, urls: tuple[str, ...]) -> bool:
            target = here.get(text)
            if target is None:
                return True
            known = asked.met.get((id(target), urls))
            if known is None:
                known = asked.met[id(target), urls] = any(self._meets(target, url, asked.met) for url in urls)
            return known

        severity = "error" if asked.strict else "warning"
        said = "What this refers to does not meet the profile asked of it."
        for url in claims if here else ():
            for place in self._rules.astray(url, resource, path, is_right):
                yield Finding(severity, "value", place, said)

    def _meets(self, resource: dict[str, Any], url: str, met: Met) -> bool:
        """Whether a resource could be of this profile; a profile that is not at hand cannot be denied."""
        known = met.get((id(resource), url))
        if known is None:
            known = met[id(resource), url] = self._would_meet(resource, url)
        return known

    def _would_meet(self, resource: dict[str, Any], url: str) -> bool:
        name = resource.get("resourceType")
        kind = self.profiles.type_of(url)
        if kind is None:
            return not self.profiles.is_base(url) or url.rpartition("/")[2] in (name, "Resource")
        return kind == name and bool(self._shelves.of(kind).is_valid({url: resource}))

    def _claimed(
        self, resource: dict[str, Any], path: str, also: tuple[str, ...], found: list[Finding]
    ) -> tuple[str, ...]:
        meta = resource.get("meta")
        claims = meta.get("profile") if type(meta) is dict else None
        if not also:
            if type(claims) is not list:
                return ()
            if (
                len(claims) == 1
                and type(claims[0]) is str
                and self.profiles.type_of(claims[0]) == resource["resourceType"]
            ):
                return (claims[0],)
        known = []
        listed = claims if type(claims) is list else []
        for at, url in enumerate([*listed, *also]):
            plain = url.split("|")[0] if type(url) is str else ""
            kind = self.profiles.type_of(plain)
            place = f"{path}.meta.profile[{at}]" if at < len(listed) else path
            if kind == resource["resourceType"]:
                known.append(plain)
            elif kind is not None or self._is_of_another_type(plain, resource["resourceType"]):
                text = "This profile is for another type of resource."
                found.append(Finding("error", "structure", place, text))
            elif not self.profiles.is_base(plain):
                text = "A profile of this resource is not at hand: it was not checked."
                found.append(Finding("information", "not-supported", place, text))
        return tuple(dict.fromkeys(known))


def _is_met(resource: Json, claims: tuple[str, ...], met: Met) -> bool:
    """Whether it was asked already, on behalf of a reference to it, and meets what it claims."""
    return bool(met) and bool(claims) and all(met.get((id(resource), url), False) for url in claims)


def _full_urls(bundle: dict[str, Any]) -> frozenset[str]:
    entries = bundle.get("entry")
    urls = [one.get("fullUrl") for one in entries if type(one) is dict] if type(entries) is list else []
    return frozenset(url for url in urls if type(url) is str)


def _extensions(node: Mapping[str, Any], path: str, urls: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Every extension with one of these urls, with its place; contained resources are asked by themselves."""
    if not urls:
        return
    waiting: list[tuple[str, Mapping[str, Any]]] = [(path, node)]
    while waiting:
        place, one = waiting.pop()
        for key, value in one.items():
            if type(value) is dict and key != "resource":
                waiting.append((f"{place}.{key}", value))
            elif type(value) is list and key != "contained":
                for at, each in enumerate(value):
                    if type(each) is dict:
                        here = f"{place}.{key}[{at}]"
                        waiting.append((here, each))
                        if key == "extension" and each.get("url") in urls:
                            yield here, each
