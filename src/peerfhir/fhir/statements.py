"""What the store asks of its tables, said once."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, false, insert, select, update

from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.prepared import Prepared, Seen, among
from peerfhir.fhir.tables import fhir_reference, fhir_resource, fhir_token, fhir_version

_r, _v, _t = fhir_resource.c, fhir_version.c, fhir_token.c
_SAME = and_(_v.program_id == _r.program_id, _v.type == _r.type, _v.id == _r.id)
_HERE = and_(_r.program_id == bindparam("p"), _r.type == bindparam("t"), _r.id == bindparam("i"))
_LABELS = (_r.source, _r.person_id, _r.share_class)
ALIVE = _r.deleted == false()
NOW = select(_r.type, _r.id, _r.version, _r.updated_at, *_LABELS, _v.method, _v.body).select_from(
    fhir_resource.join(fhir_version, and_(_SAME, _v.version == _r.version))
)
CURRENT = NOW.where(ALIVE)
ONE = Seen(NOW.where(_HERE))
VERSIONS = select(_r.type, _r.id, _v.version, _v.updated_at, *_LABELS, _v.method, _v.body).select_from(
    fhir_resource.join(fhir_version, _SAME)
)
ONE_VERSION = Seen(VERSIONS.where(_HERE, _v.version == bindparam("n")))
MOVE = Prepared(
    update(fhir_resource)
    .where(_HERE, _r.version == bindparam("expected"))
    .values(version=bindparam("n"), updated_at=bindparam("at"), source=bindparam("s"))
    .values(person_id=bindparam("who"), share_class=bindparam("cls"))
    .values(keys=bindparam("sorted"), deleted=bindparam("gone"))
)
_IDENTIFIED = select(_r.type, _r.id, _t.system, _t.code).select_from(
    fhir_token.join(fhir_resource, and_(_r.program_id == _t.program_id, _r.type == _t.type, _r.id == _t.id, ALIVE))
)
# Two plain lists, because both databases index those; whoever asks drops the surplus.
_AMONG = [
    and_(_r.program_id == bindparam("p"), types, ids)
    for types, ids in zip(among(_r.type, "types"), among(_r.id, "ids"), strict=True)
]
MANY = Seen(*(CURRENT.where(these) for these in _AMONG))
PRESENT = Seen(*(select(_r.type, _r.id).where(these, ALIVE) for these in _AMONG))
ALL_IDENTIFIED = Seen(
    *(
        _IDENTIFIED.where(_t.program_id == bindparam("p"), types, _t.param == "identifier", codes)
        for types, codes in zip(among(_t.type, "types"), among(_t.code, "codes"), strict=True)
    )
)
# The search that clients make most, kept prepared: by one identifier, of a system or of any.
_BEARING = select(_t.id).where(
    _t.program_id == bindparam("p"),
    _t.type == bindparam("t"),
    _t.param == "identifier",
    _t.code == bindparam("c"),
)
_OF_TYPE = (
    CURRENT.where(_r.program_id == bindparam("p"), _r.type == bindparam("t")).order_by(_r.id).limit(bindparam("n"))
)
BY_VALUE = Seen(_OF_TYPE.where(_r.id.in_(_BEARING)))
BY_IDENTIFIER = Seen(_OF_TYPE.where(_r.id.in_(_BEARING.where(_t.system == bindparam("s")))))
NEW_RESOURCE = Prepared(insert(fhir_resource))
NEW_VERSION = Prepared(insert(fhir_version))
POINTING = {  # type -> parameters that may point at it
    target: sorted(
        {name for own in PARAMETERS.values() for name, one in own.items() if target in one.targets and one.paths}
    )
    for target in PARAMETERS
}
POINTED_AT = select(_r.type, _r.id).select_from(
    fhir_reference.join(
        fhir_resource,
        and_(
            _r.program_id == fhir_reference.c.program_id, _r.type == fhir_reference.c.type,
            _r.id == fhir_reference.c.id, ALIVE,
        ),
    )
)  # fmt: skip
