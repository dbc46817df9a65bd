"""CTADIRAC's own job descriptions run as they are, and the record maps outputs to inputs."""

import json
import os
import shutil
import sys
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from service.captured import work_at

from client_scripts import submit
from provmanager.ids import file_sha256

pytestmark = pytest.mark.grid_users

MADE = Path(__file__).parents[1] / "data" / "ctadirac"
SHOWERS = "MC/PROD5/Paranal/gamma/sim_telarray/0000/Data/000xxx"
NAMES = [f"gamma_20deg_180deg_run{n}___cta-prod5-paranal" for n in (1, 2)]

TOOL = """#!{python}
# Stands for ctapipe {version}, which is no package of this test: same options, same log.
import json, os, sys, uuid
if "--version" in sys.argv:
    sys.exit(print("{version}"))
options = dict(a.partition("=")[::2] for a in sys.argv[1:] if a.startswith("--") and "=" in a)
named = [a for a in sys.argv[1:] if not a.startswith("-") and os.path.exists(a)]
inputs = [options["--input"]] if "--input" in options else [n for n in named if n.endswith("h5")]
text = "".join(open(name).read() for name in inputs)
if text.startswith("CORRUPTED"):
    sys.exit("corrupted: " + inputs[0])
with open(options["--output"], "w") as made:
    made.write(os.path.basename(sys.argv[0]) + " of " + text)
def place(name, role):
    return {{"url": os.path.abspath(name), "role": role, "reference_meta": None}}
clock = {{"time_utc": "2026-01-01T00:00:00.000"}}
with open(options["--provenance-log"], "w") as log:
    json.dump([{{
        "activity_name": os.path.basename(sys.argv[0]), "activity_uuid": str(uuid.uuid4()),
        "status": "completed", "start": clock, "stop": clock, "config": {{"cut": 1}},
        "system": {{"ctapipe_version": "{version}", "arguments": sys.argv}},
        "input": [place(name, "DL0/Event") for name in inputs],
        "output": [place(options["--output"], "DL2/Event")]}}], log)
"""

WRAPPER = """#!/bin/sh
# What the software area of CTAO has under this name: ctapipe-process on each input it finds.
set -e
mkdir -p Data
for file in *.simtel.zst; do
    name=$(basename "$file" .simtel.zst)
    ./ctapipe-process --input="$file" --output="$name.DL2.h5" --provenance-log="$name.prov.log"
    tar zcf "$name.DL2.log_and_prov.tgz" "$name.prov.log"
    rm "$name.prov.log"
done
mv ./*.h5 ./*.tgz Data
"""


MANAGE = """#!/bin/sh
# CTADIRAC's program, as far as it leaves anything in the folder: what it has registered.
for file in $4; do
    echo "/ctao/catalogue{folder}/$(basename "$file")"
done > output_lfns.txt
"""


def write_tool(folder: Path, *names: str, version: str = "0.19.2") -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.write_text(TOOL.format(python=sys.executable, version=version))
        path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, testbed, app_url, make_token) -> Path:
    """A folder with the job's files as a storage holds them, recorded at the module's server."""
    work = work_at(app_url, make_token("recorder"), tmp_path, monkeypatch)
    monkeypatch.setenv("DIRACX_URL", testbed.url)
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user"])
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    (work / "storage" / "ctao" / SHOWERS).mkdir(parents=True)
    for name in NAMES:
        path = work / "storage" / "ctao" / SHOWERS / f"{name}.simtel.zst"
        path.write_text(f"showers {name}\n")  # one LFN, the same bytes in all tests
    return work


def submitted(*arguments: str) -> Result:
    return CliRunner().invoke(submit.main, list(arguments))


def ancestors(client, path: str) -> set[str]:
    """Return the names of the files that a product came from, but for settings."""
    found = client.lineage(client.resolve(path)["id"])
    return {e["name"] for e in found["entities"] if e["id"] != found["focus"]["id"]}


def products(result: Result, ending: str) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return {Path(p).name: p for p in result.stdout.split() if p.endswith(ending)}


