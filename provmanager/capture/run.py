"""One activity while it runs: what the tool tells of itself, and the record made of it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from .agents import describe_agent
from .configuration import read_configuration
from .environment import describe_environment, distribution_version
from .files import (
    Described,
    DigestMemory,
    HashPolicy,
    current_stamp,
    describe_place,
    file_uri,
    is_remote,
    local_path,
    names_host,
)
from .hosts import describe_host, detect_container, image_items
from .jobs import detect_job
from .outcome import Outcome, outcome_of_code
from .plain import to_instant, to_plain
from .redaction import redact_arguments, redact_json, redact_text
from .resources import taken_by, taken_since, usage_so_far
from .shield import logger, shielded
from .writer import append_record, record_path, rescue_path

if TYPE_CHECKING:
    from resource import struct_rusage

JSONDict = dict[str, Any]  # Any: free-form JSON
Place = TypeVar("Place", bound="str | os.PathLike[str]")

SCHEMA = "provmanager/activity.v1"
PARENT_VARIABLE = "PROV_PARENT_ACTIVITY"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an activity is told about itself at its start; see `provmanager.capture.activity`."""

    name: str
    id: str | None = None
    version: str | None = None
    type: str | None = None
    software: JSONDict = field(default_factory=dict)
    agent: JSONDict | None = None
    parent: str | None = None
    target: str | os.PathLike[str] | None = None
    hash_limit_bytes: int | None = None
    variables: tuple[str, ...] = ()
    arguments: tuple[str, ...] | None = None
    executable: str | None = None
    directory: str | None = None
    digests: DigestMemory | None = None
    container: JSONDict | None = None
    job: JSONDict | None = None
    is_command: bool = False
    has_python: bool = True


@dataclass
class _Flow:
    """An input or output as the tool named it; `found` once it was looked at."""

    place: str
    extra: JSONDict
    found: Described | None = None


