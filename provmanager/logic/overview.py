"""What an auditor reads of one product or activity: what is known of it, and what is not."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import AmbiguousError, JSONDict, NotFoundError
from provmanager.model import ParameterDescription
from provmanager.model.configuration import against_defaults
from provmanager.model.lineage_view import MAX_BOXES, capped, has_failed, only_failed

from . import assessments, listing
from .describe import describe_activity, describe_entity
from .pictures import pictures_of
from .references import find
from .search import ActivityFilter, find_activities, find_products
from .summary import Grouping, summary
from .trace import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a person wants to see a lineage; all of it stands in the address of the page."""

    direction: Direction = "up"
    depth: int | None = None
    grouping: Grouping = "name"
    only_failed: bool = False
    as_table: bool = False
    pin: UUID | None = None


def product_overview(
    session: Session, uuid: UUID, view: View, *, picture_root: Path | None = None
) -> JSONDict:
    """Return a product with its badges, producer, configuration, lineage and uses.

    Raises
    ------
    NotFoundError
        There is no such product, or no such pinned record.
    """
    product = describe_entity(session, uuid)
    producer = product["produced_by"]
    run = describe_activity(session, UUID(producer["activity"])) if producer else None
    lineage, upstream = _lineage(session, product["id"], view)
    settings = run_settings(run) if run else []
    newer = _newer(session, product)
    return {
        "page": "product",
        **product,
        "badges": [
            *_product_badges(product, newer),
            *_lineage_badges(upstream),
            *_assessment_badges(upstream, assessments.of_upstream(session, product["id"])),
            *_settings_badges(settings),
            *_contradiction_badges(product),
            *_validity_badges(product),
        ],
        "newer": newer,
        "producer": _without_lists(run) if run else None,
        "software": software(run, upstream) if run else None,
        "settings": settings,
        "lineage": lineage,
        "inputs": listing.related(session, UUID(run["id"]), "inputs", limit=10) if run else None,
        "users": listing.related(session, UUID(product["id"]), "users", limit=20),
        "pictures": pictures_of(run, picture_root),
    }


def activity_overview(session: Session, uuid: UUID, view: View) -> JSONDict:
    """Return an activity with its badges, configuration, lineage, inputs, outputs and parts.

    Raises
    ------
    NotFoundError
        There is no such activity, or no such pinned record.
    """
    run = describe_activity(session, uuid)
    lineage, upstream = _lineage(session, str(uuid), view)
    settings = run_settings(run)
    parts = listing.related(session, uuid, "parts", limit=20)
    key = find(session, str(uuid)).key
    return {
        "page": "activity",
        **_without_lists(run),
        "badges": [
            *_activity_badges(run),
            *_lineage_badges(upstream),
            *_assessment_badges(upstream, assessments.of_upstream(session, str(uuid))),
            *_settings_badges(settings),
            *_contradiction_badges(run),
            *_validity_badges(run),
        ],
        "duration_s": duration_s(run["started_at"], run["ended_at"]),
        "software": software(run, upstream),
        "settings": settings,
        "lineage": lineage,
        "inputs": listing.related(session, uuid, "inputs", limit=20),
        "outputs": listing.related(session, uuid, "outputs", limit=20),
        "parts": parts,
        "part_statuses": listing.part_statuses(session, key) if parts["total"] else {},
    }


def comparable(session: Session, ref: str) -> JSONDict:
    """Return what `ref` names, and what it may be compared with: the newest of its like."""
    found = find(session, ref)
    kind = "activities" if found.kind == "activity" else "products"
    if found.kind == "activity":
        like = find_activities(session, ActivityFilter(name=found.name), limit=20)["items"]
    else:
        producer = describe_entity(session, found.uuid)["produced_by"]
        suffix = re.search(r"\.[A-Za-z].*$", found.name or "")
        like = find_products(
            session,
            ActivityFilter(name=producer["name"] if producer else None),
            product=f"*{suffix[0]}" if suffix else None,
            limit=20,
        )["items"]
    others = [item for item in like if item["id"] != str(found.uuid)]
    return {"of": found.to_wire(), "kind": kind, "items": others}


