"""Runs on the grid: whatever becomes of the job, its record arrives."""

import json
import socket
import sys
import time
import uuid
from pathlib import Path

import pytest
from grid_runs import job_of, request_of, submit, wait

from jobs.engines import engine_of
from jobs.engines.diracx import DiracxEngine, GridOptions
from jobs.engines.local import LocalEngine
from provmanager.client import ProvClient
from provmanager.errors import UsageError

pytestmark = pytest.mark.grid_users

NOBODY = "http://127.0.0.1:9"
"""No server is there."""


@pytest.fixture
def engine(testbed, tmp_path, monkeypatch, app_url, make_token) -> DiracxEngine:
    """The engine of the grid, at home; what comes home is delivered to the module's server."""
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
        "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
    }.items():
        monkeypatch.setenv(name, value)
    return DiracxEngine()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text(f"words of {tmp_path} {time.time_ns()}\n")
    return path


def counts(client: ProvClient) -> tuple[int, int, int]:
    info = client.info()
    return info["documents"], info["activities"], info["entities"]


def test_the_job_is_recorded_with_site_and_host_around_its_run(client, engine, text) -> None:
    run = submit(engine, "chain.cwl", f"text={text}")
    status = wait(engine, run)
    assert (status.state, status.exit_code, status.engine) == ("completed", 0, "diracx")
    job = job_of(client, engine, run)
    assert (job["name"], job["type"], job["exit_code"]) == ("chain job", "Job", 0)
    assert [part["activity"] for part in job["parts"]] == [run]
    grid_job = engine.find(run).info()["grid_job"]
    assert (job["job"]["system"], job["job"]["id"]) == ("DIRAC", str(grid_job))
    assert job["job"]["site"] == "DIRAC.Testbed.local"
    assert job["host"]["name"] == socket.gethostname()
    assert client.activity(run)["job"]["id"] == str(grid_job)
    # the owner of the job, not the account on the node
    assert {agent["name"] for agent in (*job["agents"], *client.activity(run)["agents"])} == {
        "user"
    }


def test_a_product_at_home_leads_to_the_input_at_home(client, engine, text) -> None:
    status = wait(engine, submit(engine, "chain.cwl", f"text={text}"))
    (product,) = status.products
    assert Path(product.path).is_relative_to(engine.folder)
    lineage = json.dumps(client.lineage(product.path))
    assert all(name in lineage for name in ('"shout"', '"count"'))
    assert client.resolve(str(text))["id"] in lineage


def test_a_job_that_cannot_reach_the_server_brings_its_record_home(client, engine, text) -> None:
    run = submit(engine, "chain.cwl", f"text={text}", PROV_SERVER_URL=NOBODY)
    assert wait(engine, run).state == "completed"
    assert {part["name"] for part in client.activity(run)["parts"]} == {"shout", "count"}
    assert job_of(client, engine, run)["status"] == "completed"

    before = counts(client)
    assert engine.status(run).state == "completed"
    assert DiracxEngine().status(run).products == engine.status(run).products
    assert counts(client) == before


@pytest.mark.parametrize("server", [None, NOBODY], ids=["reaches the server", "is cut off"])
def test_a_job_that_dies_without_a_word_is_closed_in_the_record(
    client, engine, tmp_path, server
) -> None:
    killer = tmp_path / "killer.py"
    killer.write_text("import os, time\ntime.sleep(2)\nos.killpg(os.getsid(0), 9)\n")
    environ = {"PROV_SERVER_URL": server} if server else {}
    run = submit(engine, "shell.cwl", f"script={sys.executable} {killer}", **environ)
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("error", 137)
    assert "left no record: DiracX says Failed" in (status.reason or "")
    for activity in (client.activity(run), job_of(client, engine, run)):
        assert activity["status"] == "error"
        assert activity["ended_at"]
        assert "left no record" in json.dumps(activity["details"])
    assert not [p for p in client.activity(run)["parts"] if p["status"] == "running"]
    assert job_of(client, engine, run)["exit_code"] == 137


