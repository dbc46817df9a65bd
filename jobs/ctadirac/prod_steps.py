"""CTADIRAC's productions (``ProdSteps`` in YAML) as productions of ours.

The job of each step is made as `WorkflowElement` and the job classes of CTADIRAC 3.1 make it;
metadata queries on DIRAC's file catalogue become queries on the record.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provmanager.errors import JSONDict, NotFoundError, UsageError

from .description import DiracJob, DiracStep
from .document import INPUT_DATA, make_document, make_inputs
from .workflow_xml import write_xml

_IS_ONE = re.compile(r"^ProdSteps\s*:", re.MULTILINE)
_NSB = {"dark": 1, "half": 5, "full": 19}
_AZIMUTH = {"North": 180, "South": 0}
_FILE_METADATA = ("nsb", "div_ang", "split")
_SECTIONS = {"ProdSteps", "Common"}
_STEP = {"ID", "name", "input_meta_query", "job_config"}
_COMMON = {"MCCampaign", "configuration_id", "base_path"}
_CONFIG = {
    "type", "version", "group_size", "options", "output_extension", "data_level", "catalogs",
    "array_layout", "destination", "cpu_time", "split", *_COMMON,
}  # fmt: skip
_NAME = re.compile(r"[^A-Za-z0-9_-]+")

Config = Mapping[str, Any]  # Any: YAML


@dataclass(frozen=True)
class _Kind:
    """A type of step, by the class of its jobs."""

    job_type: str
    name: str
    program: str
    steps: tuple[tuple[str, str, str], ...]
    """(name, executable, log file) of the steps between set-up and data management."""
    has_log: bool
    ending: str


_KINDS = {
    "ctapipeprocessing": _Kind(
        "DL0_Reprocessing", "ctapipe_process", "ctapipe-process",
        (("Step_ctapipe_process", "./dirac_ctapipe-process_wrapper", "ctapipe_process_Log.txt"),),
        has_log=True, ending="",
    ),
    "merging": _Kind(
        "Merging", "ctapipe_merge", "ctapipe-merge",
        (("Step_ctapipe_merge", "./dirac_ctapipe-merge_wrapper", "ctapipe_merge_Log.txt"),
         ("Step_ctapipe_check-merge", "./dirac_ctapipe-check-merge_wrapper",
          "ctapipe_check-merge_Log.txt")),
        has_log=False, ending="merged.DL2.h5",
    ),
}  # fmt: skip


@dataclass
class _Step:
    """A step as it is translated."""

    number: int
    config: Config
    query: dict[str, Any]  # Any: values of metadata
    parent: "_Step | None"
    kind: _Kind
    output: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind.name}_{self.number}"


def is_prod_steps(path: Path) -> bool:
    """Return whether a file is a production of CTADIRAC."""
    if path.suffix not in (".yml", ".yaml") or not path.is_file():
        return False
    with path.open("rb") as file:
        return _IS_ONE.search(file.read(100_000).decode("utf-8", "replace")) is not None


def translate_production(path: Path, folder: Path) -> Path:
    """Write the production, and the workflow and job description of each step, into `folder`.

    Returns the path of the ``production.yml``. It is known by the name of the file translated.

    Raises
    ------
    NotFoundError
        There is no such file.
    UsageError
        Something of it cannot be translated: each with its place, and what to write instead.
    """
    told = _read(path)
    problems: list[str] = []
    steps = _steps(told, problems)
    common = {k: v for k, v in (told.get("Common") or {}).items() if v is not None}
    jobs = {step.number: _job(step, common, problems) for step in steps}
    if problems:
        raise UsageError(
            f"{path} cannot be translated to a production of ours:\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "production.v1",
        "name": (_NAME.sub("-", path.stem).strip("-_") or "production")[:64],
        "description": f"translated from {path.name} of CTADIRAC",
        "metadata": {k: v for k, v in common.items() if k in _COMMON},
        "engine": "diracx",
        "steps": [_written(step, jobs[step.number], folder) for step in steps],
    }
    import yaml

    target = folder / "production.yml"
    target.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")
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


def _steps(told: Config, problems: list[str]) -> list[_Step]:
    problems += [f"/{name}: not known" for name in sorted(set(told) - _SECTIONS)]
    unknown = sorted(set(told.get("Common") or {}) - _COMMON)
    problems += [f"/Common/{name}: not known" for name in unknown]
    found: dict[int, _Step] = {}
    ordered = sorted(enumerate(told["ProdSteps"]), key=lambda pair: _number(pair[1], pair[0]))
    for place, step in ordered:
        where = f"/ProdSteps/{place}"
        if not isinstance(step, dict) or not isinstance(step.get("job_config"), dict):
            problems.append(f"{where}: expected ID, input_meta_query and job_config")
            continue
        problems += [f"{where}/{name}: not known" for name in sorted(set(step) - _STEP)]
        number, config = step.get("ID"), step["job_config"]
        kind = _KINDS.get(str(config.get("type", "")).lower())
        if not isinstance(number, int) or number in found:
            problems.append(f"{where}/ID: {number!r}: expected a whole number of its own")
        elif kind is None:
            problems.append(
                f"{where}/job_config/type: {config.get('type')!r}: expected CtapipeProcessing or "
                "Merging; the others need CTADIRAC's file catalogue or software area"
            )
        else:
            wanted = step.get("input_meta_query") or {}
            parent = _parent(wanted, found, where, problems)
            query = dict(_query(wanted, where, problems))
            problems += list(_unknown(config, where))
            found[number] = _Step(number, config, query, parent, kind)
    return list(found.values())


def _number(step: object, place: int) -> int:
    number = step.get("ID") if isinstance(step, dict) else None
    return number if isinstance(number, int) else place


def _parent(
    wanted: Config, found: Mapping[int, _Step], where: str, problems: list[str]
) -> _Step | None:
    number = wanted.get("parentID")
    if number is None:
        return None
    if number not in found:
        problems.append(
            f"{where}/input_meta_query/parentID: {number!r}: expected the ID of an earlier step "
            "that can be translated"
        )
    return found.get(number)


def _query(wanted: Config, where: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the metadata that inputs must have, named as in DIRAC's file catalogue."""
    for name, value in wanted.items():
        place = f"{where}/input_meta_query/{name}"
        if value is None or name == "parentID":
            continue
        if name == "dataset":
            problems.append(
                f"{place}: {value} is kept in DIRAC's file catalogue: write its metadata in its "
                f"place (cta-prod-show-dataset {value} shows them)"
            )
            continue
        try:
            yield _condition(name, value)
        except (KeyError, TypeError, ValueError):
            problems.append(f"{place}: {value!r}: not known")


