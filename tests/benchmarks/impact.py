"""A million records downstream of one file: ``python -m tests.benchmarks.impact [COPIES]``.

The production `telescope` of 2000 activities, recorded as ever, and then copied in the database,
rows and edges, COPIES times (124 by default): 250 000 activities and their 750 000 products all
hang on the one calibration file. Measured are the impact of that file over HTTP, as page and JSON,
and its product page, beside one statement of SQL that walks the same edges and counts the same
records: medians of wall clocks, and CPU time a request, of server and PostgreSQL. And the command
`prod-impact --json`, as a process.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text

from .ingest import bulk
from .lineage import median_ms
from .pages import floor, page
from .serving import Served, serve
from .telescope import CALIBRATION, documents

_N = 2000

_COPY = """
CREATE TEMPORARY TABLE span AS SELECT max(id) + 1 AS n FROM (SELECT max(activity_id) AS id
    FROM prov.activity UNION ALL SELECT max(entity_id) FROM prov.entity) m;
CREATE TEMPORARY TABLE shared AS SELECT entity_id FROM prov.used GROUP BY 1
    ORDER BY count(*) DESC LIMIT 1;
CREATE TEMPORARY TABLE copy AS SELECT g * n AS by FROM span, generate_series(1, {copies}) AS g;
SET session_replication_role = replica;
INSERT INTO prov.activity (activity_id, activity_uuid, started_at, ended_at, environment_id,
    configuration_id, exit_code, name, version, status, overrides)
SELECT activity_id + by, gen_random_uuid(), started_at, ended_at, environment_id, configuration_id,
    exit_code, name, version, status, overrides FROM copy, prov.activity;
INSERT INTO prov.entity (entity_id, entity_uuid, generated_by, size_bytes, generated_at,
    directory_id, generation_role_id, generation_rule_id, sha256, base_name, kind)
SELECT entity_id + by, gen_random_uuid(), generated_by + by, size_bytes, generated_at, directory_id,
    generation_role_id, generation_rule_id, sha256(int8send(entity_id + by)), base_name, kind
FROM copy, prov.entity WHERE entity_id NOT IN (SELECT entity_id FROM shared);
INSERT INTO prov.used (activity_id, entity_id, role_id, link_rule_id)
SELECT activity_id + by, CASE WHEN entity_id IN (SELECT entity_id FROM shared) THEN entity_id
    ELSE entity_id + by END, role_id, link_rule_id FROM copy, prov.used;
INSERT INTO prov.edge SELECT target_id + by, source_id + by FROM copy, prov.edge;
SET session_replication_role = DEFAULT;
"""


def multiply(served: Served, copies: int) -> None:
    """Copy all rows of the record, but for the shared file and the documents."""
    with served.database.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql(_COPY.format(copies=copies))
        connection.exec_driver_sql("ANALYZE")
        connection.invalidate()


def command_ms(served: Served) -> float:
    """Return how long `prod-impact --json` takes for the shared file, as a median in ms."""
    environ = {**os.environ, "PROV_SERVER_URL": served.url, "PROV_TOKEN": served.token}
    command = [Path(sys.executable).with_name("prod-impact"), CALIBRATION, "--json"]

    def ask() -> None:
        done = subprocess.run(command, env=environ, check=True, capture_output=True)
        if json.loads(done.stdout)["n_runs"] % _N:
            raise SystemExit("prod-impact does not count all runs")

    return median_ms(ask, 3)


def main() -> None:
    """Print the figures."""
    copies = int(sys.argv[1]) if sys.argv[1:] else 124
    with serve() as served:
        begin = time.perf_counter()
        bulk(served, documents(_N))
        multiply(served, copies)
        print(f"made in {time.perf_counter() - begin:.0f} s", flush=True)
        shared = served.client.resolve(CALIBRATION)["id"]
        floor(served, CALIBRATION, "down")  # by then the process that copied has ended
        for label, path in (
            ("impact page", f"/impact?ref={shared}"),
            ("summary", f"/v1/lineage/summary?ref={shared}&direction=down"),
            ("product page, downstream", f"/product/{shared}?direction=down"),
        ):
            before = sum(served.cpu_s())
            n_records, bare_ms = floor(served, CALIBRATION, "down")
            between = sum(served.cpu_s())
            took_ms, _ = page(served, path)
            page_cpu, bare_cpu = (sum(served.cpu_s()) - between) / 7, (between - before) / 7
            print(
                f"{label}: {n_records} records, {took_ms:.0f} ms, bare count {bare_ms:.0f} ms "
                f"(x{took_ms / bare_ms:.1f}); CPU {page_cpu:.2f} s and {bare_cpu:.2f} s "
                f"(x{page_cpu / bare_cpu:.1f})",
                flush=True,
            )
        print(f"prod-impact --json: {command_ms(served):.0f} ms", flush=True)
        with served.database.transaction() as session:
            size = session.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        print(f"database of {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
