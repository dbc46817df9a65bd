"""What `capture.activity` records of a tool, and that it leaves the tool alone."""

import asyncio
import hashlib
import json
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_records import record_of, records_of, run_tool

from provmanager import capture


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_is_recorded_with_its_files_parameters_and_surroundings(tmp_path: Path) -> None:
    (tmp_path / "in.dat").write_bytes(b"events" * 1000)
    before = datetime.now(UTC)
    with capture.activity(
        "qtemp", version="1.2", type="Analysis", configuration={"bin_s": 0.1}, attributes={"n": 1}
    ) as run:
        place = run.input("in.dat", role="events")
        (tmp_path / "out.dat").write_bytes(b"curve")
        run.output("out.dat", role="light curve", content_type="text/plain")
        run.value("n_bins", 12)
    after = datetime.now(UTC)
    assert place == "in.dat"
    record = record_of(tmp_path / "qtemp.prov.json")
    assert record["id"] == run.id
    assert (record["name"], record["version"], record["type"]) == ("qtemp", "1.2", "Analysis")
    assert (record["status"], record["exit_code"]) == ("completed", 0)
    assert before <= datetime.fromisoformat(record["started_at"])
    assert datetime.fromisoformat(record["ended_at"]) <= after
    assert record["configuration"] == {"bin_s": 0.1}
    assert record["attributes"] == {"n": 1}
    host = os.uname().nodename
    (used,) = record["inputs"]
    assert used["url"] == f"file://{host.lower()}{tmp_path}/in.dat"
    assert used["role"] == "events"
    assert used["sha256"] == sha256(tmp_path / "in.dat")
    assert used["size_bytes"] == 6000
    made, value = record["outputs"]
    assert made["sha256"] == sha256(tmp_path / "out.dat")
    assert made["content_type"] == "text/plain"
    assert value == {"name": "n_bins", "value": 12}
    assert record["host"]["name"] == host
    assert record["host"]["n_cpus"] == os.cpu_count()
    assert record["environment"]["python"]["version"] == sys.version.split()[0]
    packages = {p["name"]: p["version"] for p in record["environment"]["packages"]}
    assert packages["numpy"] == np.__version__
    assert record["command"]["directory"] == str(tmp_path)
    assert record["command"]["executable"] == sys.executable
    assert record["resources"]["wall_s"] > 0
    assert "messages" not in record


def test_an_output_is_hashed_at_the_end_and_an_input_when_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "both.dat"
    file.write_text("before")
    first = sha256(file)
    with capture.activity("update") as run:
        run.input(file)
        run.output(file)
        file.write_text("and after")
    record = record_of(tmp_path / "update.prov.json")
    assert record["inputs"][0]["sha256"] == first
    assert record["outputs"][0]["sha256"] == sha256(file)
    assert "messages" not in record  # the tool itself changed it, as it said


def test_an_input_that_someone_else_changes_is_told(tmp_path: Path) -> None:
    for name in ("changed", "removed"):
        (tmp_path / name).write_text("before")
    with capture.activity("read") as run:
        run.input("changed")
        run.input("removed")
        (tmp_path / "changed").write_text("something else")
        (tmp_path / "removed").unlink()
    messages = record_of(tmp_path / "read.prov.json")["messages"]
    assert [m["code"] for m in messages] == ["input-changed", "input-removed"]


def test_missing_files_are_recorded_with_a_message(tmp_path: Path) -> None:
    with capture.activity("lost") as run:
        run.input("no.dat")
        run.output("none.dat")
    record = record_of(tmp_path / "lost.prov.json")
    assert record["status"] == "completed"
    assert "sha256" not in record["inputs"][0]
    assert "sha256" not in record["outputs"][0]
    assert [m["code"] for m in record["messages"]] == ["missing-file"] * 2


def test_a_fifo_is_not_opened_and_a_folder_is_a_collection(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "runs").mkdir()
    for number in range(3):
        (tmp_path / "runs" / f"{number}.dat").write_text(str(number))
    with capture.activity("odd") as run:
        run.input("pipe")
        run.input("runs", role="runs")
    record = record_of(tmp_path / "odd.prov.json")
    assert record["messages"][0]["code"] == "not-a-file"
    folder = record["inputs"][1]
    assert folder["kind"] == "collection"
    assert [m["sha256"] for m in folder["members"]] == [
        sha256(tmp_path / "runs" / f"{n}.dat") for n in range(3)
    ]


