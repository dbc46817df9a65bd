"""Claims of productions: what a step may take, once, by the record itself."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from productions import definition, deliver, make_files, record_activity, step
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import (
    AuthorisationError,
    DifferenceError,
    DocumentError,
    NotFoundError,
    UsageError,
)
from provmanager.logic import productions
from provmanager.store import writing
from provmanager.store.database import Database

Claims = list[dict[str, Any]]


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A name that no other test's production has."""
    return "".join(c if c.isalnum() else "-" for c in tmp_path.name)[:60]


class Production:
    """A production and its submitter."""

    def __init__(self, client: ProvClient, document: dict[str, Any], holder: str = "a") -> None:
        self.client = client
        self.name = document["name"]
        self.holder = holder
        self.definition = client.define_production(self.name, document)["definition"]

    def claim(self, most: int = 100, **more: Any) -> Any:
        """Claim groups."""
        wanted = {
            "definition": self.definition,
            "holder": self.holder,
            "place": "here",
            "most": {"local": most},
        }
        return self.client.claim_groups(self.name, wanted | more)

    def submit(self, *runs: str) -> None:
        """Say that runs were submitted."""
        self.client.report_runs(self.name, {"holder": self.holder, "submitted": list(runs)})

    def end(self, run: str, step: str, status: str = "completed", **told: Any) -> None:
        """Record how a run ended, as its engine would."""
        record_activity(
            self.client, id=run, name=f"{self.name}.{step}", type="Workflow", status=status,
            exit_code=0 if status == "completed" else 1, **told,
        )  # fmt: skip
        self.client.report_runs(self.name, {"holder": self.holder, "settled": [run]})

    def step(self, number: int = 0) -> dict[str, Any]:
        """Return how far a step is."""
        return dict(self.client.production(self.name)["steps"][number])


@pytest.fixture
def make(client: ProvClient, name: str) -> Callable[..., Production]:
    """Define a production of that name."""

    def define(*steps: dict[str, Any], **more: Any) -> Production:
        return Production(client, definition(name, *steps, **more))

    return define


