"""The shapes of what other doors answer in JSON: health, tokens, what is wrong."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from peerfhir.gateway.shapes import Strict, says


class Alive(Strict):
    """The process answers."""

    status = fields.String(required=True, validate=validate.OneOf(("ok", "UP")), **says("How it is."))


class Checks(Strict):
    """What readiness hangs on."""

    database = fields.String(required=True, validate=validate.OneOf(("ok", "failed")), **says("It answers."))
    schema = fields.String(
        required=True, validate=validate.OneOf(("ok", "failed")), **says("It is the one this version needs.")
    )
    mappings = fields.String(required=True, validate=validate.OneOf(("ok", "failed")), **says("They are loaded."))


class Ready(Strict):
    """Whether it can work."""

    status = fields.String(required=True, validate=validate.OneOf(("ready", "not ready")), **says("How it is."))
    checks = fields.Nested(Checks, required=True, **says("One by one."))


class _Client(Schema):
    class Meta:
        unknown = EXCLUDE  # RFC 6749, 3.2: parameters that are not understood are ignored

    client_id = fields.String(**says("Instead of HTTP Basic.", "6f1d4c2a"))
    client_secret = fields.String(**says("Instead of HTTP Basic."))
    client_assertion_type = fields.String(
        **says("For private_key_jwt.", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    )
    client_assertion = fields.String(**says("A JWT signed with the client's key, RFC 7523."))


class TokenForm(_Client):
    """Ask for a token (RFC 6749, 4.4)."""

    grant_type = fields.String(
        required=True, validate=validate.OneOf(("client_credentials",)), **says("The one way in for systems.")
    )
    scope = fields.String(**says("What the client was registered with, when left out.", "system/*.cruds"))


class KeyForm(_Client):
    """Name a token (RFC 7009, RFC 7662)."""

    token = fields.String(required=True, **says("The access token that is meant."))


class Token(Strict):
    """An access token."""

    access_token = fields.String(required=True, **says("Opaque; send it as Authorization: Bearer ..."))
    token_type = fields.Constant("Bearer", required=True, **says("RFC 6750."))
    expires_in = fields.Integer(required=True, **says("Seconds.", 300))
    scope = fields.String(required=True, **says("What it may do.", "system/*.cruds"))


class Held(Strict):
    """What is known of a token of the asking client; of every other, that it is not active."""

    active = fields.Boolean(required=True, **says("Whether it may still be used."))
    client_id = fields.String(**says("Whose it is."))
    scope = fields.String(**says("What it may do."))
    exp = fields.Integer(**says("Seconds since 1970."))
    token_type = fields.String(**says("RFC 6750."))


class Nothing(Strict):
    """An empty object."""


class OAuthError(Strict):
    """RFC 6749, 5.2."""

    error = fields.String(required=True, **says("A code of RFC 6749, 5.2.", "invalid_client"))
    error_description = fields.String(required=True, **says("The same for people."))


class Issue(Schema):
    """One thing that is wrong."""

    severity = fields.String(
        required=True, validate=validate.OneOf(("fatal", "error", "warning", "information")), **says("How bad.")
    )
    code = fields.String(required=True, **says("A code of the value set issue-type of FHIR.", "not-found"))
    diagnostics = fields.String(required=True, **says("For people.", "There is nothing here that you may see."))
    expression = fields.List(fields.String(), **says("Where, as FHIRPath."))


class Outcome(Strict):
    """A FHIR OperationOutcome: what is wrong, and what to do."""

    resourceType = fields.Constant("OperationOutcome", required=True, **says("Always this."))  # noqa: N815 - FHIR's own word
    issue = fields.List(
        fields.Nested(Issue), required=True, validate=validate.Length(min=1), **says("What is wrong, the worst first.")
    )


class Smart(Strict):
    """Where and how a SMART client gets a token (SMART App Launch 2.2, Conformance)."""

    token_endpoint = fields.Url(required=True, **says("Where tokens are asked for."))
    token_endpoint_auth_methods_supported = fields.List(
        fields.String(), required=True, **says("How a client may prove itself.")
    )
    token_endpoint_auth_signing_alg_values_supported = fields.List(
        fields.String(), required=True, **says("With which signatures.")
    )
    grant_types_supported = fields.List(fields.String(), required=True, **says("Which grants there are."))
    revocation_endpoint = fields.Url(required=True, **says("Where a token is ended."))
    introspection_endpoint = fields.Url(required=True, **says("Where a token is looked at."))
    scopes_supported = fields.List(fields.String(), required=True, **says("Some of the scopes that can be asked for."))
    code_challenge_methods_supported = fields.List(fields.String(), required=True, **says("SMART asks for this entry."))
    capabilities = fields.List(fields.String(), required=True, **says("Codes of SMART App Launch."))
