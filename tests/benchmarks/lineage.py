"""Lineage against networkx in memory: ``python -m tests.benchmarks.lineage [N]``.

The same production (`telescope`) in the record and as a networkx DiGraph of activities and files.
Upstream of products with about 10, 1000 and 10 000 ancestors, downstream of the calibration file
that all activities share: the walk in the database (ids of all activities and files), and the
class summary and the whole answer over HTTP. Medians; the floor is ``networkx.ancestors``.
"""

import statistics
import sys
import time
from collections.abc import Callable

import networkx as nx

from provmanager.logic.references import find
from provmanager.store import lineage as store

from .ingest import bulk
from .serving import Served, serve
from .telescope import CALIBRATION, WIDTH, documents, edges, output_url


def median_ms(run: Callable[[], object], n: int = 7) -> float:
    """Return the median duration of `run`, in milliseconds, after one warm-up."""
    run()
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def walk(served: Served, ref: str, direction: store.Direction) -> int:
    """Return how many activities and entities the database finds."""
    with served.database.transaction() as session:
        focus = find(session, ref)
        start = store.start_nodes(session, focus.key, direction)
        nodes = store.walk(session, start, direction)
        if direction == "up":
            _, entities = store.entity_ids(session, node_ids=[focus.key], used_by=nodes)
        else:
            _, entities = store.entity_ids(session, node_ids=[focus.key], generated_by=nodes)
        return len({*nodes, *map(int, entities[1:-1].split(","))}) - 1


def targets(graph: nx.DiGraph, n: int) -> dict[str, tuple[str, store.Direction]]:
    """Return products with about 10, 1000 and 10 000 ancestors, and the shared file."""
    names: dict[str, tuple[str, store.Direction]] = {}
    for wanted in (10, 1000, 10_000):
        best = min(
            (output_url(layer * WIDTH + 7, 0) for layer in range(n // WIDTH)),
            key=lambda url: abs(len(nx.descendants(graph, url)) - wanted),
        )
        names[f"up ~{wanted}"] = (best, "up")
    names["down of the shared file"] = (CALIBRATION, "down")
    return names


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if sys.argv[1:] else 20_000
    graph = nx.DiGraph(edges(n))  # later -> earlier
    with serve() as served:
        bulk(served, documents(n))
        with served.database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.exec_driver_sql("ANALYZE")
        for label, (ref, direction) in targets(graph, n).items():
            reach = nx.descendants if direction == "up" else nx.ancestors
            expected = len(reach(graph, ref))
            found = walk(served, ref, direction)
            if found != expected:
                raise SystemExit(f"{label}: {found} found, networkx has {expected}")
            floor = median_ms(lambda r=ref, f=reach: f(graph, r))
            mine = median_ms(lambda r=ref, d=direction: walk(served, r, d))
            summary = median_ms(
                lambda r=ref, d=direction: served.client.lineage_summary(r, direction=d), 3
            )
            answer = median_ms(
                lambda r=ref, d=direction: served.client.lineage(r, direction=d, limit=100_000), 3
            )
            print(
                f"{label}: {expected} nodes, networkx {floor:.1f} ms, walk {mine:.1f} ms "
                f"(x{mine / floor:.1f}), summary over HTTP {summary:.0f} ms, "
                f"whole answer over HTTP {answer:.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
