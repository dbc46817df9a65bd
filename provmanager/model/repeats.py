"""Steps that follow themselves: the runs of a lineage that are told together as one chain.

A step repeated night after night on its own output makes a lineage that is thousands of steps
deep and says one thing. Activities whose classes (name, version) feed each other in a circle and
follow themselves at least `MIN_LEVELS` times belong to one unit; so do activities that feed each
other in a real circle (a file rewritten in place). Every other record is a unit of its own.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from .graphs import longest_paths, strong_components
from .lineage_graph import Key, LineageGraph

MIN_LEVELS = 3
"""The same step so many times in a chain is told as one."""

_Flow = Mapping[Key, Sequence[Key]]


@dataclass(frozen=True, slots=True)
class Unit:
    """Records that are told together.

    Attributes
    ----------
    members : tuple of keys
        The first is its head.
    levels : int
        Activities on the longest way through it; 1 for a record on its own.
    hidden : frozenset of keys
        Entities that only pass between its members.
    """

    members: tuple[Key, ...]
    levels: int = 1
    hidden: frozenset[Key] = frozenset()


def units_of(graph: LineageGraph) -> dict[Key, Unit]:
    """Return the units by their heads; every record is in exactly one."""
    flow = _flow(graph)
    units: dict[Key, Unit] = {}
    inside: set[Key] = set()
    for members, levels in _chains(graph, flow):
        ordered = tuple(sorted(members))
        inside.update(ordered)
        units[ordered[0]] = Unit(ordered, levels, _hidden(graph, ordered))
    units.update((key, Unit((key,))) for key in sorted(graph.records) if key not in inside)
    return units


def _flow(graph: LineageGraph) -> _Flow:
    """Return for each activity those directly beyond it, over one entity or none."""
    flow: dict[Key, list[Key]] = {}
    for key in graph.records:
        if key[0] != "activity":
            continue
        near = graph.links.get(key, {})
        beyond = {e for e in near if e[0] == "activity"}
        beyond.update(a for e in near for a in graph.links.get(e, ()) if e[0] == "entity")
        flow[key] = sorted(a for a in beyond if a[0] == "activity")
    return flow


def _chains(graph: LineageGraph, flow: _Flow) -> list[tuple[list[Key], int]]:
    """Return (members, levels) of each unit of several activities."""
    ring = _rings(graph, flow)
    inner = {
        key: [a for a in ahead if a != key and ring[a] == ring[key]]
        for key, ahead in flow.items()
        if ring[key] is not None
    }
    found: list[tuple[list[Key], int]] = []
    for members in _connected(inner):
        if len(members) == 1:
            continue
        among = {key: inner[key] for key in members}
        components = strong_components(members, among)
        levels = max(longest_paths(components, among).values()) + 1
        classes = {_class_of(graph, key) for key in members}
        if levels >= MIN_LEVELS * len(classes):
            found.append((members, levels))
        else:
            found += [(list(c), len(c)) for c in components if len(c) > 1]
    return found


def _class_of(graph: LineageGraph, key: Key) -> Hashable:
    record = graph.records[key]
    return (record["name"], record.get("version")) if record.get("name") else key


def _rings(graph: LineageGraph, flow: _Flow) -> dict[Key, int | None]:
    """Number the circles in which classes feed each other; None for an activity in no circle."""
    classes: dict[Hashable, set[Hashable]] = defaultdict(set)
    for key, ahead in flow.items():
        classes[_class_of(graph, key)].update(_class_of(graph, a) for a in ahead)
    lists = {name: sorted(ahead, key=repr) for name, ahead in classes.items()}
    number: dict[Hashable, int | None] = {}
    for i, component in enumerate(strong_components(sorted(lists, key=repr), lists)):
        is_circle = len(component) > 1 or component[0] in classes[component[0]]
        number.update(dict.fromkeys(component, i if is_circle else None))
    return {key: number[_class_of(graph, key)] for key in flow}


def _connected(links: _Flow) -> list[list[Key]]:
    """Return the weakly connected components."""
    both: dict[Key, list[Key]] = {key: list(ahead) for key, ahead in links.items()}
    for key, ahead in links.items():
        for end in ahead:
            both[end].append(key)
    return strong_components(sorted(both), both)


def _hidden(graph: LineageGraph, members: Sequence[Key]) -> frozenset[Key]:
    """Return the entities that lead from one member to members only."""
    among = set(members)
    near = {e for key in members for e in graph.links.get(key, ()) if e[0] == "entity"}
    return frozenset(e for e in near if graph.links.get(e) and among.issuperset(graph.links[e]))