def here(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Return a query for what lies below this test's folder."""
    return {"location": f"file://*{tmp_path}/*", **more}


def names(groups: Claims) -> list[list[str]]:
    return [[given["name"] for given in group["inputs"]] for group in groups]


def test_inputs_are_claimed_in_groups_and_each_once(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    files = make_files(tmp_path, 1, 7)
    deliver(client, files)
    production = make(step("a", input=here(tmp_path), group={"size": 3}))
    dry = production.claim(dry_run=True)
    assert [len(group["inputs"]) for group in dry] == [3, 3, 1]
    assert {group["run"] for group in dry} == {None}
    groups = production.claim()
    assert names(groups) == names(dry)
    assert sorted(one for group in names(groups) for one in group) == [path.name for path in files]
    production.submit(*(group["run"] for group in groups))
    assert production.claim() == []
    run = client.activity(groups[0]["run"])
    assert (run["status"], run["started_at"], run["type"]) == ("running", None, "Workflow")
    assert {used["entity"] for used in run["used"]} == {i["id"] for i in groups[0]["inputs"]}
    assert [part["name"] for part in run["part_of"]] == [f"{production.name}.a"]
    counts = production.step()
    assert counts["runs"]["waiting"] == 3
    assert counts["inputs"] == {
        "free": 0, "running": 7, "completed": 0, "retried": 0, "failed": 0, "doubled": 0,
    }  # fmt: skip


def test_what_comes_late_is_taken_too_and_nothing_else(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 2))
    production = make(step("a", input=here(tmp_path), group={"size": 2}))
    (first,) = production.claim()
    production.submit(first["run"])
    production.end(first["run"], "a")
    deliver(client, make_files(tmp_path, 3, 4))
    assert names(production.claim()) == [["run003.txt", "run004.txt"]]


def test_submitters_at_once_claim_each_input_once(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 40))
    document = make(step("a", input=here(tmp_path), group={"size": 2}))
    taken: list[Claims] = []

    def take(holder: str) -> None:
        with ProvClient(client.url, client._transport._token) as own:
            while True:
                groups = own.claim_groups(
                    document.name,
                    {
                        "definition": document.definition,
                        "holder": holder,
                        "place": "here",
                        "most": {"local": 3},
                    },
                )
                if not groups:
                    return
                own.report_runs(
                    document.name, {"holder": holder, "submitted": [g["run"] for g in groups]}
                )
                taken.append(groups)  # type: ignore[arg-type]

    threads = [threading.Thread(target=take, args=(f"holder {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_names = [name for groups in taken for group in names(groups) for name in group]
    assert sorted(all_names) == sorted(set(all_names))
    assert len(all_names) == 40
    assert document.step()["inputs"]["doubled"] == 0


def test_a_claim_that_nobody_submitted_is_taken_up_with_its_run(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 3))
    production = make(step("a", input=here(tmp_path), group={"size": 3}))
    (claimed,) = production.claim()
    assert production.step()["runs"]["claimed"] == 1
    assert production.claim(holder="b") == []  # its holder may still be about to submit it
    (again,) = production.claim()
    assert again == claimed | {"is_new": False}
    production.claim(lease_s=1, holder="a")
    deadline = threading.Event()
    assert not deadline.wait(1.1)
    assert production.claim(holder="b", place="elsewhere") == []  # it may run there, unknown to us
    (taken,) = production.claim(holder="b")
    assert taken["run"] == claimed["run"]


def test_a_failed_group_is_run_again_up_to_the_limit(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 3))
    production = make(step("a", input=here(tmp_path), group={"size": 2}), retries=1)
    first, second = production.claim()
    production.submit(first["run"], second["run"])
    production.end(second["run"], "a")
    production.end(
        first["run"], "a", "error", messages=[{"level": "error", "text": "no magnet"}]
    )  # fmt: skip
    assert production.step()["inputs"]["retried"] == 2
    (again,) = production.claim()
    assert again["run"] != first["run"]
    assert sorted(names([again])[0]) == sorted(names([first])[0])
    production.submit(again["run"])
    assert production.claim() == []
    production.end(again["run"], "a", "interrupted")
    assert production.claim() == []
    counts = production.step()
    assert (counts["inputs"]["failed"], counts["inputs"]["completed"]) == (2, 1)
    assert {f["reason"] for f in counts["failures"]} == {"no magnet", None}
    assert client.production(production.name)["is_done"]
    more = Production(
        client,
        definition(production.name, step("a", input=here(tmp_path), group={"size": 2}), retries=2),
    )
    assert len(more.claim()) == 1


def test_a_step_takes_what_completed_runs_of_another_gave(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 4))
    production = make(
        step("a", input=here(tmp_path, activity={"name": "delivery"})),
        step("b", input={"from": "a", "output": "dl1"}, group={"size": 3}),
    )
    runs = [group["run"] for group in production.claim()]
    production.submit(*runs)
    assert len(runs) == 4
    made = make_files(tmp_path / "made", 1, 4)
    for run, path in zip(runs, made, strict=True):
        outputs = [
            {"role": "dl1", "url": f"file://node{path}", "sha256": f"{hash(path) % 16**8:064x}"},
            {"role": "log", "url": f"file://node{path}.log"},
        ]
        status = "error" if path == made[-1] else "completed"
        if path in made[:3]:
            assert production.claim() == []  # three make a group
        production.end(run, "a", status, outputs=outputs)
    groups = production.claim()
    assert [(g["step"], len(g["inputs"])) for g in groups] == [("a", 1), ("b", 3)]
    assert sorted(names(groups)[1]) == [path.name for path in made[:3]]
    production.submit(*(group["run"] for group in groups))
    last = {"role": "dl1", "url": f"file://node{made[-1]}.again"}
    production.end(groups[0]["run"], "a", outputs=[last])
    (rest,) = production.claim()  # nothing more can come
    assert names([rest]) == [["run004.txt.again"]]


