"""Jobs as CTADIRAC's job classes make them of a step of a production, for its release 3.1."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .description import DiracJob, DiracStep

Config = Mapping[str, Any]  # Any: YAML

_GRID = {"CPUTime": "cpu_time", "Site": "destination"}
_FILES = ("nsb", "div_ang")


@dataclass(frozen=True)
class Kind:
    """A type of step, by the class of its jobs.

    Attributes
    ----------
    wrapper, log : str
        The program that does the work, in the software area, and its log file.
    ending : str
        Of its products, where the step says nothing; None: the program is not told one.
    pattern, output_type : str
        Which files it makes, and as what they are registered.
    needed : tuple of str
        What the step must say beside its version.
    file_metadata : tuple of str
        What is metadata of files and not of their folder.
    """

    job_type: str
    name: str
    program: str
    step_name: str
    wrapper: str
    log: str
    ending: str | None = None
    pattern: str = "./Data/*.h5"
    output_type: str = "Data"
    needed: tuple[str, ...] = ()
    file_metadata: tuple[str, ...] = _FILES
    n_processors: int = 0


_SPLIT = (*_FILES, "split")
KINDS = {
    "ctapipeprocessing": Kind(
        "DL0_Reprocessing", "ctapipe_process", "ctapipe-process", "Step_ctapipe_process",
        "./dirac_ctapipe-process_wrapper", "ctapipe_process_Log.txt",
        ending="", needed=("data_level", "output_extension"), file_metadata=_SPLIT,
    ),
    "merging": Kind(
        "Merging", "ctapipe_merge", "ctapipe-merge", "Step_ctapipe_merge",
        "./dirac_ctapipe-merge_wrapper", "ctapipe_merge_Log.txt",
        ending="merged.DL2.h5", file_metadata=_SPLIT,
    ),
    "ctapipetrainenergy": Kind(
        "Training", "ctapipe_train-energy", "ctapipe-train-energy-regressor",
        "Step_ctapipe_train-energy", "./dirac_ctapipe-train-energy-regressor_wrapper",
        "ctapipe_train-energy_Log.txt", pattern="./Data/*.pkl", output_type="Model",
        n_processors=8,
    ),
    "ctapipetrainclassifier": Kind(
        "Training", "ctapipe_train-classifier", "ctapipe-train-particle-classifier",
        "Step_ctapipe_train-classifier", "./dirac_ctapipe-train-particle-classifier_wrapper",
        "ctapipe_train-classifier_Log.txt", pattern="./Data/*.pkl", output_type="Model",
        n_processors=8,
    ),
    "ctapipeapplymodels": Kind(
        "ApplyModel", "ctapipe_apply-models", "ctapipe-apply-models", "Step_ctapipe_apply_models",
        "./dirac_ctapipe-apply-models_wrapper", "ctapipe_apply_models_Log.txt",
        file_metadata=_SPLIT,
    ),
}  # fmt: skip
_MODELS = {"energy": "ctapipe-train-energy-regressor",
           "classifier": "ctapipe-train-particle-classifier"}  # fmt: skip


@dataclass
class Step:
    """A step of a production as it is translated.

    Attributes
    ----------
    config, common : mapping
        What it says of its jobs, and what the production says of all.
    query : dict
        Metadata of its inputs, those of its parent's outputs first.
    wanted : dict
        What of that the record is asked for.
    output : dict
        Metadata of what it makes, as CTADIRAC has them.
    products : str
        Pattern of the names of its products.
    """

    number: int
    config: Config
    common: Config
    query: dict[str, Any]  # Any: values of metadata
    wanted: dict[str, Any]  # Any: the same
    parent: "Step | None"
    kind: Kind | None
    output: dict[str, Any] = field(default_factory=dict)  # Any: the same
    products: str = "*.h5"

    @property
    def name(self) -> str:
        """What it is called in the production."""
        return f"{self.kind.name if self.kind else 'simulation'}_{self.number}"


def make_job(step: Step, kind: Kind, problems: list[str]) -> DiracJob:
    """Return the job of a step that takes files; what it lacks goes to `problems`."""
    config = {k: v for k, v in step.config.items() if v is not None}
    told = {**{k: _plain(v) for k, v in step.query.items()}, **step.common, **config}
    where = f"step {step.number}"
    files = {k: _plain(v) for k, v in {**step.query, **config}.items() if k in kind.file_metadata}
    for name in ("array_layout", "site", "phiP", "thetaP", "MCCampaign", "configuration_id",
                 "base_path"):  # fmt: skip
        if name not in told:
            problems.append(f"{where}: {name} is missing: in the query, job_config or Common")
    problems += [f"{where}: job_config/{n} is missing" for n in kind.needed if n not in config]
    output = {
        "array_layout": told.get("array_layout"), "site": told.get("site"),
        **({"particle": told["particle"]} if "particle" in told else {}),
        "phiP": told.get("phiP"), "thetaP": told.get("thetaP"), "sct": told.get("sct") or "False",
        "analysis_prog": kind.program, "analysis_prog_version": str(told.get("version")),
        "data_level": int(told.get("data_level", 2)), "outputType": kind.output_type,
        "configuration_id": told.get("configuration_id"), "MCCampaign": told.get("MCCampaign"),
        **({"view_cone": told["view_cone"]} if told.get("view_cone") else {}),
    }  # fmt: skip
    if kind.program == "ctapipe-merge":
        output["merged"] = int(told.get("merged") or 0) + 1
    step.output = {**output, **{k: _query_of(v) for k, v in files.items()}}
    step.products = kind.pattern.rpartition("/")[2]
    options = str(config.get("options", ""))
    arguments = options
    if kind.ending is not None:
        arguments = f"--out_ext {config.get('output_extension') or kind.ending} {options}".rstrip()
    steps = [
        set_up("ctapipe", told.get("version"), "stage1", "gcc48_default"),
        *_models(kind, output, files, options),
        DiracStep(kind.step_name, kind.wrapper, arguments, kind.log),
        *_checks(kind),
        *_managing(kind, output, files, told),
    ]
    return described(step, kind.name, kind.job_type, steps, n_processors=kind.n_processors)


def set_up(package: str, version: object, category: str, compiler: str) -> DiracStep:
    """Return the step that sets up the software."""
    arguments = f"-p {package} -v {version} -a {category} -g {compiler}"
    return DiracStep("Step_SetupSoftware", "cta-prod-setup-software", arguments,
                     "SetupSoftware_Log.txt")  # fmt: skip


def described(
    step: Step, name: str, job_type: str, steps: list[DiracStep], *, n_processors: int = 0,
    environment: str = "",
) -> DiracJob:  # fmt: skip
    """Return the job with what it asks of the grid."""
    demands: dict[str, str | tuple[str, ...]] = {
        "JobType": job_type, "Priority": "1", "JobName": name,
    }  # fmt: skip
    for key, told in _GRID.items():
        if step.config.get(told):
            value = str(step.config[told])
            demands[key] = (value,) if key == "Site" else value
    if n_processors:
        demands["MinNumberOfProcessors"] = str(n_processors)
    if environment:
        demands["ExecutionEnvironment"] = environment
    return DiracJob(Path(f"{step.name}.xml"), name, tuple(steps), demands=demands)


def catalogs_of(told: Config) -> str:
    """Return the catalogues in which products are registered, in JSON."""
    named = str(told.get("catalogs") or "DIRACFileCatalog").replace(", ", ",")
    return json.dumps(named.split(","))


def _plain(value: Any) -> Any:  # Any: YAML
    """Return what CTADIRAC's jobs know of a condition: ``{"=": value}`` is the value."""
    return value["="] if isinstance(value, Mapping) and "=" in value else value


