from __future__ import annotations

import re

from sqlalchemy import insert

from peerfhir.records.database import writing
from peerfhir.records.schema import attempt, endpoint_state, inbox_message, outbox_message
from tests.support import doors


def _fill(engine, clock):
    with writing(engine) as connection:
        for number, state in enumerate(("ready", "ready", "parked", "done")):
            connection.execute(
                insert(inbox_message).values(
                    id=f"m{number}", program_id="alpha", source="riverside", message_key=str(number),
                    received_at=clock.now(), content_type="application/fhir+json", body=b"{}", body_sha256="0" * 64,
                    focus="[]", execution_id="x", state=state, attempts=0, due_at=clock.now(), lease_epoch=0,
                )
            )  # fmt: skip
        connection.execute(
            insert(outbox_message).values(
                program_id="alpha", endpoint="riverside", idem="PF-1:status:1", piece="status", share_class="existence",
                person_id="MARISOL-VEGA", record_type="referral", record_id="r1", record_version=1, state="ready",
                attempts=0, created_at=clock.now(), horizon_at=clock.now(), parent_id=0,
            )
        )  # fmt: skip
        for verdict in ("done", "later", None):
            connection.execute(
                insert(attempt).values(
                    outbox_id=1, program_id="alpha", n=1, worker="w", epoch=1, started_at=clock.now(), on_wire=True,
                    late=False, verdict=verdict,
                )
            )  # fmt: skip
        connection.execute(insert(endpoint_state).values(endpoint="riverside", paused=True, breaker="open", failures=3))


def test_alive_and_ready(web_app):
    web = web_app.test_client()
    assert web.get("/healthz").json == {"status": "ok"}
    assert web.get("/health").json == {"status": "UP"}
    ready = web.get("/readyz")
    assert ready.status_code == 200
    assert ready.json == {"status": "ready", "checks": {"database": "ok", "schema": "ok", "mappings": "ok"}}


def test_a_database_behind_or_away_is_not_ready_but_alive(tmp_path, clock):
    from peerfhir.records.database import open_engine

    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    web = doors.app(engine, clock).test_client()
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"database": "ok", "schema": "failed", "mappings": "ok"}
    engine.dispose()
    engine = open_engine(f"sqlite:///{tmp_path / 'nowhere' / 'none.db'}")
    web = doors.app(engine, clock).test_client()
    assert web.get("/readyz").json["checks"]["database"] == "failed"
    assert web.get("/healthz").status_code == 200
    assert web.get("/metrics").status_code == 503
    engine.dispose()


def test_the_gauges_are_what_the_tables_say(web_app, lite, clock):
    _fill(lite, clock)
    clock.move(seconds=90)
    text = web_app.test_client().get("/metrics").text
    values = dict(re.findall(r"^(peerfhir_\S+) (\S+)$", text, re.MULTILINE))
    assert values['peerfhir_inbox_messages{program="alpha",state="ready"}'] == "2.0"
    assert values['peerfhir_inbox_messages{program="alpha",state="parked"}'] == "1.0"
    assert values['peerfhir_outbox_messages{endpoint="riverside",program="alpha",state="ready"}'] == "1.0"
    assert values['peerfhir_oldest_waiting_seconds{queue="inbox"}'] == "90.0"
    assert values['peerfhir_attempts{verdict="done"}'] == "1.0"
    assert values['peerfhir_attempts{verdict="open"}'] == "1.0"
    assert values['peerfhir_endpoint_breaker{endpoint="riverside"}'] == "2.0"
    assert values['peerfhir_endpoint_paused{endpoint="riverside"}'] == "1.0"
    assert "MARISOL" not in text


def test_what_a_pause_holds_is_counted_and_is_not_late(web_app, lite, clock):
    _fill(lite, clock)
    with writing(lite) as connection:
        connection.execute(outbox_message.update().values(state="held", reason="paused"))
    clock.move(days=9)
    text = web_app.test_client().get("/metrics").text
    assert 'peerfhir_outbox_messages{endpoint="riverside",program="alpha",state="held"} 1.0' in text
    assert 'peerfhir_oldest_waiting_seconds{queue="outbox"} 0.0' in text


def test_the_page_is_made_again_after_two_seconds_and_not_before(web_app, lite, clock):
    web = web_app.test_client()
    first = web.get("/metrics").text
    assert "peerfhir_inbox_messages{" not in first
    _fill(lite, clock)
    assert web.get("/metrics").text == first
    clock.move(seconds=2)
    assert "peerfhir_inbox_messages{" in web.get("/metrics").text
