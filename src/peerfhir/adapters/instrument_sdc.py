"""What a questionnaire says in extensions of Structured Data Capture: what is extracted, and what is not supported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from peerfhir.adapters.instrument_file import Place
from peerfhir.adapters.instrument_form import LOINC, Written
from peerfhir.adapters.questionnaires import EXTRACT, relation_of
from peerfhir.fhir.reader import Json

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
LANGUAGE = "text/fhirpath"
RELATIONS = ("component", "member", "derived", "independent")
_EXTRACTIONS = (
    "itemExtractionContext", "definitionExtract", "definitionExtractValue", "templateExtract",
    "templateExtractBundle", "templateExtractContext", "templateExtractValue", "extractAllocateId",
    "targetStructureMap",
)  # fmt: skip
_REFUSED = {f"{SDC}{name}": "only extraction by observation is supported" for name in _EXTRACTIONS} | {
    "http://hl7.org/fhir/StructureDefinition/cqf-library": "expressions in CQL are not supported"
}


def check_marks(written: Written) -> None:
    """What is marked for extraction can be extracted, and nothing asks for what is not supported."""
    holders = [((), written.form), *written.items]
    relations: dict[Place, str] = {(): relation_of(written.form, "")}
    for place, holder in holders:
        _check_supported(written, place, holder)
        marks = [(at, one) for at, one in extensions_of(holder) if one["url"] == EXTRACT]
        if {"valueBoolean", "valueCode"} <= {key for _, one in marks for key in one}:
            what = "observationExtract: says yes or no, and how, on one item"
            written.blame("PM622", (*place, "extension", marks[-1][0]), what, "keep the one with the relationship")
        for at, one in marks:
            if one.get("valueCode", "member") not in RELATIONS:
                hint = f"one of {', '.join(RELATIONS)}"
                what = "observationExtract: an unknown relationship"
                written.blame("PM600", (*place, "extension", at, "valueCode"), what, hint)
        if not place:
            continue
        relations[place] = relation_of(holder, relations[place[:-2]])
        codes = holder.get("code", ())
        if marks and relation_of(holder, "") and not codes:
            what = "observationExtract: an item without a code cannot be extracted"
            written.blame("PM606", (*place, "extension", marks[0][0]), what, "give it a code, or take the mark away")
        elif relations[place] and codes and not any(coding.get("system") == LOINC for coding in codes):
            what = "item.code: what is extracted has no code of LOINC"
            written.blame("PM607", (*place, "code"), what, "other systems may not know it", warning=True)


def extensions_of(holder: Mapping[str, Json]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """The extensions of an item or of the whole, each with its index."""
    yield from enumerate(holder.get("extension", ()))


def _check_supported(written: Written, place: Place, holder: Mapping[str, Json]) -> None:
    for at, one in extensions_of(holder):
        here = (*place, "extension", at)
        if one["url"] in _REFUSED:
            written.blame("PM623", (*here, "url"), _REFUSED[one["url"]], "mark items with observationExtract")
        language = one.get("valueExpression", {}).get("language", LANGUAGE)
        if language != LANGUAGE:
            what = "an expression in this language is not supported"
            written.blame("PM623", (*here, "valueExpression", "language"), what, f"write it in {LANGUAGE}")
