"""Every real ctapipe sample through the server: what the database holds is what the files mean.

What they mean is counted in tests/data/raw_ctapipe.py, from the raw JSON and without our code.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import networkx
import pytest
from data.raw_ctapipe import Node, Truth, arrays, logs, read_truth
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from provmanager.client import ProvClient
from provmanager.logic import trace
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import Database, open_database

REFUSED = {
    "MANIFEST.md": "plain text, beginning '# Samples — origin and licence'",
    "sanguillon_muons_provRFC.txt": (
        "plain text, beginning 'Provenance working example - CTA ctapipe-display-muons'"
    ),
    "sanguillon_prov_muons.ipynb": "a Jupyter notebook",
    "ctao-datamodel/LICENSE": "plain text, beginning 'BSD 3-Clause License'",
    "ctao-datamodel/Product.schema.json": "a JSON Schema",
}
CHAIN = "generated/chain_c0320"

_ENTITIES = """
    SELECT e.entity_id, e.entity_uuid::text AS uuid, a.activity_uuid::text AS producer,
           d.uri || e.base_name AS location, (
               SELECT min(i.identifier) FROM prov.entity_identifier i
               WHERE i.entity_id = e.entity_id AND i.kind = 'product-id'
           ) AS product_id
    FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by
    LEFT JOIN prov.directory d USING (directory_id)"""
_USED = """
    SELECT a.activity_uuid::text AS run, u.entity_id, r.name AS role
    FROM prov.used u JOIN prov.activity a USING (activity_id) JOIN prov.role r USING (role_id)"""
_GENERATED = """
    SELECT a.activity_uuid::text AS run, g.entity_id, coalesce(g.role, '') AS role
    FROM prov.was_generated_by g JOIN prov.activity a USING (activity_id)"""
_RETOLD = """
    SELECT a.activity_uuid::text AS run, g.entity_id, r.name AS role
    FROM prov.generation_claim g JOIN prov.activity a USING (activity_id)
    JOIN prov.role r USING (role_id) WHERE g.reason = 'outer-level'"""


def node_of(row: Row[Any]) -> Node:
    """Return how `data.raw_ctapipe` calls an entity."""
    if row.product_id:
        return ("product", row.product_id.removeprefix("urn:uuid:"))
    parts = urlsplit(row.location)
    place = (parts.netloc, unquote(parts.path)) if parts.scheme == "file" else ("", row.location)
    return ("output", row.producer, *place) if row.producer else ("file", *place)


class Held:
    """What the database holds, in the words of `data.raw_ctapipe`."""

    def __init__(self, session: Session) -> None:
        entities = session.execute(text(_ENTITIES)).all()
        nodes = {row.entity_id: node_of(row) for row in entities}
        self.uuids = {node_of(row): row.uuid for row in entities}
        self.n_entities = len(entities)
        claims = session.execute(text("SELECT activity_uuid::text, is_claim FROM prov.activity"))
        self.runs = {uuid: is_claim for uuid, is_claim in claims}
        self.used, self.generated, self.retold = (
            [(row.run, nodes[row.entity_id], row.role) for row in session.execute(text(query))]
            for query in (_USED, _GENERATED, _RETOLD)
        )


def assert_agrees(held: Held, truth: Truth) -> None:
    """Check runs, files and flows, one by one and in number."""
    assert {u for u, is_claim in held.runs.items() if not is_claim} == set(truth.runs)
    assert {u for u, is_claim in held.runs.items() if is_claim} == truth.claimed
    assert set(held.uuids) == truth.files
    assert held.n_entities == len(truth.files)
    for found, expected in (
        (held.used, truth.used),
        (held.generated, truth.generated),
        (held.retold, truth.retold),
    ):
        assert set(found) == expected
        assert len(found) == len(expected)


@pytest.fixture(scope="module")
def folder(prov_data: Path) -> Path:
    return prov_data / "ctapipe-samples"


@pytest.fixture(scope="module")
def outcomes(folder: Path, client: ProvClient) -> dict[str, dict]:
    """What became of every sample, each sent once, in the order of their names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pairs = [(path.relative_to(folder).as_posix(), path) for path in paths]
    return {item["name"]: item for item in client.record_many(pairs, batch_documents=20)}


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    """What all logs mean, and the one product that the two CTAO examples describe."""
    found = read_truth(logs(folder))
    product = json.loads((folder / "ctao-datamodel/product_example.json").read_text())
    made_by = product["activity"]
    found.claimed.add(made_by["id"])
    found.generated.add((made_by["id"], ("product", product["instance"]["id"]), ""))
    for used in made_by["inputs"]:
        found.used.add((made_by["id"], ("product", used["id"]), used["role"]))
    return found


