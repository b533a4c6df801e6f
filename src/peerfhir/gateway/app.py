"""The Flask app: blueprints, error handlers, headers."""

from __future__ import annotations

from flask import Flask

from peerfhir.gateway.parts import EXTENSION, Parts

__all__ = ["Parts", "create_app"]


def create_app(parts: Parts) -> Flask:
    """The web app of the doors."""
    app = Flask("peerfhir", static_folder=None)
    app.extensions[EXTENSION] = parts
    if parts.pages is not None:
        app.register_blueprint(parts.pages(parts))
    return app
