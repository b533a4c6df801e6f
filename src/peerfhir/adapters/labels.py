"""Sensitivity labels (DS4P) on what we write."""

from __future__ import annotations

from peerfhir.fhir.reader import Json
from peerfhir.pathway.vocabulary import Piece

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

# Source: docs/rules.md, Write-back. What a person told a peer is restricted; that an order moved on is normal.
CONFIDENTIALITY_OF: dict[Piece, str] = {piece: "N" if piece is Piece.STATUS else "R" for piece in Piece}


def labelled(resource: Json, confidentiality: str, sensitivity: tuple[str, ...] = ()) -> Json:
    """The resource with exactly one confidentiality code, and each sensitivity code once; nothing else changes.

    confidentiality  v3-Confidentiality: U L M N R V
    sensitivity      v3-ActCode, for example "MH"
    Returns          a new resource; meta stands where it stood, or right after id
    """
    meta = dict(resource.get("meta") or {})
    kept = [label for label in meta.get("security", ()) if label.get("system") != CONFIDENTIALITY]
    known = {(label.get("system"), label.get("code")) for label in kept}
    added = [{"system": ACT_CODE, "code": code} for code in sensitivity if (ACT_CODE, code) not in known]
    meta["security"] = [{"system": CONFIDENTIALITY, "code": confidentiality}, *kept, *added]
    if "meta" in resource:
        return {**resource, "meta": meta}
    head = {key: resource[key] for key in ("resourceType", "id") if key in resource}
    return {**head, "meta": meta, **resource}
