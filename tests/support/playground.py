"""A small folder of mappings to play with: a referral as a row, its examples, and one overlay."""

from __future__ import annotations

import shutil
from pathlib import Path

DOCUMENTS = Path(__file__).parents[1] / "mapping" / "documents" / "referral-csv"
HEADER = (
    "referral_id,referred_at,mrn,last_name,first_name,middle_name,dob,sex,phone,email,priority,reason,reason_code,"
    "referrer_npi,referrer_name,program,notes"
)
ROW = "R-1,2026-03-01T10:00:00-05:00,48213,Rivera,Ana,,1989-04-17,F,555-0134,,U,Lonely,,1234567893,Dr. Okafor,recovery,"
RECORD = f"{HEADER}\n{ROW}\n"
OVERLAY = """\
overlay: referral-csv.general-hospital
version: 1.0.0
extends: referral-csv@^1.0
applies-to: {endpoint: general-hospital}
rules:
  - {at: patient.active, set: false, because: this hospital keeps its own list}
  - {at: task, remove: true}
"""


def furnish(folder: Path) -> Path:
    """Put the mappings into an empty folder; returns it."""
    home = folder / "mappings" / "referral-csv"
    shutil.copytree(DOCUMENTS, home)
    (home / "overlays").mkdir()
    (home / "overlays" / "general-hospital.overlay.yaml").write_text(OVERLAY)
    for place in (home / "examples", home / "examples" / "general-hospital"):
        place.mkdir()
        (place / "01-basic.input.csv").write_text(RECORD)
    (home / "examples" / "02-bad-date.input.csv").write_text(RECORD.replace("1989-04-17", "17.4.1989"))
    return home.parent
