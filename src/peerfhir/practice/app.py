"""The practice hospital's web app: FHIR for its partner, a token endpoint, and a page per chart for clinicians."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, redirect, render_template, request

from peerfhir.errors import Fault, Forbidden, NotFound, Unauthenticated
from peerfhir.fhir import capability
from peerfhir.fhir.rest import Call, Rest, Session
from peerfhir.fhir.routes import Offered
from peerfhir.fhir.writer import indented, write
from peerfhir.gateway import answer, body
from peerfhir.gateway.rest import mount
from peerfhir.practice import orders, people
from peerfhir.practice.chart import chart_of
from peerfhir.practice.hospital import Hospital, PartnerSession, offered

_SAID = {
    "sent": ("The referral was sent to the peer program.", False),
    "not-sent": (
        "The peer program could not be reached. The order is kept: press again, and the same one is sent.",
        True,
    ),
    "refused": ("The peer program did not take the order. Its answer names what to change.", True),
}


def create_app(hospital: Hospital) -> Flask:
    """The app of one hospital. Its pages have no sign-in: it is for practising, on loopback, with invented people."""
    app = Flask("peerfhir.practice")
    _fhir(app, hospital)
    _charts(app, hospital)
    _look(app, hospital)

    @app.post("/token")
    def token() -> Response:
        form = body.read_form(request)
        return _json(hospital.authority.issue(request.headers.get("Authorization", ""), form))

    @app.errorhandler(Fault)
    def fault(problem: Fault) -> Response:
        return answer.fault_response(problem, request)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers.setdefault(
            "Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"
        )
        return response

    return app


def _fhir(app: Flask, hospital: Hospital) -> None:
    mood = hospital.practice.mood

    @contextmanager
    def session(call: Call, writing: bool) -> Iterator[Session]:
        with hospital.writing() if writing else hospital.reading() as connection:
            yield PartnerSession(hospital.store(connection), mood)

    def statement() -> Any:
        return capability.build(
            mood.software,
            mood.offers,
            conditional_create=mood.conditional_create,
            transactions=mood.transactions,
        )

    def authenticate() -> object:
        return hospital.authority.check(request.headers.get("Authorization", ""))

    def admit(call: Call, interaction: str, resource_type: str) -> None:
        offered(mood, interaction, resource_type)

    rest = Rest(
        session,
        statement,
        admit=admit,
        offered=Offered(mood.offers, mood.conditional_create, mood.transactions),
    )
    app.register_blueprint(mount("fhir", "/fhir", rest, authenticate, f"{hospital.practice.base_url}/fhir"))


def _charts(app: Flask, hospital: Hospital) -> None:
    software = hospital.practice.mood.software

    @app.get("/")
    def home() -> Any:
        return redirect("/charts")

    @app.get("/charts")
    def charts() -> str:
        return render_template("practice/charts.html", patients=people.PATIENTS, software=software)

    @app.get("/charts/<patient_id>")
    def chart(patient_id: str) -> str:
        said, bad = _SAID.get(request.args.get("said", ""), ("", False))
        return render_template(
            "practice/chart.html", chart=_chart(hospital, patient_id), patient_id=patient_id, software=software,
            token=hospital.form_key, said=said, said_bad=bad,
        )  # fmt: skip

    @app.get("/charts/<patient_id>/<kind>/<resource_id>")
    def resource(patient_id: str, kind: str, resource_id: str) -> str:
        with hospital.reading() as connection:
            held = hospital.store(connection).read(kind, resource_id).resource
        return render_template(
            "practice/resource.html", reference=f"{kind}/{resource_id}", patient_id=patient_id, software=software,
            text=indented(held),
        )  # fmt: skip

    @app.post("/charts/<patient_id>/refer")
    def refer(patient_id: str) -> Any:
        form = body.read_form(request)
        if not hmac.compare_digest(form.get("_token", [""])[0], hospital.form_key):
            raise Forbidden("Open the chart again and press once more.")
        order = orders.Order(
            patient_id=_known(patient_id),
            why=form.get("why", [""])[0][:280] or "Would like to talk with someone who has been there.",
            urgency=_one_of(form.get("urgency", [""])[0], ("routine", "urgent")),
            agreed=_one_of(form.get("agreed", [""])[0], ("said-so", "signed", "not-asked")),
            contact=form.get("contact", [""])[0][:200],
        )
        try:
            hospital.refer(order)
        except orders.NotTaken as refusal:
            return redirect(f"/charts/{patient_id}?said={'not-sent' if refusal.unanswered else 'refused'}", 303)
        return redirect(f"/charts/{patient_id}?said=sent", 303)


def _look(app: Flask, hospital: Hospital) -> None:
    def guard() -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given, hospital.practice.key):
            raise Unauthenticated

    @app.get("/practice/export")
    def export() -> Response:
        guard()
        return _json({"versions": hospital.export()})

    @app.post("/practice/look")
    def look() -> Response:
        guard()
        return _json({"kept": hospital.look()})


def _chart(hospital: Hospital, patient_id: str) -> Any:
    about = f"Patient/{_known(patient_id)}"
    with hospital.reading() as connection:
        store = hospital.store(connection)
        patient = store.read("Patient", patient_id).resource
        kinds = ("ServiceRequest", "Encounter", "DocumentReference", "Observation", "Procedure", "Communication")
        held = [
            (row.resource, row.labels.source or "")
            for kind in kinds
            for row in store.search(kind, f"subject={about}&_count=200").rows
        ]
        tasks = [
            [store.vread("Task", row.id, n).resource for n in range(1, row.version + 1)]
            for row in store.search("Task", f"patient={about}&_sort=_lastUpdated&_count=50").rows
        ]
    return chart_of(patient, held, tasks)


def _known(patient_id: str) -> str:
    if patient_id not in {who.id for who in people.PATIENTS}:
        raise NotFound
    return patient_id


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    return value if value in allowed else allowed[0]


def _json(value: object) -> Response:
    return Response(write(value), content_type="application/json")
