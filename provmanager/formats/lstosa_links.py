"""What the records of an lstosa log link: used, generated, derived, members, agents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

from ..model import (
    Activity,
    Agent,
    Entity,
    HadMember,
    Used,
    WasAssociatedWith,
    WasDerivedFrom,
    WasGeneratedBy,
)
from .json_fields import JSONObject
from .local_user import local_user
from .note_book import NoteBook

_ANONYMOUS = "Anonymous"


@dataclass(frozen=True, slots=True)
class Step:
    """One activity of a log, with what its records say beside it.

    Attributes
    ----------
    record : JSON object
        Its start record.
    agent : str or None
        Name of the account.
    config_file : str or None
        Path of lstosa's own configuration file, of the step's session.
    host : str or None
        Host of its files: of its session, or that of all sessions of the log.
    """

    activity: Activity
    record: JSONObject
    agent: str | None
    config_file: str | None
    host: str | None

    @property
    def run(self) -> str:
        """Run number, or pedestal and calibration run, from the tag ``step:run``."""
        return str(self.record.get("session_tag", "")).partition(":")[2]


class Parts(TypedDict):
    """The parts of a `Document` that `Links` gives."""

    entities: tuple[Entity, ...]
    agents: tuple[Agent, ...]
    used: tuple[Used, ...]
    generated: tuple[WasGeneratedBy, ...]
    derived: tuple[WasDerivedFrom, ...]
    members: tuple[HadMember, ...]
    associated: tuple[WasAssociatedWith, ...]


ReadEntity = Callable[[str, JSONObject, Step], Entity]


class Links:
    """Collects the links of a log, record by record.

    Entities are mentioned once for each activity and direction (what an activity reads and what
    it writes at one path are two versions), as in the ctapipe reader.
    """

    def __init__(self, notes: NoteBook) -> None:
        self._notes = notes
        self._descriptions: dict[str, JSONObject] = {}
        self._entities: dict[str, Entity] = {}
        self._mentions: dict[str, list[str]] = {}
        self._generated_by: dict[str, str] = {}
        self._agents: dict[str, Agent] = {}
        self._used: dict[Used, None] = {}
        self._generated: dict[WasGeneratedBy, None] = {}
        self._derived: dict[WasDerivedFrom, None] = {}
        self._members: dict[HadMember, None] = {}
        self._associated: dict[WasAssociatedWith, None] = {}
        self._progenitors: list[tuple[int, str, str]] = []
        self._open: Step | None = None

    def add(
        self, line: int, record: JSONObject, steps: dict[str, Step], read_entity: ReadEntity
    ) -> None:
        """Add what `record`, of line `line`, links."""
        if "session_id" in record:
            return
        if "activity_id" in record:
            step = steps.get(str(record["activity_id"]))
            if step is None:
                self._notes.add(
                    "unknown-activity",
                    f"line {line}: the activity {record['activity_id']} has no start record in "
                    "this log: its record is not used",
                )
                return
            self._add_of_step(record, step, read_entity)
        elif "progenitor_id" in record:
            self._add_progenitor(line, record, read_entity)
        elif "member_id" in record and self._open is not None:
            identifier = str(record.get("entity_id"))
            collection = self._mention(identifier, self._open, "output", read_entity)
            member = self._mention(str(record["member_id"]), self._open, "member", read_entity)
            self._members[HadMember(collection=collection, member=member)] = None
        elif "entity_id" in record:
            self._descriptions[str(record["entity_id"])] = record
        else:
            self._notes.add("unknown-record", f"line {line}: none of lstosa's kinds of record")

    def to_parts(self) -> Parts:
        """Return all links; what was derived is decided now that all files are known."""
        for line, derived, source in self._progenitors:
            self._derive(line, derived, source)
        return Parts(
            entities=tuple(self._entities.values()),
            agents=tuple(self._agents.values()),
            used=tuple(self._used),
            generated=tuple(self._generated),
            derived=tuple(self._derived),
            members=tuple(self._members),
            associated=tuple(self._associated),
        )

    def _add_of_step(self, record: JSONObject, step: Step, read_entity: ReadEntity) -> None:
        activity = step.activity.key
        if "name" in record:
            self._open = step
            self._add_context(step, read_entity)
        elif "endTime" in record:
            self._open = None
        if "used_id" in record:
            entity = self._mention(str(record["used_id"]), step, "input", read_entity)
            role = record.get("used_role")
            self._used[Used(activity=activity, entity=entity, role=_role(role))] = None
        if "generated_id" in record:
            identifier = str(record["generated_id"])
            entity = self._mention(identifier, step, "output", read_entity)
            self._generated_by[identifier] = activity
            role = _role(record.get("generated_role"))
            link = WasGeneratedBy(entity=entity, activity=activity, role=role)
            self._generated[link] = None

    def _add_context(self, step: Step, read_entity: ReadEntity) -> None:
        """Add who ran the step and with which configuration file."""
        if step.agent and step.agent != _ANONYMOUS:
            agent = local_user(step.agent, step.host)
            self._agents[agent.key] = agent
            key = step.activity.key
            link = WasAssociatedWith(activity=key, agent=agent.key, role="Operator")
            self._associated[link] = None
        if step.config_file:
            key = f"{step.activity.key}/configuration"
            record = {"filepath": step.config_file, "name": "ConfigFile"}
            self._entities[key] = read_entity(key, record, step)
            used = Used(activity=step.activity.key, entity=key, role="Session configuration")
            self._used[used] = None

    def _mention(self, identifier: str, step: Step, side: str, read_entity: ReadEntity) -> str:
        """Return the key of the entity `identifier` as `step` has it on this `side`."""
        key = f"{step.activity.key}/{side}/{identifier}"
        if key not in self._entities:
            record = self._descriptions.get(identifier)
            if record is None:
                self._notes.add(
                    "unknown-entity",
                    f"the entity {identifier} is not described in this log (provprocess drops "
                    "sub-runs): recorded without a name",
                )
                record = {"name": identifier}
                key = f"unknown/{identifier}"
            self._entities.setdefault(key, read_entity(key, record, step))
            self._mentions.setdefault(identifier, []).append(key)
        return key

    def _add_progenitor(self, line: int, record: JSONObject, read_entity: ReadEntity) -> None:
        derived, source = str(record.get("entity_id")), str(record["progenitor_id"])
        step = self._open
        if step is not None and self._generated_by.get(derived) == step.activity.key:
            link = WasDerivedFrom(
                derived=self._mention(derived, step, "output", read_entity),
                source=self._mention(source, step, "input", read_entity),
            )
            self._derived[link] = None
        else:
            self._progenitors.append((line, derived, source))

    def _derive(self, line: int, derived: str, source: str) -> None:
        """Keep a traced derivation if it is between files of one name, drop it otherwise."""
        names = [self._name_of(identifier) for identifier in (derived, source)]
        outputs = [key for key in self._mentions.get(derived, ()) if "/output/" in key]
        sources = self._mentions.get(source)
        if names[0] and names[0] == names[1] and outputs and sources:
            link = WasDerivedFrom(derived=outputs[0], source=sources[0], rule="lstosa-same-name")
            self._derived[link] = None
        else:
            self._notes.add(
                "bogus-progenitor",
                f"line {line}: {names[0] or derived} derived from {names[1] or source}: traced "
                "over the calls of one process, or files that this log does not name: left out",
            )

    def _name_of(self, identifier: str) -> str | None:
        keys = self._mentions.get(identifier)
        entity = self._entities[keys[0]] if keys else None
        return entity.name if entity is not None and not entity.is_unnamed else None


def _role(value: Any) -> str | None:  # Any: a literal
    return str(value) if value else None