def _query_of(value: Any) -> Any:  # Any: YAML
    """Return the query of a step for what its parent gave several values of."""
    if isinstance(value, list):
        return {"in": value} if len(value) > 1 else value[0]
    return value


def _models(kind: Kind, output: Config, files: Config, options: str) -> Iterator[DiracStep]:
    """Yield the steps that bring the models that are applied."""
    if kind.program != "ctapipe-apply-models":
        return
    wanted = {**output, "outputType": "Model", **files}
    for name in ("particle", "split"):
        wanted.pop(name, None)
    for name, program in _MODELS.items():
        if f"{name}_model.pkl" in options:
            wanted["analysis_prog"] = program
            arguments = " ".join(f"{key}={value}" for key, value in wanted.items())
            title = name.capitalize()
            yield DiracStep(f"Step_Download{title}Model", "cta-prod-get-file-by-query", arguments,
                            f"Download{title}Model_Log.txt")  # fmt: skip


def _checks(kind: Kind) -> Iterator[DiracStep]:
    if kind.program == "ctapipe-merge":
        yield DiracStep("Step_ctapipe_check-merge", "./dirac_ctapipe-check-merge_wrapper", "",
                        "ctapipe_check-merge_Log.txt")  # fmt: skip


def _managing(kind: Kind, output: Config, files: Config, told: Config) -> Iterator[DiracStep]:
    """Yield the steps that put the products into DIRAC's file catalogue."""
    common = f"{told.get('base_path')} '{{}}' ctapipe_dl{output['data_level']} analysis"
    wanted = [("DataManagement", kind.pattern, files, f"{kind.output_type} update_ts")]
    if kind.program == "ctapipe-process":
        wanted.append(("LogManagement", "./Data/*.log_and_prov.tgz", {}, "Log"))
    for name, pattern, metadata, rest in wanted:
        yield DiracStep(
            f"Step_{name}", "cta-prod-managedata",
            f"'{json.dumps(output)}' '{json.dumps(metadata)}' {common.format(pattern)} "
            f"'{catalogs_of(told)}' {rest}",
            f"{name}_Log.txt",
        )  # fmt: skip
