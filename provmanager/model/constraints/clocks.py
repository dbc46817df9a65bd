"""Times that contradict the order of events.

PROV-CONSTRAINTS sets no clock against the order of events (§2.2: there need be no common one), so
these are no violations. But where one clock told all times, they show a mistake.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from .cycles import component_of, path, steps_of
from .ordering import EventOrder
from .report import Remark

_MOST_REMARKS = 20
"""To explain one, a way through the order of events is looked for."""
_EVER = datetime.min.replace(tzinfo=UTC)

Latest = tuple[datetime, int]  # the latest time that a preceding event has, and that event


def clock_remarks(order: EventOrder) -> Iterator[Remark]:
    """Yield one remark for each event that is dated after events which it precedes."""
    wrong: dict[int, list[int]] = defaultdict(list)
    for earlier, later in _contradictions(order):
        wrong[earlier].append(later)
    for earlier, laters in list(wrong.items())[:_MOST_REMARKS]:
        yield _remark(order, earlier, laters)


def _contradictions(order: EventOrder) -> Iterator[tuple[int, int]]:
    """Yield pairs of events, of which the first precedes the second and has a later time."""
    home = component_of(order)  # numbered latest first
    latest: list[Latest] = [(_EVER, -1)] * (max(home, default=-1) + 1)
    nodes = sorted(range(len(home)), key=lambda node: -home[node])
    members: dict[int, list[int]] = defaultdict(list)
    for node in nodes:
        members[home[node]].append(node)
    for number, inside in members.items():
        dated = [(_utc(at), n) for n in inside if (at := order.events[n].at) is not None]
        latest[number] = max([latest[number], *dated])
        yield from ((latest[number][1], n) for at, n in dated if at < latest[number][0])
        for node in inside:
            for edge in order.edges[node]:
                ahead = home[edge.target]
                latest[ahead] = max(latest[ahead], latest[number])


def _utc(at: datetime) -> datetime:
    """Return an instant to compare; one without a zone is taken as UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _remark(order: EventOrder, earlier: int, laters: list[int]) -> Remark:
    later = laters[0]
    links = path(order, earlier, later)
    assert links is not None, "its time came along them"
    chain = tuple(steps_of(order, links))
    times = [order.events[node].at for node in (earlier, later)]
    more = f" (one of {len(laters)} events so dated)" if len(laters) > 1 else ""
    message = (
        f"the {order.called(later)} is dated {times[1]}, before the {order.called(earlier)},"
        f" {times[0]}, that precedes it{more}"
    )
    sources = tuple(dict.fromkeys(s for step in chain for s in step.sources))
    return Remark(message, sources, chain)