def test_urls_and_lfns_are_recorded_as_they_are_without_credentials(tmp_path: Path) -> None:
    with capture.activity("remote") as run:
        run.input("https://jo:secret@archive.org/x.fits?token=abcdef", role="a")
        run.input("lfn:/vo/run1.fits")
        run.input("s3://bucket/key")
        run.output(Path("local.dat"), lfn="/vo/local.dat", product_id="abc")
    record = record_of(tmp_path / "remote.prov.json")
    assert [i["url"] for i in record["inputs"]] == [
        "https://jo:[redacted]@archive.org/x.fits?token=[redacted]",
        "lfn:/vo/run1.fits",
        "s3://bucket/key",
    ]
    assert record["outputs"][0]["lfn"] == "lfn:/vo/local.dat"
    assert record["outputs"][0]["product_id"] == "abc"


def test_a_link_is_recorded_with_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real.dat").write_text("x")
    (tmp_path / "link.dat").symlink_to("real.dat")
    with capture.activity("link") as run:
        run.input(f"file://{tmp_path}/link.dat")
    (used,) = record_of(tmp_path / "link.prov.json")["inputs"]
    assert used["url"].endswith("/link.dat")
    assert used["locations"][0].endswith("/real.dat")
    assert used["sha256"] == hashlib.sha256(b"x").hexdigest()


def test_files_over_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.dat").write_bytes(bytes(2000))
    with capture.activity("limit", hash_limit_bytes=1000) as run:
        run.input("big.dat")
    monkeypatch.setenv("PROV_HASH_LIMIT", "1999")
    with capture.activity("limit2") as run:
        run.output("big.dat")
    for record in (
        record_of(tmp_path / "limit.prov.json"),
        record_of(tmp_path / "limit2.prov.json"),
    ):
        item = (record.get("inputs") or record["outputs"])[0]
        assert item["size_bytes"] == 2000
        assert "sha256" not in item
        assert record["messages"][0]["code"] == "not-hashed"


def test_file_names_of_any_bytes_are_recorded(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9 #1%.dat"
    with open(name, "wb") as stream:
        stream.write(b"x")
    with capture.activity("bytes") as run:
        run.input(os.fsdecode(name))
    (used,) = record_of(tmp_path / "bytes.prov.json")["inputs"]
    assert used["url"].endswith("/caf%E9%20%231%25.dat")
    assert used["sha256"] == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("error", "status", "exit_code"),
    [
        (ValueError("bad"), "error", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (SystemExit(), "completed", 0),
        (SystemExit(0), "completed", 0),
        (SystemExit(3), "error", 3),
        (SystemExit(143), "interrupted", 143),
        (SystemExit("no input"), "error", 1),
        (asyncio.CancelledError(), "interrupted", None),
        (GeneratorExit(), "completed", 0),
    ],
    ids=repr,
)
def test_how_a_tool_ends_is_recorded_and_its_exception_passes(
    tmp_path: Path, error: BaseException, status: str, exit_code: int | None
) -> None:
    with pytest.raises(type(error)) as caught, capture.activity("end"):
        raise error
    assert caught.value is error
    record = record_of(tmp_path / "end.prov.json")
    assert (record["status"], record.get("exit_code")) == (status, exit_code)


def test_the_exit_code_that_an_exception_carries_is_recorded(tmp_path: Path) -> None:
    class ToolError(Exception):
        exit_code = 17

    with pytest.raises(ToolError), capture.activity("coded"):
        raise ToolError("x")
    assert record_of(tmp_path / "coded.prov.json")["exit_code"] == 17


def test_an_error_is_recorded_with_its_text_and_traceback_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), capture.activity("fail"):
        raise RuntimeError("cannot log in with password=hunter2")
    (message,) = record_of(tmp_path / "fail.prov.json")["messages"]
    assert message["level"] == "error"
    assert message["text"] == "RuntimeError: cannot log in with password=[redacted]"
    assert "test_capture_activity.py" in message["traceback"]
    assert "hunter2" not in json.dumps(message)