def test_what_one_engine_made_another_takes_over(client, engine) -> None:
    local = LocalEngine()
    first = local.submit(request_of("branches.cwl", "code=3"))
    wait(local, first)
    second = engine.submit(request_of("branches.cwl", "code=0", resume=first))
    status = wait(engine, second)
    assert (status.state, status.notes) == ("completed", ())
    assert {step.name for step in status.steps if step.is_reused} == {"slow", "late"}
    resumed = str(engine.find(second).path)
    third = local.submit(request_of("branches.cwl", "code=0", resume=resumed))
    status = wait(local, third)
    assert (status.state, status.notes) == ("completed", ())
    assert {step.name for step in status.steps if step.is_reused} == set(
        ("slow", "late", "fails", "after")
    )
    made = {p.role: Path(p.path).read_text() for p in status.products}
    assert made == {"s": "slow\n", "l": "slow\nlate\n", "a": "told\nafter\n"}


def test_a_run_killed_before_its_turn_is_interrupted(client, engine, text) -> None:
    elsewhere = DiracxEngine(options=GridOptions(sites=("LCG.Elsewhere.org",)))
    run = submit(elsewhere, "chain.cwl", f"text={text}")
    status = elsewhere.status(run)
    assert (status.state, "Received" in (status.reason or "")) == ("waiting", True)
    assert [one.state for one in elsewhere.runs()] == ["waiting"]
    elsewhere.cancel(run)
    assert wait(elsewhere, run).state == "interrupted"
    assert client.activity(run)["status"] == "interrupted"


def test_a_job_whose_submitter_was_killed_before_it_knew_is_found_again(
    client, engine, text, tmp_path, monkeypatch
) -> None:
    promised = str(uuid.uuid4())
    request = request_of("chain.cwl", f"text={text}", run_id=promised)
    engine.submit(request)
    number = engine.find(promised).info()["grid_job"]
    monkeypatch.setenv("PROV_STATE_DIR", str(tmp_path / "another machine"))
    elsewhere = DiracxEngine()
    assert elsewhere.submit(request) == promised
    assert elsewhere.find(promised).info()["grid_job"] == number
    assert wait(elsewhere, promised).state == "completed"


def test_jobs_submitted_together_share_a_sandbox_unless_they_carry_files(engine, text) -> None:
    settings = (["script=echo 1"], ["script=echo 2"], ["script=echo 3", f"before={text}"])
    runs = engine.submit_all([request_of("shell.cwl", *told) for told in settings])
    jdls = [(engine.find(run).path / "job.jdl").read_text().splitlines() for run in runs]
    first, second, third = (
        next(line for line in jdl if line.startswith("InputSandbox")) for jdl in jdls
    )
    assert first == second != third
    products = [wait(engine, run).products for run in runs]
    assert [Path(one.path).read_text() for (one,) in products] == ["1\n", "2\n", "3\n"]


def test_a_run_may_ask_for_more_than_the_options_say(engine, text) -> None:
    request = request_of("chain.cwl", f"text={text}", job={"sites": ["LCG.Elsewhere.org"]})
    run = engine.submit(request)
    assert 'Site = {"LCG.Elsewhere.org"}' in (engine.find(run).path / "job.jdl").read_text()
    engine.cancel(run)
    assert wait(engine, run).state == "interrupted"
    with pytest.raises(UsageError, match="priority is 'high': expected int"):
        engine.submit(request_of("chain.cwl", f"text={text}", job={"priority": "high"}))


def test_what_cannot_go_to_the_grid_is_refused_before_it_is_submitted(engine, text) -> None:
    wrong = DiracxEngine(options=GridOptions(job_type="a;b"))
    with pytest.raises(UsageError, match="JobType"):
        submit(wrong, "chain.cwl", f"text={text}")
    assert list(wrong.folder.iterdir()) == []
    missing = DiracxEngine(options=GridOptions(python="/no/such/python"))
    run = submit(missing, "chain.cwl", f"text={text}")
    assert wait(missing, run).exit_code == 127
    assert "there is no /no/such/python" in (missing.find(run).path / "std.err").read_text()


def test_the_engine_of_a_run_is_found_by_its_id_or_folder(engine, text) -> None:
    run = submit(engine, "chain.cwl", f"text={text}")
    assert engine_of(run[:8]).name == "diracx"
    assert engine_of(str(engine.folder / run)).name == "diracx"
    wait(engine, run)
