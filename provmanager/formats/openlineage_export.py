"""A lineage, as the server gives it, as OpenLineage run events (2.0.2), one a line.

An activity is a run: a START event where its start is known, and one with its inputs and outputs
that says how it ended (COMPLETE, FAIL, ABORT), or that it runs; one of which no time is known has
an event OTHER at the time of the export. Settings are the facet ``executionParameters``, who was
responsible ``ownership``. What was said of products afterwards is a run of its own, in which they
are inputs with ``dataQualityAssertions``. What OpenLineage has no word for stands in facets of our
own (`openlineage_own`), which `openlineage` reads again: the record that comes of it is the same.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from .openlineage_names import NAMESPACE, name_of
from .openlineage_own import (
    ASSESSMENT_FACET,
    ENTITY_FACET,
    ENTITY_FIELDS,
    RUN_FACET,
    RUN_FIELDS,
    USE_FACET,
    agent_fields,
    assertion_of,
    assessment_facet,
)

JSONObject = dict[str, Any]  # Any: free-form JSON
_Flows = dict[str, dict[str, list[JSONObject]]]

_SPEC = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PARENT_SCHEMA = f"{_SPEC}/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
_OWN_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/BaseFacet"
_ENDS = {"completed": "COMPLETE", "error": "FAIL", "interrupted": "ABORT"}
_SETTINGS_SCHEMA = (
    f"{_SPEC}/facets/1-0-0/ExecutionParametersRunFacet.json#/$defs/ExecutionParametersRunFacet"
)
_OWNERS_SCHEMA = f"{_SPEC}/facets/1-0-1/OwnershipJobFacet.json#/$defs/OwnershipJobFacet"
_ASSERTIONS_SCHEMA = (
    f"{_SPEC}/facets/1-1-0/DataQualityAssertionsDatasetFacet.json"
    "#/$defs/DataQualityAssertionsDatasetFacet"
)


def lineage_to_events(lineage: Mapping[str, Any], *, now: datetime) -> Iterator[JSONObject]:
    """Yield the events of `lineage`, the body of ``GET /v1/lineage``; those of a run together."""
    export = _Export(lineage, now)
    for activity in lineage["activities"]:
        yield from export.events(activity)


def write_events(lineage: Mapping[str, Any], *, now: datetime) -> bytes:
    """Return the events of `lineage` as NDJSON."""
    events = lineage_to_events(lineage, now=now)
    return b"".join(json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in events)


class _Export:
    """One lineage on its way into events."""

    def __init__(self, lineage: Mapping[str, Any], now: datetime) -> None:
        self._now = now.isoformat().replace("+00:00", "Z")
        self._producer = f"urn:provmanager:{version('provmanager')}"
        self._entities = {e["id"]: e for e in lineage["entities"]}
        self._names = {a["id"]: a["name"] for a in lineage["activities"]}
        self._used: _Flows = defaultdict(lambda: defaultdict(list))
        self._generated: _Flows = defaultdict(lambda: defaultdict(list))
        self._outer: dict[str, str] = {}
        for flow in lineage["used"]:
            self._used[flow["activity"]][flow["entity"]].append(_use(flow))
        for flow in lineage["generated"]:
            self._generated[flow["activity"]][flow["entity"]].append(_use(flow))
        agents = {a["iri"]: a for a in lineage.get("agents", ())}
        self._agents: dict[str, list[JSONObject]] = defaultdict(list)
        for key, rows in (("activity", "associated"), ("entity", "attributed")):
            for row in lineage.get(rows, ()):
                self._agents[row[key]].append(agent_fields(agents[row["agent"]], row["role"]))
        self._surroundings = {s["id"]: s for s in lineage.get("surroundings", ())}
        self._assessments = {a["id"]: a for a in lineage.get("assessments", ())}
        self._assessed = {e["id"] for a in self._assessments.values() for e in a["entities"]}
        for part in lineage.get("parts", ()):
            self._outer.setdefault(part["activity"], part["part_of"])

    def events(self, activity: Mapping[str, Any]) -> Iterator[JSONObject]:
        """Yield the events of one run."""
        if activity["id"] in self._assessments:
            row = self._assessments[activity["id"]]
            yield self._event(activity, "START", row["at"], with_data=False)
            yield self._assessment(activity, row)
            return
        started, ended = activity["started_at"], activity["ended_at"]
        kind = _ENDS.get(activity["status"])
        if started:
            yield self._event(activity, "START", started, with_data=kind is None and not ended)
        if kind:
            yield self._event(activity, kind, ended or started or self._now, with_data=True)
        elif ended or not started:
            yield self._event(activity, "OTHER", ended or self._now, with_data=True)

    def _event(
        self, activity: Mapping[str, Any], kind: str, time: str, *, with_data: bool
    ) -> JSONObject:
        key = activity["id"]
        event: JSONObject = {
            "eventType": kind,
            "eventTime": time,
            "producer": self._producer,
            "schemaURL": _EVENT_SCHEMA,
            "run": {"runId": key, "facets": self._run_facets(activity, whole=with_data)},
            "job": self._job(activity["name"]),
        }
        if self._agents.get(key):
            owners = [self._owner(agent) for agent in self._agents[key]]
            event["job"]["facets"] = {"ownership": self._facet(_OWNERS_SCHEMA, owners=owners)}
        if with_data:
            event["inputs"] = [
                self._dataset(e, "inputFacets", uses) for e, uses in self._used[key].items()
            ]
            event["outputs"] = [
                self._dataset(e, "outputFacets", uses) for e, uses in self._generated[key].items()
            ]
        return event

    def _assessment(self, activity: Mapping[str, Any], row: Mapping[str, Any]) -> JSONObject:
        """Return the event of who said something of products: they are its inputs."""
        event = self._event(activity, "COMPLETE", row["at"], with_data=True)
        said = assessment_facet(row)
        event["run"]["facets"][ASSESSMENT_FACET] = self._facet(_OWN_SCHEMA, **said)
        for told in row["entities"]:
            dataset = self._dataset(told["id"])
            assertions = self._facet(_ASSERTIONS_SCHEMA, assertions=[assertion_of(row, told)])
            dataset["inputFacets"] = {"dataQualityAssertions": assertions}
            event["inputs"].append(dataset)
        return event

    def _owner(self, agent: JSONObject) -> JSONObject:
        return {"name": agent["id"], "type": agent.get("role") or "owner"}

    def _job(self, name: str | None) -> JSONObject:
        return {"namespace": NAMESPACE, "name": name or "unnamed"}

    def _run_facets(self, activity: Mapping[str, Any], *, whole: bool) -> JSONObject:
        """Return what is known of a run; the event of its start has only which run it is."""
        said = {k: activity[k] for k in RUN_FIELDS if activity.get(k) not in (None, False)}
        settings = said.get("configuration")
        facets: JSONObject = {}
        if whole:
            for row in (self._surroundings[i] for i in activity.get("ran_in", ())):
                key = "hostDetails" if row["kind"] == "host" else row["kind"]
                said[key] = row["content"]
            if self._agents.get(activity["id"]):
                said["agents"] = self._agents[activity["id"]]
            if settings:
                listed = [{"key": k, "value": _text(v)} for k, v in settings.items() if k]
                facets["executionParameters"] = self._facet(_SETTINGS_SCHEMA, parameters=listed)
        else:
            said.pop("configuration", None)
        if said:
            facets[RUN_FACET] = self._facet(_OWN_SCHEMA, **said)
        outer = self._outer.get(activity["id"])
        if outer is not None:
            run, job = {"runId": outer}, self._job(self._names.get(outer))
            facets["parent"] = self._facet(_PARENT_SCHEMA, run=run, job=job)
        return facets

    def _facet(self, schema: str, **said: Any) -> JSONObject:  # Any: free-form JSON
        return {"_producer": self._producer, "_schemaURL": schema, **said}

    def _dataset(self, key: str, side: str = "", uses: Sequence[JSONObject] = ()) -> JSONObject:
        entity = self._entities[key]
        namespace, name = name_of(entity["location"] or "") or (NAMESPACE, f"urn:uuid:{key}")
        identity = self._facet(
            _OWN_SCHEMA,
            digests=_all(entity, "digest"),
            productIds=_all(entity, "product_id"),
            locations=_all(entity, "location"),
            **{k: v for n, k in ENTITY_FIELDS.items() if (v := entity.get(n)) is not None},
        )
        is_named = identity["digests"] or identity["productIds"] or identity["locations"]
        if not is_named or key in self._assessed:
            identity["productIds"] = [*identity["productIds"], f"urn:uuid:{key}"]
        if self._agents.get(key):
            identity["attributedTo"] = self._agents[key]
        dataset: JSONObject = {
            "namespace": namespace,
            "name": name,
            "facets": {ENTITY_FACET: identity},
        }
        if any(uses):
            dataset[side] = {USE_FACET: self._facet(_OWN_SCHEMA, uses=list(uses))}
        return dataset


def _use(flow: Mapping[str, Any]) -> JSONObject:
    said = {"role": flow["role"], "at": flow.get("time")}
    return {key: value for key, value in said.items() if value}


def _all(entity: Mapping[str, Any], name: str) -> list[str]:
    one = entity.get(name)
    return list(entity.get(f"{name}s") or ([one] if one else ()))


def _text(value: Any) -> str:  # Any: a JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
