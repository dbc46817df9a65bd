"""On the node: record the job, run its workflow with the local engine, gather what goes home.

    python -m jobs.engines.diracx.node job.json

SIGTERM ends the workflow's steps, closes all records, and still leaves them in the result.
"""

import base64
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from jobs.storage import StorageElement, StorageOptions, StoredFile, make_storage
from provmanager.capture import Run
from provmanager.capture.command import observed
from provmanager.capture.outcome import outcome_of_code
from provmanager.client import ProvClient, load_http
from provmanager.config import find_connection
from provmanager.errors import DifferenceError, JSONDict, ProvError

from ..local.ahead import EngineProcess
from ..local.closing import close_running
from ..local.delivery import Delivery
from ..local.directory import PLACE_FILE, RunDirectory, now, write_json
from .former import ATTEMPTS, place_attempts, place_formers
from .gathering import gather
from .names import JOB_RECORD, PRODUCTION_STEP, RESULT, job_activity_of
from .own_job import OwnJob
from .package import placed
from .staging import bring_in, store_products

TIMEOUT_S = 10.0
"""How long the server is waited for, in seconds, where it is asked what it knows."""

ATTEMPT_VARIABLE = "PROV_JOB_ATTEMPT"
"""By it, what is recorded in the job says of which attempt it is."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _StoppedError(BaseException):
    """The job is to end now, or its workflow has without a word."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class _Stop:
    """What a signal does: it ends the workflow, which closes its records, or the staging."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        self._child: EngineProcess | None = None
        self._is_starting = False
        self._number: int | None = None

    def install(self) -> None:
        """Take over the signals that end a process."""
        for number in _SIGNALS:
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        is_first, self._number = self._number is None, number
        if self._child is not None:
            self._child.send_signal(number)
        elif is_first and not self._is_starting:
            raise _StoppedError(f"received {signal.Signals(number).name}", 128 + number)

    def run(self, directory: RunDirectory, environ: Mapping[str, str]) -> int:
        """Run the workflow in its process, to which signals are handed; return its exit code."""
        self._is_starting = True
        self._engine.begin(directory, environ)
        self._child = self._engine
        self._is_starting = False
        if self._number is not None:
            self._child.send_signal(self._number)
        try:
            return self._child.wait()
        finally:
            self._child = None


def run_job(job_file: Path) -> int:
    """Run the job that the file describes, in the current folder; return its exit code."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    load_http()  # for the engine's process too
    stop = _Stop(EngineProcess())
    stop.install()
    folder = Path.cwd()
    _point_to_server(folder, job)
    own = OwnJob.of(os.environ)
    attempt = _begin_attempt(job, own)
    if attempt and _is_taken_over(job):
        text = f"the run {job['id']} has failed, and its production takes care of what it lacks"
        sys.stderr.write(f"{text}: prod-submit with the production's document goes on with it\n")
        return DifferenceError.exit_code
    result = folder / RESULT
    result.mkdir()
    formers = place_formers(folder, job["formers"])
    left = own.bring_results(folder / ATTEMPTS) if own is not None and attempt else []
    formers = place_attempts(_info(job), left, next(iter(formers), None)) | formers
    directory = _make_run_directory(folder, job, next(iter(formers), None))
    place = {"directory": str(directory.path), "formers": formers}
    write_json(result / PLACE_FILE, place)
    owner = job.get("agent") or _owner()
    if owner:
        os.environ["PROV_AGENT"] = owner
    delivery = Delivery(result / JOB_RECORD)
    delivery.start()
    stored: dict[str, StoredFile] = {}
    try:
        return _recorded(job, directory, result / JOB_RECORD, (delivery, stop), stored)
    finally:
        gather(directory, result, stored, with_products=job["bring_products"])
        delivery.close()


def _recorded(
    job: JSONDict,
    directory: RunDirectory,
    record: Path,
    at_work: tuple[Delivery, _Stop],
    stored: dict[str, StoredFile],
) -> int:
    """Run the job within its activity."""
    delivery, stop = at_work
    recording = observed(
        [sys.executable, "-m", "jobs.engines.local", str(directory.path)],
        name=f"{job['name']} job",
        id=job["job_activity"],
        type="Job",
        directory=Path.cwd(),
        attributes={"engine": "diracx", "run": job["id"], "submitted_at": job["submitted_at"]},
        record=record,
        announce=True,
    )
    with recording as activity:
        stop.install()  # capture has put itself before
        delivery.wake()
        try:
            code = _stage_and_run(job, directory, activity, stop, stored)
            activity.ended(code)
        except (ProvError, _StoppedError) as error:
            code = error.exit_code
            _tell_failure(directory, job, activity, error)
            delivery.add(directory.record_file)
            activity.ended(code)
    return code


