"""The class summary of a lineage as an SVG picture that prints, scales and can be read aloud.

No script, no font file, no outside reference. Status is told by a sign and a word as well as by a
colour; light and dark follow the reader's system.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from provmanager.errors import UsageError
from provmanager.model.layout import Layout, Place, Point, Size, arrange, without_cycles

Summary = Mapping[str, Any]  # Any: the JSON of GET /v1/lineage/summary
Box = Mapping[str, Any]  # Any: one of its boxes
LinkOf = Callable[[Box], str | None]

MAX_BOXES = 300
"""More boxes than this make a picture that nobody can read (measured: docs, "lineage pages")."""

SIGNS = {"completed": "✓", "error": "✗", "interrupted": "⊘", "running": "▸", "unknown": "?"}
"""The sign of each status, so that colour is never alone."""

_LINE_PX = 17
_PAD_PX = 10
_CHAR_PX = 7.6  # 13 px system fonts are 6.5 to 7.5 px a character wide on average,
_BOLD_PX = 8.7  # and bold ones up to 8.6 (DejaVu Sans, the widest in common use)
_MAX_CHARS = 30
_GAP_PX = 44.0
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\ud800-\udfff\ufffe\uffff\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)
_FEW_ARROWS = 5  # more arrows than this into one box, and their counts would hide each other
STYLE = """
.lg{color-scheme:light dark;font:13px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.lg text{fill:#1b1f24}
.lg .lg-dim{fill:#57606a;font-size:12px}
.lg .lg-name{font-weight:600}
.lg rect{stroke:#57606a;stroke-width:1}
.lg .lg-activity rect{fill:#ddeaf7}
.lg .lg-product rect{fill:#fff8dc}
.lg .lg-bad rect{stroke:#b3261e;stroke-width:2.5}
.lg .lg-bad .lg-status{fill:#b3261e;font-weight:600}
.lg .lg-focus rect{stroke:#0b57d0;stroke-width:3.5}
.lg .lg-between rect{stroke:#7a3fb0;stroke-width:2}
.lg .lg-pinned rect{stroke:#7a3fb0;stroke-width:3;stroke-dasharray:7 3}
.lg .lg-lit .lg-arrow{stroke:#0b57d0;stroke-width:2.5}
.lg .lg-arrow{fill:none;stroke:#6e7781;stroke-width:1.4}
.lg .lg-head{fill:#6e7781}
.lg .lg-count{fill:#57606a;font-size:11px;text-anchor:end}
.lg a:hover rect,.lg a:focus rect{stroke:#0b57d0;stroke-width:3}
@media (prefers-color-scheme:dark){
.lg text{fill:#e6edf3}
.lg .lg-dim,.lg .lg-count{fill:#9da7b1}
.lg rect{stroke:#8b949e}
.lg .lg-activity rect{fill:#1c3149}
.lg .lg-product rect{fill:#3b3416}
.lg .lg-bad rect{stroke:#ff7b72}
.lg .lg-bad .lg-status{fill:#ff7b72}
.lg .lg-focus rect{stroke:#79b8ff}
.lg .lg-between rect,.lg .lg-pinned rect{stroke:#d2a8ff}
.lg .lg-arrow{stroke:#8b949e}
.lg .lg-lit .lg-arrow{stroke:#79b8ff}
.lg .lg-head{fill:#8b949e}
}
"""


def render_svg(
    summary: Summary,
    *,
    link: LinkOf | None = None,
    title: str | None = None,
    prefix: str = "lineage",
) -> str:
    """Return the summary as one SVG document.

    Parameters
    ----------
    link
        Where a box leads when it is clicked; None for a box that leads nowhere.
    title
        Name of the picture; by default it names the focus.
    prefix
        Start of the ids inside, so that several pictures can stand on one page.

    Raises
    ------
    UsageError
        The summary has more than `MAX_BOXES` boxes.
    """
    boxes = list(summary["boxes"])
    if len(boxes) > MAX_BOXES:
        raise UsageError(
            f"the summary has {len(boxes)} boxes, and a drawing of more than {MAX_BOXES} cannot be "
            "read; ask for less (a depth, one direction) or for a table",
            found=len(boxes),
            expected=f"at most {MAX_BOXES}",
        )
    boxes, arrows = _acyclic(boxes, list(summary["arrows"]))
    texts = {box["id"]: _lines(box) for box in boxes}
    sizes = {box["id"]: _size(texts[box["id"]]) for box in boxes}
    layout = arrange(sizes, [(a["source"], a["target"]) for a in arrows], gap_x=_GAP_PX)
    name = title or f"Lineage of {summary['focus'].get('name') or summary['focus']['id']}"
    parts = [
        _head(layout, prefix, has_links=link is not None),
        f'<title id="{prefix}-title">{_text(name)}</title>',
        f'<desc id="{prefix}-desc">{_text(_described(boxes, arrows))}</desc>',
        f"<style>{STYLE}</style>",
        f'<defs><marker id="{prefix}-head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path class="lg-head" d="M0 0 8 4 0 8z"/></marker></defs>',
        *_arrows(arrows, layout, prefix),
        *(_box(box, texts[box["id"]], layout.places[box["id"]], link) for box in boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _head(layout: Layout, prefix: str, *, has_links: bool) -> str:
    # What is inside role="img" is hidden from assistive technology, links too; hence "group".
    role = "group" if has_links else "img"
    size = f'width="{layout.width:.0f}" height="{layout.height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lg" role="{role}" {size} '
        f'viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" '
        f'aria-labelledby="{prefix}-title" aria-describedby="{prefix}-desc">'
    )


def _acyclic(boxes: list[Box], arrows: list[Box]) -> tuple[list[Box], list[Box]]:
    """Put boxes that feed each other in a circle into one (the server does so already)."""
    by_id = {box["id"]: box for box in boxes}
    pairs = [(a["source"], a["target"]) for a in arrows if a["source"] != a["target"]]
    head, _ = without_cycles(list(by_id), pairs)
    members: dict[str, list[Box]] = {}
    for box_id, box in by_id.items():
        members.setdefault(head[box_id], []).append(box)
    kept: dict[tuple[str, str], Box] = {}
    for arrow in arrows:
        ends = head[arrow["source"]], head[arrow["target"]]
        if ends[0] == ends[1]:
            continue
        held = kept.get(ends, {"count": 0, "roles": []})
        roles = sorted({*held["roles"], *(r for r in arrow.get("roles") or () if r)})
        count = held["count"] + (arrow.get("count") or 0)
        kept[ends] = {"source": ends[0], "target": ends[1], "count": count, "roles": roles}
    return [_circle(group) for group in members.values()], [kept[ends] for ends in sorted(kept)]


def _circle(group: Sequence[Box]) -> Box:
    if len(group) == 1:
        return group[0]
    runs = [box for box in group if box["kind"] == "activity"] or list(group)
    statuses: Counter[str] = Counter()
    for box in runs:
        statuses.update(box.get("statuses") or {})
    return {
        **runs[0],
        "id": group[0]["id"],
        "name": "⟳ " + " + ".join(str(box.get("name")) for box in runs),
        "count": sum(box.get("count") or 0 for box in runs),
        "statuses": dict(statuses),
        "versions": sorted({v for box in runs for v in box.get("versions") or ()}),
        "is_focus": any(box.get("is_focus") for box in group),
    }


def _lines(box: Box) -> list[tuple[str, str]]:
    """Return (class, text) of each line in a box."""
    lines = [("lg-name", _short(str(box.get("name") or box["id"])))]
    count = box.get("count") or 1
    if box["kind"] == "activity":
        lines.append(("lg-status", _runs(box, count)))
    else:
        level = box.get("level")  # a data level such as DL1; a number says where it stands
        told = [f"{count} products"] if count > 1 else []
        told += [level] if level and isinstance(level, str) else []
        if told:
            lines.append(("lg-dim", _short(" · ".join(told))))
    versions = [str(v) for v in box.get("versions") or () if v]
    if versions:
        many = f"{versions[0]} … {versions[-1]} ({len(versions)})"
        lines.append(("lg-dim", _short(many if len(versions) > 2 else ", ".join(versions))))
    span = _span(box.get("first_at"), box.get("last_at"))
    if span:
        lines.append(("lg-dim", span))
    return lines


def _runs(box: Box, count: int) -> str:
    """Return how many runs there are and how they ended, what went wrong first."""
    statuses = {word: n for word, n in (box.get("statuses") or {}).items() if n}
    ranked = sorted(statuses, key=lambda word: (word == "completed", word))
    if len(ranked) == 1:
        told = [f"{SIGNS.get(ranked[0], '?')} {ranked[0]}"]
    else:
        told = [f"{SIGNS.get(word, '?')} {statuses[word]} {word}" for word in ranked]
    return " · ".join([f"{count} runs" if count > 1 else "1 run", *told])


def _span(first: object, last: object) -> str:
    """Return the days (or the minute, where there is one instant) that a box covers."""
    start, end = str(first or "").replace("T", " "), str(last or "").replace("T", " ")
    if not start:
        return ""
    if start[:10] == end[:10] or not end:
        return f"{start[:16]}Z" if start[:16] == end[:16] or not end else start[:10]
    return f"{start[:10]} … {end[:10]}"


def _short(text: str) -> str:
    """Return a text that fits, its middle left out where it is too long."""
    if len(text) <= _MAX_CHARS:
        return text
    half = (_MAX_CHARS - 1) // 2
    return f"{text[: _MAX_CHARS - 1 - half]}…{text[-half:]}"


def _size(lines: Sequence[tuple[str, str]]) -> Size:
    longest = max(_letters(t) * (_CHAR_PX if css == "lg-dim" else _BOLD_PX) for css, t in lines)
    return Size(
        width=max(110.0, longest + 2 * _PAD_PX),
        height=len(lines) * _LINE_PX + 1.4 * _PAD_PX,
    )


def _letters(text: str) -> float:
    """Return how many average letters `text` is as wide as; capitals are wider."""
    return sum(1.22 if c.isupper() or c in "_@%mw" else 1.0 for c in text)


def _is_bad(box: Box) -> bool:
    statuses = box.get("statuses") or {}
    return bool(statuses.get("error") or statuses.get("interrupted"))


def _box(box: Box, lines: Sequence[tuple[str, str]], place: Place, link: LinkOf | None) -> str:
    classes = ["lg-box", "lg-activity" if box["kind"] == "activity" else "lg-product"]
    marks = {"lg-bad": _is_bad(box), "lg-focus": box.get("is_focus"),
             "lg-pinned": box.get("is_pinned"), "lg-between": box.get("is_between")}  # fmt: skip
    classes += [name for name, is_on in marks.items() if is_on]
    x, y = place.x, place.y
    rounded = 3 if box["kind"] == "activity" else 14
    texts = "".join(
        f'<text class="{css}" x="{x + _PAD_PX:.1f}" y="{y + _PAD_PX + 9 + i * _LINE_PX:.1f}">'
        f"{_text(text)}</text>"
        for i, (css, text) in enumerate(lines)
    )
    inner = (
        f"<title>{_text(_told(box))}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
        f'rx="{rounded}"/>{texts}'
    )
    href = link(box) if link else None
    if href:
        label = f" aria-label={_attribute(_told(box))}"
        inner = f"<a href={_attribute(href)}{label}>{inner}</a>"
    return f'<g class="{" ".join(classes)}" id={_attribute("box-" + str(box["id"]))}>{inner}</g>'


def _told(box: Box) -> str:
    """Return what a box says, as one sentence."""
    count = box.get("count") or 1
    noun = ("run" if box["kind"] == "activity" else "product") + ("s" if count > 1 else "")
    words = [f"{box['kind']} {box.get('name') or box['id']}: {count} {noun}"]
    words += [f"{n} {word}" for word, n in sorted((box.get("statuses") or {}).items()) if n]
    versions = [str(v) for v in box.get("versions") or () if v]
    words += [f"version {', '.join(versions)}"] if versions else []
    if box.get("is_focus"):
        words.append("the focus of this picture")
    return ", ".join(words)


def _described(boxes: Sequence[Box], arrows: Sequence[Box]) -> str:
    """Return the picture in words: what there is, and what goes where."""
    names = {box["id"]: f"{box.get('name') or box['id']} ({box['kind']})" for box in boxes}
    flows = [f"{names[a['source']]} to {names[a['target']]}" for a in arrows]
    told = "; ".join(_told(box) for box in boxes)
    return f"Data flow from left to right. Boxes: {told}. Arrows: {'; '.join(flows) or 'none'}."


def _arrows(arrows: Sequence[Box], layout: Layout, prefix: str) -> list[str]:
    n_into = Counter(arrow["target"] for arrow in arrows)
    found: list[str] = []
    for arrow in arrows:
        points = layout.routes[arrow["source"], arrow["target"]]
        roles = ", ".join(str(r) for r in arrow.get("roles") or () if r)
        count = arrow.get("count") or 0
        told = f"{count} link{'s' if count != 1 else ''}" + (f" as {roles}" if roles else "")
        found.append(
            f'<g class="lg-link" data-source={_attribute(arrow["source"])} '
            f"data-target={_attribute(arrow['target'])}><title>{_text(told)}</title>"
            f'<path class="lg-arrow" d="{_path(points)}" marker-end="url(#{prefix}-head)"/>'
        )
        if count > 1 and n_into[arrow["target"]] <= _FEW_ARROWS:
            x, y = points[-1]
            found[-1] += f'<text class="lg-count" x="{x - 10:.1f}" y="{y - 4:.1f}">×{count}</text>'
        found[-1] += "</g>"
    return found


def _path(points: Sequence[Point]) -> str:
    """Return level lines, and between heights curves that leave and arrive level."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        if abs(y1 - y2) < 0.05:
            path.append(f"H{x2:.1f}")
        else:
            bend = (x1 + x2) / 2
            path.append(f"C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    return "".join(path)


def _printable(text: str) -> str:
    """Replace what XML 1.0 cannot hold, and what turns the direction of writing unseen."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _text(text: str) -> str:
    return escape(_printable(text))


def _attribute(text: str) -> str:
    return quoteattr(_printable(text))
