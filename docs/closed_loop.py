"""Run the closed loop of ECLGRM over many seeds, and draw what came out.

    python docs/closed_loop.py run CASE FIRST LAST  # seeds; writes closed-loop-CASE-FIRST.json
    python docs/closed_loop.py page                 # tables and figures, from all such files

A seed takes some two seconds of CPU; what is done is kept every ten, so a run can be cut short.
The files stand in docs/figures. CASE is the number of a case of `eclgrm_closed_loop.cases`.
"""

import json
import re
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "science" / "eclgrm")]

from eclgrm_closed_loop import cases, run  # noqa: E402

from analysis.eclgrm.grb980329 import PUBLISHED, catalogue_numbers, grb980329  # noqa: E402

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

FIGURES = Path(__file__).with_name("figures")
PAGE = Path(__file__).with_name("science-eclgrm-simulator.md")


def measure(case: int, first: int, last: int) -> None:
    """Run the seeds from the first to before the last."""
    chosen = cases()[case]
    found: dict[str, list[list[float]]] = {}
    failed: dict[str, str] = {}
    for seed in range(first, last):
        try:
            measured = run(chosen, seed)
        except ValueError as error:
            failed[str(seed)] = str(error)
            continue
        for name, one in measured.items():
            row = [float(f"{value:.6g}") for value in (one.truth, one.value, one.error)]
            found.setdefault(name, []).append(row)
        if (seed + 1) % 10 == 0 or seed + 1 == last:
            n_seed = seed + 1 - first
            part = {"case": chosen.name, "n_seed": n_seed, "failed": failed, "measured": found}
            path = FIGURES / f"closed-loop-{case}-{first}.json"
            path.write_text(json.dumps(part) + "\n", encoding="utf-8")


def load(case: int) -> dict | None:
    """Put the parts of a case together."""
    paths = sorted(FIGURES.glob(f"closed-loop-{case}-*.json"))
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole["n_seed"] += part["n_seed"]
        whole["failed"] |= part["failed"]
        for name, rows in part["measured"].items():
            whole["measured"][name] += rows
    return whole


def summary(name: str, rows: list[list[float]]) -> str:
    """Write a line of the table."""
    truth, value, error = np.array(rows, float).T
    if name == "position":
        inside = (value < error).mean()
        return (
            f"| position, deg | 0 | {value.mean():.4f} | {error.mean():.4f} (R90) | | |"
            f" {100 * inside:.0f} % within R90 |"
        )
    known = np.isfinite(error) & (error > 0)
    pull = (value[known] - truth[known]) / error[known]
    spread = value.std() / len(value) ** 0.5
    lost = "" if known.all() else f", {(~known).sum()} without error"
    return (
        f"| {name} | {truth.mean():.4g} | {value.mean():.4g} ± {spread:.2g} |"
        f" {error[known].mean():.2g} | {pull.mean():+.2f} | {pull.std():.2f} |"
        f" {100 * (np.abs(pull) < 1).mean():.0f} %{lost} |"
    )


def table(document: dict) -> list[str]:
    """Write the table of a case."""
    done = document["n_seed"] - len(document["failed"])
    lines = [
        f"{document['case']}: {done} of {document['n_seed']} seeds measured.",
        "",
        "| quantity | truth | mean | mean error | mean pull | scatter of pulls | within error |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [summary(name, rows) for name, rows in document["measured"].items()]
    lines += [f"\nSeed {seed}: {why}." for seed, why in document["failed"].items()]
    return [*lines, ""]


def tuned() -> list[str]:
    """Write the table of GRB 980329 against the catalogue."""
    lines = ["| | published | parametric burst | |", "|---|---|---|---|"]
    for name, value in catalogue_numbers(grb980329()).items():
        published = PUBLISHED[name]
        off = f"{100 * (value / published.value - 1):+.1f} %"
        if name.endswith(("_start_s", "_stop")):
            off = f"{value - published.value:+.3f} s"
        lines.append(
            f"| {name} | {published.value:g} ± {published.error:g} | {value:.4g} | {off} |"
        )
    return lines


def draw_profile() -> None:
    """Draw the parametric GRB 980329."""
    burst = grb980329().profile
    figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
    axes.step(burst.edges_s[:-1], burst.flux, where="post", color="k", lw=0.8)
    axes.set(
        xlim=(-5, 35),
        xlabel="time since the BATSE trigger (s)",
        ylabel="50-300 keV (1 / cm² s)",
        title="GRB 980329, parametric",
    )
    figure.savefig(FIGURES / "grb980329.png", dpi=90)


def draw_pulls(documents: list[dict]) -> None:
    """Draw the distribution of the pulls of every quantity."""
    names = [name for name in documents[0]["measured"] if name != "position"]
    figure, grid = plt.subplots(3, 4, figsize=(10, 6.4), layout="constrained")
    edges = np.linspace(-4, 4, 25)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for axes, name in zip(grid.flat, names, strict=False):
        for document, colour in zip(documents, ("k", "tab:blue", "tab:red"), strict=False):
            truth, value, error = np.array(document["measured"][name], float).T
            pull = np.clip((value - truth) / error, -3.99, 3.99)
            axes.hist(
                pull, edges, density=True, histtype="step", color=colour, label=document["case"]
            )
        normal = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
        axes.plot(middle, normal, color="0.6", lw=1, zorder=0)
        axes.set_title(name, fontsize=9)
    draw_containment(grid.flat[-1], documents)
    figure.supxlabel("(measured - true) / error; last panel: offset / R90")
    grid.flat[0].legend(fontsize=6)
    figure.savefig(FIGURES / "closed-loop-pulls.png", dpi=90)


def draw_containment(axes: plt.Axes, documents: list[dict]) -> None:
    """Draw the fraction of positions within a multiple of R90."""
    radius = np.linspace(0, 2.0, 81)
    for document, colour in zip(documents, ("k", "tab:blue", "tab:red"), strict=False):
        _, offset, r90 = np.array(document["measured"]["position"], float).T
        held = [(offset < one * r90).mean() for one in radius]
        axes.plot(radius, held, color=colour)
    axes.axhline(0.9, color="0.6", lw=1)
    axes.axvline(1, color="0.6", lw=1)
    axes.set_title("position", fontsize=9)


def write_page() -> None:
    """Replace what stands between the marks of the page."""
    documents = [one for one in map(load, range(len(cases()))) if one]
    draw_profile()
    if documents:
        draw_pulls(documents)
    text = PAGE.read_text(encoding="utf-8")
    parts = {"tuned": tuned(), "loop": [line for one in documents for line in table(one)]}
    for name, lines in parts.items():
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        block = "\n".join(lines).rstrip() + "\n"
        text = re.sub(pattern, lambda m, b=block: m[1] + b + m[2], text, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        measure(*map(int, sys.argv[2:5]))
    else:
        write_page()
