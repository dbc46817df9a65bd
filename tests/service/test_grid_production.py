"""A production on the grid: late data, a submitter that is killed, and each input once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from productions import deliver, make_files
from sqlalchemy import text

from jobs.engines.diracx.grid import Grid
from jobs.engines.diracx.names import run_of
from jobs.testbed import RunningTestbed
from provmanager.client import ProvClient
from provmanager.errors import NotFoundError
from provmanager.store.database import Database

pytestmark = pytest.mark.grid_users

CWL = Path(__file__).parents[1] / "data" / "cwl"
PATIENCE_S = 240.0
NAME = "sixty"

PROOF = """
SELECT s.name AS step, count(*) AS inputs, sum(n_completed) AS completed, max(n_completed) AS most
FROM (SELECT i.informant_id AS step_id, u.entity_id,
             count(*) FILTER (WHERE a.status = 'completed') AS n_completed
      FROM was_informed_by i
      JOIN activity a ON a.activity_id = i.informed_id AND i.kind = 'part-of'
      JOIN used u ON u.activity_id = a.activity_id
      JOIN role r ON r.role_id = u.role_id AND r.name = 'production input'
      GROUP BY 1, 2) AS taken
JOIN activity s ON s.activity_id = step_id AND s.type = 'ProductionStep'
GROUP BY 1 ORDER BY min(step_id)
"""


@pytest.fixture
def environ(
    testbed: RunningTestbed,
    app_url: str,
    make_token: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """What a submitter is told: the record's server, and the testbed's DiracX."""
    for name in [n for n in os.environ if n.startswith("PROV_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
    }.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


def write_production(folder: Path) -> Path:
    wanted = yaml.safe_load((CWL / "production.yml").read_text())
    for step in wanted["steps"]:
        step["workflow"] = str(CWL / step["workflow"])
    path = folder / "production.yml"
    path.write_text(yaml.safe_dump(wanted | {"name": NAME, "engine": "diracx"}, sort_keys=False))
    return path


def runs_of_first_step(client: ProvClient) -> dict[str, Any]:
    try:
        return dict(client.production(NAME)["steps"][0]["runs"])
    except NotFoundError:
        return {"claimed": 0, "completed": 0}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_documentation_shows_the_query_that_proves_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "productions.md").read_text()
    assert PROOF.strip() in page


def test_sixty_inputs_with_ten_late_and_two_kills_are_processed_once_each(
    client: ProvClient, database: Database, environ: dict[str, str], tmp_path: Path
) -> None:
    begun_at = datetime.now(UTC) - timedelta(seconds=5)
    deliver(client, make_files(tmp_path / "data", 1, 50))
    path = write_production(tmp_path)

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "client_scripts.submit", str(path), "-q"]
        return subprocess.Popen(command, env=environ, cwd=tmp_path)

    with start() as first:
        wait_for(lambda: runs_of_first_step(client)["claimed"])
        first.send_signal(signal.SIGKILL)  # claimed, and not yet known to be submitted
    with start() as second:
        wait_for(lambda: runs_of_first_step(client)["completed"] >= 2)
        deliver(client, make_files(tmp_path / "data", 51, 60))
        second.send_signal(signal.SIGKILL)
    with start() as third:
        assert third.wait(PATIENCE_S) == 0

    steps = client.production(NAME)["steps"]
    assert [step["inputs"]["completed"] for step in steps[:2]] == [60, 60]
    with database.transaction() as session:
        proof = [tuple(row) for row in session.execute(text(PROOF))]
    assert proof[:2] == [(f"{NAME}.mark", 60, 60, 1), (f"{NAME}.merge", 60, 60, 1)]
    assert proof[2][1:] == (steps[1]["runs"]["completed"], steps[1]["runs"]["completed"], 1)
    assert merged_files(client, steps[2]["id"], tmp_path) == [
        f"run{n:03}.txt" for n in range(1, 61)
    ]
    jobs = [run_of(job.name) for job in Grid().own(begun_at).values()]
    n_jobs = Counter(run for name, run in filter(None, jobs) if name.startswith(f"{NAME}."))
    assert set(n_jobs.values()) == {1}
    assert len(n_jobs) == sum(sum(step["runs"].values()) for step in steps)


def test_what_one_step_stored_the_next_one_reads_by_its_lfn(
    client: ProvClient, environ: dict[str, str], tmp_path: Path
) -> None:
    deliver(client, make_files(tmp_path / "data", 1, 2))
    (tmp_path / "store").mkdir()
    storage = {"kind": "directory", "path": str(tmp_path / "store"), "lfn": "/vo/{run}/{file}"}
    wanted = yaml.safe_load(write_production(tmp_path).read_text())
    wanted |= {"name": "stored", "job": {"storage": storage, "bring_products": False}}
    wanted["steps"] = wanted["steps"][:2]
    wanted["steps"][0]["input"]["location"] = f"file://*{tmp_path}/*"
    path = tmp_path / "stored.yml"
    path.write_text(yaml.safe_dump(wanted))
    command = [sys.executable, "-m", "client_scripts.submit", str(path), "-q"]
    subprocess.run(command, env=environ, cwd=tmp_path, check=True, timeout=PATIENCE_S)
    mark, merge = client.production("stored")["steps"]
    assert (mark["inputs"]["completed"], merge["inputs"]["completed"]) == (2, 2)
    (run,) = client.activity(merge["id"])["parts"]
    inputs = tmp_path / "state" / "grid-runs" / run["activity"] / "inputs.json"
    places = [one["location"] for one in json.loads(inputs.read_text())["texts"]]
    assert all(place.startswith("LFN:/vo/") for place in places)
    (merged,) = (tmp_path / "store").rglob("merged.txt")
    assert merged.read_text().count("events of") == 2


def test_equal_bytes_are_two_inputs_on_the_grid_too(
    client: ProvClient, environ: dict[str, str], tmp_path: Path
) -> None:
    for folder in ("a", "b"):  # two products, of two deliveries
        (path,) = make_files(tmp_path / folder, 1, 1)
        path.write_text(f"the same in {tmp_path}")
        deliver(client, [path])
    wanted = yaml.safe_load(write_production(tmp_path).read_text()) | {"name": "equal"}
    wanted["steps"] = wanted["steps"][:1]
    wanted["steps"][0] |= {"group": {"size": 1}}
    wanted["steps"][0]["input"]["location"] = f"file://*{tmp_path}/*"
    path = tmp_path / "equal.yml"
    path.write_text(yaml.safe_dump(wanted))
    command = [sys.executable, "-m", "client_scripts.submit", str(path), "-q"]
    subprocess.run(command, env=environ, cwd=tmp_path, check=True, timeout=PATIENCE_S)
    (step,) = client.production("equal")["steps"]
    assert (step["runs"]["completed"], step["inputs"]["completed"]) == (2, 2)
    assert step["inputs"]["doubled"] == 0


def merged_files(client: ProvClient, step: str, folder: Path) -> list[str]:
    """Return of which files the products of a step's runs hold the lines, once for each time."""
    found: list[str] = []
    for part in client.activity(step)["parts"]:
        merged = folder / "state" / "grid-runs" / part["activity"] / "products" / "merged.txt"
        lines = merged.read_text().splitlines()
        found += [line.split()[2] for line in lines if line.startswith("events of")]
    return sorted(found)