def impact(session: Session, ref: str, view: View) -> JSONDict:
    """Return everything downstream of something, by step and status.

    Raises
    ------
    NotFoundError, AmbiguousError
        Nothing, or several things, answer to `ref`.
    """
    found = summary(session, ref, direction="down", depth=view.depth, grouping=view.grouping)
    boxes = [box for box in found["boxes"] if not box["is_focus"]]
    by_kind: dict[str, list[JSONDict]] = {"activity": [], "product": []}
    for box in sorted(boxes, key=lambda b: (b["first_at"] or "", b["name"] or "")):
        by_kind[box["kind"]].append(box)
    totals: dict[str, int] = {}
    for box in by_kind["activity"]:
        for word, n in box["statuses"].items():
            totals[word] = totals.get(word, 0) + n
    return {
        "page": "impact",
        "focus": found["focus"],
        "steps": by_kind["activity"],
        "products": by_kind["product"],
        "statuses": totals,
        "counts": {
            "activities": sum(b["count"] for b in by_kind["activity"]),
            "products": sum(b["count"] for b in by_kind["product"]),
        },
        "lineage": _shown(found, view),
    }


def _lineage(session: Session, ref: str, view: View) -> tuple[JSONDict, JSONDict]:
    """Return the lineage as it is to be shown, and all that lies upstream."""
    found = summary(
        session,
        ref,
        direction=view.direction,
        depth=view.depth,
        grouping=view.grouping,
        pin=str(view.pin) if view.pin else None,
    )
    is_whole = view.direction == "up" and view.depth is None
    return _shown(found, view), found if is_whole else summary(session, ref)


def _shown(found: JSONDict, view: View) -> JSONDict:
    n_boxes = len(found["boxes"])
    kept = capped(only_failed(found) if view.only_failed else found, MAX_BOXES)
    return {
        **kept,
        "n_boxes": n_boxes,
        "max_boxes": MAX_BOXES,
        "only_failed": view.only_failed,
        "as_table": view.as_table,
    }


def _badge(state: str, text: str, detail: str) -> JSONDict:
    return {"state": state, "text": text, "detail": detail}


def _product_badges(product: JSONDict, newer: JSONDict | None) -> Iterable[JSONDict]:
    for told in product["assessments"]:
        if told["kind"] == "invalidation" and told["revoked_by"] is None:
            yield _badge("bad", "Marked invalid", f"{told['reason']} ({told['assessed_at'][:10]})")
            break
    if newer:
        yield _badge("warn", "Superseded", "its location was written again: see the newer version")
    elif product["invalidated_at"]:
        yield _badge("warn", "Invalidated", f"it ended to be valid at {product['invalidated_at']}")
    producer = product["produced_by"]
    if producer is None:
        yield _badge("plain", "No producer recorded", "raw data, or a run that was never recorded")
    elif producer["status"] in ("error", "interrupted"):
        yield _badge("bad", f"Its run ended with {producer['status']}",
                     "the activity that generated it did not complete")  # fmt: skip


def _activity_badges(run: JSONDict) -> Iterable[JSONDict]:
    status = run["status"]
    code = "" if run["exit_code"] is None else f", exit code {run['exit_code']}"
    state = {"completed": "good", "error": "bad", "interrupted": "bad"}.get(status, "plain")
    yield _badge(state, f"{status}{code}", "how the activity ended")
    if run["is_claim"]:
        yield _badge("warn", "Only claimed", "a product's metadata names it; its record never came")
    if run["description"] is None and run["name"]:
        yield _badge("plain", "Undescribed", "no description says what it is expected to do")


def _lineage_badges(upstream: JSONDict) -> Iterable[JSONDict]:
    """Say how whole the history is, and only what the record knows of it."""
    runs = [box for box in upstream["boxes"] if box["kind"] == "activity"]
    n_claimed = sum(box["claimed"] for box in runs)
    n_open = sum(box["statuses"].get("running", 0) for box in runs)
    n_failed = sum(
        box["statuses"].get(word, 0)
        for box in runs
        if has_failed(box) and not box["is_focus"]
        for word in ("error", "interrupted")
    )
    n_roots = upstream["counts"]["roots"]
    if upstream["truncated"]:
        yield _badge("warn", "Lineage cut", "it has more activities than are followed")
    elif n_claimed:
        told = f"{n_claimed} of its runs are only claimed: their records never came"
        yield _badge("bad", "Lineage incomplete", told)
    elif n_open:
        yield _badge("warn", "Lineage open", f"{n_open} of its runs were not recorded as ended")
    elif runs:
        back = f"every run is recorded, back to {n_roots} that nothing recorded generated"
        yield _badge("good", "Lineage complete", back)
    if n_failed:
        yield _badge("bad", f"{n_failed} failed upstream", "runs in its history did not complete")


