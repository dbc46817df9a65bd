"""What every engine can do, and what it says of a run; no engine is imported here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from provmanager.errors import JSONDict

RunState = Literal["waiting", "running", "completed", "error", "interrupted"]
StepState = Literal["waiting", "running", "completed", "error", "interrupted", "skipped", "not-run"]

FINAL: frozenset[str] = frozenset({"completed", "error", "interrupted"})
PARTLY_DONE = 6
"""Exit code of a run of which some steps were completed and some failed."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is to be run.

    Attributes
    ----------
    workflow : str
        Path or URL of the CWL document.
    name : str
        Name of the pipeline.
    inputs : dict
        The inputs object, checked, with absolute locations.
    steps : tuple of str
        Names of the workflow's steps, in its order.
    command : tuple of str
        Command line that asked for it.
    run_dir : Path, optional
        Folder for the run, instead of one in the state directory.
    max_parallel : int, optional
        Most steps at a time; by default as many as there are cores.
    resume : str, optional
        A former run, what of which can be used is not run again.
    environ : mapping
        Variables for the process of the run, on top of ours: where its server is.
    run_id : str, optional
        UUID that was promised for the run. Submitted again with it, a run is not started twice.
    job : mapping
        What its job asks of the grid, over the options of the engine.
    container : str, optional
        The container engine for tools that ask for an image (``apptainer``, ``podman``,
        ``docker``), or ``none``; by default the first that there is, for those that require it.
    """

    workflow: str
    name: str
    inputs: JSONDict
    steps: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    run_dir: Path | None = None
    max_parallel: int | None = None
    resume: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    job: Mapping[str, object] = field(default_factory=dict)
    container: str | None = None


@dataclass(frozen=True, kw_only=True)
class Product:
    """A file that a run or step made.

    Attributes
    ----------
    path : str
        Where it lies here; of one that lies in a storage only, its LFN.
    lfn : str, optional
        Its logical file name, ``LFN:/vo/…``, where it was stored.
    """

    name: str
    path: str
    role: str | None = None
    lfn: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """One step, or one of a scattered step: `index` says which."""

    name: str
    state: StepState
    index: tuple[int, ...] = ()
    activity: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    log: str | None = None
    products: tuple[Product, ...] = ()
    is_reused: bool = False


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """A run and its steps."""

    id: str
    name: str
    engine: str
    state: RunState
    directory: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    steps: tuple[StepStatus, ...] = ()
    products: tuple[Product, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINAL


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a run gave: CWL's output object, and the files in it."""

    outputs: JSONDict
    products: tuple[Product, ...] = ()


class Engine(Protocol):
    """Where workflows run. Runs are named by the UUID of their activity, or a unique part of it."""

    name: str

    def submit(self, request: RunRequest) -> str:
        """Start a run and return its id; it goes on when this process ends.

        Raises
        ------
        UsageError
            It cannot be started as asked.
        """
        ...

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str]:
        """Start several runs, as few calls as the engine needs; return their ids in that order.

        Raises
        ------
        ProvError
            As of `submit`; ``details["runs"]`` has the ids of those that were started before.
        """
        ...

    def request(self, run: str) -> RunRequest:
        """Return what was asked for when a run was submitted.

        Raises
        ------
        NotFoundError
            This engine knows no such run.
        """
        ...

    def status(self, run: str) -> RunStatus:
        """Return how far a run is.

        Raises
        ------
        NotFoundError
            This engine knows no such run.
        """
        ...

    def runs(self) -> list[RunStatus]:
        """Return all runs that this engine knows, the newest first, without their steps."""
        ...

    def cancel(self, run: str) -> None:
        """Ask a run to end: its steps are terminated, its records closed as interrupted."""
        ...

    def results(self, run: str) -> Results:
        """Return what a run that ended gave; of a failed one, what there is."""
        ...

    def reads_lfns(self, job: Mapping[str, object]) -> bool:
        """Whether inputs that are LFNs are read by runs that ask for that (`RunRequest.job`)."""
        ...

    def settle(self, run: str) -> None:
        """Close what a run that ended left open in its record, and deliver all of it again."""
        ...
