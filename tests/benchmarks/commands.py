"""How long a command takes to its answer: ``python -m tests.benchmarks.commands``.

Each command is a whole process against a running server; the floor is an interpreter that does
nothing.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .serving import serve
from .telescope import documents, output_url


def median_s(arguments: list[str], environment: dict[str, str], n: int = 11) -> float:
    """Return the median wall time of a command, in seconds, after one warm-up."""
    times = []
    for _ in range(n + 1):
        begin = time.perf_counter()
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def main() -> None:
    """Print the figures."""
    bin_ = Path(sys.executable).parent
    with serve() as served, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ, "PROV_SERVER_URL": served.url, "PROV_TOKEN": served.token,
        }  # fmt: skip
        run = Path(folder) / "run.json"
        records = documents(300)
        run.write_bytes(records[0])
        for record in records:
            served.client.record(record, name="run.json")
        floor = median_s([sys.executable, "-c", "pass"], environment)
        commands = {
            "prod-add-prov run.json": [str(bin_ / "prod-add-prov"), str(run)],
            "prod-trace PRODUCT": [str(bin_ / "prod-trace"), output_url(207, 0)],
            "prod-search --name": [str(bin_ / "prod-search"), "products", "--name", "dl1_0002*"],
        }
        for label, arguments in commands.items():
            took = median_s(arguments, environment)
            print(f"{label}: {took:.3f} s, bare interpreter {floor:.3f} s, x{took / floor:.1f}")


if __name__ == "__main__":
    main()