def _assessment_badges(upstream: JSONDict, told: JSONDict) -> Iterable[JSONDict]:
    """Say what is known of the files of a history, and what somebody said of them."""
    if told["invalid"]:
        reasons = "; ".join(told["reasons"][:3])
        yield _badge("bad", f"{told['invalid']} invalid upstream", f"marked as invalid: {reasons}")
    products = [box for box in upstream["boxes"] if box["kind"] == "product"]
    n_digests = sum(box["digests"] for box in products)
    n_products = sum(box["count"] for box in products)
    verified = told["verified"]
    if verified:
        n_ok, n_wrong = verified.get("ok", 0), verified.get("differs", 0)
        others = f", {n_wrong} differ" if n_wrong else ""
        yield _badge(
            "bad" if n_wrong else "good" if n_ok == n_products else "warn",
            f"Digests verified {n_ok} of {n_products}{others}, {told['newest'][:10]}",
            f"files held against the recorded digests by prod-verify, last at {told['newest']}; "
            f"{n_digests} have a recorded digest",
        )
    elif n_products:
        yield _badge(
            "plain" if n_digests else "warn",
            f"Digests {n_digests} of {n_products}",
            "products in its history with a recorded digest; nobody recorded a check of the files",
        )


def _settings_badges(settings: Iterable[JSONDict]) -> Iterable[JSONDict]:
    n = sum(setting["state"] == "differs" for setting in settings)
    if n:
        yield _badge("warn", f"{n} not default", "settings that differ from the description's")


def _contradiction_badges(record: JSONDict) -> Iterable[JSONDict]:
    n = len(record["contradictions"])
    if n:
        yield _badge("bad", f"{n} contradiction{'s' if n > 1 else ''}", "documents disagree on it")


def _validity_badges(record: JSONDict) -> Iterable[JSONDict]:
    violated = [d for d in record["documents"] if d["violations"]]
    if violated:
        n = sum(d["violations"] for d in violated)
        rules = dict.fromkeys(r["number"] or r["name"] for d in violated for r in d["rules"])
        told = ", ".join(str(rule) for rule in list(rules)[:5])
        detail = f"what told of it breaks rules of W3C PROV-CONSTRAINTS: {told}"
        yield _badge("warn", f"Violates PROV-CONSTRAINTS {n}", detail)


def run_settings(run: JSONDict) -> list[JSONDict]:
    """Return the configuration of a run beside its description, what differs first."""
    described = run["description"] or {}
    parameters = [
        ParameterDescription(
            name=p["name"],
            value_type=p["value_type"],
            default=p.get("default"),
            unit=p.get("unit"),
            description=p.get("description"),
        )
        for p in described.get("parameters", ())
    ]
    return [asdict(s) for s in against_defaults(run["configuration"] or {}, parameters)]


def software(run: JSONDict, upstream: JSONDict) -> JSONDict:
    """Return what a run ran with, and the steps of its history that ran in several versions."""
    environment = run["environment"] or {}
    versions: dict[str, set[str]] = {}
    for box in upstream["boxes"]:
        if box["kind"] == "activity":
            versions.setdefault(str(box["name"]), set()).update(box["versions"])
    return {
        "name": run["name"],
        "version": run["version"],
        "python": _python(environment),
        "packages": [p for p in environment.get("packages") or () if isinstance(p, Mapping)],
        "container": run["container"],
        "environment_sha256": run["environment_sha256"],
        "several_versions": {n: sorted(vs) for n, vs in sorted(versions.items()) if len(vs) > 1},
    }


def _python(environment: JSONDict) -> str | None:
    """Return the version of Python, which tools write as text or as a list of its parts."""
    python = environment.get("python")
    version = python.get("version") if isinstance(python, Mapping) else None
    if isinstance(version, list):
        return ".".join(str(part) for part in version)
    return str(version) if version else None


def _newer(session: Session, product: JSONDict) -> JSONDict | None:
    """Return what stands now where an invalidated product lay."""
    if not product["invalidated_at"]:
        return None
    for location in product["locations"][:1]:
        try:
            found = find(session, location)
        except (NotFoundError, AmbiguousError):
            continue
        if found.kind == "entity" and str(found.uuid) != product["id"]:
            return found.to_wire()
    return None


def duration_s(started: str | None, ended: str | None) -> float | None:
    """Return how long something took, in seconds."""
    if not started or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _without_lists(run: JSONDict) -> JSONDict:
    """Return a run without what stands elsewhere on its page, page by page."""
    left = ("used", "generated", "parts", "configuration")
    return {name: value for name, value in run.items() if name not in left}