def _stage_and_run(
    job: JSONDict,
    directory: RunDirectory,
    activity: Run,
    stop: _Stop,
    stored: dict[str, StoredFile],
) -> int:
    """Bring the inputs in, run the workflow, store its products if it was completed."""
    storage: StorageElement | None = None
    if job["storage"]:
        storage = make_storage(StorageOptions.read(job["storage"], "storage"))
    inputs = bring_in(placed(job["inputs"], Path.cwd()), Path.cwd(), storage, activity)
    write_json(directory.inputs_file, inputs)
    code = stop.run(directory, {**os.environ, **activity.environ()})
    if not any(event["event"] == "ended" for event in directory.events()):
        raise _StoppedError(f"its process ended without a word; see {directory.log_file}", code)
    if code == 0 and storage is not None:
        stored |= store_products(job, directory, storage, activity)
    return code


def _tell_failure(
    directory: RunDirectory, job: JSONDict, activity: Run, error: "ProvError | _StoppedError"
) -> None:
    """Say in the records and in the state of the run what failed beside the workflow."""
    ended = [event for event in directory.events() if event["event"] == "ended"]
    known = [record for record in directory.records() if record.get("id") == job["id"]]
    what = "the products were not stored" if ended else "the run was broken off"
    reason = f"{what}: {error}" if known else f"the run was not begun: {error}"
    code = getattr(error, "code", "stopped")
    activity.message(reason, level="error", code=code)
    directory.append(
        "ended", state=outcome_of_code(error.exit_code).status, exit_code=error.exit_code,
        reason=reason, products=ended[-1]["products"] if ended else [],
    )  # fmt: skip
    if known:
        close_running(list(directory.records()), directory.record_file, reason)
        return
    recording = observed(
        job["command"], name=job["name"], id=job["id"], type="Workflow", directory=directory.path,
        attributes={"engine": "diracx", "steps": job["steps"]}, record=directory.record_file,
    )  # fmt: skip
    with recording as run:
        run.message(reason, level="error", code=code)
        run.ended(error.exit_code)


def _begin_attempt(job: JSONDict, own: OwnJob | None) -> int:
    """Find out which attempt of its job this is, and have all records say so.

    It is DiracX's count of its reschedulings; if the record has an attempt of that number, which
    DiracX broke off before it knew how often it had been rescheduled, the next that it has not.
    """
    said = own.attempt() if own is not None else None
    number = said or 0
    if number:
        job["job_activity"] = job_activity_of(job["id"], number)
    while job["server"] and _ask_server(job["job_activity"]) is not None:
        number += 1
        job["job_activity"] = job_activity_of(job["id"], number)
    if number or said is not None:
        os.environ[ATTEMPT_VARIABLE] = str(number)
    return number


def _make_run_directory(folder: Path, job: JSONDict, resumes: str | None) -> RunDirectory:
    directory = RunDirectory(folder / "run")
    directory.path.mkdir()
    here = {"workflow": str(folder / job["workflow"]), "created_at": now(), "resumes": resumes}
    write_json(directory.run_file, _info(job) | here | {"is_packed": True})
    return directory


def _info(job: JSONDict) -> JSONDict:
    """Return what is told of a run wherever it has a directory."""
    told = {name: job[name] for name in ("id", "name", "steps", "command", "max_parallel")}
    return told | {"engine": "diracx", "container": job.get("container")}


def _point_to_server(folder: Path, job: dict[str, Any]) -> None:  # Any: JSON
    """Have records delivered with the owner's own token of DiracX; else they go home with us."""
    for name in ("PROV_TOKEN", "PROV_TOKEN_FILE", "PROV_SERVER_URL"):
        os.environ.pop(name, None)
    os.environ["PROV_STATE_DIR"] = str(folder / "state")
    os.environ["PROV_SPOOL_DIR"] = str(folder / "spool")
    if job.get("server"):
        os.environ["PROV_SERVER_URL"] = job["server"]
        if os.environ.get("DIRACX_CREDENTIALS_PATH"):
            os.environ["PROV_TOKEN_FILE"] = os.environ["DIRACX_CREDENTIALS_PATH"]


def _ask_server(activity: str) -> JSONDict | None:
    """Return what the server knows of an activity; None also where it does not say."""
    found = find_connection()
    try:
        with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
            return client.activity(activity)
    except ProvError:
        return None


def _is_taken_over(job: JSONDict) -> bool:
    """Whether a run has failed by the record and is a production's, which tries its inputs anew."""
    told = _ask_server(job["id"]) if job["server"] else None
    if told is None or told["status"] in ("running", "unknown"):
        return False
    return any(outer["type"] == PRODUCTION_STEP for outer in told["part_of"])


def _owner() -> str | None:
    """Return whom the job's token of DiracX is for: the node's account says nothing of them."""
    try:
        path = Path(os.environ["DIRACX_CREDENTIALS_PATH"])
        payload = json.loads(path.read_text())["access_token"].split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        # an issuer's subject is a person's identity; their name is another's elsewhere
        return f"{told['preferred_username']} <{told['iss']}#{told['sub']}>"
    except (KeyError, OSError, ValueError, IndexError, TypeError):
        return None


if __name__ == "__main__":
    sys.exit(run_job(Path(sys.argv[1])))
