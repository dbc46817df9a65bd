"""What a W3C PROV document states, as the classes and relations of the model.

Elements of the document and of its bundles with the same identifier are one: identifiers are
global names. A relation that lacks an argument (PROV allows a usage of no named entity), and the
relations that the model has no class for (specialization, alternate, delegation, influence,
mention), stay in the statements.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from prov.constants import (
    PROV_ATTR_ACTIVITY,
    PROV_ATTR_AGENT,
    PROV_ATTR_COLLECTION,
    PROV_ATTR_ENTITY,
    PROV_ATTR_GENERAL_ENTITY,
    PROV_ATTR_GENERATED_ENTITY,
    PROV_ATTR_INFLUENCEE,
    PROV_ATTR_INFLUENCER,
    PROV_ATTR_INFORMANT,
    PROV_ATTR_INFORMED,
    PROV_ATTR_SPECIFIC_ENTITY,
    PROV_ATTR_STARTER,
    PROV_ATTR_TIME,
    PROV_ATTR_USED_ENTITY,
    PROV_TYPE,
)
from prov.identifier import QualifiedName
from prov.model import (
    ProvActivity,
    ProvAgent,
    ProvAssociation,
    ProvAttribution,
    ProvCommunication,
    ProvDerivation,
    ProvDocument,
    ProvElement,
    ProvEnd,
    ProvEntity,
    ProvGeneration,
    ProvInfluence,
    ProvInvalidation,
    ProvMembership,
    ProvRecord,
    ProvSpecialization,
    ProvStart,
    ProvUsage,
)

from provmanager.model import (
    Activity,
    Document,
    Entity,
    HadMember,
    InformKind,
    Used,
    WasAssociatedWith,
    WasAttributedTo,
    WasDerivedFrom,
    WasGeneratedBy,
    WasInformedBy,
)
from provmanager.model.mention import identifying_digests

from . import prov_terms as terms
from .note_book import NoteBook
from .prov_assessments import AssessmentReading, is_assessing, is_revoking
from .prov_elements import (
    Clock,
    Described,
    activity_of,
    agent_of,
    element_key,
    entity_of,
    text_of,
)
from .prov_surroundings import SurroundingsReading

_WORKFLOW_RUNS = {terms.WFPROV + "WorkflowRun", terms.WFPROV + "ProcessRun"}
_CWLPROV_RULE = "cwlprov-started-by"
_BASIS = terms.TERMS + "basis"
_RULE = terms.TERMS + "rule"
_ROLES = (terms.PROV + "role", terms.TERMS + "role")


def relations_of(
    document: ProvDocument, *, digest: str, format: str, reason: str, notes: NoteBook
) -> Document:
    """Return what `document` states as classes of the model, without its statements.

    Parameters
    ----------
    digest : str
        SHA-256 of the document, of which identifiers that mean nothing elsewhere become part.
    """
    reading = _Reading(digest, notes)
    for record in _records(document):
        if isinstance(record, ProvElement):
            reading.declare(record)
    for record in _records(document):
        reader = _READERS.get(type(record))
        if reader is not None:
            reader(reading, record)
    return reading.document(format=format, reason=reason)


class _Reading:
    """The elements and relations found so far."""

    def __init__(self, digest: str, notes: NoteBook) -> None:
        self.activities: dict[str, Described] = {}
        self.entities: dict[str, Described] = {}
        self.agents: dict[str, Described] = {}
        self.used: dict[tuple[str, str, str | None], datetime | None] = {}
        self.generated: dict[tuple[str, str, str | None], datetime | None] = {}
        self.informed: dict[tuple[str, str], WasInformedBy] = {}
        self.derived: dict[tuple[str, str], WasDerivedFrom] = {}
        self.members: dict[tuple[str, str], HadMember] = {}
        self.associated: dict[tuple[str, str, str | None], WasAssociatedWith] = {}
        self.attributed: dict[tuple[str, str, str | None], WasAttributedTo] = {}
        self.assessed = AssessmentReading()
        self.surroundings = SurroundingsReading()
        self.incomplete: Counter[str] = Counter()
        self.not_stated = 0
        self.digest = digest
        self._notes = notes
        self.clock = Clock(notes)

    def declare(self, record: ProvElement) -> None:
        """Take an element; one that is declared again gains the attributes."""
        name = record.identifier
        if name is None:  # prov refuses such an element
            return
        elements = {
            ProvActivity: self.activities,
            ProvEntity: self.entities,
            ProvAgent: self.agents,
        }[type(record)]
        element = self.element(name, elements)
        element.is_declared = True
        element.add(record.attributes)
        if elements is self.activities:
            self.assessed.declare(element.key, element.type_iris)
        elif elements is self.entities:
            self.surroundings.declare(element.key, element.type_iris)

    def element(self, name: QualifiedName, elements: dict[str, Described]) -> Described:
        """Return the element called `name`, a bare one if nothing declares it."""
        key, is_local = element_key(name, self.digest)
        if key not in elements:
            elements[key] = Described(name=name, key=key, is_local=is_local)
        return elements[key]

    def activity(self, name: QualifiedName | None) -> Described | None:
        """Return the activity called `name`."""
        return None if name is None else self.element(name, self.activities)

    def entity(self, name: QualifiedName | None) -> Described | None:
        """Return the entity called `name`."""
        return None if name is None else self.element(name, self.entities)

    def agent(self, name: QualifiedName | None) -> Described | None:
        """Return the agent called `name`."""
        return None if name is None else self.element(name, self.agents)

    def is_agent_only(self, name: QualifiedName) -> bool:
        """Whether `name` is declared as an agent and not as an activity.

        CWLProv says of its engine, an agent, that it was started by a person.
        """
        key, _ = element_key(name, self.digest)
        return key in self.agents and key not in self.activities

    def document(self, *, format: str, reason: str) -> Document:
        """Return all that was found."""
        self._note_the_rest()
        made = {entity for entity, _, _ in self.generated}
        entities = {key: self._entity(e, made) for key, e in self.entities.items()}
        activities = self._activities(entities)
        aside = self.surroundings.aside() - self._related()
        agents = {key: agent_of(a) for key, a in self.agents.items()}
        assessors = {a.activity: agents[a.agent] for a in self.associated.values()}
        return Document(
            format=format,
            reason=reason,
            activities=tuple(activities.values()),
            entities=tuple(e for key, e in entities.items() if key not in aside),
            agents=tuple(agents.values()),
            assessments=self.assessed.assessments(activities, assessors),
            used=tuple(
                Used(activity=a, entity=e, role=role, at=self._utc(at))
                for (a, e, role), at in self.used.items()
            ),
            generated=tuple(
                WasGeneratedBy(entity=e, activity=a, role=role, at=self._utc(at))
                for (e, a, role), at in self.generated.items()
            ),
            informed=tuple(self.informed.values()),
            derived=tuple(self.derived.values()),
            members=tuple(self.members.values()),
            associated=tuple(self.associated.values()),
            attributed=tuple(self.attributed.values()),
        )

    def _entity(self, element: Described, made: Set[str]) -> Entity:
        """Return an entity; one that CWLProv only mentions anew is its bytes.

        CWLProv gives each mention of an input file a UUID of its own, also the mention by a step
        of the file that the workflow was given, and says that they have the same content.
        """
        found = entity_of(element, self.clock)
        is_artifact = bool(element.type_iris & {terms.WFPROV + "Artifact", terms.WF4EVER + "File"})
        if not is_artifact or element.key in made or not identifying_digests(found.digests):
            return found
        others = tuple(p for p in found.product_ids if p != element.key)
        return replace(found, product_ids=others)

    def _activities(self, entities: Mapping[str, Entity]) -> dict[str, Activity]:
        values = {key: e.value for key, e in entities.items()}
        names = {key: e.name or key for key, e in entities.items()}
        found = {}
        for key, element in self.activities.items():
            activity = activity_of(element, self.clock, self._notes)
            around = self.surroundings.of(key, values, names)
            found[key] = replace(activity, **{**around, **_given(activity, around)})
        return found

    def _related(self) -> set[str]:
        """Return the entities that stand in relations."""
        flows = {entity for _, entity, _ in self.used} | {entity for entity, _, _ in self.generated}
        links = {e for pair in (*self.derived, *self.members) for e in pair}
        return flows | links | {entity for entity, _, _ in self.attributed}

    def _utc(self, instant: datetime | None) -> datetime | None:
        return None if instant is None else self.clock.utc(instant)

    def _note_the_rest(self) -> None:
        if self.incomplete:
            counts = ", ".join(f"{n} {kind}" for kind, n in sorted(self.incomplete.items()))
            self._notes.add(
                "incomplete-relations",
                f"relations that lack an argument are kept as statements only: {counts}",
            )
        makers: dict[str, set[str]] = {}
        for entity, activity, _ in self.generated:
            makers.setdefault(entity, set()).add(activity)
        several = [entity for entity, activities in makers.items() if len(activities) > 1]
        if several:
            self._notes.add(
                "several-generators",
                f"{len(several)} entities were generated by more than one activity each, such as"
                f" {several[0]}",
            )
        if self.not_stated:
            self._notes.add(
                "not-stated",
                f"{self.not_stated} usages and generations were inferred or claimed, says the"
                " server that exported them",
            )


def _given(activity: Activity, names: Iterable[str]) -> dict[str, Any]:
    """Return those fields that the activity has by itself. (Any: whatever the field holds.)"""
    return {n: value for n in names if n != "host" and (value := getattr(activity, n)) is not None}


def _records(document: ProvDocument) -> Iterator[ProvRecord]:
    yield from document.records
    for bundle in document.bundles:
        yield from bundle.records


def _name(record: ProvRecord, attribute: QualifiedName) -> QualifiedName | None:
    value = dict(record.formal_attributes).get(attribute)
    return value if isinstance(value, QualifiedName) else None


def _time(record: ProvRecord) -> datetime | None:
    value = dict(record.formal_attributes).get(PROV_ATTR_TIME)
    return value if isinstance(value, datetime) else None


def _roles(record: ProvRecord) -> list[str | None]:
    roles: list[str | None] = [
        text_of(value) for name, value in record.attributes if name.uri in _ROLES
    ]
    return roles or [None]


def _text(record: ProvRecord, iri: str) -> str | None:
    return next((text_of(v) for name, v in record.attributes if name.uri == iri), None)


def _types(record: ProvRecord) -> set[str]:
    """Return the IRIs of those values of ``prov:type`` that are names."""
    return {v.uri for n, v in record.attributes if n == PROV_TYPE and isinstance(v, QualifiedName)}


def _read_usage(reading: _Reading, record: ProvRecord) -> None:
    activity = reading.activity(_name(record, PROV_ATTR_ACTIVITY))
    entity = reading.entity(_name(record, PROV_ATTR_ENTITY))
    if activity is None or entity is None:
        reading.incomplete["used"] += 1
        return
    reading.not_stated += _text(record, _BASIS) in ("inferred", "claimed")
    for role in _roles(record):
        link = (activity.key, entity.key, role)
        reading.used[link] = reading.used.get(link) or _time(record)


def _read_generation(reading: _Reading, record: ProvRecord) -> None:
    activity = reading.activity(_name(record, PROV_ATTR_ACTIVITY))
    entity = reading.entity(_name(record, PROV_ATTR_ENTITY))
    time = _time(record)
    if entity is not None and time is not None:
        entity.generated.append(time)
    if activity is None or entity is None:
        reading.incomplete["wasGeneratedBy"] += 1
        return
    reading.not_stated += _text(record, _BASIS) in ("inferred", "claimed")
    for role in _roles(record):
        link = (entity.key, activity.key, role)
        reading.generated[link] = reading.generated.get(link) or time


def _read_invalidation(reading: _Reading, record: ProvRecord) -> None:
    entity = reading.entity(_name(record, PROV_ATTR_ENTITY))
    activity = _name(record, PROV_ATTR_ACTIVITY)
    time = _time(record)
    if entity is not None and activity is not None:
        key, _ = element_key(activity, reading.digest)
        if reading.assessed.tell(key, entity.key):
            return
    if entity is not None and time is not None:
        entity.invalidated.append(time)


def _read_influence(reading: _Reading, record: ProvRecord) -> None:
    influencee = _name(record, PROV_ATTR_INFLUENCEE)
    influencer = _name(record, PROV_ATTR_INFLUENCER)
    if influencee is None or influencer is None:
        return
    types = _types(record)
    influenced, _ = element_key(influencee, reading.digest)
    by, _ = element_key(influencer, reading.digest)
    if is_assessing(types):
        reading.assessed.tell(by, influenced, _text(record, terms.TERMS + "outcome"))
    else:
        reading.surroundings.influence(influenced, by, types)


def _read_start(reading: _Reading, record: ProvRecord) -> None:
    name, starter = _name(record, PROV_ATTR_ACTIVITY), _name(record, PROV_ATTR_STARTER)
    if name is None or reading.is_agent_only(name):
        return
    activity = reading.element(name, reading.activities)
    time = _time(record)
    if time is not None:
        activity.started.append(time)
    if starter is None or reading.is_agent_only(starter):
        return
    key, _ = element_key(starter, reading.digest)
    run = reading.activities.get(key)
    if run is not None and run.type_iris & _WORKFLOW_RUNS:
        reading.informed.setdefault(
            (activity.key, run.key),
            WasInformedBy(
                informed=activity.key,
                informant=run.key,
                kind=InformKind.PART_OF,
                rule=_CWLPROV_RULE,
            ),
        )


def _read_end(reading: _Reading, record: ProvRecord) -> None:
    name, time = _name(record, PROV_ATTR_ACTIVITY), _time(record)
    if name is None or reading.is_agent_only(name):
        return
    activity = reading.element(name, reading.activities)
    if time is not None:
        activity.ended.append(time)


def _read_communication(reading: _Reading, record: ProvRecord) -> None:
    informed = reading.activity(_name(record, PROV_ATTR_INFORMED))
    informant = reading.activity(_name(record, PROV_ATTR_INFORMANT))
    if informed is None or informant is None:
        reading.incomplete["wasInformedBy"] += 1
        return
    types = _types(record)
    if is_revoking(types):
        reading.assessed.revoke(informed.key, informant.key)
        return
    kind = InformKind.PART_OF if terms.PART_OF in types else InformKind.DATA_FLOW
    reading.informed[(informed.key, informant.key)] = WasInformedBy(
        informed=informed.key,
        informant=informant.key,
        kind=kind,
        rule=_text(record, _RULE) or "stated",
    )


def _read_derivation(reading: _Reading, record: ProvRecord) -> None:
    derived = reading.entity(_name(record, PROV_ATTR_GENERATED_ENTITY))
    source = reading.entity(_name(record, PROV_ATTR_USED_ENTITY))
    if derived is None or source is None:
        reading.incomplete["wasDerivedFrom"] += 1
        return
    reading.derived.setdefault(
        (derived.key, source.key),
        WasDerivedFrom(
            derived=derived.key, source=source.key, rule=_text(record, _RULE) or "stated"
        ),
    )


def _read_membership(reading: _Reading, record: ProvRecord) -> None:
    collection = reading.entity(_name(record, PROV_ATTR_COLLECTION))
    members = [value for name, value in record.attributes if name == PROV_ATTR_ENTITY]
    if collection is None or not members:
        reading.incomplete["hadMember"] += 1
        return
    collection.is_collection = True
    for value in members:
        member = reading.element(value, reading.entities)
        reading.members[(collection.key, member.key)] = HadMember(
            collection=collection.key, member=member.key
        )


def _read_specialization(reading: _Reading, record: ProvRecord) -> None:
    """Take over the digest of the content that an entity is a copy of.

    CWLProv names a file by a UUID and says that it specializes the content, named by its SHA-1:
    what is true of the content is true of the file (PROV-DM §5.5.1).
    """
    general = _name(record, PROV_ATTR_GENERAL_ENTITY)
    digest = terms.digest_of_iri(general.uri) if general else None
    specific = _name(record, PROV_ATTR_SPECIFIC_ENTITY)
    if digest and specific is not None:
        reading.element(specific, reading.entities).digests.add(digest)


def _read_association(reading: _Reading, record: ProvRecord) -> None:
    activity = reading.activity(_name(record, PROV_ATTR_ACTIVITY))
    agent = reading.agent(_name(record, PROV_ATTR_AGENT))
    if activity is None or agent is None:
        reading.incomplete["wasAssociatedWith"] += 1
        return
    for role in _roles(record):
        reading.associated[(activity.key, agent.key, role)] = WasAssociatedWith(
            activity=activity.key, agent=agent.key, role=role
        )


def _read_attribution(reading: _Reading, record: ProvRecord) -> None:
    entity = reading.entity(_name(record, PROV_ATTR_ENTITY))
    agent = reading.agent(_name(record, PROV_ATTR_AGENT))
    if entity is None or agent is None:
        reading.incomplete["wasAttributedTo"] += 1
        return
    for role in _roles(record):
        reading.attributed[(entity.key, agent.key, role)] = WasAttributedTo(
            entity=entity.key, agent=agent.key, role=role
        )


_READERS: dict[type[ProvRecord], Callable[[_Reading, ProvRecord], None]] = {
    ProvUsage: _read_usage,
    ProvGeneration: _read_generation,
    ProvInvalidation: _read_invalidation,
    ProvInfluence: _read_influence,
    ProvStart: _read_start,
    ProvEnd: _read_end,
    ProvCommunication: _read_communication,
    ProvDerivation: _read_derivation,
    ProvMembership: _read_membership,
    ProvSpecialization: _read_specialization,
    ProvAssociation: _read_association,
    ProvAttribution: _read_attribution,
}