def test_functions_coroutines_and_generators_can_be_decorated(tmp_path: Path) -> None:
    @capture.activity(record="calls.json")
    def double(value: int) -> int:
        """Twice."""
        run = capture.current()
        assert run is not None
        run.value("doubled", 2 * value)
        return 2 * value

    @capture.activity("waiting", record="calls.json")
    async def wait() -> str:
        await asyncio.sleep(0)
        return "done"

    @capture.activity(record="calls.json")
    def count() -> Any:
        yield 1
        yield 2

    assert [double(1), double(2)] == [2, 4]
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    assert asyncio.run(wait()) == "done"
    assert list(count()) == [1, 2]
    records = records_of(tmp_path / "calls.json")
    assert [r["name"] for r in records] == ["double", "double", "waiting", "count"]
    assert len({r["id"] for r in records}) == 4


def test_a_decorated_method_that_fails_is_an_error_each_time(tmp_path: Path) -> None:
    class Tool:
        @capture.activity("start", record="tool.json")
        def start(self) -> None:
            raise ValueError("no events")

    for _ in range(2):
        with pytest.raises(ValueError, match="no events"):
            Tool().start()
    assert [r["status"] for r in records_of(tmp_path / "tool.json")] == ["error", "error"]


def test_configurations_of_any_python_objects_become_json(tmp_path: Path) -> None:
    class Mode(Enum):
        FAST = "fast"

    class Odd:
        def __str__(self) -> str:
            return "odd"

    loop: dict[str, Any] = {}
    loop["self"] = loop
    with capture.activity("plain") as run:
        run.configure(
            {
                "nan": float("nan"),
                "inf": -float("inf"),
                "path": Path("/a"),
                "mode": Mode.FAST,
                "set": {2, 1},
                "array": np.arange(3),
                "scalar": np.float32(0.5),
                "huge": np.zeros((200, 200)),
                "when": datetime(2026, 1, 1, tzinfo=UTC),
                "odd": Odd(),
                3: "key",
                "bytes": b"x",
                "surrogate": "\ud800",
                "db_password": "hunter2",
                "url": "postgresql://jo:hunter2@db/x",
            }
        )
        run.configure({"loop": loop})
    found = record_of(tmp_path / "plain.prov.json")["configuration"]
    deep = json.dumps(found.pop("loop"))
    assert deep.count("self") == 49
    assert found == {
        "nan": "NaN",
        "inf": "-Infinity",
        "path": "/a",
        "mode": "fast",
        "set": [1, 2],
        "array": [0, 1, 2],
        "scalar": 0.5,
        "huge": "<array of float64, shape (200, 200)>",
        "when": "2026-01-01T00:00:00.000000Z",
        "odd": "odd",
        "3": "key",
        "bytes": "x",
        "surrogate": "?",
        "db_password": "[redacted]",
        "url": "postgresql://jo:[redacted]@db/x",
    }


