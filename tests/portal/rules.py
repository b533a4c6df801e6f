"""Every route of the pages, with the ids of one referral filled in."""

from __future__ import annotations

from dataclasses import dataclass

from tests.portal.site import Site


@dataclass(frozen=True)
class Route:
    endpoint: str
    method: str
    path: str


def routes(site: Site, referral_id: str, person_id: str, key: str, outcome_id: str = "none") -> list[Route]:
    """Each rule of the portal but the files."""
    given = {"referral_id": referral_id, "person_id": person_id, "key": key, "outcome_id": outcome_id}
    found = []
    for rule in site.app.url_map.iter_rules():
        if not rule.endpoint.startswith("portal.") or rule.endpoint == "portal.static":
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", given[name])
        found += [Route(rule.endpoint, method, path) for method in sorted((rule.methods or set()) & {"GET", "POST"})]
    return found