def test_groups_hold_what_is_alike_in_the_key(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path / "x", 1, 3), night=7)
    deliver(client, make_files(tmp_path / "y", 1, 2), night=8)
    production = make(step("a", input=here(tmp_path), group={"size": 2, "by": "metadata.night"}))
    groups = production.claim()
    assert [(g["key"], len(g["inputs"])) for g in groups] == [("7", 2), ("7", 1), ("8", 2)]
    by_folder = Production(
        client,
        definition(
            production.name[:50] + "-folder",
            step("a", input=here(tmp_path), group={"size": 9, "by": "folder"}),
        ),
    )
    assert [len(g["inputs"]) for g in by_folder.claim()] == [3, 2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "run00[12].txt"}, []),
        ({"name": "run00?.txt"}, ["run001.txt", "run002.txt", "run003.txt"]),
        ({"metadata": {"campaign": "PROD6"}}, ["run001.txt", "run002.txt"]),
        ({"metadata": {"campaign": ["PROD7", "PROD8"]}}, ["run003.txt"]),
        ({"metadata": {"zenith.deg": {"min": 20, "max": 40}}}, ["run001.txt"]),
        ({"metadata": {"night": {"min": "2026-03-02"}}}, ["run003.txt"]),
        ({"metadata": {"absent": 1}}, []),
        ({"role": "data", "kind": "dataset"}, ["run001.txt", "run002.txt", "run003.txt"]),
        (
            {"generated": {"after": "2026-03-01", "before": "2026-03-02"}},
            ["run001.txt", "run002.txt"],
        ),
        ({"activity": {"name": "deliv*", "site": "LCG.A*"}}, ["run001.txt"]),
        ({"activity": {"parameters": {"camera.gain": 2}}}, ["run002.txt"]),
        ({"activity": {"version": "9"}}, []),
    ],
    ids=str,
)
def test_what_a_step_takes_is_what_its_query_says(
    client: ProvClient,
    make: Callable[..., Production],
    tmp_path: Path,
    query: dict[str, Any],
    expected: list[str],
) -> None:
    told = [
        {"campaign": "PROD6", "zenith": {"deg": 20}, "night": "2026-03-01"},
        {"campaign": "PROD6", "zenith": {"deg": 41.5}, "night": "2026-03-01"},
        {"campaign": "PROD7", "zenith": {"deg": "x"}, "night": "2026-03-02"},
    ]
    activities = [
        {"job": {"system": "DIRAC", "id": "1", "site": "LCG.A.fr"}},
        {"configuration": {"camera": {"gain": 2}}},
        {"started_at": "2026-03-02T12:00:00Z", "ended_at": "2026-03-02T12:00:00Z"},
    ]
    for path, attributes, activity in zip(
        make_files(tmp_path, 1, 3), told, activities, strict=True
    ):
        output = {"role": "data", "url": f"file://store{path}", **attributes}
        record_activity(client, name="delivery", status="completed", outputs=[output], **activity)
    production = make(step("a", input=here(tmp_path, **query), group={"size": 10}))
    assert names(production.claim()) == ([expected] if expected else [])


