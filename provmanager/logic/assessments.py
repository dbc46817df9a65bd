"""What was said of products afterwards, as pages and answers tell it."""

from sqlalchemy.orm import Session

from provmanager.errors import AuthorisationError, JSONDict
from provmanager.model import AssessmentKind, Document, Role
from provmanager.store import assessments as store
from provmanager.store import lineage as lineage_store

from .references import find
from .trace import iso

_MAY = {
    AssessmentKind.INVALIDATION: Role.CURATOR,
    AssessmentKind.REVOCATION: Role.CURATOR,
    AssessmentKind.VERIFICATION: Role.RECORDER,
}


def check_may_assess(document: Document, role: Role) -> None:
    """Raise AuthorisationError where who delivers a document may not say what it says."""
    told = document.assessment
    if told is not None and not role.includes(_MAY[told.kind]):
        raise AuthorisationError(
            f"an {told.kind} needs a token of role {_MAY[told.kind]}, this one is of role {role}: "
            "ask a curator or the operator",
            expected=str(_MAY[told.kind]),
            found=str(role),
        )


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
