"""What was said of products afterwards, in W3C PROV documents: written, and read again.

An assessment is an activity of ``prov:type`` ``provmanager:Invalidation``, ``Revocation`` or
``Verification`` with the agent who made it; its reason is a ``voprov:comment``. What holds of an
entity is said as PROV says it: an invalidation that was not taken back is a wasInvalidatedBy. One
that was, the revocation, and a verification with its ``provmanager:outcome`` are
wasInfluencedBy, of which nobody concludes that the entity is gone; that a revocation takes an
invalidation back is a wasInformedBy of type ``provmanager:Revokes``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prov.constants import PROV_TYPE
from prov.identifier import Namespace, QualifiedName
from prov.model import ProvDocument

from provmanager import ids
from provmanager.model import Activity, Agent, Assessment, AssessmentKind

from . import prov_terms as terms

Row = Mapping[str, Any]  # Any: free-form JSON

_UUID = Namespace("uuid", "urn:uuid:")
_TERMS = Namespace("provmanager", terms.TERMS)
_TYPES = {kind: _TERMS[str(kind).capitalize()] for kind in AssessmentKind}
_KINDS = {name.uri: kind for kind, name in _TYPES.items()}
_REVOKES = _TERMS["Revokes"]
_OUTCOME = _TERMS["outcome"]
_NEEDS_REASON = (AssessmentKind.INVALIDATION, AssessmentKind.REVOCATION)


def type_of(kind: str) -> QualifiedName:
    """Return the ``prov:type`` of the activity that an assessment of `kind` is."""
    return _TYPES[AssessmentKind(kind)]


def add_assessments(document: ProvDocument, rows: Iterable[Row]) -> None:
    """Add what `rows` say of entities; their activities and agents stand in `document` already."""
    for row in rows:
        for told in row["entities"]:
            _add_told(document, row, told)
        if row.get("revokes"):
            document.communication(
                _UUID[row["id"]], _UUID[row["revokes"]], other_attributes=[(PROV_TYPE, _REVOKES)]
            )


def _add_told(document: ProvDocument, row: Row, told: Row) -> None:
    entity, activity = _UUID[told["id"]], _UUID[row["id"]]
    if row["kind"] == AssessmentKind.INVALIDATION and not row.get("is_revoked"):
        document.invalidation(entity, activity, row["at"])
        return
    outcome = told.get("outcome")
    attributes = [(PROV_TYPE, type_of(row["kind"])), *([(_OUTCOME, outcome)] if outcome else [])]
    document.influence(entity, activity, other_attributes=attributes)


@dataclass(slots=True)
class AssessmentReading:
    """The assessments of a document, as far as they were read.

    Attributes
    ----------
    kinds : dict
        Which activities are assessments, by key.
    """

    kinds: dict[str, AssessmentKind] = field(default_factory=dict)
    told: dict[str, dict[UUID, str | None]] = field(default_factory=dict)
    revoked: dict[str, UUID] = field(default_factory=dict)

    def declare(self, key: str, types: Iterable[str]) -> None:
        """Take an activity, by the IRIs of its types; one that is named by a UUID."""
        kind = next((_KINDS[iri] for iri in types if iri in _KINDS), None)
        if kind is not None and ids.parse_uuid(key) is not None:
            self.kinds[key] = kind

    def tell(self, activity: str, entity: str, outcome: str | None = None) -> bool:
        """Take what an activity says of an entity; whether it is an assessment that says it."""
        uuid = ids.parse_uuid(entity)
        if activity not in self.kinds or uuid is None:
            return False
        self.told.setdefault(activity, {})[uuid] = outcome
        return True

    def revoke(self, activity: str, revoked: str) -> None:
        """Take that an assessment takes another one back."""
        uuid = ids.parse_uuid(revoked)
        if uuid is not None:
            self.revoked[activity] = uuid

    def assessments(
        self, activities: Mapping[str, Activity], agents: Mapping[str, Agent]
    ) -> tuple[Assessment, ...]:
        """Return those that say all that one must say: when, why, of what.

        Parameters
        ----------
        agents : mapping
            Who made it, by the activity's key.
        """
        made = ((key, activities[key], agents.get(key)) for key in self.kinds)
        found = (self._assessment(key, activity, agent) for key, activity, agent in made)
        return tuple(a for a in found if a is not None)

    def _assessment(self, key: str, activity: Activity, agent: Agent | None) -> Assessment | None:
        kind, at = self.kinds[key], activity.ended_at or activity.started_at
        told = self.told.get(key, {})
        revokes = self.revoked.get(key) if kind is AssessmentKind.REVOCATION else None
        if kind is AssessmentKind.VERIFICATION:
            told = {uuid: outcome for uuid, outcome in told.items() if outcome}
        elif kind is AssessmentKind.REVOCATION:
            told = {}
        if at is None or not (told or revokes):
            return None
        if kind in _NEEDS_REASON and not activity.comment:
            return None
        return Assessment(
            uuid=activity.uuid,
            kind=kind,
            at=at,
            reason=activity.comment,
            agent_iri=agent.iri if agent else None,
            agent_name=agent.name if agent else None,
            revokes=revokes,
            entities=tuple(told.items()),
        )


def is_revoking(types: Iterable[str]) -> bool:
    """Whether a wasInformedBy of these types (IRIs) says that one assessment takes back another."""
    return _REVOKES.uri in types


def is_assessing(types: Iterable[str]) -> bool:
    """Whether a wasInfluencedBy of these types (IRIs) is what an assessment says."""
    return any(iri in _KINDS for iri in types)