def test_a_configuration_file_is_an_input_and_is_read_if_json_or_toml(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": {"y": 1}}')
    (tmp_path / "b.toml").write_text("z = 2")
    (tmp_path / "c.yaml").write_text("w: 3")
    (tmp_path / "d.json").write_text("{broken")
    with capture.activity("conf", configuration="a.json") as run:
        for name in ("b.toml", "c.yaml", "d.json"):
            run.configure(name)
    record = record_of(tmp_path / "conf.prov.json")
    assert record["configuration"] == {"x": {"y": 1}, "z": 2}
    assert [i["role"] for i in record["inputs"]] == ["configuration"] * 4


def test_messages_and_attributes_are_recorded(tmp_path: Path) -> None:
    with capture.activity("notes") as run:
        run.message("low statistics", code="few-events")
        run.message("odd", level="catastrophe")
        run.annotate(observation=7)
    record = record_of(tmp_path / "notes.prov.json")
    assert [(m["level"], m["text"]) for m in record["messages"]] == [
        ("warning", "low statistics"),
        ("info", "odd"),
    ]
    assert record["attributes"] == {"observation": 7}


def test_wrong_use_is_a_warning_and_the_tool_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with capture.activity("wrong") as run:
        assert run.input(None) is None  # type: ignore[type-var]
        run.configure(7)  # type: ignore[arg-type]
        run.value("x", object())
    assert record_of(tmp_path / "wrong.prov.json")["status"] == "completed"
    assert caplog.text.count("the tool goes on") == 3  # one for None, two for 7


def test_a_tool_that_turns_warnings_into_errors_is_not_broken(tmp_path: Path) -> None:
    code = """
import warnings; warnings.simplefilter('error')
from provmanager import capture
with capture.activity('strict', record='/dev/null/no/such/place') as run:
    run.input(None)
print('went on')
"""
    done = run_tool(code, cwd=tmp_path, TMPDIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "provenance capture" in done.stderr


def test_a_clock_that_is_set_back_does_not_end_a_run_before_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture.activity("clock") as run:
        run._started = datetime.now(UTC).replace(year=2090)  # the clock was ahead when it began
        time.sleep(0.01)
    record = record_of(tmp_path / "clock.prov.json")
    assert record["ended_at"] > record["started_at"]


def test_the_environment_variables_choose_where_the_record_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROV_RUN_FILE", str(tmp_path / "all.json"))
    for name in ("one", "two"):
        with capture.activity(name):
            pass
    assert [r["name"] for r in records_of(tmp_path / "all.json")] == ["one", "two"]
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("PROV_RUN_FILE", str(tmp_path / "folder"))
    with capture.activity("three") as run:
        pass
    assert record_of(tmp_path / "folder" / f"three.{run.id}.prov.json")["name"] == "three"
    with capture.activity("a/b ../c", record="stated/"):
        pass
    (path,) = (tmp_path / "stated").iterdir()
    assert record_of(path)["name"] == "a/b ../c"


def test_an_announced_activity_leaves_a_running_record_and_then_the_final_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture.activity("job", announce=True) as run:
        (early,) = records_of(tmp_path / "job.prov.json")
    assert (early["status"], early["id"]) == ("running", run.id)
    assert "ended_at" not in early
    assert early["host"]
    assert [r["status"] for r in records_of(tmp_path / "job.prov.json")] == ["running", "completed"]
    monkeypatch.setenv("PROV_ANNOUNCE", "1")
    with capture.activity("job2"):
        pass
    assert len(records_of(tmp_path / "job2.prov.json")) == 2


def test_the_person_is_who_runs_it_or_whom_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture.activity("who"):
        pass
    monkeypatch.setenv("PROV_AGENT", "Jo Doe <jo@example.org>")
    with capture.activity("named"):
        pass
    with capture.activity("stated", agent={"name": "The Team", "type": "Organization"}):
        pass
    assert record_of(tmp_path / "who.prov.json")["agent"]["role"] == "Operator"
    named = record_of(tmp_path / "named.prov.json")["agent"]
    assert (named["name"], named["email"], named["type"]) == ("Jo Doe", "jo@example.org", "Person")
    stated = record_of(tmp_path / "stated.prov.json")["agent"]
    assert stated == {"name": "The Team", "type": "Organization"}


def test_only_listed_variables_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    monkeypatch.setenv("CALIB_DB", "https://jo:hunter2@db")
    monkeypatch.setenv("RUN_MODE", "night")
    monkeypatch.setenv("PROV_CAPTURE_VARIABLES", "RUN_MODE")
    with capture.activity("env", variables=("CALIB_DB",)):
        pass
    text = (tmp_path / "env.prov.json").read_text()
    assert "hunter2" not in text
    variables = json.loads(text)["environment"]["variables"]
    assert variables["CALIB_DB"] == "https://jo:[redacted]@db"
    assert variables["RUN_MODE"] == "night"
    assert set(variables) <= {*capture.VARIABLES, "CALIB_DB", "RUN_MODE"}


def test_handlers_of_the_tool_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with capture.activity("a"):
        assert signal.getsignal(signal.SIGTERM) != before
        with capture.activity("b"):
            pass
    assert signal.getsignal(signal.SIGTERM) == before


def test_logging_says_where_a_record_went_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with caplog.at_level(logging.WARNING), capture.activity("x", record="file/x.json"):
        pass
    (rescued,) = (tmp_path / "temporary").iterdir()
    assert record_of(rescued)["name"] == "x"
    assert str(rescued) in caplog.text
