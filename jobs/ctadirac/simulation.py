"""Simulation jobs as CTADIRAC's ``MCPipeJob`` makes them: CORSIKA piped into sim_telarray."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from .description import DiracJob, DiracStep
from .job_classes import Config, Step, catalogs_of, described, set_up

JOB_ID = "@{JOB_ID}"
"""What DIRAC puts the number of the task for, with eight digits."""

SETTINGS = {
    "version", "array_layout", "site", "particle", "pointing_dir", "zenith_angle", "n_shower",
    "layout", "moon", "only_corsika", "magic", "sct", "div_ang", "sequential",
    "random_mono_probability", "instrument_random_seeds", "start_run_number",
}  # fmt: skip
"""What a step can say of its simulations."""

_MOON = {
    ("dark",): ("", [1]),
    ("dark", "half"): ("--with-half-moon", [1, 5]),
    ("dark", "half", "full"): ("--with-full-moon", [1, 5, 19]),
}
_MOON_NAMES = {1: "dark", 5: "moon", 19: "fullmoon"}
_DIVERGENCES = (["0.0022", "0.0043", "0.008", "0.01135", "0.01453"], ["0.0121", "0.046"])
_CHOICES: dict[str, tuple[object, ...]] = {
    "particle": ("gamma", "gamma-diffuse", "electron", "proton", "helium", "muon"),
    "pointing_dir": ("North", "South", "East", "West"),
    "site": ("Paranal", "LaPalma"),
}
_SCT = {"all": "--with-all-scts", "non-alpha": "--with-sct"}


def make_simulation(step: Step, problems: list[str]) -> DiracJob:
    """Return the job of a step that simulates; what it lacks goes to `problems`."""
    told = {**step.common, **{k: v for k, v in step.config.items() if v is not None}}
    where = f"step {step.number}: job_config"
    needed = ("moon", "n_shower", "zenith_angle", *_CHOICES)
    problems += [f"{where}/{name} is missing" for name in needed if name not in told]
    for name, known in _CHOICES.items():
        if name in told and told[name] not in known:
            expected = ", ".join(map(str, known))
            problems.append(f"{where}/{name}: {told[name]!r}: expected one of {expected}")
    options = _options(told, where, problems)
    is_air_shower = told.get("only_corsika") is True
    category, program = ("tel_sim", "sim_telarray")
    if is_air_shower:
        category, program = ("airshower_sim", "corsika")
    output = {
        "array_layout": told.get("array_layout", "Prod6-Hyperarray"), "site": told.get("site"),
        "particle": told.get("particle"), "phiP": 180 if told.get("pointing_dir") == "North" else 0,
        "thetaP": float(told.get("zenith_angle", 20)), "sct": "True" if options["sct"] else "False",
        f"{category}_prog": program, f"{category}_prog_version": options["version"],
        "data_level": -1, "outputType": "Data",
        "configuration_id": told.get("configuration_id"), "MCCampaign": told.get("MCCampaign"),
    }  # fmt: skip
    files = {name: options[name] for name in _in_order(step.config)}
    step.output = {**output, **{k: {"in": v} if len(v) > 1 else v[0] for k, v in files.items()}}
    step.products = "*.corsika.zst" if is_air_shower else "*.simtel.zst"
    steps = [
        set_up("corsika_simtelarray", options["version"], "simulations", "gcc83_matchcpu"),
        DiracStep("Step_CorsikaSimtel", "./dirac_prod_run", _arguments(told, options),
                  "CorsikaSimtel_Log.txt"),
        *_products(told, output, files, category),
    ]  # fmt: skip
    showers = f"NSHOW={told.get('n_shower')}"
    return described(step, "MC_Generation", "MCSimulation", steps, environment=showers)


def _in_order(config: Config) -> list[str]:
    """Return the metadata of files in the order in which the step says them, as CTADIRAC does."""
    names = {"moon": "nsb", "div_ang": "div_ang"}
    return [names[k] for k, value in config.items() if k in names and value is not None]


def _options(told: Config, where: str, problems: list[str]) -> dict[str, Any]:  # Any: texts, lists
    moon = tuple(part.strip() for part in str(told.get("moon", "dark")).split(","))
    if moon not in _MOON:
        problems.append(f"{where}/moon: {told['moon']!r}: expected dark, or dark, half, or all")
    option, nsb = _MOON.get(moon, ("", [1]))
    div_ang = [part.strip() for part in str(told.get("div_ang", "")).split(",")]
    if "div_ang" in told and div_ang not in _DIVERGENCES:
        expected = " or ".join(", ".join(known) for known in _DIVERGENCES)
        problems.append(f"{where}/div_ang: {told['div_ang']!r}: expected {expected}")
    scts = str(told.get("sct", "")).lower()
    if scts and scts not in _SCT:
        problems.append(f"{where}/sct: {told['sct']!r}: expected all or non-alpha")
    version = str(told.get("version"))
    names = list(told)
    if scts and names.index("sct") > names.index("version"):
        version += "-sc"  # a version that is said after it takes its place
    return {"moon": option, "nsb": nsb, "div_ang": div_ang, "sct": _SCT.get(scts, ""),
            "version": version}  # fmt: skip


def _arguments(told: Config, options: Config) -> str:
    """Return the command line of CORSIKA and sim_telarray, as ``dirac_prod_run`` takes it."""
    mono = told.get("random_mono_probability")
    words = [
        f"--start_run {told.get('start_run_number', 0)} --run-number {JOB_ID} --rn-format %06d",
        f"--{str(told['layout']).replace('--', '')}" if "layout" in told else "",
        "--without-multipipe" if told.get("only_corsika") is True else "",
        options["moon"], options["sct"],
        "--sequential" if told.get("sequential") is True else "",
        f"--random-mono-probability {mono}" if mono is not None else "",
        "--instrument-random-seeds" if told.get("instrument_random_seeds") is True else "",
        "--divergent" if "div_ang" in told
        else "--with-magic" if told.get("magic") is True else "",
        f"{told.get('site')} {told.get('particle')} {told.get('pointing_dir')} "
        f"{told.get('zenith_angle')}",
    ]  # fmt: skip
    return " ".join(word for word in words if word)


def _products(
    told: Config, output: Config, files: dict[str, list[Any]], category: str
) -> Iterator[DiracStep]:
    """Yield the steps that check and register what was made, for each brightness and divergence."""
    managed = f"{told.get('base_path', '/ctao/MC/PROD6/')} '{{}}' corsika_simtelarray {category} "
    managed += f"'{catalogs_of(told)}'"
    for values in product(*files.values()):
        each = dict(zip(files, values, strict=True))
        metadata = json.dumps({"runNumber": JOB_ID, **each})
        moon = _MOON_NAMES.get(each.get("nsb", 1), "")
        divergence = f"div{each['div_ang']}" if each.get("div_ang") else ""
        title = f"{moon}_{divergence}_" if divergence else f"{moon}_"
        data, log = (f"Data/*-{divergence}*-{moon}*.{ending}"
                     for ending in ("simtel.zst", "log_hist.tar"))  # fmt: skip
        if told.get("only_corsika") is True:
            data, log = "Data/*.corsika.zst", "Data/*.corsika.log.gz"
        yield DiracStep("Step_VerifyNShowers", "dirac_simtel_check", f"'{data}'",
                        f"Verify_n_showers_{title}Log.txt")  # fmt: skip
        told_all = f"'{json.dumps(output)}' '{metadata}' "
        yield DiracStep("Step_DataManagement", "cta-prod-managedata",
                        f"{told_all}{managed.format(data)} 'Data' ''",
                        f"DataManagement_{title}Log.txt")  # fmt: skip
        yield DiracStep("Step_LogManagement", "cta-prod-managedata",
                        f"{told_all}{managed.format(log)} 'Log'",
                        f"LogManagement_{title}Log.txt")  # fmt: skip
