"""The mappings of a folder for the tools, with the questionnaires and packages of the config/ beside it."""

from __future__ import annotations

from pathlib import Path

from peerfhir.mapping.shelf import Shelf, canonical_of, look, wants_instruments


def shelf(folder: Path, held: str | None = None) -> Shelf:
    """Read and check every document below `folder`; nothing is raised for what is wrong in them.

    held  an alias under `profiles`: resources of its type are held to it, though they claim none
    """
    config = folder.resolve().parent / "config"
    known, profiles, beside = None, None, None
    if (config / "instruments").is_dir() and wants_instruments(folder):
        from peerfhir.adapters.instruments import examined
        from peerfhir.adapters.questionnaires import forms

        good, beside = examined(config / "instruments", judged=False)
        known = forms(config / "instruments", good)
    if (config / "packages").is_dir():
        from peerfhir.fhir.site import installed
        from peerfhir.mapping.packaged import Packaged

        profiles = Packaged(installed(config / "packages"))
    return look(folder, canonical_of(folder), known, profiles, beside.every if beside else (), held)
