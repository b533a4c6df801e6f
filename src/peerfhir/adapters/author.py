"""A resource we write: checked once, written once; those bytes are kept and sent."""

from __future__ import annotations

from peerfhir.errors import MappingFailed
from peerfhir.fhir import validate, writer
from peerfhir.fhir.reader import Json


def author(resource: Json) -> bytes:
    """The bytes of a resource that is fit to leave.

    Raises  MappingFailed (never) with every error and its place; no value of the record is in it
    """
    return writer.write(checked(resource))


def checked(resource: Json) -> Json:
    """The resource itself, when it is fit to leave.

    Raises  MappingFailed (never), as `author`
    """
    found = validate.validate(resource, strict=True, by_model=True)
    errors = [finding for finding in found if finding.severity in ("fatal", "error")]
    if errors:
        kind = resource.get("resourceType", "resource")
        places = "; ".join(f"{finding.expression}: {finding.text}" for finding in errors)
        raise MappingFailed(
            f"The mapping made a {kind} that is not valid: {places}",
            place=errors[0].expression,
            advice="Mend the mapping, then run the message again.",
        )
    return resource
