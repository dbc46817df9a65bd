"""Descriptions of activities: what is there, what a document of them changes."""

from dataclasses import fields
from typing import Any

from sqlalchemy.orm import Session

from provmanager.errors import DocumentError, JSONDict
from provmanager.formats.description_document import DescriptionDocument, to_json
from provmanager.model import ActivityDescription
from provmanager.store import descriptions as store
from provmanager.store import writing


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


def save_descriptions(
    session: Session, document: DescriptionDocument, *, dry_run: bool = False
) -> JSONDict:
    """Write the descriptions of `document` and say of each whether it is new, changed or neither.

    Those that the document does not have stay as they are.

    Raises
    ------
    DocumentError
        A usage or generation names an entity description that is nowhere.
    """
    writing.lock_writers(session)
    held = all_descriptions(session)
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
    if not dry_run:
        store.save_entities(session, [e for e in document.entities if entities.get(e.name) != e])
        for a in document.activities:
            if activities.get((a.name, a.version)) != _sorted(a):
                store.save_activity(session, a)
    return {"items": items}


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