def test_what_a_failed_run_made_or_was_overwritten_is_not_taken(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    path = f"file://store{tmp_path}/x.txt"
    record_activity(client, name="w", status="error", outputs=[{"url": path + ".bad"}])
    for hour in (1, 2):
        at = f"2026-03-01T0{hour}:00:00Z"
        output = {"url": path, "sha256": f"{hour:064x}"}
        record_activity(client, name="w", status="completed", outputs=[output],
                        started_at=at, ended_at=at)  # fmt: skip
    production = make(step("a", input=here(tmp_path), group={"size": 10}))
    (group,) = production.claim()
    assert [given["sha256"] for given in group["inputs"]] == [f"{2:064x}"]


def test_equal_bytes_of_two_producers_are_two_inputs(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    for n in (1, 2):
        output = {
            "url": f"file://store{tmp_path}/{n}.txt",
            "sha256": f"{hash(tmp_path) % 16**9:064x}",
        }
        record_activity(client, name="w", status="completed", outputs=[output])
    production = make(step("a", input=here(tmp_path)))
    assert sorted(names(production.claim())) == [["1.txt"], ["2.txt"]]
    assert production.claim(holder="b") == []


def test_a_full_group_is_waited_for_where_that_was_asked(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 3))
    production = make(step("a", input=here(tmp_path), group={"size": 2}))
    assert [len(g["inputs"]) for g in production.claim(filled=[])] == [2]
    production.submit(*(run["run"] for run in production.claim(most=0)))
    assert [len(g["inputs"]) for g in production.claim(filled=["a"]) if g["is_new"]] == [1]


def test_a_production_defined_anew_holds_for_everybody(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    first = make(step("a", input=here(tmp_path)))
    assert client.define_production(
        first.name, definition(first.name, step("a", input=here(tmp_path)))
    ) == {"name": first.name, "definition": first.definition, "is_new": False}
    make(step("a", input=here(tmp_path), group={"size": 2}))
    with pytest.raises(DifferenceError, match="defined anew"):
        first.claim()


def test_wrong_use_is_refused(
    client: ProvClient, app_url: str, make_token: Callable[..., str], name: str
) -> None:
    with pytest.raises(NotFoundError, match="prod-status"):
        client.production("nobody")
    with pytest.raises(UsageError, match="the path names"):
        client.define_production("other", definition(name, step("a")))
    with pytest.raises(DocumentError, match="an earlier step"):
        client.define_production(name, definition(name, step("a", input={"from": "b"})))
    production = definition(name, step("a"))
    with ProvClient(app_url, make_token("reader")) as reader, pytest.raises(AuthorisationError):
        reader.define_production(name, production)
    with (
        ProvClient(app_url, make_token("recorder", job="7")) as job,
        pytest.raises(AuthorisationError, match="job 7"),
    ):
        job.define_production(name, production)
    with ProvClient(app_url, make_token("recorder")) as recorder:
        assert recorder.define_production(name, production)["is_new"]
    assert name in [item["name"] for item in client.productions()["items"]]


def numbered(name: str = "a", **more: Any) -> dict[str, Any]:
    """Return a step that takes no files."""
    return {"name": name, "workflow": f"{name}.cwl",
            "generate": {"runs": 3, "parameter": "run_number"} | more}  # fmt: skip


def numbers(groups: Claims) -> list[int]:
    return [group["number"] for group in groups]


def test_each_number_is_run_once_and_the_record_says_which(
    client: ProvClient, make: Callable[..., Production]
) -> None:
    production = make(numbered(runs=4, first=7))
    dry = production.claim(dry_run=True)
    assert [(g["run"], g["number"], g["inputs"]) for g in dry] == [
        (None, 7, []), (None, 8, []), (None, 9, []), (None, 10, []),
    ]  # fmt: skip
    first = production.claim(most=1)
    production.submit(first[0]["run"])
    rest = production.claim(holder="b")
    assert numbers(first) + numbers(rest) == [7, 8, 9, 10]
    assert production.claim(holder="b") == [g | {"is_new": False} for g in rest]
    (used,) = client.activity(first[0]["run"])["used"]
    assert (used["role"], used["name"]) == ("production input", "run_number")
    number = client.entity(used["entity"])
    assert (number["kind"], number["value"]) == ("value", "7")
    assert production.step()["generate"] == {"runs": 4, "first": 7, "parameter": "run_number"}
    assert production.step()["inputs"] == {
        "free": 0, "running": 4, "completed": 0, "retried": 0, "failed": 0, "doubled": 0,
    }  # fmt: skip


def test_a_run_that_failed_is_run_again_with_its_number(
    client: ProvClient, make: Callable[..., Production]
) -> None:
    production = make(numbered(runs=2), retries=1)
    first, second = production.claim()
    production.submit(first["run"], second["run"])
    production.end(first["run"], "a", "error")
    production.end(second["run"], "a")
    (again,) = production.claim()
    assert (again["number"], again["is_new"]) == (1, True)
    assert again["run"] != first["run"]
    used = [client.activity(run)["used"][0]["entity"] for run in (first["run"], again["run"])]
    assert used[0] == used[1]
    production.submit(again["run"])
    production.end(again["run"], "a", "interrupted")
    assert production.claim() == []
    counts = production.step()["inputs"]
    assert (counts["completed"], counts["failed"], counts["doubled"]) == (1, 1, 0)
    assert client.production(production.name)["is_done"]


def test_more_runs_are_only_those_that_are_new_and_fewer_take_nothing_back(
    client: ProvClient, make: Callable[..., Production]
) -> None:
    done = [group["run"] for group in make(numbered(runs=3, first=5)).claim()]
    fewer = make(numbered(runs=1, first=5))
    fewer.submit(*done)
    for run in done:
        fewer.end(run, "a")
    assert fewer.claim() == []
    assert fewer.step()["inputs"]["completed"] == 3
    more = make(numbered(runs=6, first=4))
    assert more.step()["inputs"]["free"] == 3
    assert numbers(more.claim(most=2)) == [4, 8]
    assert numbers(more.claim(holder="b")) == [9]


def test_submitters_at_once_claim_each_number_once(
    client: ProvClient, make: Callable[..., Production]
) -> None:
    production = make(numbered(runs=40))
    taken: list[int] = []

    def take(holder: str) -> None:
        with ProvClient(client.url, client._transport._token) as own:
            rival = Production.__new__(Production)
            rival.client, rival.name, rival.holder = own, production.name, holder
            rival.definition = production.definition
            while groups := rival.claim(most=3):
                rival.submit(*(group["run"] for group in groups))
                taken.extend(numbers(groups))

    threads = [threading.Thread(target=take, args=(f"holder {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))
    assert production.step()["inputs"]["doubled"] == 0


def test_outputs_of_runs_without_inputs_are_the_inputs_of_the_next_step(
    client: ProvClient, make: Callable[..., Production], tmp_path: Path
) -> None:
    production = make(numbered(runs=2), step("b", input={"from": "a"}, group={"size": 2}))
    one, other = production.claim()
    production.submit(one["run"], other["run"])
    for group in (one, other):
        assert production.claim() == []
        output = {"role": "burst", "url": f"file://node{tmp_path}/{group['number']}.fits"}
        production.end(group["run"], "a", outputs=[output])
    (merged,) = production.claim()
    assert names([merged]) == [["1.fits", "2.fits"]]
    assert merged["number"] is None


class Waiting:
    """Claims that have chosen, and wait for their turn to record what they chose."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.pool = ThreadPoolExecutor()

    def together(self, *calls: Callable[[], Claims]) -> list[Claims]:
        """Return what calls give of which each has chosen before any other records."""
        with self.database.transaction() as session:
            writing.lock_writers(session)
            futures = [self.pool.submit(call) for call in calls]
            self.wait(len(calls), "advisory")
        return [future.result(timeout=60) for future in futures]

    def wait(self, n_waiting: int, *kinds: str) -> None:
        """Wait until so many transactions wait for locks of these kinds."""
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = ANY(:kinds)")
        deadline = time.monotonic() + 60
        while True:
            with self.database.transaction() as session:
                if session.execute(waiting, {"kinds": list(kinds)}).scalar_one() >= n_waiting:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def waiting(database: Database) -> Iterator[Waiting]:
    made = Waiting(database)
    yield made
    made.pool.shutdown()


def test_claims_that_chose_the_same_at_once_do_not_take_the_same(
    client: ProvClient, make: Callable[..., Production], waiting: Waiting, tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path, 1, 3))
    production = make(
        numbered("c", runs=1), step("a", input=here(tmp_path)), numbered("b", runs=3), retries=1
    )
    (failed,) = production.claim(most=1)
    production.end(failed["run"], "c", "error")
    first, second = waiting.together(
        lambda: production.claim(most=4, holder="x"), lambda: production.claim(most=4, holder="y")
    )
    taken = [(g["step"], g["number"], *names([g])[0]) for g in first + second]
    assert len(taken) == len(set(taken)) == 7
    assert [t for t in taken if t[0] == "c"] == [("c", 1)]
    for number in range(3):
        assert production.step(number)["inputs"]["doubled"] == 0


def test_submitters_that_settle_each_others_runs_do_not_block_each_other(
    make: Callable[..., Production], waiting: Waiting, database: Database
) -> None:
    production = make(numbered(runs=2))
    (one,) = production.claim(most=1, holder="x")
    (other,) = production.claim(most=1, holder="y")

    def report(holder: str, run: str) -> Any:
        with database.transaction() as own:  # a client would try again
            return productions.report(
                own, production.name, holder=holder, lease_s=60,
                submitted=[UUID(run)], settled=[UUID(run)],
            )  # fmt: skip

    def settle(holder: str, run: str) -> Any:
        return waiting.pool.submit(report, holder, run)

    with database.transaction() as session:
        session.execute(
            text("SELECT 1 FROM prov.production_run WHERE run_uuid = :run FOR UPDATE"),
            {"run": one["run"]},
        )
        reports = [settle("y", one["run"])]
        waiting.wait(1, "transactionid")
        reports.append(settle("x", other["run"]))
        waiting.wait(2, "transactionid", "tuple")
    still_open = [[run["run"] for run in done.result(timeout=60)] for done in reports]
    assert sorted(still_open, key=len) == [[], [other["run"]]]