@pytest.mark.parametrize("description", ["job.jdl", "jobDescription.xml"])
def test_each_output_of_a_process_job_came_of_its_own_input(
    client, folder, monkeypatch, description
) -> None:
    write_tool(folder / "bin", "ctapipe-process")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    done = submitted(
        str(MADE / "process" / description), "--map", f"LFN:/ctao/={folder}/storage/ctao/"
    )
    made = products(done, ".h5")
    assert made.keys() == {f"{name}.DL2.h5" for name in NAMES}
    for name in NAMES:
        assert ancestors(client, made[f"{name}.DL2.h5"]) == {f"{name}.simtel.zst"}
        maker = client.entity(client.resolve(made[f"{name}.DL2.h5"])["id"])["produced_by"]
        activity = client.activity(maker["activity"])
        assert (activity["name"], activity["version"]) == ("ctapipe-process", "0.19.2")
        lfn = f"LFN:/ctao/{SHOWERS}/{name}.simtel.zst"
        down = client.lineage(client.resolve(lfn)["id"], direction="down")
        assert f"{name}.DL2.h5" in {entity["name"] for entity in down["entities"]}
    again = submitted(str(MADE / "process" / description), "--dry-run", "--json")
    places = json.loads(again.stdout)["inputs_object"]["input_data"]
    assert all(place["location"].startswith("file://") for place in places)  # the record knows
    steps = {a["name"] for a in client.search_activities(limit=100)["items"]}
    assert {"Step_SetupSoftware", "Step_ctapipe_process", "Step_DataManagement"} <= steps


def test_a_merge_job_came_of_all_its_inputs_and_says_who_stood_in(
    client, folder, monkeypatch
) -> None:
    write_tool(folder / "bin", "ctapipe-merge", "ctapipe-process")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    options = []
    for name in NAMES:
        (folder / f"{name}.DL2.h5").write_text(f"events of {name} {folder}\n")
        options += ["--set", f"input_data={name}.DL2.h5"]
    made = products(submitted(str(MADE / "merge" / "job.jdl"), *options), ".h5")
    ((name, path),) = made.items()
    assert name == f"{NAMES[0]}.merged.DL2.h5"
    assert ancestors(client, path) == {f"{name}.DL2.h5" for name in NAMES}
    found = client.search_activities(name="Step_ctapipe_check-merge", limit=1)["items"]
    told = json.dumps(client.activity(found[0]["id"])["details"])
    assert "dirac_ctapipe-check-merge_wrapper is not here; provmanager stood in for it" in told


def test_one_broken_input_leaves_the_others_and_a_job_that_failed(
    client, folder, monkeypatch
) -> None:
    write_tool(folder / "bin", "ctapipe-process")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    broken = folder / "storage" / "ctao" / SHOWERS / f"{NAMES[0]}.simtel.zst"
    broken.write_text(f"CORRUPTED {folder}\n")
    shutil.copy(MADE / "process" / "jobDescription.xml", folder)
    jdl = (MADE / "process" / "job.jdl").read_text()
    (folder / "job.jdl").write_text(jdl.replace("LFN:/ctao/MC/", "LFN:/ctao/broken/MC/"))
    done = submitted("job.jdl", "--map", f"LFN:/ctao/broken/={folder}/storage/ctao/", "--json")
    assert done.exit_code == 1, done.output
    (step,) = json.loads(done.stdout)["steps"]
    assert step["exit_code"] == 166  # as CTADIRAC has it: partly processed
    lineage = client.lineage(client.resolve(str(broken))["id"], direction="down")
    tool = next(a for a in lineage["activities"] if a["name"] == "ctapipe-process")
    assert tool["status"] == "error"
    assert not [e for e in lineage["entities"] if e["name"].endswith(".h5")]


@pytest.mark.parametrize(
    ("version", "options", "code", "said"),
    [
        ("0.32.0", (), 1, "asks for ctapipe 0.19.2; here is 0.32.0"),
        ("0.32.0", ("--set", "any_version=true"), 0, ""),
        (None, (), 1, "neither on the PATH nor in a software area"),
    ],
)
def test_another_version_than_asked_for_needs_a_word(
    client, folder, monkeypatch, version, options, code, said
) -> None:
    if version:
        write_tool(folder / "bin", "ctapipe-process", version=version)
    rest = [p for p in os.environ["PATH"].split(":") if not (Path(p) / "ctapipe-process").exists()]
    monkeypatch.setenv("PATH", ":".join([str(folder / "bin"), *rest]))
    done = submitted(
        str(MADE / "process" / "job.jdl"), "--map", f"LFN:/ctao/={folder}/storage/ctao/", *options
    )
    assert done.exit_code == code, done.output
    assert said in done.stderr
    if options:
        found = client.search_activities(name="Step_SetupSoftware", limit=1)["items"]
        told = json.dumps(client.activity(found[0]["id"])["details"])
        assert "asks for ctapipe 0.19.2; here is 0.32.0" in told


