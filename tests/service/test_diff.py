"""`prod-diff`: what differs between two products, and the first run at which they parted."""

import hashlib
import json
from uuid import uuid4

import pytest
from click.testing import CliRunner

from client_scripts.diff import main
from provmanager.client import ProvClient


def record(client: ProvClient, name: str, minute: int, files: dict[str, list[str]], **more) -> str:
    """Record a run that reads and writes files whose bytes are their names."""

    def told(names: list[str]) -> list[dict[str, str]]:
        digests = [hashlib.sha256(n.encode()).hexdigest() for n in names]
        return [{"url": f"/d/{n}", "sha256": d} for n, d in zip(names, digests, strict=True)]

    run = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": name,
        "version": "1.0",
        "status": "completed",
        "started_at": f"2026-01-01T00:{minute:02d}:00Z",
        "ended_at": f"2026-01-01T00:{minute:02d}:30Z",
        "inputs": told(files.get("in", [])),
        "outputs": told(files.get("out", [])),
        "host": {"name": "node"},
    } | more
    client.record(json.dumps(run).encode(), name="run.json")
    return str(run["id"])


@pytest.fixture(scope="module")
def runs(client: ProvClient) -> dict[str, str]:
    """Two chains from one raw file, of which the first step had other settings."""
    made = {}
    for minute, side, threshold in ((1, "a", 5), (11, "b", 7)):
        settings = {"configuration": {"threshold": threshold, "window": 3}}
        files = {"in": ["raw"], "out": [f"dl1.{side}"]}
        made[f"clean {side}"] = record(client, "clean", minute, files, **settings)
        files = {"in": [f"dl1.{side}"], "out": [f"dl2.{side}"]}
        made[f"fit {side}"] = record(client, "fit", minute + 2, files)
    return made


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch, app_url: str, token: str) -> None:
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", token)


def diff(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def test_the_run_at_which_two_histories_parted_is_named(runs):
    code, output = diff("/d/dl2.a", "/d/dl2.b")
    assert code == 5
    parted = output[output.index("parted:") :]
    assert "activity clean: another configuration" in parted
    assert "threshold: 5 → 7" in parted
    assert runs["clean a"] in parted
    assert "fit" not in parted
    assert "window" not in output  # what is equal is counted
    code, output = diff(runs["clean a"], runs["clean b"], "--all")
    assert code == 5
    assert "configuration: 1 differ, 1 equal" in output
    assert "window = 3" in output


def test_json_holds_the_same(runs):
    code, output = diff("/d/dl2.a", "/d/dl2.b", "--json")
    answer = json.loads(output)
    assert code == 5
    assert answer["partings"]["items"][0]["a"]["id"] == runs["clean a"]


def test_a_product_does_not_differ_from_itself(runs):
    code, output = diff("/d/dl2.a", "/d/dl2.a")
    assert code == 0
    assert "they are the same record" in output
    assert "parted: nowhere" in output


def test_a_product_and_a_run_cannot_be_compared(runs):
    assert diff("/d/dl2.a", runs["fit a"])[0] == 2
    assert diff("/d/dl2.a", "nothing")[0] == 3
