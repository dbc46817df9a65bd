"""Reader of `provmanager/assessment.v1`: what somebody says of recorded products afterwards.

schemas/assessment.v1.json says what it holds. It is recorded as an activity of its own, with who
made it; that is no data flow: it used and generated nothing.
"""

from typing import Any
from uuid import UUID

from provmanager.model import (
    Activity,
    Agent,
    Assessment,
    AssessmentKind,
    Document,
    Status,
    WasAssociatedWith,
)

from .run_json_checks import Rules, check_instant, check_types, check_uuid, fail, says_schema

FORMAT = "assessment"
SCHEMA = "provmanager/assessment.v1"
OUTCOMES = ("ok", "differs", "missing", "unknown")

_FAMILY = "provmanager/assessment."
_TEXT: frozenset[type] = frozenset({str})
_RULES: Rules = {
    "schema": _TEXT,
    "id": _TEXT,
    "kind": _TEXT,
    "at": _TEXT,
    "reason": _TEXT,
    "agent": frozenset({dict}),
    "entities": frozenset({list}),
    "revokes": _TEXT,
}
_AGENT: Rules = {"id": _TEXT, "name": _TEXT}
_ENTITY: Rules = {"id": _TEXT, "outcome": _TEXT}
NAMES = {
    AssessmentKind.INVALIDATION: "invalidate",
    AssessmentKind.REVOCATION: "revoke-invalidation",
    AssessmentKind.VERIFICATION: "verify",
}
_NEEDED = {
    AssessmentKind.INVALIDATION: ("reason", "entities"),
    AssessmentKind.REVOCATION: ("reason", "revokes"),
    AssessmentKind.VERIFICATION: ("entities",),
}

JSONDict = dict[str, Any]  # Any: free-form JSON


def matches(values: list[Any]) -> str | None:  # Any: JSON values
    """Return why the values are an assessment, of any version, or None."""
    return says_schema(values, _FAMILY)


def read_assessment(value: JSONDict, *, reason: str) -> Document:
    """Return what an assessment states.

    Raises
    ------
    DocumentError
        It is not as the schema says (``pointer``, ``expected``, ``found``).
    """
    if value.get("schema") != SCHEMA:
        fail("/schema", f'"{SCHEMA}"', value.get("schema"))
    _check(value, _RULES, "", ("schema", "id", "kind", "at"))
    try:
        kind = AssessmentKind(value["kind"])
    except ValueError:
        fail("/kind", f"one of {', '.join(AssessmentKind)}", value["kind"])
    _check(value, _RULES, "", _NEEDED[kind])
    if kind is not AssessmentKind.REVOCATION and "revokes" in value:
        fail("/revokes", f"nothing in a document of kind {kind}", value["revokes"])
    uuid = check_uuid(value["id"], "/id")
    at = check_instant(value["at"], "/at")
    agent = value.get("agent")
    who: tuple[Agent, ...] = ()
    if agent is not None:
        _check(agent, _AGENT, "/agent", ("id",))
        who = (Agent(key="agent", iri=agent["id"], name=agent.get("name") or agent["id"]),)
    told = Activity(
        key="assessment",
        uuid=uuid,
        name=NAMES[kind],
        type="Assessment",
        status=Status.COMPLETED,
        started_at=at,
        ended_at=at,
        comment=value.get("reason"),
    )
    return Document(
        format=FORMAT,
        reason=reason,
        activities=(told,),
        agents=who,
        associated=tuple(
            WasAssociatedWith(activity="assessment", agent="agent", role=None) for _ in who
        ),
        assessments=(
            Assessment(
                uuid=uuid,
                kind=kind,
                at=at,
                reason=value.get("reason"),
                agent_iri=agent["id"] if agent else None,
                agent_name=agent.get("name") if agent else None,
                revokes=check_uuid(value["revokes"], "/revokes") if "revokes" in value else None,
                entities=_entities(value.get("entities", []), kind),
            ),
        ),
    )


def _entities(items: list[Any], kind: AssessmentKind) -> tuple[tuple[UUID, str | None], ...]:
    """Return (UUID, outcome) of the products, each once. (Any: JSON values.)"""
    needed = ("id", "outcome") if kind is AssessmentKind.VERIFICATION else ("id",)
    found: dict[UUID, str | None] = {}
    for i, item in enumerate(items):
        pointer = f"/entities/{i}"
        if type(item) is not dict:
            fail(pointer, "an object", item)
        _check(item, _ENTITY, pointer, needed)
        outcome = item.get("outcome")
        if outcome is not None and outcome not in OUTCOMES:
            fail(f"{pointer}/outcome", f"one of {', '.join(OUTCOMES)}", outcome)
        uuid = check_uuid(item["id"], f"{pointer}/id")
        if found.get(uuid, outcome) != outcome:
            fail(pointer, f"one outcome of {uuid}", outcome)
        found[uuid] = outcome
    return tuple(found.items())


def _check(value: JSONDict, rules: Rules, pointer: str, needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in value:
            fail(pointer, f"an object with {name}", value)
    unknown = sorted(value.keys() - rules.keys())
    if unknown:
        fail(f"{pointer}/{unknown[0]}", f"one of {', '.join(rules)}", unknown[0])
    check_types(value, rules, pointer)
    for name in ("reason", "id", "name"):
        if name in value and not value[name].strip():
            fail(f"{pointer}/{name}", "some text", value[name])
