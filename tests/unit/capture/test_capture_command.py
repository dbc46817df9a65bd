"""`prod-capture`: any command, recorded from outside, ends as if it had been run directly."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from capture_records import clean_environ, record_of, records_of

from provmanager.capture.command import NamedFile
from provmanager.capture.outcome import outcome_of_code

PROD_CAPTURE = [sys.executable, "-m", "client_scripts.capture"]


def start(*arguments: str, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    settings: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": clean_environ(),
        **options,
    }
    return subprocess.Popen([*PROD_CAPTURE, *arguments], cwd=cwd, text=True, **settings)


def run(
    *arguments: str, cwd: Path, given: str | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    if given is not None:
        options["stdin"] = subprocess.PIPE
    process = start(*arguments, cwd=cwd, **options)
    out, err = process.communicate(given, timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_named_on_the_command_line_are_inputs_and_outputs(tmp_path: Path) -> None:
    (tmp_path / "in.dat").write_text("data")
    done = run("--", "cp", "in.dat", "out.dat", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    record = record_of(tmp_path / "cp.prov.json")
    assert (record["name"], record["status"], record["exit_code"]) == ("cp", "completed", 0)
    (used,), (made,) = record["inputs"], record["outputs"]
    assert used["url"].endswith(f"{tmp_path}/in.dat")
    assert made["url"].endswith(f"{tmp_path}/out.dat")
    assert used["sha256"] == made["sha256"] == sha256(tmp_path / "in.dat")
    assert record["command"]["arguments"] == ["cp", "in.dat", "out.dat"]
    assert record["command"]["executable"].endswith("/cp")
    assert "python" not in record["environment"]
    assert record["resources"]["max_rss_bytes"] > 0


def test_options_give_files_their_role(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("a")
    (tmp_path / "cal.dat").write_text("cal")
    code = "import sys; open(sys.argv[3].split('=')[1], 'w').write('x'); open('of.dat', 'w')"
    (tmp_path / "tool.py").write_text(code)
    command = [
        "tool.py",
        "--calibration",
        "cal.dat",
        "--output=out.dat",
        "a.dat",
        "of=of.dat",
        "-v",
    ]
    run("--", sys.executable, *command, cwd=tmp_path)
    record = record_of(next(tmp_path.glob("*.prov.json")))
    inputs = {i["url"].rpartition("/")[2]: i.get("role") for i in record["inputs"]}
    outputs = {i["url"].rpartition("/")[2]: i.get("role") for i in record["outputs"]}
    assert inputs == {"tool.py": None, "cal.dat": "calibration", "a.dat": None}
    assert outputs == {"out.dat": "output", "of.dat": "of"}


def test_a_file_that_is_written_again_is_an_output_and_no_input(tmp_path: Path) -> None:
    (tmp_path / "out.dat").write_text("old")
    run("--", "sh", "-c", "echo new > $1", "sh", "out.dat", cwd=tmp_path)
    record = record_of(tmp_path / "sh.prov.json")
    assert "inputs" not in record
    assert record["outputs"][0]["sha256"] == sha256(tmp_path / "out.dat")
    assert [m["code"] for m in record["messages"]] == ["overwritten"]


def test_what_is_said_explicitly_goes_before(tmp_path: Path) -> None:
    for name in ("both.dat", "hidden.dat", "extra.dat"):
        (tmp_path / name).write_text(name)
    run(
        *("--name", "update", "--tool-version", "7"),
        *("--input", "both.dat:state", "--input", "hidden.dat", "--input", "lfn:/vo/raw.fits"),
        *("--output", "both.dat:new state", "--output", "extra.dat"),
        *("--", "sh", "-c", "echo more >> $1; cat $2", "sh", "both.dat", "extra.dat"),
        cwd=tmp_path,
    )
    record = record_of(tmp_path / "update.prov.json")
    assert record["version"] == "7"
    assert [(i["url"].rpartition("/")[2], i.get("role")) for i in record["inputs"]] == [
        ("both.dat", "state"),
        ("hidden.dat", None),
        ("raw.fits", None),
    ]
    assert [(o["url"].rpartition("/")[2], o.get("role")) for o in record["outputs"]] == [
        ("both.dat", "new state"),
        ("extra.dat", None),
    ]
    assert record["inputs"][0]["sha256"] != record["outputs"][0]["sha256"]


def test_files_made_in_a_folder_that_is_named_are_outputs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.dat").write_text("old")
    code = "mkdir -p $1/sub $2; echo a > $1/sub/a.dat; echo b > $2/b.dat"
    run("--", "sh", "-c", code, "sh", "out", "fresh", cwd=tmp_path)
    record = record_of(tmp_path / "sh.prov.json")
    assert sorted(
        o["url"].removeprefix(f"file://{os.uname().nodename.lower()}{tmp_path}/")
        for o in record["outputs"]
    ) == [
        "fresh/b.dat",
        "out/sub/a.dat",
    ]
    assert "inputs" not in record


def test_a_folder_too_big_to_watch_is_told(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(1001):
        (tmp_path / "many" / str(number)).touch()
    run("--", "ls", "many", cwd=tmp_path)
    record = record_of(tmp_path / "ls.prov.json")
    assert [m["code"] for m in record["messages"]] == ["folder-not-watched"]
    assert "outputs" not in record


def test_redirected_streams_are_files_too(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("b\na\n")
    with (tmp_path / "in.txt").open() as source, (tmp_path / "out.txt").open("w") as target:
        run("--", "sort", cwd=tmp_path, stdin=source, stdout=target)
    assert (tmp_path / "out.txt").read_text() == "a\nb\n"
    record = record_of(tmp_path / "sort.prov.json")
    assert [(i["role"], i["sha256"]) for i in record["inputs"]] == [
        ("stdin", sha256(tmp_path / "in.txt"))
    ]
    assert [(o["role"], o["sha256"]) for o in record["outputs"]] == [
        ("stdout", sha256(tmp_path / "out.txt"))
    ]


def test_the_log_of_a_whole_batch_job_is_not_taken_for_an_output(tmp_path: Path) -> None:
    (tmp_path / "job.log").write_text("first command\n")
    with (tmp_path / "job.log").open("a") as log:
        run("--", "echo", "second", cwd=tmp_path, stdout=log)
    assert "outputs" not in record_of(tmp_path / "echo.prov.json")


def test_streams_pass_through_as_they_are(tmp_path: Path) -> None:
    code = "import sys; data = sys.stdin.read(); sys.stdout.write(data * 2); sys.stderr.write('e')"
    done = run("--", sys.executable, "-c", code, cwd=tmp_path, given="x\n" * 100_000)
    assert done.stdout == "x\n" * 200_000
    assert done.stderr == "e"


def test_a_terminal_stays_a_terminal(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    code = "import sys; sys.exit(0 if sys.stdin.isatty() and sys.stdout.isatty() else 9)"
    done = run("--", sys.executable, "-c", code, cwd=tmp_path, stdin=follower, stdout=follower)
    os.close(leader)
    os.close(follower)
    assert done.returncode == 0


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    done = run("--", "sh", "-c", f"exit {code}", cwd=tmp_path)
    assert done.returncode == code
    record = record_of(tmp_path / "sh.prov.json")
    assert record["exit_code"] == code
    assert record["status"] == ("completed" if code == 0 else "error")


def test_options_of_the_command_are_the_commands(tmp_path: Path) -> None:
    for arguments in (
        ["--", "echo", "--name", "x", "--", "-h"],
        ["echo", "--name", "x", "--", "-h"],
    ):
        assert run(*arguments, cwd=tmp_path).stdout == "--name x -- -h\n"


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [("no-such-command", 127, "No such file"), ("./plain.txt", 126, "Permission denied")],
)
def test_a_command_that_cannot_be_started_is_what_a_shell_says(
    tmp_path: Path, command: str, code: int, reason: str
) -> None:
    (tmp_path / "plain.txt").write_text("text")
    done = run("--record", "r.json", "--", command, cwd=tmp_path)
    assert done.returncode == code
    assert reason in done.stderr
    record = record_of(tmp_path / "r.json")
    assert (record["status"], record["exit_code"]) == ("error", code)
    assert record["messages"][0]["code"] == "not-started"


def test_no_command_is_wrong_use(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_begins_with_what_it_does_and_shows_examples(tmp_path: Path) -> None:
    done = run("-h", cwd=tmp_path)
    assert done.returncode == 0
    assert "prod-capture -- ctapipe-process" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_goes_to_the_command_and_both_die_of_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start("--", "sh", "-c", "echo ready; exec sleep 60", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == -number
    record = record_of(tmp_path / "sh.prov.json")
    assert (record["status"], record["exit_code"]) == ("interrupted", 128 + number)
    assert record["messages"][-1]["text"] == f"ended by {number.name}"


def test_a_command_that_handles_a_signal_ends_as_it_likes(tmp_path: Path) -> None:
    code = "trap 'echo saved > state.dat; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    process = start("--output", "state.dat", "--", "sh", "-c", code, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 3
    record = record_of(tmp_path / "sh.prov.json")
    assert (record["status"], record["exit_code"]) == ("error", 3)
    assert record["outputs"][0]["size_bytes"] == 6


def test_ctrl_c_at_a_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))\n"
        "print('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "open('seen.txt', 'w').write(str(len(seen)))\n"
    )
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(tmp_path)
        os.execve(
            sys.executable,
            [*PROD_CAPTURE, "--record", "r.json", "--", sys.executable, "-c", code],
            clean_environ(),
        )
    text = b""
    while b"ready" not in text:
        text += os.read(terminal, 100)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(process_id, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "seen.txt").read_text() == "1"
    assert record_of(tmp_path / "r.json")["status"] == "completed"


def test_a_crash_of_the_command_is_an_error_and_passes_on(tmp_path: Path) -> None:
    done = run("--", "sh", "-c", "kill -SEGV $$", cwd=tmp_path)
    assert done.returncode == -signal.SIGSEGV
    record = record_of(tmp_path / "sh.prov.json")
    assert (record["status"], record["exit_code"]) == ("error", 139)


def test_a_killed_command_is_interrupted(tmp_path: Path) -> None:
    done = run("--", "sh", "-c", "kill -9 $$", cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert record_of(tmp_path / "sh.prov.json")["exit_code"] == 137


def test_a_killed_wrapper_leaves_its_announcement_with_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "in.dat").write_text("x")
    process = start(
        *("--announce", "--", "sh", "-c", "echo $$; exec sleep 60", "sh", "in.dat"), cwd=tmp_path
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait(timeout=120)
    os.kill(child, signal.SIGKILL)
    process.communicate(timeout=120)
    record = record_of(tmp_path / "sh.prov.json")
    assert record["status"] == "running"
    assert record["inputs"][0]["sha256"] == sha256(tmp_path / "in.dat")


def test_signals_that_were_ignored_stay_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    done = subprocess.run(
        [
            *("sh", "-c", 'trap "" HUP; exec "$@"', "sh"),
            *(*PROD_CAPTURE, "--", "sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"),
        ],
        cwd=tmp_path,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_tool_that_records_itself_is_part_of_the_command(tmp_path: Path) -> None:
    code = "from provmanager import capture\nwith capture.activity('tool'): pass"
    run("--name", "wrapper", "--", sys.executable, "-c", code, cwd=tmp_path)
    outer = record_of(tmp_path / "wrapper.prov.json")
    assert record_of(tmp_path / "tool.prov.json")["parent"] == outer["id"]


def test_a_script_of_our_environment_is_recorded_with_its_distribution_and_packages(
    tmp_path: Path,
) -> None:
    script = Path(sys.executable).parent / "pytest"
    if not script.exists():
        pytest.skip(f"no {script}")
    run("--record", "r.json", "--", str(script), "--version", cwd=tmp_path)
    record = record_of(tmp_path / "r.json")
    assert record["software"] == {"name": "pytest", "version": pytest.__version__}
    assert record["version"] == pytest.__version__
    assert record["environment"]["packages"]


def test_secrets_of_the_command_line_are_masked_but_reach_the_command(tmp_path: Path) -> None:
    done = run("--", "echo", "--token", "abc", "--db-password=xyz", cwd=tmp_path)
    assert done.stdout == "--token abc --db-password=xyz\n"
    text = (tmp_path / "echo.prov.json").read_text()
    assert "abc" not in text
    assert "xyz" not in text


def test_a_configuration_file_is_read_as_parameters(tmp_path: Path) -> None:
    (tmp_path / "conf.json").write_text('{"bin_s": 0.1}')
    run("--config", "conf.json", "--", "true", cwd=tmp_path)
    record = record_of(tmp_path / "true.prov.json")
    assert record["configuration"] == {"bin_s": 0.1}
    assert record["inputs"][0]["role"] == "configuration"


def test_a_record_that_cannot_be_written_does_not_change_the_exit_code(tmp_path: Path) -> None:
    env = {**clean_environ(), "TMPDIR": str(tmp_path)}
    done = run("--record", "/dev/full", "--", "sh", "-c", "exit 4", cwd=tmp_path, env=env)
    assert done.returncode == 4
    assert "provenance capture" in done.stderr


def test_several_commands_append_to_one_file(tmp_path: Path) -> None:
    env = {**clean_environ(), "PROV_RUN_FILE": "all.json"}
    for number in range(3):
        run("--", "echo", str(number), cwd=tmp_path, env=env)
    assert [json.dumps(r["command"]["arguments"]) for r in records_of(tmp_path / "all.json")] == [
        f'["echo", "{number}"]' for number in range(3)
    ]


def test_the_overhead_is_a_fraction_of_a_second_of_computing(tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        before = os.times()
        run("--", "true", cwd=tmp_path)
        after = os.times()
        times.append(after.children_user + after.children_system
                     - before.children_user - before.children_system)  # fmt: skip
    assert min(times) < 1.0


@pytest.mark.parametrize(
    ("text", "place", "role"),
    [
        ("a.dat", "a.dat", None),
        ("a.dat:events", "a.dat", "events"),
        ("a.dat:light curve", "a.dat", "light curve"),
        ("dir/a:b.dat", "dir/a", "b.dat"),
        ("https://h:8080/x", "https://h:8080/x", None),
        ("https://h/x:raw", "https://h/x", "raw"),
        ("lfn:/vo/x", "lfn:/vo/x", None),
        ("lfn:/vo/x:raw", "lfn:/vo/x", "raw"),
        ("lfn:x", "lfn:x", None),
        (":x", ":x", None),
        ("there:is", "there:is", None),
    ],
)
def test_a_role_is_what_follows_the_last_colon(
    tmp_path: Path, text: str, place: str, role: str | None
) -> None:
    (tmp_path / "there:is").touch()
    assert NamedFile.parse(text) == NamedFile(place, role)


def test_how_a_command_ended_is_told_by_its_code() -> None:
    told = {code: outcome_of_code(code) for code in (0, 1, 130, 143, -15, -9, -2, -11, -6)}
    assert {code: (o.status, o.exit_code) for code, o in told.items()} == {
        0: ("completed", 0),
        1: ("error", 1),
        130: ("interrupted", 130),
        143: ("interrupted", 143),
        -15: ("interrupted", 143),
        -9: ("interrupted", 137),
        -2: ("interrupted", 130),
        -11: ("error", 139),
        -6: ("error", 134),
    }
