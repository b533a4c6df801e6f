"""UCUM units in use, and calendar units: read to a factor and dimensions, so that quantities can be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import lru_cache
from typing import NamedTuple

# decimal arithmetic everywhere; 28 digits as the standard asks, and more than a Long between steps
EXACT = Context(prec=40, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])

CALENDAR = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_CALENDAR_UCUM = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_DEFINITE = {ucum: word for word, ucum in _CALENDAR_UCUM.items()}

_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

# unit -> its value in other units; "" is dimensionless. Metric units take a prefix.
_METRIC = {
    "m": ("1", "!m"), "s": ("1", "!s"), "g": ("1", "!g"), "K": ("1", "!K"), "cd": ("1", "!cd"), "C": ("1", "!C"),
    "rad": ("1", "!rad"), "mol": ("6.0221367e23", ""), "sr": ("1", "rad2"), "Hz": ("1", "s-1"),
    "N": ("1", "kg.m/s2"), "Pa": ("1", "N/m2"), "J": ("1", "N.m"), "W": ("1", "J/s"), "A": ("1", "C/s"),
    "V": ("1", "J/C"), "F": ("1", "C/V"), "Ohm": ("1", "V/A"), "S": ("1", "Ohm-1"), "Wb": ("1", "V.s"),
    "T": ("1", "Wb/m2"), "H": ("1", "Wb/A"), "lm": ("1", "cd.sr"), "lx": ("1", "lm/m2"), "Bq": ("1", "s-1"),
    "Gy": ("1", "J/kg"), "Sv": ("1", "J/kg"), "kat": ("1", "mol/s"), "U": ("1", "umol/min"), "l": ("1", "dm3"),
    "L": ("1", "l"), "ar": ("100", "m2"), "t": ("1000", "kg"), "bar": ("100000", "Pa"), "eq": ("1", "mol"),
    "osm": ("1", "mol"), "cal": ("4.184", "J"), "m[Hg]": ("133.322", "kPa"), "m[H2O]": ("9.80665", "kPa"),
    "eV": ("1.60217733e-19", "J"), "By": ("8", "bit"), "bit": ("1", ""), "[iU]": ("1", "!iU"), "[IU]": ("1", "[iU]"),
    "Cel": ("1", "!Cel"), "dyn": ("1", "g.cm/s2"), "erg": ("1", "dyn.cm"), "P": ("1", "dyn.s/cm2"),
}  # fmt: skip
_PLAIN = {
    "min": ("60", "s"), "h": ("60", "min"), "d": ("24", "h"), "wk": ("7", "d"), "a": ("365.25", "d"),
    "mo": ("30.4375", "d"), "a_j": ("365.25", "d"), "mo_j": ("30.4375", "d"), "%": ("0.01", ""),
    "[ppth]": ("0.001", ""),
    "[ppm]": ("0.000001", ""), "[ppb]": ("1e-9", ""), "deg": ("0.01745329251994329577", "rad"),
    "[in_i]": ("2.54", "cm"), "[ft_i]": ("12", "[in_i]"), "[yd_i]": ("3", "[ft_i]"), "[mi_i]": ("5280", "[ft_i]"),
    "[lb_av]": ("453.59237", "g"), "[oz_av]": ("28.349523125", "g"), "[st_av]": ("14", "[lb_av]"),
    "[gr]": ("64.79891", "mg"), "[gal_us]": ("231", "[in_i]3"), "[qt_us]": ("57.75", "[in_i]3"),
    "[pt_us]": ("28.875", "[in_i]3"), "[cup_us]": ("14.4375", "[in_i]3"), "[foz_us]": ("1.8046875", "[in_i]3"),
    "[tbs_us]": ("0.90234375", "[in_i]3"), "[tsp_us]": ("0.30078125", "[in_i]3"), "[degF]": ("1", "!degF"),
    "[pH]": ("1", "!pH"), "[arb'U]": ("1", "!arbU"), "[drp]": ("0.05", "ml"), "atm": ("101325", "Pa"),
    "[psi]": ("6894.757293168", "Pa"), "[APL'U]": ("1", "!aplU"), "[GPL'U]": ("1", "!gplU"), "[MPL'U]": ("1", "!mplU"),
    "10*": ("10", ""), "10^": ("10", ""), "[pi]": ("3.1415926535897932385", ""), "u": ("1.6605402e-24", "g"),
    "[CFU]": ("1", "!cfu"), "[hnsf'U]": ("1", "!hnsfU"), "[Btu]": ("1055.05585262", "J"), "[hpf]": ("1", ""),
    "[lpf]": ("1", ""), "[HP]": ("745.69987158227022", "W"), "[diop]": ("1", "m-1"), "[mi_us]": ("1609.347219", "m"),
    "[Cal]": ("1", "kcal"), "[kn_i]": ("0.514444444444444444", "m/s"), "[nmi_i]": ("1852", "m"),
}  # fmt: skip

_WORDS = re.compile(r"[./()]|\{[!-z|~]*\}|(?:10[*^]|[A-Za-z%]|\[[^\[\]{}\s]+\]|_|')+(?:[+-]?[0-9]+)?|[0-9]+")
_ATOM = re.compile(r"(10[*^]|[A-Za-z%_'\[\]^0-9]*?[A-Za-z%\]'])([+-]?[0-9]+)?")


class Unit(NamedTuple):
    """So many times a product of base units to a power."""

    factor: Decimal
    dimensions: tuple[tuple[str, int], ...]

    def times(self, other: Unit, power: int = 1) -> Unit:
        """This unit multiplied with a power of another."""
        powers = dict(self.dimensions)
        for name, count in other.dimensions:
            powers[name] = powers.get(name, 0) + count * power
        factor = self.factor * other.factor**power
        return Unit(factor, tuple(sorted((name, count) for name, count in powers.items() if count)))


ONE = Unit(Decimal(1), ())


def calendar_word(text: str) -> str | None:
    """The calendar unit that a word names, in the singular; None for any other."""
    word = text.removesuffix("s") if text not in CALENDAR else text
    return word if word in CALENDAR else None


def ucum(text: str) -> str:
    """The UCUM unit of a word of the calendar, of certain length for year and month too; any other unit as it is."""
    word = calendar_word(text)
    return text if word is None else {"year": "a", "month": "mo"}.get(word) or _CALENDAR_UCUM[word]


def definite(text: str) -> str | None:
    """The calendar unit that a UCUM unit of certain length stands for in date arithmetic: 'd' is a day."""
    return _DEFINITE.get(text)


@lru_cache(maxsize=2048)
def unit(text: str) -> Unit | None:
    """What a unit means; None when it is not one of those in use. Years and months of the calendar have no length."""
    word = calendar_word(text)
    if word in ("year", "month"):
        return Unit(Decimal(12 if word == "year" else 1), (("calendar month", 1),))
    if word is not None:
        text = _CALENDAR_UCUM[word]
    words = _WORDS.findall(text)
    if not words or "".join(words) != text:
        return None
    return _Reader(words).whole()


def converted(value: Decimal, given: str, wanted: str) -> Decimal | None:
    """A number of one unit counted in another; None when they cannot be compared."""
    if given == wanted:
        return value
    one, other = unit(given), unit(wanted)
    if one is None or other is None or one.dimensions != other.dimensions:
        return None
    return EXACT.divide(EXACT.multiply(value, one.factor), other.factor)


def is_finer(text: str, other: str) -> bool:
    """Whether one of the first unit is less than one of the second, where they measure the same."""
    one, two = unit(text), unit(other)
    return one is not None and two is not None and one.dimensions == two.dimensions and one.factor < two.factor


class _Reader:
    """Components with points and strokes between them, from left to right."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    def whole(self) -> Unit | None:
        found = self._term()
        return found if self._at == len(self._words) else None

    def _take(self) -> str:
        word = self._words[self._at] if self._at < len(self._words) else ""
        self._at += 1
        return word

    def _term(self) -> Unit | None:
        found: Unit | None = ONE
        power = 1
        if self._words[self._at : self._at + 1] == ["/"]:
            self._at, power = self._at + 1, -1
        while found is not None:
            part = self._component()
            found = found.times(part, power) if part is not None else None
            following = self._words[self._at] if self._at < len(self._words) else ""
            if following not in (".", "/"):
                break
            self._at += 1
            power = -1 if following == "/" else 1
        return found

    def _component(self) -> Unit | None:
        word = self._take()
        if word == "(":
            inner = self._term() if self._at < len(self._words) else None
            return inner if self._take() == ")" else None
        if word.startswith("{"):
            return ONE
        found = Unit(Decimal(word), ()) if word.isdigit() else _atom(word)
        if self._at < len(self._words) and self._words[self._at].startswith("{"):
            self._at += 1
        return found


def _atom(word: str) -> Unit | None:
    if word in _METRIC or word in _PLAIN:
        return _named(word)
    match = _ATOM.fullmatch(word)
    if match is None:
        return None
    name, power = match.group(1), int(match.group(2) or 1)
    found = _named(name)
    return None if found is None else ONE.times(found, power)


def _named(name: str) -> Unit | None:
    known: Mapping[str, tuple[str, str]] = _PLAIN if name in _PLAIN and name not in _METRIC else _METRIC
    if name in known:
        factor, below = known[name]
        if below.startswith("!"):
            return Unit(Decimal(factor), ((below[1:], 1),))
        inner = unit(below) if below else ONE
        return None if inner is None else Unit(Decimal(factor) * inner.factor, inner.dimensions)
    for prefix, power in _PREFIXES.items():
        rest = name[len(prefix) :]
        if name.startswith(prefix) and rest in _METRIC:
            found = _named(rest)
            return None if found is None else Unit(found.factor * Decimal(10) ** power, found.dimensions)
    return None
