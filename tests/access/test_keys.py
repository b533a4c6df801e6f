from __future__ import annotations

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from peerfhir.access import keys
from peerfhir.errors import BadBody, BadRequest
from peerfhir.fhir.writer import write


def _public(key, **more):
    return {**{k: v for k, v in key.as_dict(private=False).items() if k != "kid"}, **more}


def _set(*entries) -> bytes:
    return write({"keys": list(entries)})


def test_a_key_is_long_and_only_its_digest_is_kept():
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    for key in made:
        assert len(key) == 43
        assert len(keys.digest_of(key)) == 64
        assert key not in keys.digest_of(key)


def test_public_rsa_and_p384_keys_are_taken_with_and_without_kid():
    one = keys.load_public_keys(keys.read_public_keys(_set(_public(RSAKey.generate_key(2048)))))
    assert one[0].kid is None
    two = keys.load_public_keys(
        keys.read_public_keys(
            _set(_public(ECKey.generate_key("P-384"), kid="a"), _public(RSAKey.generate_key(2048), kid="b", use="sig"))
        )
    )
    assert [key.kid for key in two] == ["a", "b"]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [_public(ECKey.generate_key("P-384"))] * 11,
        [ECKey.generate_key("P-384").as_dict(private=True)],
        [RSAKey.generate_key(2048).as_dict(private=True)],
        [_public(ECKey.generate_key("P-256"))],
        [_public(OKPKey.generate_key("Ed25519"))],
        [OctKey.generate_key(256).as_dict(private=True)],
        [_public(ECKey.generate_key("P-384"), use="enc")],
        [_public(ECKey.generate_key("P-384"), kid="")],
        [_public(ECKey.generate_key("P-384"), kid=7)],
        [_public(ECKey.generate_key("P-384"), kid="a"), _public(ECKey.generate_key("P-384"))],
        [_public(ECKey.generate_key("P-384"), kid="a"), _public(ECKey.generate_key("P-384"), kid="a")],
        [{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}],
        [{"kty": "RSA"}],
        ["not a key"],
        [{"kty": ["EC"]}],
    ],
)
def test_a_key_set_that_cannot_prove_anything_is_refused_when_it_is_registered(entries):
    with pytest.raises(BadRequest):
        keys.read_public_keys(_set(*entries))


def test_a_key_set_that_is_not_json_names_the_place():
    with pytest.raises(BadBody):
        keys.read_public_keys(b"-----BEGIN PUBLIC KEY-----")
    with pytest.raises(BadRequest):
        keys.read_public_keys(b"[]")
