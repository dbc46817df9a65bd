"""Exports of one large lineage in every format: ``python -m tests.benchmarks.exports [N]``.

N activities are recorded (`telescope`), and the product whose upstream lineage comes nearest to
10 000 activities and products is exported over HTTP in each format: seconds, those of the
processors (server and PostgreSQL), size, and how much memory of the server that took at most beyond
what it held before (Linux). Last, a lineage above the
limit is refused, and how long that takes.
"""

import sys
import time
from pathlib import Path

import networkx as nx

from provmanager.errors import UsageError
from provmanager.model import ExportFormat

from .ingest import bulk
from .serving import Served, serve
from .telescope import CALIBRATION, WIDTH, documents, edges, output_url

WANTED = 10_000


def _memory_mb(pid: int, field: str) -> float:
    """Return VmRSS (now) or VmHWM (the most so far) of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {field} of {pid}")


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _export(served: Served, ref: str, format: ExportFormat) -> None:
    _forget_peak(served.server_pid)
    before = _memory_mb(served.server_pid, "VmRSS")
    cpu = served.cpu_s()
    begin = time.perf_counter()
    exported = served.client.export(ref, export_format=format)
    seconds = time.perf_counter() - begin
    cpu_s = sum(served.cpu_s()) - sum(cpu)
    peak = _memory_mb(served.server_pid, "VmHWM")
    print(
        f"{format.value:<12} {seconds:6.1f} s, CPU {cpu_s:5.1f} s  {len(exported) / 1e6:6.2f} MB  "
        f"memory +{max(0.0, peak - before):.0f} MB",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if sys.argv[1:] else 20_000
    graph = nx.DiGraph(edges(n))  # later -> earlier
    ref = min(
        (output_url(layer * WIDTH + 7, 0) for layer in range(n // WIDTH)),
        key=lambda url: abs(len(nx.descendants(graph, url)) - WANTED),
    )
    with serve() as served:
        bulk(served, documents(n))
        counts = served.client.lineage(ref)["counts"]
        print(f"{counts['activities']} activities, {counts['entities']} products", flush=True)
        for format in ExportFormat:
            _export(served, ref, format)
        begin = time.perf_counter()
        try:
            served.client.export(CALIBRATION, direction="down", export_format="prov-json")
        except UsageError as error:
            print(f"refused after {time.perf_counter() - begin:.1f} s: {error.message}")


if __name__ == "__main__":
    main()
