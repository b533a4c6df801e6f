"""Secret keys we give out, how they are kept, and the public keys clients gave us."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey

from peerfhir.errors import BadRequest
from peerfhir.fhir import reader, writer

_KEY_BYTES = 32
_MOST_KEYS = 10
_LEAST_RSA_BITS = 2048


def new_key() -> str:
    """256 random bits, safe in a URL, a cookie and a header."""
    return secrets.token_urlsafe(_KEY_BYTES)


def digest_of(key: str) -> str:
    """What is kept of a key: its SHA-256. Enough for 256 random bits; a password needs passwords.py."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_public_keys(jwks: bytes) -> str:
    """Check a client's JWKS and return it as it is kept, public parts only.

    Raises  BadRequest when it is not a key set, holds a private or a weak key, a key of a kind that
            neither RS384 nor ES384 uses, or several keys without a `kid` each.
    """
    value = reader.read(jwks)
    found = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_KEYS:
        raise BadRequest(f'A key set is {{"keys": [...]}} with 1 to {_MOST_KEYS} keys.', place="keys")
    keys = [_public_key(entry, f"keys[{at}]") for at, entry in enumerate(found)]
    names = [key.get("kid") for key in keys]
    if len(keys) > 1 and (None in names or len(set(names)) < len(names)):
        raise BadRequest("Where there are several keys, each needs a kid of its own.", place="keys")
    return writer.write({"keys": keys}).decode()


def load_public_keys(kept: str) -> list[Key]:
    """The keys of a key set that read_public_keys accepted, each with its own kid or none."""
    return [JWKRegistry.import_key(entry) for entry in reader.read_own(kept.encode())["keys"]]


def _public_key(entry: Any, place: str) -> dict[str, Any]:
    kid = entry.get("kid") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC"):
        raise BadRequest("A key here is an RSA or an EC key.", place=place)
    if "d" in entry:
        raise BadRequest("This is a private key. Keep it, make a new pair, and give us the public part.", place=place)
    if entry.get("use", "sig") != "sig":
        raise BadRequest("This key is not meant for signatures.", place=f"{place}.use")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= 200):
        raise BadRequest("A kid is 1 to 200 characters.", place=f"{place}.kid")
    try:
        key = JWKRegistry.import_key(entry)
        strong = _is_strong(key)
        public = dict(key.as_dict(private=False))
    except (JoseError, ValueError, TypeError) as error:
        raise BadRequest("This key cannot be read.", place=place) from error
    if not strong:
        raise BadRequest("Use RSA with at least 2048 bits (RS384) or EC P-384 (ES384).", place=place)
    if kid is None:
        public.pop("kid", None)  # the library makes one up; only the client's own counts
    return public


def _is_strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return key.public_key.key_size >= _LEAST_RSA_BITS
    return isinstance(key, ECKey) and key.curve_name == "P-384"
