"""CTADIRAC's productions (``ProdSteps`` in YAML) as productions of ours.

The job of each step is made as `WorkflowElement` and the job classes of CTADIRAC 3.1 make it;
metadata queries on DIRAC's file catalogue become queries on the record.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provmanager.errors import JSONDict, NotFoundError, UsageError

from .datasets import Datasets
from .description import DiracJob
from .document import INPUT_DATA, JOB_NUMBER, make_document, make_inputs
from .job_classes import KINDS, Config, Step, make_job
from .simulation import SETTINGS, make_simulation
from .workflow_xml import write_xml

_IS_ONE = re.compile(r"^ProdSteps\s*:", re.MULTILINE)
_NSB = {"dark": 1, "half": 5, "full": 19}
_AZIMUTH = {"North": 180, "South": 0}
_SECTIONS = {"ProdSteps", "Common"}
_STEP = {"ID", "name", "input_meta_query", "job_config"}
_COMMON = {"MCCampaign", "configuration_id", "base_path"}
_SIMULATION = "mcsimulation"
_OF_ALL = {"type", "version", "catalogs", "destination", "cpu_time", *_COMMON}
_OF_FILES = {
    "group_size", "options", "output_extension", "data_level", "array_layout", "split",
}  # fmt: skip
_IGNORED = {
    "ctapipe_site_config": "CTADIRAC 3.1 keeps it and no job of it reads it: leave it out, and "
    "name the settings in options, as -c FILE",
}
_BOUNDS = {">=": "min", "<=": "max"}
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a production of CTADIRAC does not say itself.

    Attributes
    ----------
    datasets : mapping
        The metadata query of each dataset by its name.
    runs : int, optional
        How often a simulation is run.
    name : str, optional
        What the production is called; as its file, if nothing is said.
    """

    datasets: Datasets = field(default_factory=dict)
    runs: int | None = None
    name: str | None = None


def is_prod_steps(path: Path) -> bool:
    """Return whether a file is a production of CTADIRAC."""
    if path.suffix not in (".yml", ".yaml") or not path.is_file():
        return False
    with path.open("rb") as file:
        return _IS_ONE.search(file.read(100_000).decode("utf-8", "replace")) is not None


def translate_production(path: Path, folder: Path, more: Additions | None = None) -> Path:
    """Write the production, and the workflow and job description of each step, into `folder`.

    Returns the path of the ``production.yml``.

    Raises
    ------
    NotFoundError
        There is no such file.
    UsageError
        Something of it cannot be translated: each with its place, and what to write instead.
    """
    told = _read(path)
    problems: list[str] = []
    more = more or Additions()
    common = {k: v for k, v in (told.get("Common") or {}).items() if v is not None}
    made = list(_steps(told, common, more, problems))
    if problems:
        raise UsageError(
            f"{path} cannot be translated to a production of ours:\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "production.v1",
        "name": more.name or (_NAME.sub("-", path.stem).strip("-_") or "production")[:64],
        "description": f"translated from {path.name} of CTADIRAC",
        "metadata": {k: v for k, v in common.items() if k in _COMMON},
        "engine": "diracx",
        "steps": [_written(step, job, folder, more) for step, job in made],
    }
    import yaml

    target = folder / "production.yml"
    _place(target, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return target


def _read(path: Path) -> Config:
    import yaml

    try:
        told = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no YAML: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("ProdSteps"), list):
        raise UsageError(f"{path}: expected ProdSteps, a list of steps, and Common")
    return told


def _steps(
    told: Config, common: Config, more: Additions, problems: list[str]
) -> Iterator[tuple[Step, DiracJob]]:
    """Yield the steps with their jobs, each after its parent."""
    problems += [f"/{name}: not known" for name in sorted(set(told) - _SECTIONS)]
    problems += [f"/Common/{name}: not known" for name in sorted(set(common) - _COMMON)]
    found: dict[int, Step] = {}
    ordered = sorted(enumerate(told["ProdSteps"]), key=lambda pair: _number(pair[1], pair[0]))
    for place, step in ordered:
        where = f"/ProdSteps/{place}"
        if not isinstance(step, dict) or not isinstance(step.get("job_config"), dict):
            problems.append(f"{where}: expected ID, input_meta_query and job_config")
            continue
        problems += [f"{where}/{name}: not known" for name in sorted(set(step) - _STEP)]
        number, config = step.get("ID"), step["job_config"]
        type_ = str(config.get("type", "")).lower()
        if not isinstance(number, int) or number in found:
            problems.append(f"{where}/ID: {number!r}: expected a whole number of its own")
            continue
        if type_ not in KINDS and type_ != _SIMULATION:
            problems.append(
                f"{where}/job_config/type: {config.get('type')!r}: expected CtapipeProcessing, "
                "Merging, CtapipeTrainEnergy, CtapipeTrainClassifier, CtapipeApplyModels or "
                "MCSimulation"
            )
            continue
        problems += list(_unknown(config, where, SETTINGS if type_ == _SIMULATION else _OF_FILES))
        asked = {} if type_ == _SIMULATION else step.get("input_meta_query") or {}
        parent = _parent(asked, found, where, problems)
        wanted = dict(_query(asked, where, more.datasets, problems, has_parent=parent is not None))
        found[number] = one = Step(
            number, config, common, {**(parent.output if parent else {}), **wanted}, wanted, parent,
            KINDS.get(type_),
        )  # fmt: skip
        if one.kind is None and more.runs is None:
            problems.append(
                f"{where}: how often it is run is not said in the document, in CTADIRAC neither: "
                "say it with --set runs=NUMBER"
            )
        yield one, (make_job(one, one.kind, problems) if one.kind
                    else make_simulation(one, problems))  # fmt: skip