def _condition(name: str, value: Any) -> tuple[str, Any]:  # Any: YAML
    """Return a condition as CTADIRAC refines it; KeyError, TypeError, ValueError if it is none."""
    if name == "pointing_dir":
        return "phiP", _AZIMUTH[value]
    if name == "moon":
        return "nsb", _NSB[value]
    if name == "zenith_angle":
        return "thetaP", float(value)
    if isinstance(value, dict):
        ((sign, value),) = value.items()
        if sign not in ("=", "in"):
            raise ValueError(sign)
    return name, str(value) if name in ("sct", "div_ang") else value


def _unknown(config: Config, where: str) -> Iterator[str]:
    for name in sorted(set(config) - _CONFIG):
        yield f"{where}/job_config/{name}: not known to the jobs that can be translated"
    for name in ("version",):
        if not config.get(name):
            yield f"{where}/job_config/{name}: is missing"


def _job(step: _Step, common: Config, problems: list[str]) -> DiracJob:
    """Return the job of a step, with the steps that CTADIRAC's job class gives it."""
    known = {**(step.parent.output if step.parent else {}), **step.query}
    config = {k: v for k, v in step.config.items() if v is not None}
    told = {**known, **common, **config}
    where = f"step {step.number}"
    files = {name: told[name] for name in _FILE_METADATA if name in {**known, **config}}
    for name in ("array_layout", "site", "phiP", "thetaP", "MCCampaign", "configuration_id",
                 "base_path"):  # fmt: skip
        if name not in told:
            problems.append(f"{where}: {name} is missing: in the query, job_config or Common")
    level = int(config.get("data_level", 2))
    output = {
        "array_layout": told.get("array_layout"), "site": told.get("site"),
        **({"particle": told["particle"]} if "particle" in told else {}),
        "phiP": told.get("phiP"), "thetaP": told.get("thetaP"), "sct": told.get("sct", "False"),
        "analysis_prog": step.kind.program, "analysis_prog_version": str(config.get("version")),
        "data_level": level, "outputType": "Data",
        "configuration_id": told.get("configuration_id"), "MCCampaign": told.get("MCCampaign"),
    }  # fmt: skip
    if step.kind.program == "ctapipe-merge":
        output["merged"] = int(known.get("merged") or 0) + 1
    step.output = {**output, **files}
    ending = config.get("output_extension") or step.kind.ending
    if not ending:
        problems.append(f"{where}: job_config/output_extension is missing")
    arguments = f"--out_ext {ending} {config.get('options', '')}".rstrip()
    first, *rest = step.kind.steps
    steps = [
        DiracStep("Step_SetupSoftware", "cta-prod-setup-software",
                  f"-p ctapipe -v {config.get('version')} -a stage1 -g gcc48_default",
                  "SetupSoftware_Log.txt"),
        DiracStep(first[0], first[1], arguments, first[2]),
        *(DiracStep(name, executable, "", log) for name, executable, log in rest),
        *_managing(step, output, files, told),
    ]  # fmt: skip
    demands: dict[str, str | tuple[str, ...]] = {
        "JobType": step.kind.job_type, "Priority": "1", "JobName": step.kind.name,
    }  # fmt: skip
    if config.get("cpu_time"):
        demands["CPUTime"] = str(config["cpu_time"])
    if config.get("destination"):
        demands["Site"] = (str(config["destination"]),)
    return DiracJob(Path(f"{step.name}.xml"), step.kind.name, tuple(steps), demands=demands)


