"""Pages on large lineages against a bare count: ``python -m tests.benchmarks.pages [N]``.

The production `telescope` of N activities (four files each), whose products are merged by hundreds,
and those again, into one catalogue. The page of the catalogue (100 000 records upstream with the
default N), its group pages and the impact of the file that all activities share, over HTTP, as a
browser asks for them. The floor is one statement of SQL that walks the same edges and counts the
same records. Medians.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from sqlalchemy import text

from provmanager.logic.references import find
from provmanager.store import lineage as store

from .ingest import bulk
from .lineage import median_ms
from .serving import Served, serve
from .telescope import CALIBRATION, documents, output_url

CATALOGUE = "lfn:/vo.cta.in2p3.fr/prod6/catalogue.h5"
_BY = 100

_COUNT = """
WITH RECURSIVE walk (id) AS (SELECT unnest(CAST(:start AS bigint[])) UNION
    SELECT e.{found} FROM walk JOIN prov.edge e ON e.{asked} = walk.id)
SELECT (SELECT count(*) FROM walk JOIN prov.activity a ON a.activity_id = walk.id)
     + (SELECT count(*) FROM (SELECT u.entity_id FROM walk JOIN prov.used u
        ON u.activity_id = walk.id WHERE :is_up UNION SELECT n.entity_id FROM walk
        JOIN prov.entity n ON n.generated_by = walk.id) AS e)
"""


def merges(n: int) -> Iterator[bytes]:
    """Yield the records that merge all products of `n` activities into the catalogue."""
    names = [output_url(i, k) for i in range(n) for k in range(3)]
    level = 0
    while len(names) > 1:
        made = []
        for i in range(0, len(names), _BY):
            is_last = len(names) <= _BY
            made.append(
                CATALOGUE if is_last else f"lfn:/vo.cta.in2p3.fr/prod6/merged_{level}_{i}.h5"
            )
            record: dict[str, Any] = {
                "schema": "provmanager/activity.v1",
                "id": f"00000000-0000-4000-8{level:03d}-{i:012d}",
                "name": f"merge-{level}",
                "version": "1.2.3",
                "status": "error" if i == 0 and level == 0 else "completed",
                "started_at": f"2026-12-0{level + 1}T00:00:00Z",
                "ended_at": f"2026-12-0{level + 1}T00:10:00Z",
                "inputs": [{"role": "part", "url": name} for name in names[i : i + _BY]],
                "outputs": [{"role": "merged", "url": made[-1]}],
            }
            yield json.dumps(record).encode()
        names, level = made, level + 1


def floor(served: Served, ref: str, direction: store.Direction) -> tuple[int, float]:
    """Return how many records the bare statement counts, and its median duration in ms."""
    found, asked = ("source_id", "target_id") if direction == "up" else ("target_id", "source_id")
    query = text(_COUNT.format(found=found, asked=asked))
    with served.database.transaction() as session:
        focus = find(session, ref)
        given = {
            "start": store.id_array(store.start_nodes(session, focus.key, direction)),
            "is_up": direction == "up",
        }

        def count() -> int:
            return int(session.execute(query, given).scalar_one())

        return count(), median_ms(count, 5)


def page(served: Served, path: str) -> tuple[float, str]:
    """Return the median duration of a page in ms, and its HTML."""
    headers = {"Authorization": f"Bearer {served.token}", "Accept": "text/html"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=600) as http:
        html = http.get(path).raise_for_status().text
        return median_ms(lambda: http.get(path).raise_for_status(), 5), html


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with serve() as served:
        begin = time.perf_counter()
        bulk(served, [*documents(n), *merges(n)])
        with served.database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.exec_driver_sql("ANALYZE")
        print(f"recorded in {time.perf_counter() - begin:.0f} s", flush=True)
        catalogue = served.client.resolve(CATALOGUE)["id"]
        shared = served.client.resolve(CALIBRATION)["id"]
        for label, path, ref, way in (
            ("product page", f"/product/{catalogue}", CATALOGUE, "up"),
            ("product page, as table", f"/product/{catalogue}?as=table", CATALOGUE, "up"),
            ("group of a step", f"/group/{catalogue}?kind=activity&step=process-0",
             CATALOGUE, "up"),
            ("product page of the shared file, downstream",
             f"/product/{shared}?direction=down", CALIBRATION, "down"),
            ("impact of the shared file", f"/impact?ref={shared}", CALIBRATION, "down"),
        ):  # fmt: skip
            n_records, bare_ms = floor(served, ref, way)  # type: ignore[arg-type]
            took_ms, html = page(served, path)
            n_boxes = len(re.findall(r'class="lg-box', html))
            print(
                f"{label}: {n_records} records, {n_boxes} boxes, {took_ms:.0f} ms, "
                f"bare count {bare_ms:.0f} ms (x{took_ms / bare_ms:.1f}), {len(html) / 1e3:.0f} kB",
                flush=True,
            )


if __name__ == "__main__":
    main()
