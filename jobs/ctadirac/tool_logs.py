"""What tools of ctapipe said of themselves in their provenance logs, as records with digests.

CTADIRAC packs these logs into ``*.log_and_prov.tgz`` and never reads them; which output came of
which input it guesses from run numbers in names of files.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provmanager.capture import Run
from provmanager.capture.files import digest_file
from provmanager.capture.writer import append_record, record_path
from provmanager.errors import DocumentError, JSONDict
from provmanager.formats import local_path, read
from provmanager.model import Activity, Document

_ENDINGS = (".prov.log", ".provenance.log", "provenance.log")
_LARGEST_BYTES = 50_000_000


@dataclass
class ToolLogs:
    """Finds provenance logs in a folder, and tells each of their activities once.

    Parameters
    ----------
    folder : Path
        Of the job.
    lfns : mapping
        LFN of an input, by the name of its file.
    """

    folder: Path
    lfns: Mapping[str, str]
    problems: list[str] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def record(self, run: Run) -> set[str]:
        """Record what tools said of themselves since, as parts of `run`; return what they made."""
        made: set[str] = set()
        for record in self._new_records(run.id):
            target = record_path(
                os.environ.get("PROV_RUN_FILE"), name=record["name"], activity_id=record["id"],
                directory=str(self.folder),
            )  # fmt: skip
            append_record(target, record)
            made |= {str(flow["url"]) for flow in record.get("outputs", ())}
        for problem in self.problems:
            run.message(problem, level="warning", code="provenance-log")
        self.problems.clear()
        return made

    def _new_records(self, parent: str) -> Iterator[JSONDict]:
        """Yield a record (activity.v1) of each activity that was not told before."""
        for name, data in self._logs():
            try:
                document = read(data, name=name)
            except DocumentError as error:
                self.problems.append(f"{name}: {error.message}")
                continue
            for activity in document.activities:
                if activity.key not in self._told and activity.uuid is not None:
                    self._told.add(activity.key)
                    yield self._record(document, activity, parent)

    def _logs(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.folder.rglob("*")):
            if path.name.endswith(_ENDINGS) and path.is_file():
                yield path.name, path.read_bytes()
            elif path.name.endswith(".tgz") and path.is_file():
                yield from self._packed(path)

    def _packed(self, path: Path) -> Iterator[tuple[str, bytes]]:
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    stream = archive.extractfile(member) if member.isfile() else None
                    if stream and member.name.endswith(_ENDINGS) and member.size < _LARGEST_BYTES:
                        yield member.name, stream.read()
        except (tarfile.TarError, EOFError, OSError) as error:
            self.problems.append(f"{path.name} cannot be read: {error}")

    def _record(self, document: Document, activity: Activity, parent: str) -> JSONDict:
        places = {entity.key: entity.locations for entity in document.entities}
        used = [(u.role, places[u.entity]) for u in document.used if u.activity == activity.key]
        made = [
            (g.role, places[g.entity]) for g in document.generated if g.activity == activity.key
        ]
        record: JSONDict = {
            "schema": "provmanager/activity.v1",
            "id": str(activity.uuid),
            "name": activity.name,
            "version": activity.version,
            "status": activity.status,
            "parent": parent,
            "started_at": activity.started_at.isoformat() if activity.started_at else None,
            "ended_at": activity.ended_at.isoformat() if activity.ended_at else None,
            "command": {"arguments": list(activity.arguments or ())},
            "environment": activity.environment,
            "host": activity.host,
            "configuration": activity.configuration,
            "inputs": [self._flow(role, where) for role, where in used if where],
            "outputs": [self._flow(role, where) for role, where in made if where],
        }
        return {key: value for key, value in record.items() if value not in (None, {}, [])}

    def _flow(self, role: str | None, locations: Iterable[str]) -> JSONDict:
        """Return a file of the tool, as it lies here now: outputs are moved after the tool."""
        location = next(iter(locations))
        named = Path(local_path(location) or location)
        moved = self.folder / "Data" / named.name
        path = named if named.is_file() or not moved.is_file() else moved
        flow: JSONDict = {"url": str(path) if path.is_absolute() else location, "role": role}
        if named.name in self.lfns:
            flow["lfn"] = self.lfns[named.name]
        if path.is_file():
            sha256, n_bytes = digest_file(str(path))
            flow |= {"sha256": sha256, "size_bytes": n_bytes}
        return flow


def packed_log(folder: Path, stem: str, files: Iterable[Path]) -> Path:
    """Write ``<stem>.log_and_prov.tgz`` of files, as CTADIRAC's wrappers do, and return it."""
    target = folder / f"{stem}.log_and_prov.tgz"
    with tarfile.open(target, "w:gz") as archive:
        for path in files:
            if path.is_file():
                archive.add(path, arcname=path.name)
    return target