def _managing(step: _Step, output: Config, files: Config, told: Config) -> Iterator[DiracStep]:
    """Yield the steps that put the products into DIRAC's file catalogue."""
    catalogs = str(told.get("catalogs") or "DIRACFileCatalog").replace(", ", ",").split(",")
    common = f"{told.get('base_path')} '{{}}' ctapipe_dl{output['data_level']} analysis"
    named = json.dumps(catalogs)
    wanted = [("DataManagement", "./Data/*.h5", files, "Data update_ts")]
    if step.kind.has_log:
        wanted.append(("LogManagement", "./Data/*.log_and_prov.tgz", {}, "Log"))
    for name, pattern, metadata, rest in wanted:
        yield DiracStep(
            f"Step_{name}", "cta-prod-managedata",
            f"'{json.dumps(output)}' '{json.dumps(metadata)}' {common.format(pattern)} "
            f"'{named}' {rest}",
            f"{name}_Log.txt",
        )  # fmt: skip


def _written(step: _Step, job: DiracJob, folder: Path) -> JSONDict:
    """Write what a step runs, and return the step of the production."""
    (folder / f"{step.name}.xml").write_text(write_xml(job), "utf-8")
    document = json.dumps(make_document(job), indent=2)
    (folder / f"{step.name}.cwl").write_text(document + "\n", "utf-8")
    inputs = {k: v for k, v in make_inputs(job).items() if isinstance(v, str)}
    inputs["production"] = "${production}-${step}"  # there, the number of a transformation
    query: JSONDict = {"metadata": step.query} if step.query else {}
    if step.parent is not None:
        query |= {"from": step.parent.name, "output": "data", "name": "*.h5"}
    asked = {"job_type": step.kind.job_type}
    if "CPUTime" in job.demands:
        asked["cpu_time_s"] = int(str(job.demands["CPUTime"]))  # type: ignore[assignment]
    if "Site" in job.demands:
        asked["sites"] = list(job.demands["Site"])  # type: ignore[assignment]
    return {
        "name": step.name,
        "input": query,
        "group": {"size": int(step.config.get("group_size") or 1)},
        "workflow": f"{step.name}.cwl",
        "files": INPUT_DATA,
        "inputs": {**inputs, "description": {"class": "File", "location": f"{step.name}.xml"}},
        "job": asked,
    }
