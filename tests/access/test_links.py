from __future__ import annotations

from peerfhir.access import links
from peerfhir.records.database import reading, writing


def test_a_link_opens_one_persons_page_until_a_new_one_is_made(engine, clock):
    with writing(engine) as connection:
        first = links.make_link(connection, clock, "alpha", "p1", "user-1")
        other = links.make_link(connection, clock, "alpha", "p2", "user-1")
        same_id_elsewhere = links.make_link(connection, clock, "beta", "p1", "user-9")
        second = links.make_link(connection, clock, "alpha", "p1", "user-1")
    with reading(engine) as connection:
        assert links.person_of(connection, first) is None
        assert links.person_of(connection, second) == ("alpha", "p1")
        assert links.person_of(connection, other) == ("alpha", "p2")
        assert links.person_of(connection, same_id_elsewhere) == ("beta", "p1")
        assert links.person_of(connection, "guess") is None
    with writing(engine) as connection:
        assert links.end_links(connection, clock, "alpha", "p1") == 1
        assert links.end_links(connection, clock, "alpha", "p1") == 0
        assert links.person_of(connection, second) is None
