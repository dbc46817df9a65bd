"""`prod-testbed` from its first start to its removal."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from grid_user import GridUser, wait_until

from jobs.testbed import Options, RunningTestbed, bring_up, look_at
from jobs.testbed.environment import make_environment
from provmanager.errors import ProvError, UsageError

COMMAND = [sys.executable, "-m", "client_scripts.testbed"]


def run(*arguments, **environ):
    """Run prod-testbed to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A testbed's folder; whatever runs from it is stopped."""
    yield tmp_path / "testbed"
    run("down", "--state-dir", tmp_path / "testbed")


def test_what_was_there_survives_a_crash_and_goes_with_purge(folder, dirac_venv, tmp_path):
    up = ["up", "--json", "--workers", 1, "--state-dir", folder, "--venv", dirac_venv]
    first = run(*up)
    assert first.returncode == 0, first.stderr
    testbed = RunningTestbed(**json.loads(first.stdout))
    assert "it runs already" in run(*up).stderr
    with GridUser(testbed, "user") as user:
        (job_id,) = user.submit("echo kept", OutputSandbox='{"std.out"}')
        user.wait(job_id)

    os.kill(testbed.pid, signal.SIGKILL)
    wait_until(lambda: run("status", "--state-dir", folder).returncode == 3)
    again = RunningTestbed(**json.loads(run(*up).stdout))
    assert (again.url, again.pid == testbed.pid) == (testbed.url, False)
    with GridUser(again, "user") as user:
        assert user.look(job_id)["Status"] == "Done"
        assert (user.download(job_id, tmp_path / "got") / "std.out").read_text() == "kept\n"
    told = json.loads(run("status", "--json", "--state-dir", folder).stdout)
    assert (told["healthy"], told["jobs"]) == (True, {"Done": 1})

    assert "stopped" in run("down", "--purge", "--state-dir", folder).stderr
    assert not folder.exists()


def test_it_ends_with_its_owner(folder, dirac_venv):
    with subprocess.Popen(["sleep", "1000"]) as owner:
        testbed = bring_up(folder, Options(n_workers=1, owner_pid=owner.pid), venv=dirac_venv)
        assert look_at(folder)["pid"] == testbed.pid
        owner.kill()
    wait_until(lambda: look_at(folder) is None)


def test_a_port_in_use_is_named(folder, dirac_venv, testbed):
    port = testbed.url.rpartition(":")[2]
    said = run("up", "--state-dir", folder, "--venv", dirac_venv, "--port", port)
    assert (said.returncode, port in said.stderr, "in use" in said.stderr) == (2, True, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workers", "0"], "name 1 or more"),
        (["--stalled-after", "1"], "make it longer"),
        (["--venv", "/nowhere"], "no bin/python"),
        (["--venv", sys.prefix], "does not hold what the testbed needs"),
    ],
)
def test_wrong_use_says_what_to_do(folder, arguments, expected):
    said = run("up", "--state-dir", folder, *arguments)
    assert (said.returncode, expected in said.stderr) == (2, True), said.stderr


def test_a_testbed_that_does_not_run_is_not_found(folder):
    said = run("status", "--state-dir", folder)
    assert (said.returncode, "prod-testbed up" in said.stderr) == (3, True)
    assert run("down", "--state-dir", folder).returncode == 0


def test_purge_removes_nothing_but_a_testbed(tmp_path):
    (tmp_path / "thesis.tex").touch()
    said = run("down", "--purge", "--state-dir", tmp_path)
    assert (said.returncode, (tmp_path / "thesis.tex").exists()) == (2, True)


def test_without_a_package_index_the_installers_own_words_are_shown(tmp_path, monkeypatch):
    for name, value in {
        "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "1",
        "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    lines = []
    with pytest.raises(ProvError, match="could not be installed") as raised:
        make_environment(tmp_path / "venv", progress=lines.append)
    assert "diracx" in raised.value.message.partition("The installer said:")[2]
    assert lines
    with pytest.raises(ProvError, match="could not be installed"):  # and is not taken for whole
        make_environment(tmp_path / "venv", progress=lines.append)


def test_an_environment_where_nobody_may_write_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--venv"):
        make_environment(tmp_path / "file" / "venv", progress=lambda line: None)


def test_credentials_and_keys_are_for_the_owner_only(testbed):
    folder = Path(testbed.folder)
    secret = [*(folder / "keys").iterdir(), *(folder / "credentials").iterdir()]
    assert len(secret) >= 7
    assert {path.stat().st_mode & 0o077 for path in [folder, *secret]} == {0}
