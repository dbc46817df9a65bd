"""The directory of a run: what lies in it, and the state file that says how far the run is."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from provmanager.errors import JSONDict, NotFoundError

from ..interface import FINAL, Product, RunRequest, RunState, RunStatus, StepState, StepStatus

ENGINE = "local"
PLACE_FILE = "node.json"
"""Says where a run was made, if its directory was brought here from elsewhere."""


class RunDirectory:
    """A directory with ``run.json``, ``state.jsonl``, ``provenance.jsonl``, steps and products.

    Only the process of the run writes after the directory was made; it holds a lock while it lives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_file = path / "run.json"
        self.inputs_file = path / "inputs.json"
        self.workflow_file = path / "workflow.packed.cwl"
        self.outputs_file = path / "outputs.json"
        self.state_file = path / "state.jsonl"
        self.record_file = path / "provenance.jsonl"
        self.log_file = path / "run.log"
        self.steps = path / "steps"
        self.products = path / "products"
        self.scratch = path / "scratch"

    def info(self) -> JSONDict:
        """Return what was asked for when the run was made.

        Raises
        ------
        NotFoundError
            This is no directory of a run.
        """
        try:
            return cast(JSONDict, json.loads(self.run_file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise NotFoundError(f"{self.path} is no directory of a run: {error}") from error

    def append(self, event: str, **values: Any) -> None:  # Any: free-form JSON
        """Append an event to the state file with one write."""
        told = {"event": event, "at": now(), **{k: v for k, v in values.items() if v is not None}}
        line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        handle = os.open(self.state_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def events(self) -> Iterator[JSONDict]:
        """Yield the events in their order; a line that is only half written is not one yet."""
        yield from read_lines(self.state_file)

    def has_ended(self) -> bool:
        """Whether the run said that it ended."""
        return any(event["event"] == "ended" for event in self.events())

    def records(self) -> Iterator[JSONDict]:
        """Yield the provenance records of the run and its steps, in the order of writing."""
        yield from read_lines(self.record_file)

    @property
    def origin(self) -> str:
        """Where the run was made: what its record calls this directory."""
        try:
            told = json.loads((self.path / PLACE_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return str(self.path)
        return str(told["directory"])

    def moved_records(self) -> Iterator[JSONDict]:
        """Yield the records with the places where the files of the run lie now."""
        origin = self.origin
        for record in self.records():
            yield record if origin == str(self.path) else _moved(record, origin, str(self.path))

    def has_begun(self) -> bool:
        """Whether a process runs it, or ran it."""
        return self.is_alive() or any(self.events())

    def lock(self) -> AbstractContextManager[None]:
        """Hold the lock that says that the run's process lives."""
        return self._locked("lock")

    def starting(self) -> AbstractContextManager[None]:
        """Hold the lock of who starts the run's process."""
        return self._locked("starting")

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        handle = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def is_alive(self) -> bool:
        """Whether the process of the run lives."""
        try:
            handle = os.open(self.path / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def status(self, *, with_steps: bool = True) -> RunStatus:
        """Return how far the run is, from its state file."""
        info = self.info()
        is_alive = self.is_alive()  # before the events are read: it may end in between
        run = RunStatus(
            id=info["id"],
            name=info["name"],
            engine=ENGINE,
            state="waiting",
            directory=str(self.path),
            started_at=info["created_at"],
        )
        steps: dict[str, StepStatus] = {}
        notes: list[str] = []
        for event in self.events():
            if event["event"] == "step":
                key = str(event["activity"])
                steps[key] = _step(steps.get(key), event)
            elif event["event"] == "note":
                notes.append(event["text"])
            else:
                run = _run(run, event)
        if run.state not in FINAL and "starting_pid" in info and not is_alive:
            gone = run.state == "running" or not _is_starting(info)
            if gone:
                run = replace(
                    run, state="interrupted",
                    reason=f"its process ended without a word; see {self.log_file}",
                )  # fmt: skip
        found = _with_missing(run, tuple(steps.values()), info.get("steps", ()))
        return replace(run, steps=found if with_steps else (), notes=tuple(notes))


def run_info(run_id: str, engine: str, request: RunRequest) -> JSONDict:
    """Return what ``run.json`` tells of a run that is about to be made."""
    return {
        "id": run_id,
        "name": request.name,
        "engine": engine,
        "workflow": request.workflow,
        "steps": list(request.steps),
        "command": list(request.command),
        "max_parallel": request.max_parallel,
        "container": request.container,
        "created_at": now(),
    }


def now() -> str:
    """Return the instant, in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_lines(path: Path) -> Iterator[JSONDict]:
    """Yield the JSON objects of a file with one a line; what is no object is passed over."""
    try:
        stream = path.open(encoding="utf-8")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def _moved(value: Any, origin: str, path: str) -> Any:  # Any: JSON
    """Return what names places below `origin` with those below `path`."""
    if isinstance(value, dict):
        return {key: _moved(item, origin, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, origin, path) for item in value]
    if isinstance(value, str):
        for old, new in ((origin, path), (quote(origin), quote(path))):
            if f"{old}/" in value:
                return value.replace(f"{old}/", f"{new}/")
    return value


def write_json(path: Path, value: object) -> None:
    """Write `value` to `path`, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _is_starting(info: JSONDict) -> bool:
    """Whether the process that was started for the run is there, and has yet to take the lock."""
    try:
        os.kill(int(info["starting_pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    made = datetime.fromisoformat(info["created_at"])
    return (datetime.now(UTC) - made).total_seconds() < 60


def _run(run: RunStatus, event: JSONDict) -> RunStatus:
    if event["event"] == "started":
        return replace(run, state="running", started_at=event["at"])
    return replace(
        run,
        state=cast(RunState, event["state"]),
        ended_at=event["at"],
        exit_code=event["exit_code"],
        reason=event.get("reason"),
        products=_products(event),
    )


def _step(known: StepStatus | None, event: JSONDict) -> StepStatus:
    state = cast(StepState, event["state"])
    is_final = state in FINAL
    return StepStatus(
        name=event["step"],
        index=tuple(event.get("index", ())),
        activity=event["activity"],
        state=state,
        started_at=known.started_at if known else event.get("started_at", event["at"]),
        ended_at=event.get("ended_at", event["at"]) if is_final else None,
        exit_code=event.get("exit_code"),
        reason=event.get("reason"),
        log=event.get("log"),
        products=_products(event),
        is_reused=event.get("is_reused", False),
    )


def _products(event: JSONDict) -> tuple[Product, ...]:
    return tuple(Product(**product) for product in event.get("products", ()))


def _with_missing(
    run: RunStatus, steps: tuple[StepStatus, ...], planned: list[str]
) -> tuple[StepStatus, ...]:
    """Return the steps with those that never began; those that hang are what the run is."""
    states: dict[str, StepState] = {"completed": "skipped", "error": "not-run",
                                    "interrupted": "not-run"}  # fmt: skip
    begun = {step.name.partition("/")[0] for step in steps}
    waiting = tuple(
        StepStatus(name=name, state=states.get(run.state, "waiting"))
        for name in planned if name not in begun
    )  # fmt: skip
    ended = tuple(
        replace(step, state="interrupted") if run.is_final and step.state == "running" else step
        for step in steps
    )
    order = {name: i for i, name in enumerate(planned)}
    return tuple(
        sorted((*ended, *waiting),
               key=lambda s: (order.get(s.name.partition("/")[0], len(order)), s.name, s.index))
    )  # fmt: skip
