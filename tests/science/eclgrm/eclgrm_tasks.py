"""Run the tasks of `eclgrm` in a folder (for tests)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.tools.eclgrm import main

NAME = "sb26112101"
SMALL = ("--set", "simulate.start_s=-70", "--set", "simulate.stop_s=70")


@dataclass(frozen=True)
class Done:
    """How a task ended: exit code, both streams, and the record of the activity."""

    exit_code: int
    stdout: str
    stderr: str
    record: dict


def run(folder: Path, *arguments: str | Path, into: str = ".") -> Done:
    """Run a task on files of `folder`; its products go into a folder there."""
    record = folder / "records.jsonl"
    before = record.read_text().splitlines() if record.exists() else []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PROV_RUN_FILE", str(record))
        texts = [str(one) for one in arguments]
        result = CliRunner().invoke(main, [*texts, "--output-dir", str(folder / into)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    written = record.read_text().splitlines()[len(before) :] if record.exists() else []
    found = json.loads(written[-1]) if written else {}
    return Done(result.exit_code, result.stdout, result.stderr, found)


def named(folder: Path, *cards: str, burst: str = NAME) -> list[Path]:
    """Files of some cards."""
    return [folder / f"{card}_{burst}.fits" for card in cards]


def each(option: str, paths: Sequence[Path]) -> list[str]:
    """An option repeated for each file."""
    return [word for path in paths for word in (option, str(path))]


def run_all(folder: Path) -> list[Done]:
    """Simulate a burst and run the whole pipeline on it, task by task."""
    done = [run(folder, "simulate", *SMALL)]
    (burst,) = named(folder, "BURST")
    both = [f"QPO_{name}" for name in ("ECL", "GRM")]
    for name in ("ECL", "GRM"):
        done.append(run(folder, "otloc", burst, "--instrument", name))
    for name in ("ECL", "GRM"):
        positions = each("--position", named(folder, *both))
        done.append(run(folder, "rsp", burst, "--instrument", name, *positions))
        (trigger, response) = named(folder, f"TT_{name}", f"RSP_{name}")
        with_files = ("--instrument", name, "--trigger", trigger, "--response", response)
        done.append(run(folder, "qtemp", burst, *with_files))
    durations = each("--durations", named(folder, "QT90_ECL", "QT90_GRM"))
    responses = each("--response", named(folder, "RSP_ECL", "RSP_GRM"))
    done += [run(folder, task, burst, *durations, *responses) for task in ("qspec", "qhr")]
    hardness = each("--hardness", named(folder, "QHR_ECL", "QHR_GRM", "QHR_ECLGRM"))
    return [*done, run(folder, "class", *durations, *hardness)]
