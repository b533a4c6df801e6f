from __future__ import annotations

import re
import time
import uuid

from peerfhir.clock import new_id


def test_identifiers_are_their_own_legal_in_fhir_and_in_the_order_of_time():
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 2000
    assert all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", one) for one in made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}
    moments = [uuid.UUID(one).int >> 80 for one in made]
    assert moments == sorted(moments)
    assert before <= moments[0] <= moments[-1] <= after
    assert len({uuid.UUID(one).int & (1 << 62) - 1 for one in made}) == 2000
