"""What a run of a plan gave, held against the recorded products, on whatever engine it was."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from jobs.engines import Results
from jobs.engines.diracx import GridOptions
from jobs.engines.diracx.engine import OPTIONS_VARIABLE

from .comparison import Comparison, compare_files
from .document import output_names
from .plan import Plan, Step, path_at


def compare_results(
    plan: Plan, results: Results, *, rtol: float = 1e-9, atol: float = 0.0
) -> dict[str, Comparison]:
    """Compare each product that a run of `plan` made with the recorded one, by entity.

    A product that did not come here, as it was too large for a job's sandbox or went to a storage,
    is compared by its recorded digest.
    """
    former = {o.entity: o for step in plan.steps for o in step.outputs}
    digests = {product.role: product.sha256 for product in results.products}
    compared = {}
    for port, entity in output_names(plan).items():
        place = results.outputs.get(port)
        if not place:
            continue
        now = Path(path_at(str(place["location"])))
        if now.is_file():
            compared[entity] = compare_files(
                former[entity].former, now, sha256=former[entity].sha256, rtol=rtol, atol=atol
            )
        else:
            compared[entity] = _by_digest(former[entity].sha256, digests.get(port), now)
    return compared


def _by_digest(recorded: str | None, found: str | None, place: Path) -> Comparison:
    if recorded is not None and recorded == found:
        return Comparison("same-bytes", f"SHA-256 {found}; it lies elsewhere: {place}")
    what = "other bytes" if recorded and found else "no digest to compare"
    return Comparison("unknown", f"{what}, and {place} is not here to compare values")


def grid_options() -> GridOptions:
    """Return the options of the grid, by default its own.

    Raises
    ------
    UsageError
        The file of options cannot be used.
    """
    named = os.environ.get(OPTIONS_VARIABLE)
    return GridOptions.read(Path(named)) if named else GridOptions()


def on_nodes(plan: Plan) -> Plan:
    """Return the plan as it is for the nodes of the grid, which have their own software area.

    Programs of our environment become those beside the Python that the options of the grid name.
    That nothing of the nodes' software can be seen from here is said in what may have changed.
    """
    python = grid_options().python
    unseen = sorted({step.program[0] for step in plan.steps if step.image is None})
    steps = [_on_nodes(step, Path(python)) if python else step for step in plan.steps]
    changed = list(plan.changed)
    if unseen:  # an image has its own
        changed.append(f"the software of the nodes cannot be seen from here: {', '.join(unseen)}")
    return replace(plan, steps=steps, changed=changed)


def _on_nodes(step: Step, python: Path) -> Step:
    own = Path(sys.executable).parent
    program = tuple(
        str(python.parent / Path(part).name) if Path(part).parent == own else part
        for part in step.program
    )
    return replace(step, program=program)
