"""Events that strictly precede themselves, and the chain that shows it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from ..graphs import strong_components
from .ordering import Edge, EventOrder
from .report import Step, Violation

_MOST_STEPS = 100_000
"""So many events are gone through, about, to find a short cycle in one component."""

Path = list[tuple[int, Edge]]


def ordering_violations(order: EventOrder) -> Iterator[Violation]:
    """Yield one violation for each set of events that all precede one another, one strictly."""
    if not any(edge.is_strict for edges in order.edges for edge in edges):
        return
    home = component_of(order)
    sizes = Counter(home)
    strict: dict[int, Path] = defaultdict(list)
    for node, edges in enumerate(order.edges):
        for edge in edges:
            if edge.is_strict and home[node] == home[edge.target]:
                strict[home[node]].append((node, edge))
    for number, found in strict.items():
        cycles = []
        for node, edge in found[: 1 + _MOST_STEPS // sizes[number]]:
            back = path(order, edge.target, node, home)
            assert back is not None, "both are in one component"
            cycles.append([(node, edge), *back])
        yield _violation(order, min(cycles, key=len))


def component_of(order: EventOrder) -> list[int]:
    """Return for each event its strongly connected component, numbered latest first."""
    ahead = {n: [e.target for e in edges] for n, edges in enumerate(order.edges) if edges}
    home = [0] * len(order.edges)
    for number, component in enumerate(strong_components(range(len(order.edges)), ahead)):
        for node in component:
            home[node] = number
    return home


def path(
    order: EventOrder, start: int, goal: int, home: Sequence[int] | None = None
) -> Path | None:
    """Return the shortest path between events, edge by edge; None where there is none.

    Parameters
    ----------
    home
        Component of each event, to stay inside that of `start`.
    """
    came: dict[int, tuple[int, Edge] | None] = {start: None}
    queue = [start]
    for node in queue:
        if goal in came:
            break
        for edge in order.edges[node]:
            if edge.target not in came and (home is None or home[edge.target] == home[start]):
                came[edge.target] = (node, edge)
                queue.append(edge.target)
    if goal not in came:
        return None
    found: Path = []
    step = came[goal]
    while step is not None:
        found.append(step)
        step = came[step[0]]
    return found[::-1]


def _violation(order: EventOrder, cycle: Path) -> Violation:
    steps = list(steps_of(order, cycle))
    sources = tuple(dict.fromkeys(s for step in steps for s in step.sources))
    message = f"the {steps[0].earlier} would strictly precede itself"
    return Violation(steps[0].rule, message, sources, tuple(steps))


def steps_of(order: EventOrder, links: Path) -> Iterator[Step]:
    """Yield the steps of a path, with what goes through a stand-in as one."""
    earlier, sources = links[0][0], tuple[int, ...]()
    for node, edge in links:
        told = (order.events[node].sources, edge.sources, order.events[edge.target].sources)
        sources = tuple(dict.fromkeys((*sources, *chain.from_iterable(told))))
        if order.events[edge.target].is_event:
            yield Step(
                order.called(earlier),
                order.called(edge.target),
                edge.is_strict,
                edge.rule,
                sources,
            )
            earlier, sources = edge.target, ()
