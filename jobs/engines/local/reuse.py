"""What of a former run can be used again: decided by its record, never by names of files alone."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwltool.job import JobBase
from cwltool.process import shortname

from provmanager.capture.command import software_of
from provmanager.capture.files import DigestMemory
from provmanager.errors import JSONDict, NotFoundError
from provmanager.ids import clean_json, digest_of

from .closing import close_running
from .directory import RunDirectory, read_lines
from .places import by_content, each_place, path_of, sha256_of
from .steps import StepId, StepJob

REUSED_PRODUCT = "reused product"
"""Role of a product that a former run made, in the activity of a run that took it over."""

_TELLS_NOTHING = frozenset({"doc", "label", "$schemas", "$namespaces"})


def reuse_key(planned: StepJob, memory: DigestMemory) -> str | None:
    """Return the digest of the tool and all that it gets: equal ones would do the same.

    The tool is its document with all requirements and the version of the program that it starts,
    as far as that is known, or the container image that it runs in; the inputs are their contents
    and names. None where the tool does not want to be reused (WorkReuse), or the job could not be
    made.
    """
    if planned.job is None:
        return None
    reuse, _ = planned.tool.get_requirement("WorkReuse")
    if reuse is not None and not reuse.get("enableReuse", True):
        return None
    order = clean_json(json.loads(json.dumps(planned.job.builder.job)))
    needs = planned.tool.requirements + planned.tool.hints
    command = [str(part) for part in getattr(planned.job, "command_line", ())]
    is_process = isinstance(planned.job, JobBase)
    software = software_of(command[0]) if is_process and command else None
    if planned.image is not None:
        software = planned.image.to_record()
    return digest_of(
        {
            "tool": _document(planned.tool.tool),
            "needs": [_document(need) for need in needs],
            "inputs": by_content(order, memory),
            "software": software,
        }
    )


def _document(value: Any) -> Any:  # Any: a CWL document
    """Return a CWL document without what only says where it was read."""
    if isinstance(value, list):
        return [_document(item) for item in value]
    if not isinstance(value, dict):
        return value
    made: JSONDict = {}
    for key, item in value.items():
        if key in _TELLS_NOTHING:
            continue
        if key in ("id", "name") and isinstance(item, str):
            if "class" not in value:  # a port or field; the id of a process is its place
                made[key] = shortname(item)
        elif key == "symbols":
            made[key] = [shortname(str(symbol)) for symbol in item]
        else:
            made[str(key)] = _document(item)
    return made


class Former:
    """The completed steps of a former run, and of those that it took steps from.

    Attributes
    ----------
    notes : list of str
        What cannot be used again because it was changed since.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.notes: list[str] = []
        self.ids: list[str] = []
        self._steps: dict[str, JSONDict] = {}
        self._runs: list[JSONDict] = []
        self._files: list[tuple[str, Path]] = []
        seen: set[Path] = set()
        at: RunDirectory | None = directory
        while at is not None and at.path not in seen:
            seen.add(at.path)
            self._read(at)
            before = at.info().get("resumes")
            at = RunDirectory(Path(before)) if before else None
            if at is not None and not at.run_file.is_file():
                at = None

    def _read(self, directory: RunDirectory) -> None:
        info = directory.info()
        self.ids.append(info["id"])
        if not directory.record_file.is_file():
            raise NotFoundError(f"{directory.path} has no record ({directory.record_file.name})")
        self._files.append((info["id"], directory.record_file))
        for record in directory.moved_records():
            if record.get("status") == "running":
                continue
            if record.get("id") == info["id"]:
                self._runs.append(record)
            key = record.get("attributes", {}).get("cwl", {}).get("key")
            if key and record.get("status") == "completed":
                self._steps.setdefault(key, record)

    def unclosed(self, target: Path, *, but: str) -> list[Path]:
        """Close in `target` what a killed process left as running; return records to deliver again.

        It may have been killed before the last of them were on their way. Not closed is what is
        left of the run `but`: a former attempt of its job, of which the grid knows how it ended.
        """
        files = [path for run, path in self._files if run != but]
        n_closed = sum(
            close_running(read_lines(path), target, "the process of the run was killed")
            for path in files
        )
        return files if n_closed else []

    def find(self, key: str | None, step: StepId, memory: DigestMemory) -> JSONDict | None:
        """Return the record of the same work, if all that it made is there as it was made."""
        record = self._steps.get(key) if key else None
        if record is None:
            return None
        for place in each_place(record["attributes"]["cwl"]["outputs"]):
            changed = _changed(place, memory)
            if changed:
                self.notes.append(f"step {step} runs again: {changed}")
                return None
        for item in record.get("outputs", ()):  # the members of folders
            for member in item.get("members", ()):
                if sha256_of(_path(member["url"]), memory) != member.get("sha256"):
                    self.notes.append(
                        f"step {step} runs again: {_path(member['url'])} was changed since"
                    )
                    return None
        return record

    def check_products(self, memory: DigestMemory) -> None:
        """Note which products of the former runs are not what was made."""
        for record in self._runs:
            taken = [i for i in record.get("inputs", ()) if i.get("role") == REUSED_PRODUCT]
            for item in (*record.get("outputs", ()), *taken):
                if "sha256" not in item:
                    continue
                path = _path(item["url"])
                if sha256_of(path, memory) != item["sha256"]:
                    what = "was changed" if os.path.exists(path) else "is gone"
                    self.notes.append(f"{path} {what} since it was made: it is made again")


def _changed(place: JSONDict, memory: DigestMemory) -> str | None:
    path = path_of(place)
    if path is None:
        return None
    if not os.path.exists(path):
        return f"{path} is gone"
    if place["class"] == "File" and sha256_of(path, memory) != place.get("sha256"):
        return f"{path} was changed since it was made"
    return None


def _path(url: str) -> str:
    return unquote(urlsplit(url).path)
