"""Real workflow executions in WfFormat 1.5 (wfcommons/WfInstances) as activity.v1 records.

WfFormat says which task read and wrote which file, on which machine and for how long; it has no
digests and no times of tasks, and none are invented here.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import networkx

HOST = "wfinstances"
_NUMBER = re.compile(r"_(ID)?\d+$")
_TIME_FORMATS = ("%Y%m%dT%H%M%S%z", "%m-%d-%yT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z")


def instances(prov_data: Path) -> list[Path]:
    """Return the files of all executions, in the order of their names."""
    return sorted((prov_data / "wfinstances").glob("**/*.json"), key=lambda path: path.name)


def activity_id(path: Path, task: str | None = None) -> str:
    """Return the UUID of a task of an execution, or of the execution itself."""
    name = f"wfinstances/{path.stem}" + ("" if task is None else f"#{task}")
    return str(uuid5(NAMESPACE_URL, name))


def file_url(path: Path, file: str) -> str:
    """Return the location that stands for a file of an execution."""
    return f"file://{HOST}/" + quote(f"{path.stem}/{file.lstrip('/')}", safe="/:@!$&'()*+,;=~")


def to_records(path: Path) -> list[dict[str, Any]]:
    """Return one record for the execution and one for each of its tasks, in the file's order."""
    document = json.loads(path.read_text("utf-8"))
    workflow = document["workflow"]
    execution = workflow["execution"]
    sizes = {file["id"]: file["sizeInBytes"] for file in workflow["specification"]["files"]}
    machines = {machine["nodeName"]: machine for machine in execution.get("machines", [])}
    executed = {task["id"]: task for task in execution["tasks"]}
    records = [_workflow_record(path, document)]
    for task in workflow["specification"]["tasks"]:
        run = executed[task["id"]]
        names = run.get("machines") or (list(machines) if len(machines) == 1 else [])
        record: dict[str, Any] = {
            "schema": "provmanager/activity.v1",
            "id": activity_id(path, task["id"]),
            "name": _NUMBER.sub("", task["name"]),
            "status": "completed",
            "parent": activity_id(path),
            "command": {"arguments": [run["command"]["program"], *run["command"]["arguments"]]},
            "inputs": [_flow(path, file, sizes) for file in task["inputFiles"]],
            "outputs": [_flow(path, file, sizes) for file in task["outputFiles"]],
            "resources": {
                "wall_s": run["runtimeInSeconds"],
                "max_rss_bytes": run.get("memoryInBytes"),
            },
            "attributes": {"task": task["id"]},
        }
        if len(names) == 1:
            record["host"] = _host(machines[names[0]])
        records.append(record)
    return records


def edges(path: Path) -> "networkx.DiGraph[tuple[str, str]]":
    """Return the graph of the raw file, along the flow of the data.

    Nodes are ``("task", id)`` and ``("file", id)``; it is made without `to_records`.
    """
    graph: networkx.DiGraph[tuple[str, str]] = networkx.DiGraph()
    specification = json.loads(path.read_text("utf-8"))["workflow"]["specification"]
    for file in specification["files"]:
        graph.add_node(("file", file["id"]))
    for task in specification["tasks"]:
        node = ("task", task["id"])
        graph.add_node(node)
        graph.add_edges_from((("file", file), node) for file in task["inputFiles"])
        graph.add_edges_from((node, ("file", file)) for file in task["outputFiles"])
    return graph


def _workflow_record(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    execution = document["workflow"]["execution"]
    system = document["runtimeSystem"]
    started = _instant(execution["executedAt"])
    ended = started + timedelta(seconds=execution["makespanInSeconds"])
    return {
        "schema": "provmanager/activity.v1",
        "id": activity_id(path),
        "name": document["name"],
        "type": "workflow",
        "status": "completed",
        "started_at": started.isoformat().replace("+00:00", "Z"),
        "ended_at": ended.isoformat().replace("+00:00", "Z"),
        "software": {"name": system["name"], "version": system["version"]},
        "attributes": {"description": document["description"], "instance": path.stem},
    }


def _instant(text: str) -> datetime:
    for pattern in _TIME_FORMATS:
        try:
            return datetime.strptime(text, pattern).astimezone(UTC)
        except ValueError:
            continue
    raise ValueError(f"executedAt in a form that is not known: {text}")


def _flow(path: Path, file: str, sizes: dict[str, int]) -> dict[str, Any]:
    return {"url": file_url(path, file), "size_bytes": sizes[file]}


def _host(machine: dict[str, Any]) -> dict[str, Any]:
    cpu = machine.get("cpu", {})
    found = {
        "name": machine["nodeName"],
        "system": machine.get("system"),
        "release": machine.get("release"),
        "machine": machine.get("architecture"),
        "n_cpus": cpu.get("coreCount"),
        "memory_bytes": machine.get("memoryInBytes"),
    }
    return {key: value for key, value in found.items() if value is not None}
