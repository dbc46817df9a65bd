"""Addresses of the pages, with all that they show in them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode


def address(path: str, **parameters: Any) -> str:  # Any: text, numbers
    """Return `path` with those parameters that are not None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def product(record_id: str) -> str:
    """Return the address of a product's page."""
    return f"/product/{quote(record_id, safe='')}"


def activity(record_id: str) -> str:
    """Return the address of an activity's page."""
    return f"/activity/{quote(record_id, safe='')}"


def record(kind: str, record_id: str) -> str:
    """Return the address of a record's page; `kind` is ``activity``, or else a product."""
    return activity(record_id) if kind == "activity" else product(record_id)


def agent(iri: str) -> str:
    """Return the address of an agent's page."""
    return address("/agent", iri=iri)


def description(name: str) -> str:
    """Return the address of the description of activities of a name."""
    return address("/description", name=name)


def job(system: str | None, job_id: str) -> str:
    """Return the address of a job's page."""
    return address("/job", system=system, id=job_id)


def production(name: str) -> str:
    """Return the address of a production's page."""
    return address("/production", name=name)


def related(record_id: str, relation: str) -> str:
    """Return the address of the list of what a record has to do with."""
    return f"/list/{quote(relation, safe='')}/{quote(record_id, safe='')}"


def leaf(document_sha256: str) -> str:
    """Return the address of the leaf of a document in the log."""
    return f"/log/document/{quote(document_sha256, safe='')}"


def checkpoint(size: int) -> str:
    """Return the address of a checkpoint of the log."""
    return f"/log/{size}"


def same(path: str, query: str, **changes: Any) -> str:  # Any: text, numbers
    """Return this page's address with other parameters; None leaves one out."""
    held = [(name, value) for name, value in parse_qsl(query) if name not in changes]
    held += [(name, str(value)) for name, value in changes.items() if value is not None]
    return f"{path}?{urlencode(held)}" if held else path


class ViewLinks:
    """Addresses of one lineage: of its other views, and of what its boxes stand for.

    Parameters
    ----------
    lineage : JSON object
        The lineage that is shown.
    path : str
        Address of the page that shows it.
    """

    def __init__(self, lineage: Mapping[str, Any], path: str) -> None:
        self._lineage = lineage
        self._path = path
        self._focus = lineage["focus"]["id"]

    def _state(self) -> dict[str, Any]:
        held = self._lineage
        pinned = held.get("pinned")
        return {
            "direction": held["direction"] if held["direction"] != "up" else None,
            "depth": held["depth"],
            "group": held["grouping"] if held["grouping"] != "name" else None,
            "only": "failed" if held["only_failed"] else None,
            "as": "table" if held["as_table"] else None,
            "pin": pinned["id"] if pinned else None,
        }

    def other(self, **changes: Any) -> str:
        """Return the address of this page with another view of the lineage."""
        return address(self._path, **{**self._state(), **changes}) + "#lineage"

    def rows(self) -> list[Mapping[str, Any]]:
        """Return the boxes as they stand in a table: what is oldest first, undated ones before."""
        return sorted(self._lineage["boxes"], key=lambda b: (b["first_at"] or "", b["kind"]))

    def of_box(self, box: Mapping[str, Any]) -> str | None:
        """Return where a box leads: to its record, or to the table of its records."""
        if box.get("is_focus"):
            return None
        if box.get("record"):
            return record(box["kind"], box["record"])
        return self.of_group(box)

    def of_group(self, box: Mapping[str, Any]) -> str:
        """Return the address of the table of a box's records."""
        held, what = self._lineage, box["class"]
        return address(
            f"/group/{self._focus}",
            kind=box["kind"],
            step=what["step"],
            detail=what["detail"],
            extension=what.get("extension") or None,
            direction=held["direction"] if held["direction"] != "up" else None,
            depth=held["depth"],
            group=held["grouping"] if held["grouping"] != "name" else None,
        )
