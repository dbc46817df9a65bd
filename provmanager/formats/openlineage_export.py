"""A lineage, as the server gives it, as OpenLineage run events (2.0.2), one a line.

An activity is a run: a START event where its start is known, and one with its inputs and outputs
that says how it ended (COMPLETE, FAIL, ABORT), or that it runs; one of which no time is known has
an event OTHER at the time of the export. What OpenLineage has no word for stands in two facets of
our own: what identifies an entity beyond its name, and a run's version, host and exit code.
`openlineage` reads both again, so that the record that comes of it has the same runs and products.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from .openlineage import ENTITY_FACET, RUN_FACET
from .openlineage_names import NAMESPACE, name_of

JSONObject = dict[str, Any]  # Any: free-form JSON

_SPEC = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PARENT_SCHEMA = f"{_SPEC}/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
_OWN_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/BaseFacet"
_ENDS = {"completed": "COMPLETE", "error": "FAIL", "interrupted": "ABORT"}
_RUN_FIELDS = ("version", "type", "host", "exit_code", "is_claim")


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
        self._used: dict[str, dict[str, None]] = defaultdict(dict)
        self._generated: dict[str, dict[str, None]] = defaultdict(dict)
        self._outer: dict[str, str] = {}
        for flow in lineage["used"]:
            self._used[flow["activity"]][flow["entity"]] = None
        for flow in lineage["generated"]:
            self._generated[flow["activity"]][flow["entity"]] = None
        for part in lineage.get("parts", ()):
            self._outer.setdefault(part["activity"], part["part_of"])

    def events(self, activity: Mapping[str, Any]) -> Iterator[JSONObject]:
        """Yield the events of one run."""
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
            "run": {"runId": key, "facets": self._run_facets(activity)},
            "job": self._job(activity["name"]),
        }
        if with_data:
            event["inputs"] = [self._dataset(e) for e in self._used[key]]
            event["outputs"] = [self._dataset(e) for e in self._generated[key]]
        return event

    def _job(self, name: str | None) -> JSONObject:
        return {"namespace": NAMESPACE, "name": name or "unnamed"}

    def _run_facets(self, activity: Mapping[str, Any]) -> JSONObject:
        said = {k: activity[k] for k in _RUN_FIELDS if activity.get(k) not in (None, False)}
        facets = {RUN_FACET: self._facet(_OWN_SCHEMA, **said)} if said else {}
        outer = self._outer.get(activity["id"])
        if outer is not None:
            run, job = {"runId": outer}, self._job(self._names.get(outer))
            facets["parent"] = self._facet(_PARENT_SCHEMA, run=run, job=job)
        return facets

    def _facet(self, schema: str, **said: Any) -> JSONObject:  # Any: free-form JSON
        return {"_producer": self._producer, "_schemaURL": schema, **said}

    def _dataset(self, key: str) -> JSONObject:
        entity = self._entities[key]
        namespace, name = name_of(entity["location"] or "") or (NAMESPACE, f"urn:uuid:{key}")
        identity = self._facet(
            _OWN_SCHEMA,
            digests=[entity["digest"]] if entity["digest"] else [],
            productIds=[entity["product_id"]] if entity["product_id"] else [],
            locations=[entity["location"]] if entity["location"] else [],
            **{k: v for k in ("name", "kind", "value") if (v := entity[k]) is not None},
        )
        if not (identity["digests"] or identity["productIds"] or identity["locations"]):
            identity["productIds"] = [f"urn:uuid:{key}"]
        return {"namespace": namespace, "name": name, "facets": {ENTITY_FACET: identity}}
