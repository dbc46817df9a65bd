"""Descriptions of activities: what is there, and documents that say something new."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from provmanager.errors import DocumentError, JSONDict
from provmanager.formats.description_document import to_json
from provmanager.ids import canonical_json
from provmanager.model import ActivityDescription, DescriptionDocument, Role
from provmanager.store import descriptions as store
from provmanager.store import writing

from .ingest import IngestPolicy, Outcome, Reading, Source, read_sources, record_read
from .trace import iso

_NAME = "descriptions.json"


def all_descriptions(session: Session) -> DescriptionDocument:
    """Return every description of the record, as one document."""
    return DescriptionDocument(
        entities=tuple(store.entity_descriptions(session)),
        activities=tuple(store.activity_descriptions(session)),
    )


def description_of(session: Session, name: str | None, version: str | None) -> JSONDict | None:
    """Return the description of an activity: of its version, else of any version, else None."""
    if name is None:
        return None
    found = {d.version: d for d in store.activity_descriptions(session, name=name)}
    description = found.get(version) or found.get(None)
    if description is None:
        return None
    activity: JSONDict = to_json(DescriptionDocument(activities=(description,)))["activities"][0]
    return activity


def versions_of(session: Session, name: str) -> list[JSONDict]:
    """Return the descriptions of activities called `name`, by version, and who said it when.

    That is ``said``: the document's SHA-256, when it says that it was stated, and who sent it.
    """
    held = tuple(store.activity_descriptions(session, name=name))
    told = {row["version"]: row for row in store.documents_of(session, name)}
    return [
        described
        | {
            "said": {
                "document": (row := told[described.get("version") or ""])["document"],
                "at": iso(row["stated_at"]),
                "by": row["received_from"],
            }
        }
        for described in to_json(DescriptionDocument(activities=held)).get("activities", [])
    ]


def save_descriptions(
    session: Session,
    document: DescriptionDocument,
    *,
    policy: IngestPolicy,
    by: str | None,
    dry_run: bool = False,
) -> JSONDict:
    """Record the descriptions of `document` and say of each whether it is new, changed or neither.

    They hold from now on, whatever instant the document names; those that it does not have stay as
    they are. If there is something new they are a document of the record like any other.

    Parameters
    ----------
    by : str or None
        Name of the sender's token.

    Raises
    ------
    DocumentError
        A usage or generation names an entity description that is nowhere.
    """
    writing.lock_writers(session)
    held = all_descriptions(session)
    reading = _to_record(session, document, policy, by)
    document = reading.document.descriptions or document
    entities = {e.name: e for e in held.entities}
    activities = {(a.name, a.version): a for a in held.activities}
    _check_names(document, {*entities, *(e.name for e in document.entities)})
    items = [
        _outcome("EntityDescription", e.name, None, entities.get(e.name), e)
        for e in document.entities
    ]
    items += [
        _outcome(
            "ActivityDescription",
            a.name,
            a.version,
            activities.get((a.name, a.version)),
            _sorted(a),
        )
        for a in document.activities
    ]
    if dry_run or all(item["outcome"] == "unchanged" for item in items):
        return {"items": items, "document": None}
    _record(session, reading, policy)
    return {"items": items, "document": reading.sha256}


def document_earlier(session: Session, *, policy: IngestPolicy) -> bool:
    """Make a document of the descriptions of a record from when they were none; tell if so."""
    if not store.are_undocumented(session):
        return False
    writing.lock_writers(session)
    _record(session, _to_record(session, all_descriptions(session), policy, None), policy)
    return True


def _to_record(
    session: Session, document: DescriptionDocument, policy: IngestPolicy, by: str | None
) -> Reading:
    """Return the document that says this now, later than all that was said before."""
    now, last = datetime.now(UTC), store.last_stated(session)
    if last is not None:
        now = max(now, last + timedelta(microseconds=1))
    data = canonical_json(to_json(replace(document, stated_at=now)))
    source = Source(data, _NAME, by, role=Role.CURATOR)
    (item,) = read_sources([source], policy=policy)
    if isinstance(item, Outcome):
        raise item.error or AssertionError(item)
    return item


def _record(session: Session, reading: Reading, policy: IngestPolicy) -> None:
    (outcome,) = record_read(session, [reading], policy=policy)
    if outcome.error is not None:
        raise outcome.error


def _sorted(a: ActivityDescription) -> ActivityDescription:
    """Return `a` with its parts in the order in which the store gives them back."""
    return ActivityDescription(
        name=a.name,
        version=a.version,
        description=a.description,
        docurl=a.docurl,
        type=a.type,
        subtype=a.subtype,
        usages=tuple(sorted(a.usages, key=lambda f: f.role)),
        generations=tuple(sorted(a.generations, key=lambda f: f.role)),
        parameters=tuple(sorted(a.parameters, key=lambda p: p.name)),
        config_files=tuple(sorted(a.config_files, key=lambda c: c.name)),
    )


def _check_names(document: DescriptionDocument, known: set[str]) -> None:
    for i, a in enumerate(document.activities):
        for part in ("usages", "generations"):
            for j, flow in enumerate(getattr(a, part)):
                if flow.entity_description and flow.entity_description not in known:
                    pointer = f"/activities/{i}/{part}/{j}/entity_description"
                    raise DocumentError(
                        f"{pointer}: no entity description is called "
                        f"{flow.entity_description!r}; describe it under `entities`",
                        pointer=pointer,
                        found=flow.entity_description,
                        expected=sorted(known)[:20],
                    )


def _outcome(kind: str, name: str, version: str | None, held: Any, said: Any) -> JSONDict:
    """Return what a description changes. (Any: two descriptions of one class, or None.)"""
    if held is None:
        outcome, changes = "new", []
    else:
        changes = [
            {
                "field": f.name,
                "from": _shown(getattr(held, f.name)),
                "to": _shown(getattr(said, f.name)),
            }
            for f in fields(said)
            if getattr(held, f.name) != getattr(said, f.name)
        ]
        outcome = "changed" if changes else "unchanged"
    return {"kind": kind, "name": name, "version": version, "outcome": outcome, "changes": changes}


def _shown(value: Any) -> Any:  # Any: a field of a description, as JSON
    if isinstance(value, tuple):
        return [
            v if isinstance(v, str) else {f.name: getattr(v, f.name) for f in fields(v)}
            for v in value
        ]
    return value
