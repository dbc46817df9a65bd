"""PROV statements as the rules see them: a relation, its identifier and its arguments in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Value = str | datetime | None  # an IRI, an instant, or '-' (also: left out)


class Absence(StrEnum):
    """What '-' in the place of a parameter means (Definition 4, tables 3 and 4)."""

    REFUSED = "refused"
    UNKNOWN = "unknown"
    NONE = "none"
    BY_ACTIVITY = "by activity"  # generation and usage of a derivation: none where it has none


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a relation.

    Attributes
    ----------
    name : str
        As in PROV-DM and PROV-JSON, without ``prov:``.
    kind : str or None
        ``entity``, ``activity`` or ``agent``: what the argument is by Constraint 50; None where
        it says nothing.
    absence : Absence
        What it means that none is given.
    """

    name: str
    kind: str | None = None
    absence: Absence = Absence.REFUSED


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement.

    Attributes
    ----------
    relation : str
        Keyword of PROV-N, a key of `SIGNATURES`.
    id : str or None
        IRI; None where none is given.
    args : tuple
        One value a parameter of the relation.
    types : frozenset of str
        IRIs of its ``prov:type``.
    source : int
        Which statement of the document it is; several facts may come of one.
    """

    relation: str
    id: str | None
    args: tuple[Value, ...] = ()
    types: frozenset[str] = frozenset()
    source: int = 0


def _entity(name: str = "entity", absence: Absence = Absence.REFUSED) -> Parameter:
    return Parameter(name, "entity", absence)


def _activity(name: str = "activity", absence: Absence = Absence.REFUSED) -> Parameter:
    return Parameter(name, "activity", absence)


def _agent(name: str = "agent", absence: Absence = Absence.REFUSED) -> Parameter:
    return Parameter(name, "agent", absence)


_UNKNOWN = Absence.UNKNOWN
_TIME = Parameter("time", absence=_UNKNOWN)

SIGNATURES: Mapping[str, tuple[Parameter, ...]] = {
    "entity": (),
    "activity": (
        Parameter("startTime", absence=_UNKNOWN),
        Parameter("endTime", absence=_UNKNOWN),
    ),
    "agent": (),
    "wasGeneratedBy": (_entity(), _activity(absence=_UNKNOWN), _TIME),
    "used": (_activity(), _entity(absence=_UNKNOWN), _TIME),
    "wasInformedBy": (_activity("informed"), _activity("informant")),
    "wasStartedBy": (
        _activity(),
        _entity("trigger", _UNKNOWN),
        _activity("starter", _UNKNOWN),
        _TIME,
    ),
    "wasEndedBy": (_activity(), _entity("trigger", _UNKNOWN), _activity("ender", _UNKNOWN), _TIME),
    "wasInvalidatedBy": (_entity(), _activity(absence=_UNKNOWN), _TIME),
    "wasDerivedFrom": (
        _entity("generatedEntity"),
        _entity("usedEntity"),
        _activity(absence=Absence.NONE),
        Parameter("generation", absence=Absence.BY_ACTIVITY),
        Parameter("usage", absence=Absence.BY_ACTIVITY),
    ),
    "wasAttributedTo": (_entity(), _agent()),
    "wasAssociatedWith": (_activity(), _agent(absence=_UNKNOWN), _entity("plan", Absence.NONE)),
    "actedOnBehalfOf": (_agent("delegate"), _agent("responsible"), _activity(absence=_UNKNOWN)),
    "wasInfluencedBy": (Parameter("influencee"), Parameter("influencer")),
    "alternateOf": (_entity("alternate1"), _entity("alternate2")),
    "specializationOf": (_entity("specificEntity"), _entity("generalEntity")),
    "mentionOf": (_entity("specificEntity"), _entity("generalEntity"), _entity("bundle")),
    "hadMember": (_entity("collection"), _entity("entity")),
}
"""The parameters of each relation after its identifier, in the order of PROV-DM."""

OBJECTS = frozenset({"entity", "activity", "agent"})
