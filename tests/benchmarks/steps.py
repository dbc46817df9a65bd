"""What a step of a workflow costs over its bare process: ``python -m tests.benchmarks.steps [N]``.

N steps (50 by default) that do nothing, one at a time, by each of: the bare process, cwltool's own
executor in a process that is warm, the command ``cwltool``, and our engine, which records each step
at a server that runs beside it. All in one run, three rounds, of which the fastest counts.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cwltool.context import RuntimeContext
from cwltool.executors import SingleJobExecutor

from jobs.engines import RunRequest, make_engine
from jobs.workflows import load_workflow
from jobs.workflows.document import quieten

from .serving import serve

_ROUNDS = 3

_WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {n: "int[]"}
outputs: {out: {type: "File[]", outputSource: step/out}}
steps:
  step:
    run:
      class: CommandLineTool
      baseCommand: ["true"]
      inputs: {n: {type: int, inputBinding: {position: 1}}}
      outputs: {out: stdout}
      stdout: out.txt
    scatter: n
    in: {n: n}
    out: [out]
"""


def bare_s(folder: Path, n: int) -> float:
    """Return the time that the processes take alone."""
    begin = time.perf_counter()
    for i in range(n):
        with (folder / "out.txt").open("wb") as stdout:
            subprocess.run(["true", str(i)], stdout=stdout, check=True)
    return time.perf_counter() - begin


def cwltool_warm_s(document: Path, folder: Path, n: int) -> float:
    """Return the time that cwltool takes as a library, once it is loaded."""
    workflow = load_workflow(str(document))
    context = RuntimeContext({"basedir": str(folder), "use_container": False})
    context.outdir = tempfile.mkdtemp(dir=folder)
    begin = time.perf_counter()
    _, status = SingleJobExecutor()(workflow.process, {"n": list(range(n))}, context)
    assert status == "success"
    return time.perf_counter() - begin


def cwltool_command_s(document: Path, folder: Path, n: int) -> float:
    """Return the time of the command `cwltool`, from start to end."""
    inputs = folder / "inputs.json"
    inputs.write_text(json.dumps({"n": list(range(n))}))
    command = [str(Path(sys.executable).parent / "cwltool"), "--quiet", "--no-container",
               "--outdir", tempfile.mkdtemp(dir=folder), str(document), str(inputs)]  # fmt: skip
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def engine_s(document: Path, n: int) -> tuple[float, float]:
    """Return the time of our engine: for the steps alone, and from submission to the end."""
    engine = make_engine("local")
    workflow = load_workflow(str(document))
    request = RunRequest(
        workflow=workflow.location,
        name=workflow.name,
        inputs={"n": list(range(n))},
        steps=("step",),
        command=("prod-submit", str(document)),
        max_parallel=1,
    )
    begin = time.perf_counter()
    run = engine.submit(request)
    while not (status := engine.status(run)).is_final:
        time.sleep(0.01)
    whole_s = time.perf_counter() - begin
    assert status.state == "completed", status
    assert not status.notes, status.notes  # all went to the server
    first = min(datetime.fromisoformat(s.started_at or "") for s in status.steps)
    last = max(datetime.fromisoformat(s.ended_at or "") for s in status.steps)
    return (last - first).total_seconds(), whole_s


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    quieten()
    logging.disable(logging.WARNING)
    with serve() as served, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = folder / "steps.cwl"
        document.write_text(_WORKFLOW)
        os.environ |= {"PROV_SERVER_URL": served.url, "PROV_TOKEN": served.token,
                       "PROV_STATE_DIR": str(folder / "state")}  # fmt: skip
        bare = best(lambda: bare_s(folder, n))
        warm = best(lambda: cwltool_warm_s(document, folder, n))
        command = best(lambda: cwltool_command_s(document, folder, n))
        command_1 = best(lambda: cwltool_command_s(document, folder, 1))
        rounds = [engine_s(document, n) for _ in range(_ROUNDS)]
        steps = min(steps for steps, _ in rounds)
        whole_1 = min(whole for _, whole in (engine_s(document, 1) for _ in range(_ROUNDS)))
        recorded = served.client.runs()["items"][-1]["steps"]
    print(f"a step, in ms (of {n}, one at a time):")
    print(f"  bare process               {bare / n * 1e3:7.1f}")
    print(f"  cwltool, warm, in process  {warm / n * 1e3:7.1f}")
    print(f"  cwltool, the command       {command / n * 1e3:7.1f}")
    print(f"  our engine, recorded       {steps / n * 1e3:7.1f}   {recorded}")
    print(
        f"  over the bare process: cwltool {(warm - bare) / n * 1e3:.1f}, "
        f"ours {(steps - bare) / n * 1e3:.1f}, ratio {(steps - bare) / (warm - bare):.1f}"
    )
    print("a run of one step, in s:")
    print(f"  cwltool, the command       {command_1:7.2f}")
    print(f"  our engine                 {whole_1:7.2f}   ratio {whole_1 / command_1:.1f}")


def best(measure: Callable[[], float]) -> float:
    """Return the least of some measurements: other load only ever adds."""
    return min(measure() for _ in range(_ROUNDS))


if __name__ == "__main__":
    main()
