"""Where boxes and arrows go: a layered drawing from left to right.

Boxes stand in columns so that every arrow goes right (longest paths; a source stands just left of
what uses it first). Inside a column the order comes from barycentres, of which the pass with the
fewest crossings is kept; heights then follow the neighbours as far as the order allows. An arrow
over several columns runs along a track that all far arrows of its source share, so that one
calibration file used by every step makes one line and not hundreds.

Pure geometry in SVG pixels: x to the right, y down, the origin at the top left.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .graphs import longest_paths, strong_components

SWEEPS = 8
"""Passes of ordering; more of them changed nothing on lineages of up to 300 boxes."""
TRACK = 10.0
"""Height in pixels that a track takes where it passes through a column."""

Arrow = tuple[str, str]
Point = tuple[float, float]
_Slot = tuple[str, int]  # a box (its id, -1), or where the track of a source passes column n


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width and height of a box in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a box stands: its top left corner and its size in pixels, and its column."""

    x: float
    y: float
    width: float
    height: float
    column: int

    @property
    def middle(self) -> float:
        """Height of the points where arrows arrive and leave."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A drawing that is ready to be written down.

    Attributes
    ----------
    routes : mapping of (source, target) to points
        From the right side of the source to the left side of the target; x never decreases.
    """

    width: float
    height: float
    places: Mapping[str, Place]
    routes: Mapping[Arrow, tuple[Point, ...]]


def arrange(
    sizes: Mapping[str, Size],
    arrows: Iterable[Arrow],
    *,
    gap_x: float = 56.0,
    gap_y: float = 16.0,
    margin: float = 16.0,
) -> Layout:
    """Place boxes (in their given order where nothing else decides) and route the arrows.

    Raises
    ------
    ValueError
        An arrow names a box that is not there, or the arrows run in a circle.
    """
    unique = sorted(set(arrows))
    _check(sizes, unique)
    columns = _columns(list(sizes), unique)
    slots, edges = _slots(columns, unique)
    order = _ordered(slots, edges)
    tall = {(box, -1): size.height for box, size in sizes.items()}
    middles = _middles(order, edges, tall, gap_y)
    top = min((y - tall.get(s, TRACK) / 2 for s, y in middles.items()), default=0.0) - margin
    lefts = _lefts(sizes, columns, gap_x, margin)
    places = {
        box: Place(
            x=lefts[columns[box]],
            y=middles[box, -1] - size.height / 2 - top,
            width=size.width,
            height=size.height,
            column=columns[box],
        )
        for box, size in sizes.items()
    }
    widest = {c: max(p.width for p in places.values() if p.column == c) for c in lefts}
    tracks = {slot: y - top for slot, y in middles.items() if slot[1] >= 0}
    return Layout(
        width=max((p.x + p.width for p in places.values()), default=0.0) + margin,
        height=max((y + tall.get(s, TRACK) / 2 for s, y in middles.items()), default=0.0)
        - top
        + margin,
        places=places,
        routes=_with_ports({a: _route(a, places, tracks, lefts, widest) for a in unique}, places),
    )


def without_cycles(
    boxes: Sequence[str], arrows: Iterable[Arrow]
) -> tuple[dict[str, str], list[Arrow]]:
    """Put boxes that feed each other in a circle into one; return (head of each box, arrows)."""
    unique = sorted(set(arrows))
    ahead: dict[str, list[str]] = defaultdict(list)
    for source, target in unique:
        ahead[source].append(target)
    head: dict[str, str] = {}
    for component in strong_components(boxes, ahead):
        first = min(component, key=list(boxes).index) if len(component) > 1 else component[0]
        head.update(dict.fromkeys(component, first))
    kept = {(head[s], head[t]) for s, t in unique if head[s] != head[t]}
    return head, sorted(kept)


