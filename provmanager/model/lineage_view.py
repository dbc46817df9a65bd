"""What of a class summary is shown: only the failures and where they lead, and never too much.

A summary is the JSON of ``GET /v1/lineage/summary``: ``boxes`` and the ``arrows`` between them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from .graphs import reachable

Summary = Mapping[str, Any]  # Any: the JSON of GET /v1/lineage/summary
Box = Mapping[str, Any]  # Any: one of its boxes

MAX_BOXES = 60
"""More boxes than this are not drawn: nobody reads such a picture."""

FAILED = ("error", "interrupted")


def has_failed(box: Box) -> bool:
    """Whether an activity of this box failed or was interrupted."""
    statuses = box.get("statuses") or {}
    return any(statuses.get(word) for word in FAILED)


def only_failed(summary: Summary) -> dict[str, Any]:
    """Return the boxes with failures, and those on the ways between them and the focus."""
    ahead, back = _neighbours(summary)
    failed: list[str] = [box["id"] for box in summary["boxes"] if has_failed(box)]
    focus: list[str] = [box["id"] for box in summary["boxes"] if box.get("is_focus")]
    after, before = reachable(failed, ahead), reachable(failed, back)
    upstream, downstream = reachable(focus, back), reachable(focus, ahead)
    ways = [key for key in after if key in upstream] + [key for key in before if key in downstream]
    return _kept(summary, {*failed, *focus, *ways})


def capped(summary: Summary, most: int = MAX_BOXES) -> dict[str, Any]:
    """Return the `most` boxes that are nearest to the focus; ``n_left_out`` counts the others.

    What is pinned stays.
    """
    ahead, back = _neighbours(summary)
    both = {key: [*ahead[key], *back[key]] for key in {*ahead, *back}}
    first = [b["id"] for b in summary["boxes"] if b.get("is_focus")]
    first += [b["id"] for b in summary["boxes"] if b.get("is_pinned")]
    near = list(reachable(first, both))
    near += [b["id"] for b in summary["boxes"] if b["id"] not in set(near)]
    found = _kept(summary, set(near[:most]))
    found["n_left_out"] = len(summary["boxes"]) - len(found["boxes"])
    return found


def _neighbours(summary: Summary) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    ahead: dict[str, list[str]] = defaultdict(list)
    back: dict[str, list[str]] = defaultdict(list)
    for arrow in summary["arrows"]:
        ahead[arrow["source"]].append(arrow["target"])
        back[arrow["target"]].append(arrow["source"])
    return ahead, back


def _kept(summary: Summary, keys: set[str]) -> dict[str, Any]:
    boxes: Sequence[Box] = summary["boxes"]
    return {
        **summary,
        "boxes": [box for box in boxes if box["id"] in keys],
        "arrows": [a for a in summary["arrows"] if a["source"] in keys and a["target"] in keys],
    }
