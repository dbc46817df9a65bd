"""Real ctapipe records, understood without our code: plain json, and the rules below.

Counted is what the rules of docs/identity.md say that the raw files mean:

- a run is its ``activity_uuid``: the same one in several files, or dumped several times into one,
  is one run; of a record written while it ran and one written when it had ended, the latter counts;
- a file with a product id is that product wherever it lies; an id that ctapipe made up at reading
  (no ``CTA ACTIVITY ID`` beside it) is no id;
- an output without an id is one file for each run and path;
- an input without an id is the file that the last run before had written at that path of that
  host; where none had, the first one that another run wrote there while this one ran; else the one
  file at that path that nobody is known to have written;
- an output that a run inside of the run wrote to the same path is that inner run's; inside is
  what one array holds and the shortest time contains;
- what a run used or generated counts once for each role;
- a product that no record lists as output has a product metadata ``CTA ACTIVITY ID``: a run of
  which only that is known, unless its record is there.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import networkx

Node = tuple[str, ...]
Record = dict[str, Any]

_MANGLED = re.compile(r"/.*?/(https?|s3):/(?!/)(.*)")


def arrays(text: str) -> list[list[Record]]:
    """Return the arrays of records that stand one after the other in a log."""
    found = []
    rest = text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value if isinstance(value, list) else [value])
        rest = rest[end:].strip()
    return found


def logs(folder: Path) -> list[Path]:
    """Return the ctapipe logs below `folder`."""
    found = (p for p in folder.rglob("*") if p.suffix in (".json", ".log"))
    return sorted(p for p in found if "ctao-datamodel" not in p.parts)


@dataclass
class Truth:
    """What a set of logs means.

    Attributes
    ----------
    runs : dict
        ``activity_uuid`` to its one record.
    claimed : set of str
        Runs that only the metadata of an input names.
    used, generated : set of (run, file, role)
    retold : set of (run, file, role)
        Outputs that are those of a run inside of the run.
    outer : dict
        Run to the run around it.
    places : dict
        File to the (host, path) where it was seen.
    """

    runs: dict[str, Record]
    used: set[tuple[str, Node, str]] = field(default_factory=set)
    generated: set[tuple[str, Node, str]] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    retold: set[tuple[str, Node, str]] = field(default_factory=set)
    outer: dict[str, str] = field(default_factory=dict)
    places: dict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))

    @property
    def files(self) -> set[Node]:
        """All files."""
        return {file for _, file, _ in self.used | self.generated}

    @property
    def graph(self) -> "networkx.DiGraph[Node]":
        """Runs ``("run", uuid)`` and files, along the flow of the data."""
        graph: networkx.DiGraph[Node] = networkx.DiGraph()
        graph.add_nodes_from(("run", uuid) for uuid in self.runs)
        graph.add_edges_from((file, ("run", uuid)) for uuid, file, _ in self.used)
        graph.add_edges_from((("run", uuid), file) for uuid, file, _ in self.generated)
        return graph


def read_truth(paths: Iterable[Path]) -> Truth:
    """Return what the logs mean together."""
    read = [array for path in paths for array in arrays(path.read_text())]
    truth = Truth(_runs(record for array in read for record in array))
    truth.outer = {inner: outer for array in read for inner, outer in _nesting(array)}
    producer: dict[Node, str] = {}
    written: dict[Node, list[tuple[datetime, Node, str]]] = defaultdict(list)
    outputs = list(_flows(truth.runs, "output"))
    for uuid, file, place, run in outputs:
        inner = _writer_inside(truth.outer, uuid, place, outputs)
        node = _product(file) or ("output", inner or uuid, *place)
        (truth.retold if inner else truth.generated).add((uuid, node, file["role"] or ""))
        producer[node] = inner or uuid
        written[place].append((_stop(run), node, uuid))
        truth.places[node].add(place)
    claims: dict[Node, str] = {}
    for uuid, file, place, run in _flows(truth.runs, "input"):
        node = _product(file)
        if node is not None:
            claims[node] = file["reference_meta"]["CTA ACTIVITY ID"]
        else:
            node = _version(sorted(written[place]), uuid, run) or ("file", *place)
        truth.used.add((uuid, node, file["role"] or ""))
        truth.places[node].add(place)
    orphans = {node: run for node, run in claims.items() if node not in producer}
    truth.claimed = set(orphans.values()) - set(truth.runs)
    truth.generated |= {(run, node, "") for node, run in orphans.items() if run in truth.claimed}
    return truth


def _nesting(array: list[Record]) -> Iterator[tuple[str, str]]:
    ended = [(_start(r), _stop(r), r["activity_uuid"]) for r in array if r["stop"]]
    for start, stop, uuid in ended:
        around = [(e - s, other) for s, e, other in ended if s < start and stop <= e]
        if around:
            yield uuid, min(around)[1]


def _writer_inside(
    outer: dict[str, str], uuid: str, place: Node, outputs: list[tuple[str, Record, Node, Record]]
) -> str | None:
    for other, _, there, _ in outputs:
        around = outer.get(other)
        while there == place and around is not None:
            if around == uuid:
                return other
            around = outer.get(around)
    return None


def _runs(records: Iterable[Record]) -> dict[str, Record]:
    runs: dict[str, Record] = {}
    for record in records:
        held = runs.setdefault(record["activity_uuid"], record)
        if record["stop"] and not held["stop"]:
            runs[record["activity_uuid"]] = record
    return runs


def _flows(
    runs: dict[str, Record], side: str
) -> Iterator[tuple[str, Record, tuple[str, str], Record]]:
    for uuid, run in runs.items():
        for file in run[side]:
            mangled = _MANGLED.fullmatch(file["url"])
            if mangled:
                yield uuid, file, ("", f"{mangled[1]}://{mangled[2]}"), run
            else:
                yield uuid, file, (run["system"]["platform"]["node"], file["url"]), run


def _product(file: Record) -> Node | None:
    metadata = file.get("reference_meta") or {}
    return ("product", metadata["CTA PRODUCT ID"]) if metadata.get("CTA ACTIVITY ID") else None


def _version(versions: list[tuple[datetime, Node, str]], reader: str, run: Record) -> Node | None:
    others = [(at, node) for at, node, writer in versions if writer != reader]
    before = [node for at, node in others if at <= _start(run)]
    if before:
        return before[-1]
    during = [node for at, node in others if run["stop"] and at <= _stop(run)]
    return during[0] if during else None


def _start(run: Record) -> datetime:
    return datetime.fromisoformat(run["start"]["time_utc"])


def _stop(run: Record) -> datetime:
    return datetime.fromisoformat((run["stop"] or run["start"])["time_utc"])
