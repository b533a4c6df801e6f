"""Bytes of strangers: what JSON is, what is refused, and where the refusal points."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.errors import BadBody, BodyTooLarge, Fault
from peerfhir.fhir.reader import read, read_own
from peerfhir.fhir.writer import indented, write

SEED = 20261121


def place_of(data: bytes, **limits: int) -> str | None:
    with pytest.raises(BadBody) as caught:
        read(data, **limits)
    return caught.value.place


def test_every_json_value_is_read() -> None:
    assert read(b' {"a":[1,-2,true,false,null,"x\\n\\u00e9\\ud83d\\ude00"],"b":{}} \n') == {
        "a": [1, -2, True, False, None, "x\né😀"],
        "b": {},
    }
    assert [read(one) for one in (b"1", b'"x"', b"[]", b"null")] == [1, "x", [], None]


@pytest.mark.parametrize(
    "text", ["1.50", "6.30", "12345678901234567890.12345", "0.10", "-0.0", "123456789012345678901"]
)
def test_the_digits_of_a_number_are_kept(text: str) -> None:
    value = read(text.encode())
    assert isinstance(value, Decimal)
    assert write(value).decode() == text
    assert write(read_own(text.encode())).decode() == text
    assert indented({"a": value}) == f'{{\n  "a": {text}\n}}'


def test_an_exponent_keeps_its_value() -> None:
    assert read(write(read(b"1e3"))) == Decimal("1E+3")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "1:1"), (b"{", "1:2"), (b"[1,]", "1:4"), (b'{"a":1,\n}', "2:1"), (b"{'a':1}", "1:2"), (b"[1 2]", "1:4"),
        (b'{"a"}', "1:5"), (b'["\t"]', "1:3"), (b'["\\x"]', "1:3"), (b"tru", "1:1"), (b"01", "1:2"), (b"1 1", "1:3"),
        (b'\n\n  "\xff"', "3:4"), (b"\xef\xbb\xbf{}", "1:1"), ("{}".encode("utf-16"), "1:1"), (b'["\xed\xa0\x80"]', "1:3"),
        (b'{"a":1,\n "a":2}', "2:2"), (b'{"x":{"b":[{"c":1,"d":2,"c":3}]}}', "1:25"), (b'{"a":1,"\\u0061":2}', "1:8"),
        (b'{"a":\n["\\u0000"]}', "2:2"), (b'{"a\\b":1}', "1:2"), (b'["\\ud800"]', "1:2"), (b'["\\udc00\\ud800"]', "1:2"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_its_place(data: bytes, place: str) -> None:
    assert place_of(data) == place


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e99999", "1e9999999999999999999", "9" * 5000,
                                  "0." + "1" * 5000])  # fmt: skip
def test_a_number_beyond_measure_is_refused(text: str) -> None:
    started = time.process_time()
    assert place_of(text.encode()) == "1:1"
    assert place_of(f'["NaN",\n 1.5, {text}]'.encode()) == "2:7"
    assert place_of(f'{{"a":{text}}}'.encode()) == "1:6"
    assert time.process_time() - started < 5  # CPU seconds: quadratic reading would take minutes


def test_the_depth_is_exact() -> None:
    assert read(b"[" * 64 + b"]" * 64)
    assert place_of(b"[" * 65 + b"]" * 65) == "1:65"
    assert place_of(b'{"a":' * 65 + b"1" + b"}" * 65) == "1:321"
    assert place_of(b"[" * 100_000) == "1:65"
    assert place_of(b"[" * 3 + b"]" * 3, max_depth=2) == "1:3"


def test_the_size_is_exact() -> None:
    assert read(b"[1]", max_bytes=3) == [1]
    with pytest.raises(BodyTooLarge):
        read(b"[11]", max_bytes=3)


def test_a_long_list_is_read_in_time() -> None:
    started = time.process_time()
    assert len(read(b"[" + b"[]," * 100_000 + b"1]")) == 100_001
    place_of(b'{"a":1,' + b'"b":[1,2,3],' * 50_000 + b'"c":1}')
    assert time.process_time() - started < 15  # CPU seconds: quadratic reading would take minutes


def test_what_json_does_not_have_is_not_written() -> None:
    for value in (Decimal("NaN"), Decimal("Infinity"), object(), {1, 2}, b"x"):
        with pytest.raises(TypeError):
            write(value)


def test_no_refusal_carries_a_piece_of_the_text() -> None:
    for data in (b'{"Marisol":1,"Marisol":2}', b'["Marisol\\u0000"]', b'{"a": Marisol}', b"[" * 70 + b'"Marisol"'):
        with pytest.raises(Fault) as caught:
            read(data)
        assert "Marisol" not in str(caught.value)


def _random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 5 else 6)
    text = "".join(rng.choice('aé\t\n😀"\\/ \u2028') for _ in range(rng.randrange(6)))
    plain: list[Any] = [None, True, rng.randrange(-(10**15), 10**15), Decimal(rng.randrange(10**6)).scaleb(-3), text, 0]
    if kind < 6:
        return plain[kind]
    if kind == 6:
        return [_random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {f"k{n}{text}": _random_value(rng, depth + 1) for n in range(rng.randrange(4))}


def test_what_is_written_is_read_again() -> None:
    rng = random.Random(SEED)
    for number in range(1500):
        value = _random_value(rng)
        assert read(write(value)) == value, f"seed {SEED}, case {number}"


def test_broken_bytes_are_refused_or_read_and_never_surprise() -> None:
    rng = random.Random(SEED)
    for number in range(3000):
        data = bytearray(write({"a": [_random_value(rng)], "b": "x"}))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = rng.choice([b'"', b"{", b"\\u00", b"\x00", b"\xff", b",", b"1e", b""])
        try:
            assert read(write(read(bytes(data)))) == read(bytes(data))
        except BadBody as fault:
            assert fault.status == 400, f"seed {SEED}, case {number}"
