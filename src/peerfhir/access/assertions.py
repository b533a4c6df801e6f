"""Signed client assertions (private_key_jwt): the one place that decodes a JWT, each jti once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jwt import JWTClaimsRegistry
from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from peerfhir.access import keys
from peerfhir.clock import Clock
from peerfhir.errors import Fault, Unauthenticated
from peerfhir.fhir import reader
from peerfhir.records.schema import used_jti

ALGORITHMS = ("RS384", "ES384")  # SMART App Launch 2.2.0, client-confidential-asymmetric
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_LIFE_SECONDS = 300
_SKEW_SECONDS = 60
_MOST_BYTES = 8192
_MOST_JTI = 255
# a key named by the token itself proves nothing; jku and x5u would make us call a stranger
_FOREIGN_KEYS = frozenset({"jku", "jwk", "x5u", "x5c"})


def named_client(assertion: str) -> str:
    """The client an assertion says it is from; nothing of it is believed yet. Raises Unauthenticated."""
    value = _claims(_signature(assertion).payload or b"").get("sub")
    if not isinstance(value, str):
        raise Unauthenticated("The assertion does not say whose it is.", place="sub")
    return value


def check(assertion: str, client_id: str, public_keys: str, audience: str, clock: Clock) -> tuple[str, datetime]:
    """Check signature, header and claims of an assertion of one client.

    public_keys  the JWKS as keys.read_public_keys returned it
    audience     our token URL
    Returns      (jti, until when it has to be remembered); use_once comes next
    Raises       Unauthenticated, with the name of the claim or header as place
    Source       SMART App Launch 2.2.0, client-confidential-asymmetric; docs/rules.md, Tokens
    """
    headers = _signature(assertion).headers()
    _check_header(headers)
    key = _chosen(keys.load_public_keys(public_keys), headers.get("kid"))
    registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
    try:
        payload = jws.deserialize_compact(assertion, key, registry=registry).payload or b""
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated("The assertion's signature does not fit the registered key.") from error
    return _check_claims(_claims(payload), client_id, audience, clock.now())


def use_once(connection: Connection, clock: Clock, client_id: str, jti: str, until: datetime) -> None:
    """Write the jti down; the row is UNIQUE, so of many at once exactly one succeeds. Raises Unauthenticated.

    Has to be the first statement of its transaction: PostgreSQL ends it when the row is there already.
    """
    try:
        connection.execute(insert(used_jti).values(issuer=client_id, jti=jti, expires_at=until))
    except IntegrityError as error:
        raise Unauthenticated("This assertion was used before.", place="jti") from error
    connection.execute(delete(used_jti).where(used_jti.c.expires_at < clock.now() - timedelta(minutes=5)))


def _signature(assertion: str) -> jws.CompactSignature:
    if len(assertion) > _MOST_BYTES or not assertion.isascii():
        raise Unauthenticated("This is not an assertion we can read.")
    try:
        return jws.extract_compact(assertion.encode())
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated("This is not an assertion we can read.") from error


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = reader.read(payload, max_bytes=_MOST_BYTES, max_depth=4)
    except Fault as error:
        raise Unauthenticated("The assertion's claims cannot be read.") from error
    if not isinstance(claims, dict):
        raise Unauthenticated("The assertion's claims cannot be read.")
    return {name: _number(value) for name, value in claims.items()}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _check_header(headers: dict[str, Any]) -> None:
    if headers.get("alg") not in ALGORITHMS:
        raise Unauthenticated("Sign with RS384 or ES384.", place="alg")
    if not isinstance(headers.get("typ"), str) or headers["typ"].upper() != "JWT":
        raise Unauthenticated("The header's typ has to be JWT.", place="typ")
    for name in sorted(_FOREIGN_KEYS & set(headers)):
        raise Unauthenticated("Only keys registered with us count.", place=name)


def _chosen(registered: list[Key], kid: Any) -> Key:
    if len(registered) == 1 and (kid is None or registered[0].kid is None):
        return registered[0]
    for key in registered:
        if kid is not None and key.kid == kid:
            return key
    raise Unauthenticated("No registered key has this kid.", place="kid")


def _check_claims(claims: dict[str, Any], client_id: str, audience: str, now: datetime) -> tuple[str, datetime]:
    seconds = math.floor(now.timestamp())
    expected = JWTClaimsRegistry(
        now=seconds,
        leeway=_SKEW_SECONDS,  # for nbf and iat; exp is asked without it below
        iss={"essential": True, "value": client_id},
        sub={"essential": True, "value": client_id},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        expected.validate(claims)
    except JoseError as error:
        # the library's text names the claim, not its value
        raise Unauthenticated("A claim of the assertion is missing or wrong.", place=_claim_of(error)) from error
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
        raise Unauthenticated("An assertion is for one audience.", place="aud")
    if not seconds < claims["exp"] <= seconds + _LONGEST_LIFE_SECONDS + _SKEW_SECONDS:
        raise Unauthenticated("An assertion lives at most five minutes.", place="exp")
    if len(claims["jti"]) > _MOST_JTI:
        raise Unauthenticated(f"A jti has at most {_MOST_JTI} characters.", place="jti")
    return claims["jti"], datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=_SKEW_SECONDS)


def _claim_of(error: JoseError) -> str | None:
    return getattr(error, "claim", None)