@pytest.fixture(scope="module")
def held(outcomes: dict[str, dict], database: Database) -> Held:
    with database.transaction() as session:
        return Held(session)


def test_every_sample_is_recorded_or_refused_for_what_it_is(
    outcomes: dict[str, dict], folder: Path
) -> None:
    seen: set[str] = set()
    for name, item in outcomes.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if name in REFUSED:
            assert item["outcome"] == "refused"
            assert item["error"]["code"] == "unrecognised_format"
            assert item["error"]["details"]["found"] == REFUSED[name]
            continue
        assert item["outcome"] == ("unchanged" if digest in seen else "recorded"), name
        assert item["receipt"]["document"] == digest
        seen.add(digest)
    assert len(outcomes) == 113
    assert len(seen) == 102  # six of the logs are "[]", which ctapipe 0.8 writes at exit code 2


def test_receipts_count_what_each_log_says(outcomes: dict[str, dict], folder: Path) -> None:
    for path in logs(folder):
        name = path.relative_to(folder).as_posix()
        runs = {r["activity_uuid"]: r for array in arrays(path.read_text()) for r in array}
        receipt = outcomes[name]["receipt"]
        assert [a["id"] for a in receipt["activities"]] == list(runs), name
        truth = read_truth([path])
        n_used = sum(len({(f["url"], f["role"]) for f in run["input"]}) for run in runs.values())
        assert receipt["counts"]["activities"] == len(runs), name
        assert receipt["counts"]["used"] == n_used, name
        assert receipt["counts"]["generated"] == len(
            truth.retold | {g for g in truth.generated if g[0] not in truth.claimed}
        ), name


def test_runs_files_and_flows_are_those_of_the_raw_files(held: Held, truth: Truth) -> None:
    assert_agrees(held, truth)
    assert (len(held.runs), held.n_entities) == (137 + 1, 159 + 2)
    assert (len(held.used), len(held.generated), len(held.retold)) == (161 + 1, 128 + 1, 6)


def test_runs_are_as_their_records_say(held: Held, truth: Truth, database: Database) -> None:
    with database.transaction() as session:
        rows = session.execute(text(
            "SELECT activity_uuid::text AS uuid, a.name, version, exit_code, started_at, ended_at, "
            "coalesce(status_raw, status) AS status, arguments, h.name AS host "
            "FROM prov.activity a LEFT JOIN prov.host h USING (host_id) WHERE NOT is_claim"
        )).all()  # fmt: skip
    for row in rows:
        raw = truth.runs[row.uuid]
        assert row.name == raw["activity_name"]
        assert row.version == raw["system"]["ctapipe_version"]
        assert row.exit_code == raw.get("exit_code")
        assert row.status == raw.get("status", "running")
        assert row.arguments == raw["system"]["arguments"]
        assert row.host == raw["system"]["platform"]["node"]
        assert _milliseconds(row.started_at) == raw["start"]["time_utc"]
        assert _milliseconds(row.ended_at) == raw["stop"].get("time_utc")


def _milliseconds(when: Any) -> str | None:
    return when and when.isoformat(timespec="milliseconds").removesuffix("+00:00")


def test_parameters_are_the_leaves_of_the_raw_configurations(
    held: Held, truth: Truth, database: Database
) -> None:
    with database.transaction() as session:
        rows = session.execute(text(
            "SELECT activity_uuid::text AS uuid, p.name, p.value FROM prov.parameter p "
            "JOIN prov.activity USING (activity_id) WHERE NOT is_claim"
        )).all()  # fmt: skip
    found: dict[str, dict[str, Any]] = {uuid: {} for uuid in truth.runs}
    for row in rows:
        found[row.uuid][row.name] = row.value
    assert found == {uuid: dict(leaves(r.get("config") or {})) for uuid, r in truth.runs.items()}
    assert sum(map(len, found.values())) > 2000


