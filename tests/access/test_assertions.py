"""What docs/rules.md, Tokens asks of tokens, at the one place that decodes them."""

from __future__ import annotations

import base64
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from peerfhir.access import assertions, keys
from peerfhir.errors import DatabaseBusy, Unauthenticated
from peerfhir.fhir.writer import write
from peerfhir.records.database import writing

ME = "client-1"
URL = "https://peer.example/oauth/token"
EC = ECKey.generate_key("P-384", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
STRANGER = ECKey.generate_key("P-384", {"kid": "ec"})


def _public(key, **more) -> dict:
    return {**key.as_dict(private=False), **more}


BOTH = keys.read_public_keys(write({"keys": [_public(EC), _public(RSA)]}))
ONLY_EC = keys.read_public_keys(write({"keys": [_public(EC)]}))
NAMELESS = keys.read_public_keys(
    write({"keys": [{name: value for name, value in _public(EC).items() if name != "kid"}]})
)


def _claims(clock, **changed) -> dict:
    now = int(clock.now().timestamp())
    claims = {"iss": ME, "sub": ME, "aud": URL, "exp": now + 290, "iat": now, "jti": "one"}
    return {name: value for name, value in {**claims, **changed}.items() if value is not None}


def _signed(claims, key=EC, **header) -> str:
    head = {"alg": "ES384" if isinstance(key, ECKey) else "RS384", "typ": "JWT", "kid": key.kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    algorithms = ["ES384", "RS384", "RS256", "HS256", "ES256", "PS384"]
    body = claims if isinstance(claims, bytes) else write(claims)
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = 10_000
    return jws.serialize_compact(head, body, key, registry=registry)


def _check(assertion, clock, registered=BOTH):
    return assertions.check(assertion, ME, registered, URL, clock)


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES384", "RS384"])
def test_a_good_assertion_of_either_kind_is_taken(clock, key):
    jti, until = _check(_signed(_claims(clock), key), clock)
    assert jti == "one"
    assert until > clock.now()
    assert assertions.named_client(_signed(_claims(clock), key)) == ME


def test_one_registered_key_needs_no_kid(clock):
    assert _check(_signed(_claims(clock), kid=None), clock, ONLY_EC)
    assert _check(_signed(_claims(clock), kid="whatever they call it"), clock, NAMELESS)


def _wrong(clock) -> dict[str, tuple[str, str]]:
    """Name -> (assertion, registered key set); each must be refused."""
    now = int(clock.now().timestamp())
    good = _signed(_claims(clock))
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    public_pem = EC.as_pem(private=False)
    confused = _signed(_claims(clock), OctKey.import_key(public_pem.hex()), alg="HS256", kid="ec")
    flipped = body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1]
    return {
        "alg none": (f"{none}.{body}.", BOTH),
        "alg none with a signature": (f"{none}.{body}.{signature}", BOTH),
        "HS256 with the public key": (confused, BOTH),
        "RS256": (_signed(_claims(clock), RSA, alg="RS256"), BOTH),
        "PS384": (_signed(_claims(clock), RSA, alg="PS384"), BOTH),
        "another key": (_signed(_claims(clock), STRANGER), BOTH),
        "unknown kid": (_signed(_claims(clock), kid="other"), BOTH),
        "unknown kid, one key": (_signed(_claims(clock), kid="other"), ONLY_EC),
        "no kid, two keys": (_signed(_claims(clock), kid=None), BOTH),
        "kid of the other key": (_signed(_claims(clock), kid="rsa"), BOTH),
        "header cut": (f"{head[:-4]}.{body}.{signature}", BOTH),
        "key in the header": (_signed(_claims(clock), STRANGER, jwk=_public(STRANGER)), BOTH),
        "foreign jku": (_signed(_claims(clock), jku="https://evil.example/jwks.json"), BOTH),
        "x5u": (_signed(_claims(clock), x5u="https://evil.example/cert"), BOTH),
        "body changed": (f"{head}.{flipped}.{signature}", BOTH),
        "signature cut": (f"{head}.{body}.{signature[:-4]}", BOTH),
        "signature missing": (f"{head}.{body}", BOTH),
        "five parts": (f"{head}.{body}.{signature}.x.y", BOTH),
        "nothing": ("", BOTH),
        "not base64": ("a.b.c", BOTH),
        "not ascii": ("é.é.é", BOTH),
        "too long": (_signed(_claims(clock, more="x" * 9000)), BOTH),
        "typ missing": (_signed(_claims(clock), typ=None), BOTH),
        "typ of an access token": (_signed(_claims(clock), typ="at+jwt"), BOTH),
        "aud wrong": (_signed(_claims(clock, aud="https://other.example/oauth/token")), BOTH),
        "aud with a slash": (_signed(_claims(clock, aud=URL + "/")), BOTH),
        "aud missing": (_signed(_claims(clock, aud=None)), BOTH),
        "aud of two": (_signed(_claims(clock, aud=[URL, "https://other.example"])), BOTH),
        "aud that is an object": (_signed(_claims(clock, aud={"url": URL})), BOTH),
        "iss wrong": (_signed(_claims(clock, iss="client-2")), BOTH),
        "iss missing": (_signed(_claims(clock, iss=None)), BOTH),
        "sub wrong": (_signed(_claims(clock, sub="client-2")), BOTH),
        "sub missing": (_signed(_claims(clock, sub=None)), BOTH),
        "exp missing": (_signed(_claims(clock, exp=None)), BOTH),
        "exp now": (_signed(_claims(clock, exp=now)), BOTH),
        "exp past": (_signed(_claims(clock, exp=now - 1)), BOTH),
        "exp in three years": (_signed(_claims(clock, exp=now + 3 * 365 * 86400)), BOTH),
        "exp a second too far": (_signed(_claims(clock, exp=now + 361)), BOTH),
        "exp endless": (_signed(b'{"iss":"client-1","sub":"client-1","aud":"%s","jti":"x","exp":1e400}' % URL.encode()), BOTH),
        "exp as text": (_signed(_claims(clock, exp=str(now + 100))), BOTH),
        "exp as truth": (_signed(_claims(clock, exp=True)), BOTH),
        "nbf future": (_signed(_claims(clock, nbf=now + 61)), BOTH),
        "iat future": (_signed(_claims(clock, iat=now + 61)), BOTH),
        "jti missing": (_signed(_claims(clock, jti=None)), BOTH),
        "jti empty": (_signed(_claims(clock, jti="")), BOTH),
        "jti a number": (_signed(_claims(clock, jti=7)), BOTH),
        "jti endless": (_signed(_claims(clock, jti="x" * 256)), BOTH),
        "a key twice": (_signed(b'{"iss":"client-1","iss":"client-2"}'), BOTH),
        "claims a list": (_signed(b"[]"), BOTH),
        "claims no JSON": (_signed(b"\xff\xfe"), BOTH),
    }  # fmt: skip


def test_everything_that_is_not_exactly_right_is_refused(clock):
    cases = _wrong(clock)
    assert len(cases) >= 45
    for name, (assertion, registered) in cases.items():
        with pytest.raises(Unauthenticated) as fault:
            _check(assertion, clock, registered)
        assert ME not in str(fault.value), name
        assert "evil" not in str(fault.value), name


def _as_the_door_does(assertion, clock):
    assertions.named_client(assertion)
    return assertions.check(assertion, ME, BOTH, URL, clock)


def test_whatever_is_flipped_in_a_good_assertion_it_is_refused_and_never_breaks(clock):
    seed = 20261121
    print(f"seed {seed}")
    dice = random.Random(seed)
    good = _signed(_claims(clock))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.={}\x00\xff"
    for _ in range(1500):
        letters = list(good)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(letters) - 3)  # the last letters of a signature hold unused bits
            letters[at] = dice.choice(alphabet.replace(letters[at], ""))
        with pytest.raises(Unauthenticated):
            _as_the_door_does("".join(letters), clock)


def test_a_jti_counts_once_per_client_and_is_forgotten_after_its_end(engine, clock):
    jti, until = _check(_signed(_claims(clock)), clock)
    with writing(engine) as connection:
        assertions.use_once(connection, clock, ME, jti, until)
    with pytest.raises(Unauthenticated), writing(engine) as connection:
        assertions.use_once(connection, clock, ME, jti, until)
    with writing(engine) as connection:
        assertions.use_once(connection, clock, "client-2", jti, until)
    clock.move(minutes=12)
    with writing(engine) as connection:
        assertions.use_once(connection, clock, ME, "another", clock.now())
    with writing(engine) as connection:
        assertions.use_once(connection, clock, ME, jti, until)


def test_of_a_thousand_replays_at_the_same_time_exactly_one_is_taken(engine, clock):
    jti, until = _check(_signed(_claims(clock)), clock)

    def replay(_: int) -> bool:
        try:
            with writing(engine) as connection:
                assertions.use_once(connection, clock, ME, jti, until)
        except (Unauthenticated, DatabaseBusy):
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        taken = sum(pool.map(replay, range(1000)))
    assert taken == 1
