"""Closing the records of activities whose process ended without a word."""

from collections.abc import Iterable
from pathlib import Path

from provmanager.capture.writer import append_record
from provmanager.errors import JSONDict

from .delivery import Delivery
from .directory import RunDirectory, read_lines


def close_running(records: Iterable[JSONDict], target: Path, reason: str) -> int:
    """Append to `target` a final record for each activity that `records` leave running.

    Returns how many there were.
    """
    running: dict[str, JSONDict] = {}
    for record in records:
        if record.get("status") == "running":
            running[str(record.get("id"))] = record
        else:
            running.pop(str(record.get("id")), None)
    for record in running.values():
        note = {"level": "warning", "code": "killed", "text": f"no record of its end; {reason}"}
        notes = [*record.get("messages", ()), note]
        append_record(str(target), {**record, "status": "interrupted", "messages": notes})
    return len(running)


def close_run(directory: RunDirectory) -> None:
    """Close what a run that has ended left open in its record, and deliver all of it again.

    What the server has already changes nothing there.
    """
    told = [directory.record_file, *sorted(directory.steps.glob("*/tool.prov.json"))]
    with directory.lock():
        for path in told:
            close_running(read_lines(path), path, "the process of its run is gone")
    delivery = Delivery(directory.record_file)
    delivery.start()
    for path in told[1:]:
        delivery.add(path)
    delivery.close()