def leaves(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the dotted names and values of a configuration; lists are values."""
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found += leaves(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, worded(value)))
    return found


def worded(value: Any) -> Any:
    """Return `value` with the numbers that JSON has not in words."""
    if isinstance(value, list):
        return [worded(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def test_levels_are_those_of_the_raw_times(held: Held, truth: Truth, database: Database) -> None:
    with database.transaction() as session:
        rows = session.execute(text(
            "SELECT i.activity_uuid::text, o.activity_uuid::text FROM prov.was_informed_by w "
            "JOIN prov.activity i ON i.activity_id = w.informed_id "
            "JOIN prov.activity o ON o.activity_id = w.informant_id WHERE w.kind = 'part-of'"
        )).all()  # fmt: skip
    assert {inner: outer for inner, outer in rows} == truth.outer
    assert len(rows) == 36


# --- lineage --------------------------------------------------------------------------------------


def expected_lineage(
    graph: "networkx.DiGraph[Node]", focus: Node, direction: str
) -> dict[Node, int]:
    """Return the runs and files that the focus came from or led to, with their distance in runs."""
    along = graph.reverse(copy=False) if direction == "up" else graph

    def cost(_: Node, end: Node, __: Any) -> int:
        return 1 if end[0] == "run" else 0

    distances: dict[Node, int] = networkx.single_source_dijkstra_path_length(
        along, focus, weight=cost
    )
    return distances


def found_lineage(answer: dict[str, Any], nodes: dict[str, Node]) -> dict[Node, int]:
    return {("run", a["id"]): a["depth"] for a in answer["activities"]} | {
        nodes[e["id"]]: e["depth"] for e in answer["entities"]
    }


def test_every_file_has_exactly_its_true_ancestors_and_descendants(
    held: Held, truth: Truth, database: Database
) -> None:
    graph = truth.graph
    nodes = {uuid: node for node, uuid in held.uuids.items()}
    for node, uuid in held.uuids.items():
        for direction in ("up", "down"):
            with database.transaction() as session:
                answer = trace.lineage(session, uuid, direction=direction)
            assert found_lineage(answer, nodes) == expected_lineage(graph, node, direction), node
            roots = {nodes[e["id"]] for e in answer["entities"] if e["is_root"]}
            assert roots == {
                n for n in expected_lineage(graph, node, direction)
                if n[0] != "run" and not graph.pred[n]
            }  # fmt: skip


def test_each_file_of_the_chain_is_traced_over_http_by_every_name_that_it_has(
    held: Held, truth: Truth, folder: Path, client: ProvClient
) -> None:
    """By product id, URL and path, up and down."""
    graph = truth.graph
    nodes = {uuid: node for node, uuid in held.uuids.items()}
    chain = read_truth(logs(folder / CHAIN)).files
    assert len(chain) == 8
    for node in chain:
        refs = [node[1], f"urn:uuid:{node[1]}"] if node[0] == "product" else []
        for host, path in truth.places[node]:
            refs += [f"file://{host}{path}", path]
        for direction in ("up", "down"):
            expected = expected_lineage(graph, node, direction)
            for ref in refs:
                answer = client.lineage(ref, direction=direction)
                assert found_lineage(answer, nodes) == expected, (ref, direction)


@pytest.mark.parametrize("name", ["chain_c0320", "c0320", "c0280", "c0170", "api_c0320", "c0080"])
def test_each_log_alone_makes_the_record_that_it_means(
    folder: Path, name: str, make_database_url: Callable[[], str]
) -> None:
    """Alone, inputs name runs that nobody has recorded: those are claims."""
    n_claimed = 0
    database = open_database(make_database_url())
    for path in logs(folder / "generated" / name):
        with database.transaction() as session:
            source = Source(path.read_bytes(), path.name)
            assert [o.outcome for o in record(session, [source], policy=IngestPolicy())]
            truth = read_truth([path])
            assert_agrees(Held(session), truth)
            session.rollback()
        n_claimed += len(truth.claimed)
    database.close()
    assert n_claimed == {"chain_c0320": 4, "c0320": 6, "c0280": 4}.get(name, 0)
