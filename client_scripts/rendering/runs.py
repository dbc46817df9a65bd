"""Runs and their steps, as lines and as a table; and a display of a run that goes on."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .table import Column, duration_column, status_column, write_table
from .text import SIGNS, Look, counted, duration, instant, look_of, printable, style_of_status

if TYPE_CHECKING:
    from rich.table import Table

    from jobs.engines import RunStatus, StepStatus

_POLL_S = 0.2
_SLOWEST_POLL_S = 2.0
_MOST_LINES = 30
_SIGNS = {**SIGNS, "waiting": "·", "skipped": "–", "not-run": "–"}
_WORDS = {"not-run": "not run"}


def title(step: "StepStatus") -> str:
    """Return the name of a step, with the index of a scattered one."""
    return printable(step.name + "".join(f"[{i}]" for i in step.index))


def run_lines(run: "RunStatus", look: Look) -> Iterator[str]:
    """Yield what there is to say of a run: its steps, the products, what failed and why."""
    state = look.paint(f"{_SIGNS[run.state]} {run.state}", style_of_status(run.state))
    took = duration(run.started_at, run.ended_at)
    yield look.shown(f"{printable(run.name)}  {run.id}  {state}" + (f"  {took}" if took else ""))
    where = f"  {run.directory}" if run.directory else ""
    yield look.shown(f"started {instant(run.started_at)}{where}")
    yield from write_table([_row(step) for step in run.steps], _step_columns(), "aligned", look)
    for step in run.steps:
        if step.state in ("error", "interrupted"):
            yield ""
            yield look.paint(f"{title(step)}: {step.state}", "bad")
            yield from (f"  {printable(line)}" for line in (step.reason or "").splitlines())
            if step.log:
                yield f"  logs: {step.log}"
    if run.products:
        yield ""
        yield look.paint("products", "dim")
        yield from (f"  {printable(p.path)}" for p in run.products)
    for note in run.notes:
        yield f"note: {printable(note)}"
    if run.reason:
        yield f"{run.state}: {printable(run.reason)}"


def _row(step: "StepStatus") -> dict[str, Any]:  # Any: JSON
    word = _WORDS.get(step.state, step.state)
    return asdict(step) | {"title": title(step), "word": word,
                           "made": ", ".join(p.name for p in step.products)}  # fmt: skip


def _step_columns() -> list[Column]:
    def state(record: Any) -> str:  # Any: JSON
        word = record["word"] + (" (reused)" if record["is_reused"] else "")
        return f"{_SIGNS.get(record['state'], '?')} {word}"

    def style(record: Any) -> str | None:  # Any: JSON
        return style_of_status(record["state"]) if record["state"] != "waiting" else "dim"

    return [
        Column("STEP", lambda r: r["title"]),
        Column("STATUS", state, lambda r: r["state"], style),
        duration_column(),
        Column("PRODUCTS", lambda r: r["made"]),
    ]


def run_columns() -> list[Column]:
    """Return the columns of a list of runs."""
    return [
        Column("RUN", lambda r: r["id"]),
        Column("NAME", lambda r: r["name"]),
        status_column("state"),
        Column("STARTED", lambda r: instant(r["started_at"]), lambda r: r["started_at"]),
        duration_column(),
        Column("HOST", lambda r: r.get("host") or ""),
    ]


def follow(poll: Callable[[], "RunStatus"], *, is_quiet: bool = False) -> "RunStatus":
    """Show on standard error how a run goes on until its end: live on a terminal, else in lines."""
    if is_quiet:
        return _last(poll, lambda _: None)
    if sys.stderr.isatty() and look_of().unicode:
        return _follow_live(poll)
    seen: dict[tuple[str, tuple[int, ...]], str] = {}

    def tell(run: "RunStatus") -> None:
        for step in run.steps:
            key = (step.name, step.index)
            if step.state in ("waiting", "not-run") or seen.get(key) == step.state:
                continue
            seen[key] = step.state
            took = duration(step.started_at, step.ended_at)
            reused = " (reused)" if step.is_reused else ""
            said = f"{title(step)}: {step.state}{reused}" + (f" after {took}" if took else "")
            click.echo(said, err=True)

    return _last(poll, tell)


def _last(poll: Callable[[], "RunStatus"], tell: Callable[["RunStatus"], None]) -> "RunStatus":
    wait_s = _POLL_S
    while True:
        run = poll()
        tell(run)
        if run.is_final:
            return run
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.05, _SLOWEST_POLL_S)


def _follow_live(poll: Callable[[], "RunStatus"]) -> "RunStatus":
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=8) as live:
        return _last(poll, lambda run: live.update(_table(run)))


def _table(run: "RunStatus") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    counts = Counter(step.state for step in run.steps)
    said = ", ".join(f"{n} {state}" for state, n in counts.items())
    table.add_row(Text("▸", "cyan"), Text(run.name, "bold"), Text(said, "dim"))
    colours = {"completed": "green", "error": "bold red", "interrupted": "bold red",
               "running": "cyan"}  # fmt: skip
    for step in _most_telling(run.steps):
        now = step.ended_at or (_now() if step.state == "running" else None)
        style = colours.get(step.state, "dim")
        table.add_row(
            Text(_SIGNS.get(step.state, "?"), style), Text(title(step)),
            Text(duration(step.started_at, now), "dim"),
        )  # fmt: skip
    if len(run.steps) > _MOST_LINES:
        table.add_row("", Text(f"… {counted(len(run.steps) - _MOST_LINES, 'more step')}", "dim"))
    return table


def _most_telling(steps: "Sequence[StepStatus]") -> "list[StepStatus]":
    """Return as many steps as fit, in their order: what failed, runs and waits before the rest."""
    if len(steps) <= _MOST_LINES:
        return list(steps)
    rank = {"error": 0, "interrupted": 0, "running": 1, "waiting": 2}
    kept = sorted(range(len(steps)), key=lambda i: (rank.get(steps[i].state, 3), -i))[:_MOST_LINES]
    return [steps[i] for i in sorted(kept)]


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()
