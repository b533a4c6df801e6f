"""The mappings that ship, with the questionnaires of config/ that they name, loaded once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from peerfhir.adapters.instruments import load_instruments
from peerfhir.adapters.questionnaires import forms
from peerfhir.mapping.registry import Mappings
from peerfhir.mapping.shelf import Shelf, look
from tests.support.mapping_folder import CANONICAL

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "mappings"
INSTRUMENTS = ROOT / "config" / "instruments"


@cache
def mappings() -> Mappings:
    """For those who run them."""
    return Mappings.load(FOLDER, canonical=CANONICAL, instruments=forms(INSTRUMENTS, load_instruments(INSTRUMENTS)))


@cache
def shelf() -> Shelf:
    """For those who look into them."""
    return look(FOLDER, CANONICAL, forms(INSTRUMENTS, load_instruments(INSTRUMENTS)))
