"""Productions: their steps as a table, what failed, and a display of one that goes on."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from .table import Column, write_table
from .text import Look, counted, duration, instant, look_of, printable

if TYPE_CHECKING:
    from rich.progress import TaskID

    from provmanager.client import ProductionStatus, ProductionStepStatus

_LINE_EVERY_S = 10.0
_MOST_FAILURES = 5


class Display(Protocol):
    """Shows how a production goes on."""

    def note(self, text: str) -> None:
        """Show a line of what happens."""
        ...

    def update(self, status: "ProductionStatus") -> None:
        """Show how far it is."""
        ...


def production_lines(status: "ProductionStatus", look: Look) -> Iterator[str]:
    """Yield what there is to say of a production."""
    state = "nothing to do" if status["is_done"] else "under way"
    yield look.shown(f"{printable(status['name'])}  {status['id']}  {state}")
    if status["description"]:
        yield look.paint(printable(status["description"]), "dim")
    yield from write_table([_row(step) for step in status["steps"]], _columns(), "aligned", look)
    for step in status["steps"]:
        if step["inputs"]["doubled"]:
            text = f"{step['name']}: {counted(step['inputs']['doubled'], 'input')} used by two runs"
            yield look.paint(text, "bad")
        failures = step["failures"]
        for failure in failures[: None if look.verbose else _MOST_FAILURES]:
            reason = (failure["reason"] or f"exit code {failure['exit_code']}").partition("\n")[0]
            head = f"{step['name']}: run {failure['run'][:8]} {failure['status']}"
            yield f"{look.paint(head, 'bad')}: {printable(reason)}"
    yield look.shown(said(status))


def said(status: "ProductionStatus") -> str:
    """Return how much is left, and until when, in a line."""
    from jobs.productions.estimate import estimate

    now = datetime.now(UTC)
    found = estimate(status, now)
    text = f"{counted(found.n_done, 'run')} done, {found.n_left} to come"
    if found.ends_at is not None and found.n_left:
        left = duration(now.isoformat(), found.ends_at.isoformat())
        text += f"; ends in about {left}, at {instant(found.ends_at.isoformat())}"
    return text


def _row(step: "ProductionStepStatus") -> dict[str, Any]:  # Any: JSON
    from jobs.productions.estimate import n_inputs

    runs, inputs = step["runs"], step["inputs"]
    return {
        "step": step["name"],
        "engine": step["engine"],
        "inputs": n_inputs(step),
        "completed": inputs["completed"],
        "running": inputs["running"],
        "failed": inputs["failed"],
        "free": inputs["free"] + inputs["retried"],
        "runs": runs["completed"],
        "running_runs": runs["running"],
        "waiting_runs": runs["waiting"] + runs["claimed"],
        "failed_runs": runs["error"] + runs["interrupted"],
    }


def _columns() -> list[Column]:
    names = {
        "STEP": "step", "ENGINE": "engine", "INPUTS": "inputs", "FREE": "free", "TAKEN": "running",
        "DONE": "completed", "GIVEN UP": "failed", "RUNS: WAITING": "waiting_runs",
        "RUNNING": "running_runs", "COMPLETED": "runs", "FAILED": "failed_runs",
    }  # fmt: skip
    return [Column(heading, _getter(name)) for heading, name in names.items()]


def _getter(name: str) -> Any:  # Any: a function of a record
    return lambda row: row[name]


def list_columns() -> list[Column]:
    """Return the columns of a list of productions."""
    return [
        Column("NAME", lambda r: r["name"]),
        Column("DEFINED", lambda r: instant(r["started_at"]), lambda r: r["started_at"]),
        Column("ACTIVITY", lambda r: r["id"]),
    ]


@contextmanager
def progress(*, is_quiet: bool) -> Iterator[Display]:
    """Show on standard error how a production goes on: bars on a terminal, else lines."""
    if is_quiet:
        yield _Silent()
    elif sys.stderr.isatty() and look_of().unicode:
        with _Bars() as bars:
            yield bars
    else:
        yield _Lines()


class _Silent:
    def note(self, text: str) -> None:
        pass

    def update(self, status: "ProductionStatus") -> None:
        pass


class _Lines:
    """A line for each note; how far it is, when that changed and not too often."""

    def __init__(self) -> None:
        self._told = ""
        self._told_at = 0.0

    def note(self, text: str) -> None:
        click.echo(printable(text), err=True)

    def update(self, status: "ProductionStatus") -> None:
        line = "; ".join(
            f"{row['step']} {row['completed']}/{row['inputs']}"
            for row in map(_row, status["steps"])
        )
        now = time.monotonic()
        if line != self._told and (now - self._told_at >= _LINE_EVERY_S or status["is_done"]):
            self._told, self._told_at = line, now
            click.echo(f"{line}; {said(status)}", err=True)


class _Bars:
    """A bar for each step, over its inputs, and when all is likely to end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", style="dim"), console=Console(stderr=True),
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        self._progress.console.print(printable(text), markup=False, highlight=False)

    def update(self, status: "ProductionStatus") -> None:
        from jobs.productions.estimate import estimate

        for step in status["steps"]:
            row = _row(step)
            failed = f", {row['failed']} given up" if row["failed"] else ""
            self._show(step["name"], row["completed"], row["inputs"],
                       f"{row['running_runs']} running{failed}")  # fmt: skip
        found = estimate(status, datetime.now(UTC))
        self._show("runs", found.n_done, found.n_done + found.n_left, said(status))

    def _show(self, name: str, done: int, total: int, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, said=text, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total, said=text)
