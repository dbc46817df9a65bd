"""What a claim takes in a large production: ``python -m tests.benchmarks.productions [INPUTS]``.

INPUTS files (20 000 by default) are delivered, and claimed by runs of one each, 500 at a time,
which are then submitted and completed, until a quarter is left. Measured at the first claims and
later are claims, a claim without room, a report and the status. Beside them stands a bulk upload of
as many records of the form that a claim writes, which is the least that it has to do. Wall clocks,
CPU seconds of server and PostgreSQL.
"""

import hashlib
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .serving import Served, serve

_EACH = 500
_BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
_NAME = "bench"


def activity(**told: Any) -> dict[str, Any]:
    """Return a record of an activity."""
    return {"schema": "provmanager/activity.v1", "id": str(uuid.uuid4()), **told}


def upload(served: Served, records: list[dict[str, Any]]) -> None:
    """Record activities in one request."""
    lines = "\n".join(json.dumps(record) for record in records)
    served.client.record(lines.encode(), name="bench.prov.json")


def file_of(number: int, kind: str = "raw") -> dict[str, Any]:
    """Return a file as an activity lists it."""
    name = f"{kind}/night{number // 1000:03}/run{number:06}.fits"
    return {"role": "data", "url": f"file://store/{name}", "size_bytes": 1000 + number,
            "sha256": hashlib.sha256(name.encode()).hexdigest()}  # fmt: skip


def deliver(served: Served, n_inputs: int) -> None:
    """Record that the files were delivered, a hundred at a time."""
    times = {"started_at": _BEGAN.isoformat(), "ended_at": _BEGAN.isoformat()}
    told = {"name": "delivery", "status": "completed", **times}
    deliveries = [
        activity(outputs=[file_of(n) for n in range(first, first + 100)], **told)
        for first in range(0, n_inputs, 100)
    ]
    for first in range(0, len(deliveries), 50):
        upload(served, deliveries[first : first + 50])


def floor(served: Served, turn: int) -> None:
    """Upload as many records as a claim writes, of the same form, about files of their own."""
    parent = activity(name="floor")
    runs = [
        activity(name="floor.a", type="Workflow", status="running", parent=parent["id"],
                 inputs=[file_of(turn * _EACH + n, "floor") | {"role": "production input"}],
                 attributes={"production": "floor", "step": "a", "attempt": 1})
        for n in range(_EACH)
    ]  # fmt: skip
    upload(served, [parent, *runs])


def timed(served: Served, label: str, call: Callable[[], Any]) -> Any:
    """Print how long something takes, and return what it gives."""
    cpu, begin = served.cpu_s(), time.perf_counter()
    found = call()
    took_s = time.perf_counter() - begin
    server, postgresql = (now - then for now, then in zip(served.cpu_s(), cpu, strict=True))
    print(f"  {label:28} {took_s:6.2f} s; CPU {server:.2f} and {postgresql:.2f} s", flush=True)
    return found


def complete(served: Served, groups: list[dict[str, Any]], turn: int) -> None:
    """Record that claimed runs were completed, each with a product."""
    ended = _BEGAN + timedelta(minutes=turn + 2)
    times = {"started_at": (ended - timedelta(seconds=30)).isoformat(),
             "ended_at": ended.isoformat()}  # fmt: skip
    upload(
        served,
        [
            {**activity(name=f"{_NAME}.a", type="Workflow", status="completed", **times),
             "id": group["run"], "outputs": [file_of(turn * _EACH + n, "made")]}
            for n, group in enumerate(groups)
        ],
    )  # fmt: skip
    runs = [group["run"] for group in groups]
    served.client.report_runs(_NAME, {"holder": "b", "submitted": runs, "settled": runs})


def claims(served: Served) -> Callable[[int], Any]:
    """Define the production, and return what claims so many groups of it."""
    steps = [
        {"name": "a", "input": {"name": "run*.fits", "activity": {"name": "delivery"}},
         "workflow": "a.cwl", "files": "events"},
        {"name": "b", "input": {"from": "a", "output": "data"}, "group": {"size": 20},
         "workflow": "b.cwl", "files": "events", "engine": "diracx"},
    ]  # fmt: skip
    document = {"schema": "production.v1", "name": _NAME, "steps": steps}
    definition = served.client.define_production(_NAME, document)["definition"]
    wanted = {"definition": definition, "holder": "b", "place": "here", "lease_s": 3600}
    return lambda most: served.client.claim_groups(
        _NAME, wanted | {"most": {"local": most, "diracx": 0}}
    )


def turns(n_inputs: int) -> Iterator[tuple[int, bool]]:
    """Yield the number of each claim, and whether it is measured."""
    last = n_inputs * 3 // 4 // _EACH
    for turn in range(last + 1):
        yield turn, turn in (0, 1, last // 2, last)


def main() -> None:
    """Print the figures."""
    n_inputs = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with serve() as served:
        deliver(served, n_inputs)
        claim = claims(served)
        for turn, is_measured in turns(n_inputs):
            if not is_measured:
                complete(served, claim(_EACH), turn)
                continue
            print(f"{turn * _EACH} of {n_inputs} inputs are taken", flush=True)
            timed(served, f"upload of {_EACH} records", lambda turn=turn: floor(served, turn))
            groups = timed(served, f"claim of {_EACH} groups", lambda: claim(_EACH))
            assert len(groups) == _EACH
            complete(served, groups, turn)
            timed(served, "claim without room", lambda: claim(0))
            one = timed(served, "claim of one group", lambda: claim(1))
            complete(served, one, 100_000 + turn)
            timed(served, "report", lambda: served.client.report_runs(_NAME, {"holder": "b"}))
            timed(served, "status", lambda: served.client.production(_NAME))


if __name__ == "__main__":
    main()
