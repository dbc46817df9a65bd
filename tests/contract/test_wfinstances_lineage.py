"""The real executions of WfInstances in one server: lineages against networkx on the raw files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import pytest
from data.wfformat import activity_id, edges, file_url, instances, to_records
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.logic import trace
from provmanager.store import lineage as store
from provmanager.store.database import Database

Node = tuple[str, str]

DIRECTIONS: tuple[store.Direction, ...] = ("up", "down")
N_RECORDS = 4931
N_FILES = 9538


class Execution:
    """One execution, as the raw file has it and as the database names it."""

    def __init__(self, path: Path, keys: dict[str, tuple[int, str]]) -> None:
        self.graph = edges(path)
        self.names = {
            node: activity_id(path, node[1]) if node[0] == "task" else file_url(path, node[1])
            for node in self.graph
        }
        self.keys = {node: keys[name][0] for node, name in self.names.items()}
        self.uuids = {node: keys[name][1] for node, name in self.names.items()}

    @property
    def files(self) -> list[Node]:
        """All files."""
        return [node for node in self.graph if node[0] == "file"]

    def reached(self, focus: Node, direction: str) -> set[Node]:
        """Return what networkx reaches from `focus`, with it."""
        walk = networkx.ancestors if direction == "up" else networkx.descendants
        return {focus, *walk(self.graph, focus)}

    def distances(self, focus: Node, direction: str) -> dict[Node, int]:
        """Return how many tasks lie between `focus` and each node that it reaches."""
        along = self.graph.reverse(copy=False) if direction == "up" else self.graph
        found: dict[Node, int] = networkx.single_source_dijkstra_path_length(
            along, focus, weight=lambda _start, end, _edge: int(end[0] == "task")
        )
        return found


@pytest.fixture(scope="module")
def items(prov_data: Path, client: ProvClient) -> list[dict[str, Any]]:
    """What became of each record: one document for each task, all in one server."""
    documents = (
        (f"{path.stem}-{number}.json", json.dumps(each).encode())
        for path in instances(prov_data)
        for number, each in enumerate(to_records(path))
    )
    return list(client.record_many(documents))


@pytest.fixture(scope="module")
def executions(items: list[dict[str, Any]], prov_data: Path, database: Database) -> list[Execution]:
    with database.transaction() as session:
        session.execute(text("ANALYZE"))
        rows = session.execute(text(
            "SELECT activity_uuid::text, activity_id, activity_uuid::text FROM prov.activity "
            "UNION ALL SELECT d.uri || e.base_name, e.entity_id, e.entity_uuid::text "
            "FROM prov.entity e JOIN prov.directory d USING (directory_id)"
        ))  # fmt: skip
        keys = {name: (key, uuid) for name, key, uuid in rows}
    return [Execution(path, keys) for path in instances(prov_data)]


def test_every_task_is_a_new_activity_and_every_file_one_product(
    items: list[dict[str, Any]], executions: list[Execution], database: Database
) -> None:
    assert {item["outcome"] for item in items} == {"recorded"}
    assert all(not item["receipt"]["contradictions"] for item in items)
    n_tasks = sum(node[0] == "task" for e in executions for node in e.graph)
    n_files = sum(len(e.files) for e in executions)
    n_used = sum(start[0] == "file" for e in executions for start, _ in e.graph.edges)
    n_generated = sum(start[0] == "task" for e in executions for start, _ in e.graph.edges)
    assert (len(items), n_tasks, n_files) == (N_RECORDS, N_RECORDS - len(executions), N_FILES)
    with database.transaction() as session:
        counts = session.execute(text(
            "SELECT (SELECT count(*) FROM prov.activity), (SELECT count(*) FROM prov.entity), "
            "(SELECT count(*) FROM prov.used), (SELECT count(*) FROM prov.was_generated_by), "
            "(SELECT count(*) FROM prov.was_informed_by WHERE kind = 'part-of'), "
            "(SELECT count(*) FROM prov.contradiction)"
        )).one()  # fmt: skip
    assert tuple(counts) == (N_RECORDS, n_files, n_used, n_generated, n_tasks, 0)


def test_every_file_of_every_execution_has_exactly_its_true_ancestors_and_descendants(
    executions: list[Execution], database: Database
) -> None:
    """One walk in the database a file and direction: 19 076 of them."""
    n_walks = 0
    with database.transaction() as session:
        for execution in executions:
            for focus in execution.files:
                key = execution.keys[focus]
                for way in DIRECTIONS:
                    tasks, files = set(), set()
                    for node in execution.reached(focus, way):
                        (tasks if node[0] == "task" else files).add(execution.keys[node])
                    found = store.walk(session, store.start_nodes(session, key, way), way)
                    assert set(found) == tasks | {key}
                    assert len(found) == len(tasks) + 1
                    sides = {"used_by" if way == "up" else "generated_by": sorted(tasks)}
                    n_files, ids = store.entity_ids(session, node_ids=[key], **sides)
                    assert {int(one) for one in ids.strip("{}").split(",")} == files
                    assert n_files == len(files)
                    n_walks += 1
    assert n_walks == 2 * N_FILES


def every(n: int, executions: list[Execution]) -> Iterator[tuple[Execution, Node]]:
    """Yield every nth file, and the last of each execution."""
    for execution in executions:
        for focus in dict.fromkeys([*execution.files[::n], execution.files[-1]]):
            yield execution, focus


def assert_is_true(answer: dict[str, Any], execution: Execution, focus: Node, way: str) -> None:
    """Check a whole answer: nodes, their distances, flows and roots."""
    distances = execution.distances(focus, way)
    uuids = execution.uuids
    inside = execution.graph.subgraph(distances)
    tasks = {uuids[n]: d for n, d in distances.items() if n[0] == "task"}
    files = {uuids[n]: d for n, d in distances.items() if n[0] == "file"}
    assert {a["id"]: a["depth"] for a in answer["activities"]} == tasks
    assert {e["id"]: e["depth"] for e in answer["entities"]} == files
    flows = {(u["entity"], u["activity"]) for u in answer["used"]}
    flows |= {(g["activity"], g["entity"]) for g in answer["generated"]}
    assert flows == {(uuids[start], uuids[end]) for start, end in inside.edges}
    roots = {uuids[n] for n in distances if n[0] == "file" and not execution.graph.pred[n]}
    assert {e["id"] for e in answer["entities"] if e["is_root"]} == roots
    assert answer["counts"]["used"] + answer["counts"]["generated"] == len(flows)
    assert not answer["truncated"]


def test_whole_answers_are_true(executions: list[Execution], database: Database) -> None:
    for execution, focus in every(20, executions):
        for way in DIRECTIONS:
            with database.transaction() as session:
                answer = trace.lineage(session, execution.uuids[focus], direction=way)
            assert_is_true(answer, execution, focus, way)


def test_answers_over_http_by_location_are_true(
    executions: list[Execution], client: ProvClient
) -> None:
    for execution, focus in every(400, executions):
        for way in DIRECTIONS:
            answer = client.lineage(execution.names[focus], direction=way, levels=True)
            around = {p["part_of"] for p in answer["parts"]}
            answer["activities"] = [a for a in answer["activities"] if a["id"] not in around]
            assert_is_true(answer, execution, focus, way)
            assert len(around) == min(1, len(answer["activities"]))


def test_a_limited_depth_is_that_many_tasks(
    executions: list[Execution], client: ProvClient
) -> None:
    for execution, focus in every(800, executions):
        for way in DIRECTIONS:
            distances = execution.distances(focus, way)
            for depth in (1, 2, 4):
                answer = client.lineage(execution.names[focus], direction=way, depth=depth)
                near = {
                    execution.uuids[n]
                    for n, distance in distances.items()
                    if n[0] == "task" and distance <= depth
                }
                assert {a["id"] for a in answer["activities"]} == near


def test_the_summary_counts_the_same_as_the_lineage(
    executions: list[Execution], client: ProvClient
) -> None:
    for execution, focus in every(400, executions):
        for way in DIRECTIONS:
            distances = execution.distances(focus, way)
            n_tasks = sum(n[0] == "task" for n in distances)
            inside = execution.graph.subgraph(distances)
            found = client.lineage_summary(execution.names[focus], direction=way)
            boxes: dict[str, int] = {"activity": 0, "product": 0}
            for box in found["boxes"]:
                boxes[box["kind"]] += box["count"]
            assert boxes == {"activity": n_tasks, "product": len(distances) - n_tasks}
            assert sum(arrow["count"] for arrow in found["arrows"]) == inside.number_of_edges()
            if len(execution.graph) > 1500:  # 2122 tasks of montage, 902 of 1000genome
                assert len(found["boxes"]) <= 20