def test_an_lfn_that_lies_nowhere_is_said_before_anything_runs(folder) -> None:
    shutil.copy(MADE / "process" / "jobDescription.xml", folder)
    jdl = (MADE / "process" / "job.jdl").read_text()
    (folder / "job.jdl").write_text(jdl.replace("LFN:/ctao/MC/", "LFN:/ctao/nowhere/"))
    done = submitted("job.jdl")
    assert done.exit_code == 3
    assert "2 input files are not here" in done.stderr
    assert "--map LFN:/vo/=/folder/" in done.stderr


def test_on_the_grid_programs_of_the_sandbox_run_as_they_are_and_lfns_are_ctadiracs(
    client, folder, monkeypatch
) -> None:
    """What lies in CTAO's software area travels in the sandbox; nothing is stood in for."""
    job = folder / "job"
    shutil.copytree(MADE / "process", job)
    write_tool(job, "ctapipe-process")
    (job / "dirac_ctapipe-process_wrapper").write_text(WRAPPER)
    (job / "cta-prod-setup-software").write_text('#!/bin/sh\necho "$0 $@"\n')
    (job / "cta-prod-managedata").write_text(MANAGE.replace("{folder}", str(folder)))
    area = "ctapipe-process, dirac_ctapipe-process_wrapper, cta-prod-setup-software"
    jdl = (job / "job.jdl").read_text()
    sandbox = f"InputSandbox = {{jobDescription.xml, {area}, cta-prod-managedata}}"
    (job / "job.jdl").write_text(jdl.replace("InputSandbox = jobDescription.xml", sandbox))
    layout = "{base_path}/{MCCampaign}/{site}/{particle}/{program}/{production}/Data/{run_block}"
    (folder / "grid.json").write_text(
        json.dumps(
            {
                "storage": {
                    "kind": "directory",
                    "path": str(folder / "storage"),
                    "lfn": {"data": f"{layout}/{{file}}"},
                    "fields": {"run_number": r"match:run(\d+)"},
                }
            }
        )
    )
    monkeypatch.setenv("PROV_GRID_OPTIONS", str(folder / "grid.json"))
    done = submitted(str(job / "job.jdl"), "--engine", "diracx", "--json")
    assert done.exit_code == 0, done.output
    told = client.activity(json.loads(done.stdout)["id"])
    grid_job = client.activity(told["part_of"][0]["activity"])
    assert grid_job["job"]["site"] == "DIRAC.Testbed.local"
    for name in NAMES:
        lfn = f"LFN:/ctao/MC/PROD5/Paranal/gamma/ctapipe-process/0000/Data/000xxx/{name}.DL2.h5"
        assert (folder / "storage" / lfn.removeprefix("LFN:/")).is_file()
        assert ancestors(client, lfn) == {f"{name}.simtel.zst"}
        catalogued = f"LFN:/ctao/catalogue{folder}/{name}.DL2.h5"
        assert client.resolve(catalogued)["id"] == client.resolve(lfn)["id"]
        found = client.lineage(client.resolve(lfn)["id"])
        (root,) = [e for e in found["entities"] if e["name"].endswith(".simtel.zst")]
        assert root["id"] == client.resolve(f"LFN:/ctao/{SHOWERS}/{name}.simtel.zst")["id"]


def deliver(client, folder: Path, n_files: int, **metadata: object) -> set[str]:
    """Record showers as delivered, with the metadata that they have in DIRAC's file catalogue."""
    files = [folder / f"gamma_run{n}.simtel.zst" for n in range(n_files)]
    for path in files:
        path.write_text(f"showers {path}\n")
    record = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid.uuid4()),
        "name": "deliver",
        "status": "completed",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:01:00Z",
        "outputs": [{**metadata, "url": str(p), "sha256": file_sha256(p)} for p in files],
    }
    client.record(json.dumps(record).encode(), name="deliver.json")
    return {path.name for path in files}