class Run:
    """One activity that is being recorded; made by `provmanager.capture.activity`.

    No method raises: what cannot be recorded becomes a message of the record or a logged warning.

    Attributes
    ----------
    id : str
        UUID of the activity, for the headers of its products.
    name : str
        Name of the activity.
    path : str
        File that the record is appended to.
    """

    def __init__(self, settings: Settings) -> None:
        self.id = settings.id or str(uuid4())
        self.name = settings.name
        self.pid = os.getpid()
        self.signal_number: int | None = None
        self.outcome: Outcome | None = None
        self._settings = settings
        self._started = datetime.now(UTC)
        self._clock_s = time.monotonic()
        self._elapsed_s: float | None = None
        self._lock = threading.RLock()
        self._inputs: list[_Flow] = []
        self._outputs: list[_Flow] = []
        self._values: list[tuple[bool, JSONDict]] = []
        self._configuration: JSONDict = {}
        self._messages: list[JSONDict] = []
        self._attributes: JSONDict = {}
        self._is_written = False
        self._host: JSONDict = {}
        self._job: JSONDict | None = None
        self._usage = usage_so_far(is_command=settings.is_command)
        self._measured: JSONDict = {}
        self.directory = "/"
        with shielded("finding the working directory"):
            self.directory = settings.directory or os.getcwd()
        self.path = os.path.join(self.directory, "activity.prov.json")
        with shielded("finding where the record goes"):
            self.path = record_path(
                settings.target, name=self.name, activity_id=self.id, directory=self.directory
            )
        with shielded("describing the host"):
            self._host = describe_host()
        with shielded("describing the job"):
            self._job = settings.job or detect_job()
        arguments = sys.argv if settings.arguments is None else settings.arguments
        self._command = {
            "arguments": redact_arguments([str(a) for a in arguments]),
            "executable": settings.executable or (None if settings.container else sys.executable),
            "directory": self.directory,
        }

    def input(
        self,
        place: Place,
        *,
        role: str | None = None,
        name: str | None = None,
        product_id: str | None = None,
        lfn: str | None = None,
        locations: Sequence[str] = (),
        content_type: str | None = None,
    ) -> Place:
        """Record that the activity uses `place`, and return it; a file is hashed now.

        Parameters
        ----------
        place : path, URL or LFN
            A folder is recorded as a collection of its files. URLs and LFNs are not opened.
        role : str, optional
            What it is to the activity, such as ``calibration``.
        name : str, optional
            Another name of the product than its file name.
        product_id : str, optional
            The genuine identifier from the product's own header: a UUID, DIRAC GUID, ivoid, DOI.
        lfn : str, optional
            Logical file name that the local file is a copy of.
        locations : sequence of path or URL, optional
            Further places where the same bytes lie.
        content_type : str, optional
            Media type.
        """
        with shielded("recording an input"):
            flow = self._flow(place, role, name, product_id, content_type)
            self._add_places(flow, lfn, locations)
            flow.extra["at"] = to_instant(datetime.now(UTC))
            flow.found = self._look(flow.place, self._policy())
            with self._lock:
                self._inputs.append(flow)
        return place

    def output(
        self,
        place: Place,
        *,
        role: str | None = None,
        name: str | None = None,
        product_id: str | None = None,
        lfn: str | None = None,
        locations: Sequence[str] = (),
        content_type: str | None = None,
    ) -> Place:
        """Record that the activity generates `place`, and return it; hashed when it ends.

        The parameters are those of `input`. The file need not be there yet.
        """
        with shielded("recording an output"):
            flow = self._flow(place, role, name, product_id, content_type)
            self._add_places(flow, lfn, locations)
            with self._lock:
                self._outputs.append(flow)
        return place

    def withdraw_input(self, place: "str | os.PathLike[str]") -> None:
        """Forget the inputs registered for `place`: it turned out not to be one."""
        with shielded("withdrawing an input"):
            path = self._flow(place, None, None, None, None).place
            with self._lock:
                self._inputs = [flow for flow in self._inputs if flow.place != path]

    def value(
        self,
        name: str,
        value: Any,  # Any: whatever the tool measured
        *,
        role: str | None = None,
        is_input: bool = False,
    ) -> None:
        """Record a single value (IVOA ValueEntity) that the activity generates or uses."""
        with shielded("recording a value"):
            item = {"role": role, "name": str(name), "value": redact_json(to_plain(value))}
            with self._lock:
                self._values.append((is_input, {k: v for k, v in item.items() if k != "role" or v}))

    def configure(self, configuration: Mapping[str, Any] | str | os.PathLike[str]) -> None:
        """Add parameters; a path is recorded as an input, and read if it is JSON or TOML.

        Any: parameters are free-form.
        """
        with shielded("recording the configuration"):
            if not isinstance(configuration, Mapping):
                self.input(configuration, role="configuration")
                configuration = read_configuration(os.fspath(configuration))
            plain = redact_json(to_plain(configuration))
            with self._lock:
                self._configuration.update(plain)

    def message(
        self,
        text: str,
        *,
        level: str = "warning",
        code: str | None = None,
        traceback: str | None = None,
    ) -> None:
        """Record something that a person may want to know: `level` is info, warning or error."""
        with shielded("recording a message"):
            note = {
                "level": level if level in ("info", "warning", "error") else "info",
                "code": code,
                "text": redact_text(str(text)),
                "traceback": redact_text(traceback) if traceback else None,
                "at": to_instant(datetime.now(UTC)),
            }
            with self._lock:
                self._messages.append({k: v for k, v in note.items() if v is not None})

    def annotate(self, **attributes: Any) -> None:  # Any: free-form JSON
        """Record anything else that the tool knows of the activity."""
        with shielded("recording attributes"):
            plain = redact_json(to_plain(attributes))
            with self._lock:
                self._attributes.update(plain)

    def ended(
        self, exit_code: int, *, status: str | None = None, usage: "struct_rusage | None" = None
    ) -> None:
        """Say how the process ended that this activity is: minus the number of a fatal signal.

        `status` says it where the exit code does not; `usage` is what `os.wait4` gave of it.
        """
        with shielded("recording how a process ended"):
            found = outcome_of_code(exit_code)
            self.outcome = Outcome(status, found.exit_code) if status else found
            if exit_code < 0:
                self.message(f"ended by {signal.Signals(-exit_code).name}", code="signal")
            if usage is not None:
                self._measured = taken_by(usage)

    def environ(self) -> dict[str, str]:
        """Return the environment for a child process whose activities are to be part of this."""
        return {**os.environ, PARENT_VARIABLE: self.id}

    def announce(self) -> None:
        """Write a record with status ``running`` now: a trace even if the process is killed."""
        with shielded("announcing the activity"):
            self._write(self._record(Outcome("running", None), self._policy(0.0)))

    def finish(self, outcome: Outcome, *, budget_s: float | None = None) -> None:
        """Write the record, once; of several outcomes the first stands.

        `budget_s` limits the time for digests, for a process that is about to be killed.
        """
        if self._is_written or self.pid != os.getpid():  # a fork of the tool is not the activity
            return
        self.outcome = self.outcome or outcome
        if self._elapsed_s is None:
            self._elapsed_s = time.monotonic() - self._clock_s
        with shielded("recording the activity"):
            try:
                record = self._record(self.outcome, self._policy(budget_s))
            except KeyboardInterrupt:  # the user does not wait for the digests
                self._write(self._record(self.outcome, self._policy(0.0)))
                raise
            self._write(record)

    def _policy(self, budget_s: float | None = None) -> HashPolicy:
        deadline = None if budget_s is None else time.monotonic() + budget_s
        return HashPolicy(self._settings.hash_limit_bytes, deadline, self._settings.digests)

    def _flow(
        self,
        place: "str | os.PathLike[str]",
        role: str | None,
        name: str | None,
        product_id: str | None,
        content_type: str | None,
    ) -> _Flow:
        text = os.fsdecode(os.fspath(place))
        if not is_remote(text):
            text = os.path.abspath(local_path(text))
        extra: JSONDict = {
            "role": role,
            "name": name,
            "product_id": product_id,
            "content_type": content_type,
        }
        extra = {k: redact_text(str(v)) for k, v in extra.items() if v is not None}
        return _Flow(text, extra)

    def _add_places(self, flow: _Flow, lfn: str | None, locations: Sequence[str]) -> None:
        if lfn:
            flow.extra["lfn"] = lfn if lfn.lower().startswith("lfn:") else f"lfn:{lfn}"
        if locations:
            host = str(self._host.get("name", ""))
            flow.extra["locations"] = [
                redact_text(one) if names_host(one) else file_uri(local_path(one), host=host)
                for one in locations
            ]

    def _look(self, place: str, policy: HashPolicy) -> Described:
        """Describe the file at `place`, from what is known if it did not change since."""
        with self._lock:
            known = next(
                (f.found for f in self._inputs if f.place == place and f.found is not None), None
            )
        stamp = known.stamp if known else None
        if known and stamp and stamp == current_stamp(place) and "sha256" in known.item:
            return replace(known, messages=[])
        return describe_place(place, host=str(self._host.get("name", "")), policy=policy)

    def _record(self, outcome: Outcome, policy: HashPolicy) -> JSONDict:
        is_final = outcome.status != "running"
        settings = self._settings
        elapsed_s = self._elapsed_s
        if elapsed_s is None:
            elapsed_s = time.monotonic() - self._clock_s
        # by the monotonic clock: a clock that was set back cannot end a run before its start
        ended_at = to_instant(self._started + timedelta(seconds=elapsed_s))
        messages: list[JSONDict] = []
        record: JSONDict = {
            "schema": SCHEMA,
            "id": self.id,
            "name": self.name,
            "version": settings.version,
            "type": settings.type,
            "status": outcome.status,
            "exit_code": outcome.exit_code,
            "started_at": to_instant(self._started),
            "ended_at": ended_at if is_final else None,
            "parent": settings.parent,
            "command": self._command,
            "software": settings.software,
            **self._surroundings(),
            "configuration": dict(self._configuration),
            "inputs": self._input_items(messages) + self._value_items(is_input=True),
        }
        with shielded("describing the container image"):
            record["inputs"] += image_items(record.get("container"), host=self._host.get("name"))
        if is_final:
            record["outputs"] = self._output_items(messages, policy)
            record["outputs"] += self._value_items(is_input=False)
            self._compare_inputs(messages)
        with self._lock:
            record["messages"] = [*self._messages, *messages]
            record["attributes"] = dict(self._attributes)
        record["resources"] = self._resources(elapsed_s)
        record["recorder"] = {"name": "provmanager.capture"}
        with shielded("finding our own version"):
            record["recorder"]["version"] = distribution_version("provmanager")
        return {k: v for k, v in record.items() if v not in (None, {}, [])}

    def _surroundings(self) -> JSONDict:
        """Return where and by whom the activity runs; what cannot be found out is left out."""
        settings = self._settings
        found: JSONDict = {}
        if not settings.container:  # ours is not what the process finds in there
            with shielded("describing the environment"):
                found["environment"] = describe_environment(
                    settings.variables, has_python=settings.has_python
                )
        found["host"] = self._host
        with shielded("describing the container"):
            found["container"] = settings.container or detect_container()
        found["job"] = self._job
        with shielded("describing the person"):
            found["agent"] = settings.agent if settings.agent else describe_agent()
        return found

    def _input_items(self, messages: list[JSONDict]) -> list[JSONDict]:
        with self._lock:
            flows = list(self._inputs)
        items = []
        for flow in flows:
            if flow.found is not None:
                items.append(_joined(flow.extra, flow.found.item))
                messages.extend(_notes(flow.found.messages, "input"))
        return items

    def _output_items(self, messages: list[JSONDict], policy: HashPolicy) -> list[JSONDict]:
        with self._lock:
            flows = list(self._outputs)
        looked: dict[str, Described] = {}
        items = []
        for flow in flows:
            if flow.place not in looked:
                looked[flow.place] = describe_place(
                    flow.place, host=str(self._host.get("name", "")), policy=policy
                )
                messages.extend(_notes(looked[flow.place].messages, "output"))
            items.append(_joined(flow.extra, looked[flow.place].item))
        return items

    def _value_items(self, *, is_input: bool) -> list[JSONDict]:
        with self._lock:
            return [item for side, item in self._values if side == is_input]

    def _compare_inputs(self, messages: list[JSONDict]) -> None:
        """Say which inputs were written while the activity ran, other than by itself."""
        with self._lock:
            written = {flow.place for flow in self._outputs}
            flows = {flow.place: flow for flow in self._inputs if flow.place not in written}
        for place, flow in flows.items():
            before = flow.found.stamp if flow.found else None
            if before is None:
                continue
            now = current_stamp(place)
            if now is None:
                note = ("input-removed", f"{place}: is no longer there at the end")
            elif now != before:
                note = ("input-changed", f"{place}: changed while the activity ran")
            else:
                continue
            messages.extend(_notes([note], "input"))

    def _resources(self, elapsed_s: float) -> JSONDict:
        if self._measured:
            return {"wall_s": round(elapsed_s, 6), **self._measured}
        if self._settings.container:  # its processes are no children of ours
            return {"wall_s": round(elapsed_s, 6)}
        return {
            "wall_s": round(elapsed_s, 6),
            **taken_since(self._usage, is_command=self._settings.is_command),
        }

    def _write(self, record: JSONDict) -> None:
        is_final = record["status"] != "running"
        try:
            append_record(self.path, record)
        except OSError as error:
            rescue = rescue_path(self.path, self.id)
            append_record(rescue, record)
            logger.warning(
                "provenance capture: the record could not be written to %s (%s); it is in %s",
                self.path,
                error,
                rescue,
            )
        self._is_written = self._is_written or is_final


def _joined(told: JSONDict, found: JSONDict) -> JSONDict:
    """Return an item of what the tool said of a file and what was found of it."""
    places = list(dict.fromkeys([*found.get("locations", ()), *told.get("locations", ())]))
    return {**told, **found} | ({"locations": places} if places else {})


def _notes(messages: list[tuple[str, str]], side: str) -> list[JSONDict]:
    return [
        {"level": "warning", "code": code, "text": redact_text(f"{side} {text}")}
        for code, text in messages
    ]
