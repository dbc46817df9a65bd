"""What was said of products afterwards, as pages and answers tell it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from provmanager.errors import AuthorisationError, JSONDict
from provmanager.model import AssessmentKind, Document, Role
from provmanager.store import assessments as store
from provmanager.store import lineage as lineage_store

from .references import find
from .trace import activities_of, iso

_MAY = {
    AssessmentKind.INVALIDATION: Role.CURATOR,
    AssessmentKind.REVOCATION: Role.CURATOR,
    AssessmentKind.VERIFICATION: Role.RECORDER,
}


def check_may_say(document: Document, role: Role) -> None:
    """Raise AuthorisationError where who delivers a document may not say what it says."""
    if document.descriptions is not None and not role.includes(Role.CURATOR):
        raise AuthorisationError(
            f"descriptions need a token of role {Role.CURATOR}, this one is of role {role}: "
            "ask a curator or the operator",
            expected=str(Role.CURATOR),
            found=str(role),
        )
    for told in document.assessments:
        if not role.includes(_MAY[told.kind]):
            raise AuthorisationError(
                f"an {told.kind} needs a token of role {_MAY[told.kind]}, this one is of role "
                f"{role}: ask a curator or the operator",
                expected=str(_MAY[told.kind]),
                found=str(role),
            )


def with_assessments(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with what was said of its products, and by which activities.

    ``assessments``: every invalidation with its revocations, and the last verification of each
    product; a revocation has the products of what it takes back.
    """
    rows = store.of_entities(session, [e["id"] for e in found["entities"]])
    last = _last_verifications(rows)
    told: dict[UUID, JSONDict] = {}
    for row in rows:
        product, uuid = str(row["entity_uuid"]), row["assessment_uuid"]
        if row["kind"] == AssessmentKind.VERIFICATION and last[product] != uuid:
            continue
        entry = told.setdefault(uuid, _told(row))
        entry["entities"].append({"id": product, "outcome": row["outcome"]})
    for row in store.revocations(session, list(told)):
        revoked = told[row["revokes"]]
        revoked["is_revoked"] = True
        told[row["assessment_uuid"]] = _told(row) | {
            "revokes": revoked["id"],
            "entities": [{"id": e["id"], "outcome": None} for e in revoked["entities"]],
        }
    listed = sorted(told.values(), key=lambda a: (a["at"], a["id"]))
    held = {a["id"] for a in found["activities"]}
    new = [uuid for uuid, row in told.items() if row["id"] not in held]
    return found | {
        "activities": [*found["activities"], *activities_of(session, new)],
        "assessments": listed,
    }


def _told(row: RowMapping) -> JSONDict:
    return {
        "id": str(row["assessment_uuid"]),
        "kind": row["kind"],
        "at": iso(row["assessed_at"]),
        "reason": row["reason"],
        "agent": row["agent_iri"],
        "agent_name": row["agent_name"],
        "revokes": None,
        "is_revoked": False,
        "entities": [],
    }


def _last_verifications(rows: Sequence[RowMapping]) -> dict[str, UUID]:
    """Return which verification of each product is the newest."""
    order = sorted(rows, key=lambda r: (r["assessed_at"], str(r["assessment_uuid"])))
    kind = AssessmentKind.VERIFICATION
    return {str(r["entity_uuid"]): r["assessment_uuid"] for r in order if r["kind"] == kind}


def of_upstream(session: Session, ref: str) -> JSONDict:
    """Return what was said of a product or run's whole history, the product itself included.

    ``invalid``: how many of its products are marked, and for which reasons; ``verified``: how many
    files there were by the outcome of their last verification, and when the newest was.
    """
    kinds = (AssessmentKind.INVALIDATION, AssessmentKind.VERIFICATION)
    if not any(store.any_of(session, kind) for kind in kinds):
        return {"invalid": 0, "reasons": [], "verified": {}, "newest": None}
    focus = find(session, ref)
    start = [focus.key]
    if focus.kind == "entity":
        start = lineage_store.start_nodes(session, focus.key, "up")
    nodes = lineage_store.walk(session, start, "up")
    products = sorted({*store.products_of(session, nodes), *nodes, focus.key})
    invalid = [row for row in store.invalid_among(session, products)]
    verified = store.verified_among(session, products)
    newest = max((row["newest"] for row in verified), default=None)
    return {
        "invalid": sum(row["entity_id"] != focus.key for row in invalid),
        "reasons": sorted({row["reason"] for row in invalid if row["entity_id"] != focus.key}),
        "verified": {row["outcome"]: row["number"] for row in verified},
        "newest": iso(newest),
    }