def crossings(layout: Layout) -> int:
    """Count pairs of arrows between neighbouring columns that cross (tracks are left out)."""
    found = 0
    by_columns: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for source, target in layout.routes:
        one, two = layout.places[source], layout.places[target]
        if two.column == one.column + 1:
            by_columns[one.column, two.column].append((one.middle, two.middle))
    for pairs in by_columns.values():
        found += _inversions([end for _, end in sorted(pairs)])
    return found


def _check(sizes: Mapping[str, Size], arrows: Sequence[Arrow]) -> None:
    for source, target in arrows:
        if source not in sizes or target not in sizes:
            missing = source if source not in sizes else target
            raise ValueError(f"arrow {source} -> {target}: there is no box {missing!r}")
        if source == target:
            raise ValueError(f"arrow {source} -> {target}: a box cannot point to itself")


def _columns(boxes: Sequence[str], arrows: Sequence[Arrow]) -> dict[str, int]:
    """Return the column of each box: the longest path to it; sources stand close to their use."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for source, target in arrows:
        before[target].append(source)
        after[source].append(target)
    components = strong_components(boxes, before)
    circle = next((c for c in components if len(c) > 1), None)
    if circle:
        raise ValueError(f"the arrows run in a circle through {', '.join(sorted(circle))}")
    column = longest_paths(components, before)
    for box in boxes:
        if not before[box] and after[box]:
            column[box] = min(column[target] for target in after[box]) - 1
    return column


def _slots(
    columns: Mapping[str, int], arrows: Sequence[Arrow]
) -> tuple[list[list[_Slot]], list[tuple[_Slot, _Slot]]]:
    """Return what stands in each column, tracks included, and the edges from column to column."""
    slots: list[list[_Slot]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for box, column in columns.items():
        slots[column].append((box, -1))
    edges: dict[tuple[_Slot, _Slot], None] = {}
    for source, target in arrows:
        last: _Slot = (source, -1)
        for column in range(columns[source] + 1, columns[target]):
            here = (source, column)
            if (last, here) not in edges:
                slots[column].append(here)
                edges[last, here] = None
            last = here
        edges[last, (target, -1)] = None
    return slots, list(edges)


def _ordered(
    slots: Sequence[list[_Slot]], edges: Sequence[tuple[_Slot, _Slot]]
) -> list[list[_Slot]]:
    """Order each column by barycentres, left to right and back; keep the best of all passes."""
    before, after = _neighbours(edges)
    current = [list(column) for column in slots]
    best, fewest = current, _all_crossings(current, after)
    for sweep in range(SWEEPS):
        current = [list(column) for column in current]
        rightward = sweep % 2 == 0
        near = before if rightward else after
        steps = range(1, len(current)) if rightward else range(len(current) - 2, -1, -1)
        for i in steps:
            beside = current[i - 1] if rightward else current[i + 1]
            rank = {slot: position for position, slot in enumerate(beside)}
            here = {slot: position for position, slot in enumerate(current[i])}
            weight = {slot: _mean([rank[n] for n in near[slot]], here[slot]) for slot in current[i]}
            current[i].sort(key=lambda slot: (weight[slot], here[slot]))
        found = _all_crossings(current, after)
        if found < fewest:
            best, fewest = current, found
    return best


def _neighbours(
    edges: Sequence[tuple[_Slot, _Slot]],
) -> tuple[dict[_Slot, list[_Slot]], dict[_Slot, list[_Slot]]]:
    before: dict[_Slot, list[_Slot]] = defaultdict(list)
    after: dict[_Slot, list[_Slot]] = defaultdict(list)
    for start, end in edges:
        before[end].append(start)
        after[start].append(end)
    return before, after


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _all_crossings(
    columns: Sequence[Sequence[_Slot]], after: Mapping[_Slot, Sequence[_Slot]]
) -> int:
    found = 0
    for i in range(len(columns) - 1):
        rank = {slot: position for position, slot in enumerate(columns[i + 1])}
        ends: list[float] = []
        for slot in columns[i]:
            ends += sorted(rank[n] for n in after.get(slot, ()))
        found += _inversions(ends)
    return found


def _inversions(values: Iterable[float]) -> int:
    """Count pairs that stand in the wrong order."""
    seen: list[float] = []
    found = 0
    for value in values:
        found += len(seen) - bisect_right(seen, value)
        insort(seen, value)
    return found


def _middles(
    order: Sequence[Sequence[_Slot]],
    edges: Sequence[tuple[_Slot, _Slot]],
    tall: Mapping[_Slot, float],
    gap: float,
) -> dict[_Slot, float]:
    """Return the height of each slot's middle: near its neighbours', in order, not overlapping."""
    before, after = _neighbours(edges)
    middles: dict[_Slot, float] = {}
    for column in order:
        middles.update(zip(column, _spread([0.0] * len(column), column, tall, gap), strict=True))
    for sweep in range(SWEEPS):
        columns = order if sweep % 2 == 0 else order[::-1]
        for column in columns:
            near = [[*before[slot], *after[slot]] for slot in column]
            wanted = [
                _mean([middles[n] for n in ns], middles[s])
                for s, ns in zip(column, near, strict=True)
            ]
            middles.update(zip(column, _spread(wanted, column, tall, gap), strict=True))
    return middles


def _spread(
    wanted: Sequence[float], column: Sequence[_Slot], tall: Mapping[_Slot, float], gap: float
) -> list[float]:
    """Return the middles closest to `wanted` (least squares) that keep order and distance.

    Pool adjacent violators: each block is (sum of wanted offsets, number of slots).
    """
    offsets: list[float] = []
    at = 0.0
    for i, slot in enumerate(column):
        half = tall.get(slot, TRACK) / 2
        at += half + (gap if i else 0.0)
        offsets.append(at)
        at += half
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, n = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / n:
            more, k = blocks.pop()
            total, n = total + more, n + k
        blocks.append((total, n))
    shifts = [total / n for total, n in blocks for _ in range(n)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _lefts(
    sizes: Mapping[str, Size], columns: Mapping[str, int], gap: float, margin: float
) -> dict[int, float]:
    """Return where each column begins."""
    widest: dict[int, float] = defaultdict(float)
    for box, column in columns.items():
        widest[column] = max(widest[column], sizes[box].width)
    lefts: dict[int, float] = {}
    at = margin
    for column in sorted(widest):
        lefts[column] = at
        at += widest[column] + gap
    return lefts


def _route(
    arrow: Arrow,
    places: Mapping[str, Place],
    tracks: Mapping[_Slot, float],
    lefts: Mapping[int, float],
    widest: Mapping[int, float],
) -> tuple[Point, ...]:
    """Return the points of an arrow; inside a column it runs level, between columns it may turn."""
    source, target = places[arrow[0]], places[arrow[1]]
    points = [(source.x + source.width, source.middle)]
    if source.width < widest[source.column]:
        points.append((source.x + widest[source.column], source.middle))
    for column in range(source.column + 1, target.column):
        y = tracks[arrow[0], column]
        points += [(lefts[column], y), (lefts[column] + widest[column], y)]
    return (*points, (target.x, target.middle))


def _with_ports(
    routes: Mapping[Arrow, tuple[Point, ...]], places: Mapping[str, Place]
) -> dict[Arrow, tuple[Point, ...]]:
    """Let the arrows into a box arrive one below the other, in the order from where they come."""
    into: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in routes:
        into[arrow[1]].append(arrow)
    found: dict[Arrow, tuple[Point, ...]] = {}
    for target, arrows in into.items():
        place = places[target]
        step = place.height / (len(arrows) + 1)
        for i, arrow in enumerate(sorted(arrows, key=lambda a: (routes[a][-2][1], a))):
            found[arrow] = (*routes[arrow][:-1], (place.x, place.y + step * (i + 1)))
    return {arrow: found[arrow] for arrow in routes}
