"""A telescope-like production: the DAG on which ingest and lineage are measured.

Each activity uses three data files and the one calibration file that all share, generates three
files, has 30 configuration keys, and runs in one of four environments of 60 packages. Activities
stand in layers; a layer reads files of the layer before.
"""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

WIDTH = 100
_START = datetime(2026, 1, 1, tzinfo=UTC)
CALIBRATION = "lfn:/vo.cta.in2p3.fr/calibration/camera.h5"


def _sha256(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _size(url: str) -> int:
    return 50_000 + len(url) + sum(url.encode())


def output_url(i: int, k: int) -> str:
    """Return the LFN of output `k` of activity `i`."""
    return f"lfn:/vo.cta.in2p3.fr/prod6/run{i // 1000:04d}/dl1_{i:06d}_{k}.h5"


def inputs_of(i: int, rng: random.Random) -> list[tuple[int, int] | None]:
    """Return the (activity, output) that activity `i` reads; None is a raw file."""
    layer = i // WIDTH
    if layer == 0:
        return [None, None, None]
    first = (layer - 1) * WIDTH
    return [(first + rng.randrange(WIDTH), rng.randrange(3)) for _ in range(3)]


def documents(n: int, seed: int = 1) -> list[bytes]:
    """Return `n` activity records (activity.v1), in time order."""
    rng = random.Random(seed)  # a benchmark, not a secret
    environments = [_environment(k) for k in range(4)]
    return [_document(i, rng, environments) for i in range(n)]


def edges(n: int, seed: int = 1) -> list[tuple[str, str]]:
    """Return (later, earlier) between activity UUIDs and file names, from the same draws."""
    rng = random.Random(seed)
    found: list[tuple[str, str]] = []
    for i in range(n):
        name = str(_uuid(i))
        for j, read in enumerate(inputs_of(i, rng)):
            url = f"lfn:/vo.cta.in2p3.fr/raw/{i}_{j}" if read is None else output_url(*read)
            found.append((name, url))
        found.append((name, CALIBRATION))
        found += [(output_url(i, k), name) for k in range(3)]
    return found


def _uuid(i: int) -> UUID:
    return UUID(bytes=hashlib.md5(f"activity {i}".encode()).digest(), version=4)


def _environment(k: int) -> dict:
    return {
        "python": {"version": f"3.12.{k}", "implementation": "CPython"},
        "packages": [{"name": f"package-{j:02d}", "version": f"{j}.{k}.0"} for j in range(60)],
    }


def _document(i: int, rng: random.Random, environments: list[dict]) -> bytes:
    start = _START + timedelta(minutes=10 * (i // WIDTH), seconds=i % WIDTH)
    inputs = []
    for j, read in enumerate(inputs_of(i, rng)):
        url = f"lfn:/vo.cta.in2p3.fr/raw/{i}_{j}" if read is None else output_url(*read)
        inputs.append(
            {"role": "events", "url": url, "sha256": _sha256(url), "size_bytes": _size(url)}
        )
    inputs.append({"role": "calibration", "url": CALIBRATION, "sha256": _sha256(CALIBRATION)})
    record = {
        "schema": "provmanager/activity.v1",
        "id": str(_uuid(i)),
        "name": f"process-{(i // WIDTH) % 5}",
        "version": "1.2.3",
        "status": "completed",
        "exit_code": 0,
        "started_at": start.isoformat().replace("+00:00", "Z"),
        "ended_at": (start + timedelta(minutes=5)).isoformat().replace("+00:00", "Z"),
        "command": {"arguments": ["process", "--run", str(i), "--config", "stage1.yaml"]},
        "environment": environments[i % 4],
        "host": {"name": f"node{i % 50:02d}", "system": "Linux", "n_cpus": 64},
        "configuration": {
            "Tool": {f"parameter_{j:02d}": j * 0.5 for j in range(28)} | {"run": i, "seed": i * 7}
        },
        "inputs": inputs,
        "outputs": [
            {"role": f"dl1-{k}", "url": output_url(i, k), "sha256": _sha256(output_url(i, k)),
             "size_bytes": _size(output_url(i, k))}
            for k in range(3)
        ],
    }  # fmt: skip
    return json.dumps(record, separators=(",", ":")).encode()
