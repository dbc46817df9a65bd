"""Small algorithms on directed graphs, without recursion: lineages are thousands of steps deep."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def strong_components(
    nodes: Iterable[Node], successors: Mapping[Node, Sequence[Node]]
) -> list[list[Node]]:
    """Return the strongly connected components, each after all that it points to (Tarjan 1972).

    The order is that of `nodes` and of each node's successors wherever the graph leaves a choice,
    so the same input gives the same answer.
    """
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    open_nodes: list[Node] = []
    is_open: set[Node] = set()
    found: list[list[Node]] = []
    for start in nodes:
        if start in index:
            continue
        work: list[tuple[Node, int]] = [(start, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                open_nodes.append(node)
                is_open.add(node)
            ahead = successors.get(node, ())
            if position > 0:
                low[node] = min(low[node], low[ahead[position - 1]])
            while position < len(ahead) and ahead[position] in index:
                if ahead[position] in is_open:
                    low[node] = min(low[node], index[ahead[position]])
                position += 1
            if position < len(ahead):
                work += [(node, position + 1), (ahead[position], 0)]
            elif low[node] == index[node]:
                found.append(_closed(node, open_nodes, is_open))
    return found


def _closed(node: Node, open_nodes: list[Node], is_open: set[Node]) -> list[Node]:
    cut = _last_index(open_nodes, node)
    component = open_nodes[cut:]
    del open_nodes[cut:]
    is_open.difference_update(component)
    return component


def _last_index(items: list[Node], wanted: Node) -> int:
    position = len(items) - 1
    while items[position] != wanted:
        position -= 1
    return position


def reachable(starts: Iterable[Node], successors: Mapping[Node, Sequence[Node]]) -> dict[Node, int]:
    """Return every node that is reached from `starts`, with its distance, nearest first."""
    distance = dict.fromkeys(starts, 0)
    queue = list(distance)
    for node in queue:
        for ahead in successors.get(node, ()):
            if ahead not in distance:
                distance[ahead] = distance[node] + 1
                queue.append(ahead)
    return distance


def longest_paths(
    components: Sequence[Sequence[Node]], successors: Mapping[Node, Sequence[Node]]
) -> dict[Node, int]:
    """Return for each node the number of edges of the longest path that leaves it.

    Parameters
    ----------
    components
        Those of `strong_components`, in its order; edges inside a component do not count.
    """
    home = {node: i for i, component in enumerate(components) for node in component}
    height: list[int] = []
    for i, component in enumerate(components):
        below = (home[ahead] for node in component for ahead in successors.get(node, ()))
        height.append(max((height[b] + 1 for b in below if b != i), default=0))
    return {node: height[i] for node, i in home.items()}
