"""A Flask app with the FHIR engine and a form, for tests that need a real server in front of it."""

from __future__ import annotations

import os

from flask import Flask, Response, request

from peerfhir.errors import Fault, Unauthenticated
from peerfhir.fhir.store import metadata
from peerfhir.gateway import body
from peerfhir.gateway.answer import fault_response
from peerfhir.gateway.rest import mount
from peerfhir.records.database import open_engine
from tests.support.fhir import Server

TOKEN = "let-me-in"


def create_app(url: str, base: str | None = None) -> Flask:
    """One token opens everything; the store is in the database at `url`."""
    engine = open_engine(url)
    metadata.create_all(engine)
    app = Flask(__name__)
    app.extensions["engine"] = engine  # for whoever has to let go of it

    def authenticate() -> object:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthenticated
        return "caller"

    app.register_blueprint(mount("fhir", "/fhir", Server(engine, program="program").rest, authenticate, base))

    @app.post("/form")
    def form() -> Response:
        return Response(repr(sorted(body.read_form(request).items())))

    @app.errorhandler(Fault)
    def fault(problem: Fault) -> Response:
        return fault_response(problem, request)

    return app


def from_environment() -> Flask:
    """For a server started as a process: PEERFHIR_TEST_DATABASE names the database."""
    return create_app(os.environ["PEERFHIR_TEST_DATABASE"])