def _number(step: object, place: int) -> int:
    number = step.get("ID") if isinstance(step, dict) else None
    return number if isinstance(number, int) else place


def _parent(
    wanted: Config, found: Mapping[int, Step], where: str, problems: list[str]
) -> Step | None:
    number = wanted.get("parentID")
    if number is None:
        return None
    if number not in found:
        problems.append(
            f"{where}/input_meta_query/parentID: {number!r}: expected the ID of an earlier step "
            "that can be translated"
        )
    return found.get(number)


def _query(
    wanted: Config, where: str, datasets: Datasets, problems: list[str], *, has_parent: bool
) -> Iterator[tuple[str, Any]]:  # Any: YAML
    """Yield the metadata that inputs must have, named as in DIRAC's file catalogue."""
    name = wanted.get("dataset")
    if name is not None and not has_parent:
        if name in datasets:
            yield from datasets[name].items()
        else:
            problems.append(
                f"{where}/input_meta_query/dataset: {name} is kept in DIRAC's file catalogue: let "
                f"cta-prod-show-dataset {name} --long print it to a file, and say --set "
                "datasets=FILE; or write its metadata in its place"
            )
    for name, value in wanted.items():
        if value is None or name in ("parentID", "dataset"):
            continue
        try:
            yield _condition(name, value)
        except (KeyError, TypeError, ValueError):
            problems.append(f"{where}/input_meta_query/{name}: {value!r}: not known")


def _condition(name: str, value: Any) -> tuple[str, Any]:  # Any: YAML
    """Return a condition as CTADIRAC refines it; KeyError, TypeError, ValueError if it is none."""
    if name == "pointing_dir":
        return "phiP", _AZIMUTH[value]
    if name == "moon":
        return "nsb", _NSB[value]
    if name == "zenith_angle":
        return "thetaP", float(value)
    _asked(value)
    return name, str(value) if name in ("sct", "div_ang") else value


def _asked(value: Any) -> Any:  # Any: JSON
    """Return a condition of DIRAC's file catalogue as a query on the record has it."""
    if not isinstance(value, dict):
        return value
    if set(value) <= set(_BOUNDS):
        return {_BOUNDS[sign]: bound for sign, bound in value.items()}
    ((sign, alone),) = value.items()
    if sign not in ("=", "in"):
        raise ValueError(sign)
    return alone


def _unknown(config: Config, where: str, known: set[str]) -> Iterator[str]:
    for name in sorted(set(config) - known - _OF_ALL):
        reason = _IGNORED.get(name, "not known to the jobs that can be translated")
        yield f"{where}/job_config/{name}: {reason}"
    if not config.get("version"):
        yield f"{where}/job_config/version: is missing"


def _written(step: Step, job: DiracJob, folder: Path, more: Additions) -> JSONDict:
    """Write what a step runs, and return the step of the production."""
    _place(folder / f"{step.name}.xml", write_xml(job))
    _place(folder / f"{step.name}.cwl", json.dumps(make_document(job), indent=2) + "\n")
    inputs = {k: v for k, v in make_inputs(job).items() if isinstance(v, str)}
    inputs["production"] = "${production}-${step}"  # there, the number of a transformation
    asked: JSONDict = {"job_type": job.demands["JobType"]}
    if "CPUTime" in job.demands:
        asked["cpu_time_s"] = int(str(job.demands["CPUTime"]))
    if "Site" in job.demands:
        asked["sites"] = list(job.demands["Site"])
    return {
        "name": step.name,
        **(_taking(step) if step.kind else {"generate": {"runs": more.runs,
                                                         "parameter": JOB_NUMBER}}),
        "workflow": f"{step.name}.cwl",
        "inputs": {**inputs, "description": {"class": "File", "location": f"{step.name}.xml"}},
        "job": asked,
    }  # fmt: skip


def _taking(step: Step) -> JSONDict:
    """Return which files a step takes."""
    wanted = {name: _asked(value) for name, value in step.wanted.items()}
    query: JSONDict = {"metadata": wanted} if wanted else {}
    if step.parent is not None:
        query |= {"from": step.parent.name, "output": "data", "name": step.parent.products}
    size = {"size": int(step.config.get("group_size") or 1)}
    return {"input": query, "group": size, "files": INPUT_DATA}


def _place(path: Path, text: str) -> None:
    """Write a file at once: another submitter of the same document may be reading it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, "utf-8")
    partial.replace(path)