def test_a_production_of_ctadirac_takes_each_file_once_and_its_metadata_find_what_it_made(
    client, folder, monkeypatch
) -> None:
    write_tool(folder / "bin", "ctapipe-process", "ctapipe-merge")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    names = deliver(
        client, folder, 3, MCCampaign="PROD5", array_layout="Alpha", site="Paranal",
        particle="gamma", phiP=180, thetaP=20.0, sct="False", nsb=1, data_level=0,
        outputType="Data",
    )  # fmt: skip
    source = MADE / "productions" / "process_and_merge.yml"
    done = submitted(str(source), "--engine", "local", "--json")
    assert done.exit_code == 0, done.output
    status = json.loads(done.stdout)
    assert [step["inputs"]["completed"] for step in status["steps"]] == [3, 3, 1]
    assert [step["inputs"]["doubled"] for step in status["steps"]] == [0, 0, 0]
    again = submitted(str(source), "--engine", "local", "--dry-run", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, [])  # each once

    later = folder / "later.yml"
    later.write_text(
        "ProdSteps:\n"
        "  - ID: 1\n"
        "    input_meta_query: {MCCampaign: PROD5, array_layout: Alpha, site: Paranal,\n"
        "      particle: gamma, phiP: 180, thetaP: 20.0, analysis_prog: ctapipe-merge,\n"
        "      analysis_prog_version: v0.19.2, data_level: 2, merged: 2, outputType: Data}\n"
        "    job_config: {type: Merging, version: v0.19.2, group_size: 5}\n"
        "Common: {MCCampaign: PROD5, configuration_id: 8, base_path: /ctao/MC}\n"
    )
    found = submitted(str(later), "--engine", "local", "--dry-run", "--json")
    assert found.exit_code == 0, found.output
    (group,) = json.loads(found.stdout)
    (taken,) = group["inputs"]
    assert taken["name"].endswith("alpha_test_merged.DL2.h5")
    lineage = client.lineage(taken["id"])
    assert names <= {entity["name"] for entity in lineage["entities"]}


SIMULATOR = """#!/bin/sh
# What the software area of CTAO leaves in the folder of a job: here, one program that simulates.
cat >dirac_prod_run <<'RUN'
#!/bin/sh
mkdir -p Data
echo "$NSHOW showers of run $4: $*" >"Data/gamma_run$4-prod6-paranal-dark.simtel.zst"
RUN
chmod +x dirac_prod_run
"""


def test_a_simulation_of_ctadirac_runs_once_for_each_number(client, folder, monkeypatch) -> None:
    programs = folder / "bin"
    programs.mkdir()
    for name, text in (
        ("cta-prod-setup-software", SIMULATOR), ("dirac_simtel_check", "#!/bin/sh\nls $1\n"),
    ):  # fmt: skip
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    campaign = f"Test-{uuid.uuid4()}"
    source = folder / f"simulation-{uuid.uuid4()}.yml"
    source.write_text(
        "ProdSteps:\n"
        "  - ID: 1\n"
        "    input_meta_query: {}\n"
        "    job_config: {type: MCSimulation, version: 2022-08-03, site: Paranal, moon: dark,\n"
        "      particle: gamma, pointing_dir: North, zenith_angle: 20, n_shower: 10}\n"
        f"Common: {{MCCampaign: {campaign}, configuration_id: 15, base_path: /ctao/MC}}\n"
    )
    refused = submitted(str(source), "--engine", "local")
    assert refused.exit_code == 2
    assert "--set runs=NUMBER" in refused.stderr
    done = submitted(str(source), "--engine", "local", "--set", "runs=2", "--json")
    assert done.exit_code == 0, done.output
    (step,) = json.loads(done.stdout)["steps"]
    assert (step["inputs"]["completed"], step["generate"]["parameter"]) == (2, "job_number")

    later = folder / "later.yml"
    later.write_text(
        "ProdSteps:\n"
        "  - ID: 1\n"
        f"    input_meta_query: {{MCCampaign: {campaign}, particle: gamma, thetaP: 20.0,\n"
        "      phiP: 180, site: Paranal, moon: dark, array_layout: Prod6-Hyperarray,\n"
        "      data_level: -1, outputType: Data}\n"
        "    job_config: {type: CtapipeProcessing, version: v0.19.2, data_level: 2,\n"
        "      output_extension: DL2.h5}\n"
        f"Common: {{MCCampaign: {campaign}, configuration_id: 15, base_path: /ctao/MC}}\n"
    )
    found = submitted(str(later), "--engine", "local", "--dry-run", "--json")
    assert found.exit_code == 0, found.output
    taken = [group["inputs"][0] for group in json.loads(found.stdout)]
    assert sorted(one["name"] for one in taken) == [
        f"gamma_run{number}-prod6-paranal-dark.simtel.zst" for number in ("00000001", "00000002")
    ]
    made = Path(taken[0]["locations"][0].removeprefix("file://").partition("/")[2])
    assert Path("/", made).read_text().startswith("10 showers of run 0000000")
