"""One run of a task: its settings, what it reads, what it makes, and the record of all that."""

import functools
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analysis.tools.process import NotFoundError, ToolError
from provmanager import capture

from .configuration import Settings, digest, load_configuration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.eclgrm.product_io import Making
    from analysis.eclgrm.products import Product

T = TypeVar("T")
SOFTWARE = "provmanager"
"""The distribution that these tasks belong to."""
Function = Callable[..., Any]  # Any: what click calls


@dataclass(frozen=True)
class TaskOptions:
    """What every task is told on the command line."""

    output_dir: Path
    configuration: Path | None
    settings: tuple[str, ...]
    as_json: bool
    is_quiet: bool


def config_options(function: Function) -> Function:
    """Add ``--config`` and ``--set``."""
    for option in (
        click.option(
            "--set",
            "settings",
            metavar="TASK.KEY=VALUE",
            multiple=True,
            help="Change one setting; the value is JSON.",
        ),
        click.option(
            "--config",
            "configuration",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Settings, JSON or YAML with a section a task; see: eclgrm config.",
        ),
    ):
        function = option(function)
    return function


def task_options(function: Function) -> Function:
    """Add the options of every task; the command gets them as `options: TaskOptions`."""

    @config_options
    @click.option(
        "--output-dir",
        metavar="DIR",
        default=".",
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the products; made where it is not there.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Write a summary in JSON.")
    @click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Write errors only.")
    @functools.wraps(function)
    def with_options(**given: Any) -> Any:  # Any: what click passes
        names = ("output_dir", "configuration", "settings", "as_json", "is_quiet")
        options = TaskOptions(**{name: given.pop(name) for name in names})
        return function(options=options, **given)

    return with_options


def seed_option(task: str) -> Callable[[Function], Function]:
    """Add ``--seed``, which is short for ``--set <task>.seed``."""

    def add(function: Function) -> Function:
        @click.option(
            "--seed",
            type=click.IntRange(min=0),
            help=f"Random seed; short for --set {task}.seed=N.",
        )
        @functools.wraps(function)
        def with_seed(*, seed: int | None, options: TaskOptions, **given: Any) -> Any:
            if seed is not None:
                changed = (*options.settings, f"{task}.seed={seed}")
                options = TaskOptions(**{**vars(options), "settings": changed})
            return function(options=options, **given)

        return with_seed

    return add


def file_argument(name: str, **options: Any) -> Callable[[Function], Function]:
    """Add an argument that names a file; whether it is there, the task itself finds out.

    Any: what click takes.
    """
    return click.argument(name, type=click.Path(path_type=Path), **options)


@dataclass
class Task:
    """A task while it runs.

    Attributes
    ----------
    name : str
    settings : dict
        The section of this task.
    run : capture.Run
        The activity.
    folder : Path
        Where files are made; they move to the output directory when all is done.
    """

    name: str
    settings: Settings
    run: capture.Run
    folder: Path
    output_dir: Path
    say: Callable[[str], None]
    inputs: list[tuple[str, str]] = field(default_factory=list)
    made: list[tuple[Path, str]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)  # Any: JSON

    def read(self, reader: Callable[[Path], T], path: Path, role: str) -> T:
        """Read a file and record it as an input.

        Raises
        ------
        NotFoundError
            It is not there.
        """
        if not path.is_file():
            raise NotFoundError(f"{path}: there is no such file; expected the {role}")
        self.run.input(path, role=role)
        with path.open("rb") as stream:
            self.inputs.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))
        return reader(path)

    def making(self) -> "Making":
        """Tell a product's header what makes it."""
        from analysis.eclgrm.product_io import Making

        return Making(
            activity_id=self.run.id,
            configuration_sha256=digest(self.settings),
            task=self.name,
            version=version(SOFTWARE),
            inputs=tuple(self.inputs),
            made_at=datetime.now(UTC),
        )

    def write(self, product: "Product") -> None:
        """Make a product's file."""
        from analysis.eclgrm.product_io import write_product

        self.add(write_product(product, self.folder, self.making()), product.card)

    def picture(self, product: "Product", figure: "Figure") -> None:
        """Make the quick-look picture of a product; the same figure gives the same bytes."""
        from analysis.eclgrm.product_io import file_name

        path = self.folder / Path(file_name(product)).with_suffix(".png").name
        figure.savefig(path, metadata={"Software": None})
        self.add(path, "quick-look")

    def add(self, path: Path, role: str) -> None:
        """Count a file in `folder` as made."""
        self.made.append((path, role))

    def value(self, name: str, value: float | str, unit: str = "") -> None:
        """Record a number or text that the task found out, and show it; NaN means it found none."""
        found = None if isinstance(value, float) and not math.isfinite(value) else value
        if found is not None:
            self.run.value(f"{name} [{unit}]" if unit else name, found)
        self.summary[name] = {"value": found, "unit": unit} if unit else found


@contextmanager
def open_task(
    name: str, options: TaskOptions, *, type: str = "Analysis", part: str = ""
) -> Iterator[Task]:
    """Run a task: record it, and put what it made in place only if it ends well.

    Parameters
    ----------
    name : str
        Name of the task.
    options : TaskOptions
    type : str
        IVOA type of the activity.
    part : str
        What of the burst is worked on, such as an instrument: for the name of the record.
    """
    record = _record(f"eclgrm-{name}", part)
    with (
        capture.activity(
            f"eclgrm-{name}", type=type, record=record, software=SOFTWARE, version=version(SOFTWARE)
        ) as run,
        _progress(options) as say,
    ):
        settings = load_configuration(options.configuration, options.settings)
        section = settings.get(name, {})
        run.configure({name: section})
        if options.configuration is not None:
            run.input(options.configuration, role="configuration")
        folder = _staging(options.output_dir, name)
        try:
            task = Task(name, section, run, folder, options.output_dir, say)
            yield task
            placed = [_place(task, path, role) for path, role in task.made]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _report(task, placed, options)


def _record(name: str, part: str) -> str | None:
    """Name a record so that those of two instruments do not share a file, where we choose it."""
    if "PROV_RUN_FILE" in os.environ or capture.current() is not None or not part:
        return None
    return f"{name}-{part}.prov.json"


def _staging(output_dir: Path, name: str) -> Path:
    """Make a folder beside the products, so that moving them is renaming them."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{name}-", dir=output_dir))
    except OSError as error:
        raise ToolError(f"{output_dir}: cannot be written to: {error.strerror}") from error


def _place(task: Task, path: Path, role: str) -> tuple[Path, str]:
    target = task.output_dir / path.name
    path.replace(target)
    task.run.output(target, role=role)
    return target, role


def _report(task: Task, placed: list[tuple[Path, str]], options: TaskOptions) -> None:
    if options.as_json:
        outputs = [{"path": str(path), "role": role} for path, role in placed]
        said = {"task": task.name, "activity": task.run.id, "values": task.summary}
        click.echo(json.dumps(said | {"outputs": outputs}))
        return
    if options.is_quiet:
        return
    for name, found in task.summary.items():
        value, unit = (
            (found["value"], f" {found['unit']}") if isinstance(found, dict) else (found, "")
        )
        shown = f"{value:.6g}" if isinstance(value, float) else value
        click.echo(f"{name}: {'not known' if value is None else f'{shown}{unit}'}")
    for path, role in placed:
        click.echo(f"{role}: {path}")


@contextmanager
def _progress(options: TaskOptions) -> Iterator[Callable[[str], None]]:
    """Show what goes on, on a terminal only; elsewhere say nothing."""
    if options.is_quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update
