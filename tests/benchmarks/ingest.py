"""Ingest against its floors: ``python -m tests.benchmarks.ingest [N …]``.

Bulk: N activities over HTTP (NDJSON) against a COPY of the very rows that they became, into the
same tables with all indexes and foreign keys, in the same run. One by one: one activity a request,
from one and from eight clients, against one-row commits.
"""

import concurrent.futures
import io
import sys
import time

import httpx
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.store.database import Database

from .serving import Served, serve
from .telescope import documents

_TABLES = (
    "document", "role", "host", "environment", "package", "configuration", "activity",
    "activity_document", "directory", "entity", "used", "edge",
)  # fmt: skip


def bulk(served: Served, records: list[bytes]) -> float:
    """Return activities a second of one NDJSON upload."""
    headers = {
        "Authorization": f"Bearer {served.token}",
        "Content-Type": "application/x-ndjson",
    }
    body = b"\n".join(records)
    begin = time.perf_counter()
    answer = httpx.post(f"{served.url}/v1/documents", content=body, headers=headers, timeout=600)
    elapsed = time.perf_counter() - begin
    counted = answer.json()
    if counted["recorded"] != len(records):
        raise SystemExit(f"not all recorded: {answer.text[:500]}")
    return len(records) / elapsed


def copy_floor(database: Database, n: int) -> float:
    """Return activities a second of a COPY of all rows back into the emptied tables."""
    engine = database.engine
    rows: dict[str, io.StringIO] = {}
    raw = engine.raw_connection()
    cursor = raw.cursor()
    for table in _TABLES:
        rows[table] = io.StringIO()
        cursor.copy_expert(f"COPY prov.{table} TO STDOUT", rows[table])
    emptied = ", ".join(f"prov.{t}" for t in (*_TABLES, "log_checkpoint"))
    cursor.execute(f"TRUNCATE {emptied} CASCADE")
    raw.commit()
    begin = time.perf_counter()
    for table in _TABLES:
        rows[table].seek(0)
        cursor.copy_expert(f"COPY prov.{table} FROM STDIN", rows[table])
    raw.commit()
    elapsed = time.perf_counter() - begin
    raw.close()
    return n / elapsed


def bytes_an_activity(database: Database, n: int) -> tuple[float, float]:
    """Return (bytes an activity without documents, bytes of documents and their log)."""
    with database.transaction() as session:
        rows = session.execute(
            text(
                "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = 'prov' AND relkind = 'r'"
            )
        )
        sizes = {row[0]: row[1] for row in rows}
    documents_ = sum(sizes.pop(t) for t in list(sizes) if t == "document" or t.startswith("log_"))
    return sum(sizes.values()) / n, documents_ / n


def one_by_one(served: Served, records: list[bytes], n_clients: int) -> float:
    """Return activities a second, one a request, from `n_clients` at a time."""

    def deliver(mine: list[bytes]) -> None:
        with ProvClient(served.url, served.token, timeout_s=120) as client:
            for record in mine:
                client.record(record, name="run.json")

    shares = [records[i::n_clients] for i in range(n_clients)]
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(n_clients) as pool:
        list(pool.map(deliver, shares))
    return len(records) / (time.perf_counter() - begin)


def commit_floor(database: Database, n: int = 500) -> float:
    """Return commits a second of one row each."""
    raw = database.engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS public.floor (i bigint, t text)")
    raw.commit()
    begin = time.perf_counter()
    for i in range(n):
        cursor.execute("INSERT INTO public.floor VALUES (%s, %s)", (i, "x" * 1000))
        raw.commit()
    elapsed = time.perf_counter() - begin
    raw.close()
    return n / elapsed


def _spent(served: Served, before: tuple[float, float], n: int) -> str:
    """Return the CPU time an activity since `before`, which other load on the machine spares."""
    server, postgresql = (
        (now - then) / n * 1e6 for now, then in zip(served.cpu_s(), before, strict=True)
    )
    return f"CPU us/act: server {server:.0f}, PostgreSQL {postgresql:.0f}"


def main() -> None:
    """Print the figures."""
    for n in [int(a) for a in sys.argv[1:]] or [2000, 20000]:
        records = documents(n)
        with serve() as served:
            before = served.cpu_s()
            rate = bulk(served, records)
            spent = _spent(served, before, n)
            own, of_documents = bytes_an_activity(served.database, n)
            before = served.cpu_s()
            floor = copy_floor(served.database, n)
            floor_spent = _spent(served, before, n)
        print(
            f"bulk N={n}: {rate:.0f} act/s over HTTP ({spent}), COPY of the same rows {floor:.0f} "
            f"act/s ({floor_spent}), ratio {rate / floor:.2f}; {own:.0f} B/activity + "
            f"{of_documents:.0f} B documents",
            flush=True,
        )
    with serve() as served:
        records = documents(1200)
        floor = commit_floor(served.database)
        for n_clients, share in ((1, records[:400]), (8, records[400:])):
            before = served.cpu_s()
            rate = one_by_one(served, share, n_clients)
            spent = _spent(served, before, len(share))
            print(
                f"one by one: {rate:.0f} act/s from {n_clients} client(s) ({spent}), one-row "
                f"commits {floor:.0f}/s, ratio {rate / floor:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
