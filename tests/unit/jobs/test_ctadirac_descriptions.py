"""Job descriptions that CTADIRAC's own classes made are read as DIRAC reads them."""

import re
import shutil
from pathlib import Path

import pytest

from jobs.ctadirac import (
    Additions,
    asked_of_grid,
    is_prod_steps,
    make_inputs,
    read_datasets,
    read_job,
    translate_production,
    write_xml,
)
from jobs.ctadirac.node import environment, numbered
from jobs.productions import load_production
from provmanager.errors import NotFoundError, UsageError
from provmanager.model.productions import RunNumbers

MADE = Path(__file__).parents[2] / "data" / "ctadirac"

XML = """<Workflow><name>w</name>
<StepDefinition><type>S</type>
<Parameter name="executable"><value><![CDATA[]]></value></Parameter>
<ModuleInstance><type>{module}</type></ModuleInstance></StepDefinition>
<StepInstance><name>one</name><type>{kind}</type>
<Parameter name="executable"><value>{executable}</value></Parameter></StepInstance></Workflow>"""


@pytest.mark.parametrize("name", ["process", "merge"])
def test_xml_and_jdl_of_a_job_say_the_same(name):
    xml, jdl = (read_job(MADE / name / file) for file in ("jobDescription.xml", "job.jdl"))
    assert xml.path == jdl.path
    assert (xml.name, xml.steps, xml.input_data) == (jdl.name, jdl.steps, jdl.input_data)
    assert asked_of_grid(xml) == asked_of_grid(jdl)


def test_steps_inputs_and_demands_are_those_of_ctadirac():
    job = read_job(MADE / "process" / "job.jdl")
    assert [step.name for step in job.steps] == [
        "Step_SetupSoftware", "Step_ctapipe_process", "Step_DataManagement", "Step_LogManagement",
    ]  # fmt: skip
    assert job.steps[1].program == "dirac_ctapipe-process_wrapper"
    assert job.steps[1].words()[:4] == ["--out_ext", "DL2.h5", "-c", "v3/dl0_to_dl2.yml"]
    assert job.steps[1].log_file == "ctapipe_process_Log.txt"
    assert len(job.steps[2].words()) == 9  # as cta-prod-managedata counts them
    assert [lfn.rpartition("_run")[2][0] for lfn in job.input_data] == ["1", "2"]
    assert asked_of_grid(job) == {"job_type": "DL0_Reprocessing", "priority": 1}
    inputs = make_inputs(job)
    assert inputs["description"]["location"].endswith("process/jobDescription.xml")
    layout = {k: v for k, v in inputs.items() if isinstance(v, str)}
    assert layout == {
        "MCCampaign": "PROD5", "site": "Paranal", "particle": "gamma", "configuration_id": "8",
        "data_level": "2", "program": "ctapipe-process", "base_path": "/ctao/MC",
        "production": "0000",
    }  # fmt: skip


def test_what_a_jdl_says_goes_before_its_xml(tmp_path):
    shutil.copy(MADE / "merge" / "jobDescription.xml", tmp_path)
    (tmp_path / "tools.tgz").write_bytes(b"")
    jdl = tmp_path / "job.jdl"
    jdl.write_text(
        '[ Executable = "dirac-jobexec"; Arguments = "jobDescription.xml -o x=y";\n'
        '  JobName = "mine; or not"; # a word\n'
        '  InputData = {"LFN:/vo/a.h5"}; Site = {"A.x.de", "B.y.es"}; BannedSites = C.z.fr;\n'
        '  InputSandbox = {"jobDescription.xml", "tools.tgz"}; CPUTime = 3600; ]'
    )
    job = read_job(jdl)
    assert (job.name, job.input_data) == ("mine; or not", ("LFN:/vo/a.h5",))
    assert asked_of_grid(job) == {
        "job_type": "Merging", "sites": ["A.x.de", "B.y.es"], "banned_sites": ["C.z.fr"],
        "cpu_time_s": 3600, "priority": 1,
    }  # fmt: skip
    assert [p["location"].rpartition("/")[2] for p in make_inputs(job)["input_sandbox"]] == [
        "tools.tgz"
    ]


def test_a_job_of_any_program_is_one_step(tmp_path):
    jdl = tmp_path / "hello.jdl"
    jdl.write_text('Executable = "/bin/echo"; Arguments = "hello \'two words\'";')
    (step,) = read_job(jdl).steps
    assert (step.executable, step.words()) == ("/bin/echo", ["hello", "two words"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xml", "<Workflow>", "a.xml:1: no XML"),
        ("a.xml", "<Other/>", "expected a <Workflow>"),
        ("a.xml", "<Workflow><name>w</name></Workflow>", "no step"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY e "x">]><Workflow>&e;</Workflow>', "DOCTYPE"),
        ("a.xml", XML.format(module="FailoverRequest", kind="S", executable="x"),
         "step one runs the module FailoverRequest"),
        ("a.xml", XML.format(module="Script", kind="T", executable="x"), "of type 'T'"),
        ("a.xml", XML.format(module="Script", kind="S", executable=""), "no executable"),
        ("a.jdl", 'JobName = "x";', "needs an Executable"),
        ("a.jdl", 'Executable = "dirac-jobexec;', "a.jdl:1: a quotation that does not end"),
        ("a.jdl", '\nExecutable "x";', "a.jdl:2: expected = after Executable"),
        ("a.jdl", 'Executable = "dirac-jobexec";', "without the XML"),
        ("a.jdl", 'Executable = "x"; InputData = {"relative.h5"};', "is no LFN"),
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused_with_its_place(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        read_job(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"no\.xml"):
        read_job(tmp_path / "no.xml")
    jdl = tmp_path / "a.jdl"
    jdl.write_text('Executable = "dirac-jobexec"; Arguments = "x.xml";')
    with pytest.raises(NotFoundError, match=r"x\.xml"):
        read_job(jdl)
    jdl.write_text('Executable = "x"; InputSandbox = {"there.txt"}; CPUTime = soon;')
    with pytest.raises(NotFoundError, match=r"there\.txt"):
        make_inputs(read_job(jdl))
    with pytest.raises(UsageError, match="CPUTime is 'soon'"):
        asked_of_grid(read_job(jdl))
    jdl.write_text('Executable = "x"; InputSandbox = {"SB:SandboxSE|/S3/a"};')
    with pytest.raises(UsageError, match="not of this machine"):
        make_inputs(read_job(jdl))


def test_a_production_of_ctadirac_gets_the_jobs_that_ctadirac_makes_of_it(tmp_path):
    """The XML beside it was made by CTADIRAC's own classes of the same document."""
    source = MADE / "productions" / "process_and_merge.yml"
    assert is_prod_steps(source)
    loaded = load_production(translate_production(source, tmp_path / "made"))
    names = ["ctapipe_process_1", "ctapipe_merge_2", "ctapipe_merge_3"]
    assert [step.name for step in loaded.production.steps] == names
    for number, name in enumerate(names, 1):
        assert_ctadiracs(source, number, tmp_path / "made" / f"{name}.xml")
    first, second, third = loaded.production.steps
    assert first.input.metadata == {
        "MCCampaign": "PROD5", "array_layout": "Alpha", "site": "Paranal", "particle": "gamma",
        "phiP": 180, "thetaP": 20.0, "sct": "False", "nsb": 1, "data_level": 0,
        "outputType": "Data",
    }  # fmt: skip
    assert (second.input.from_step, third.input.from_step) == (first.name, second.name)
    assert [step.group_size for step in loaded.production.steps] == [2, 50, 10000]


def assert_ctadiracs(source: Path, number: int, made: Path) -> None:
    """Compare a job with the one that CTADIRAC made of that step."""
    theirs, ours = read_job(source.with_name(f"{source.stem}.{number}.xml")), read_job(made)
    for one, other in zip(theirs.steps, ours.steps, strict=True):
        assert (one.name, one.executable, one.words(), one.log_file) == (
            other.name, other.executable, other.words(), other.log_file,
        )  # fmt: skip
    asked = {k: v for k, v in theirs.demands.items() if k in ours.demands}
    assert asked == ours.demands


def test_simulations_models_and_datasets_get_the_jobs_that_ctadirac_makes_of_them(tmp_path):
    source = MADE / "productions" / "simulate_and_train.yml"
    datasets = read_datasets(source.with_name("datasets.txt"))
    more = Additions(datasets=datasets, runs=40, name="divergent")
    loaded = load_production(translate_production(source, tmp_path / "made", more))
    assert loaded.production.name == "divergent"
    steps = loaded.production.steps
    for number, step in enumerate(steps, 1):
        assert_ctadiracs(source, number, tmp_path / "made" / f"{step.name}.xml")
    assert steps[0].numbers == RunNumbers(runs=40, first=1, parameter="job_number")
    wanted = steps[1].input.metadata
    assert (wanted["thetaP"], wanted["split"], wanted["data_level"]) == (20.0, "train_en", -1)
    assert [(s.input.from_step, s.input.name) for s in steps[2:]] == [
        (steps[1].name, "*.h5"), (None, None), (steps[3].name, "*.h5"),
    ]  # fmt: skip
    simulation = read_job(tmp_path / "made" / "simulation_1.xml")
    assert environment(simulation) == {"NSHOW": "10"}
    run = numbered(simulation, 12).steps
    assert "--run-number 00000012 " in run[1].arguments
    assert not any("@{" in step.arguments for step in run)


def test_a_simulation_asks_how_often_it_is_run_and_a_dataset_what_it_is(tmp_path):
    with pytest.raises(UsageError) as caught:
        translate_production(MADE / "productions" / "simulate_and_train.yml", tmp_path / "made")
    assert "/ProdSteps/0: how often it is run" in caught.value.message
    assert "/ProdSteps/1/input_meta_query/dataset: Prod6_Paranal" in caught.value.message
    path = tmp_path / "simulation.yml"
    path.write_text(
        "ProdSteps:\n"
        "  - {ID: 1, input_meta_query: {}, job_config: {type: MCSimulation, version: v1,\n"
        "     particle: neutrino, moon: blue, div_ang: 3, sct: some, site: Paranal}}\n"
    )
    with pytest.raises(UsageError) as caught:
        translate_production(path, tmp_path / "made", Additions(runs=1))
    for said in (
        "particle: 'neutrino': expected one of gamma,", "moon: 'blue'", "div_ang: 3",
        "sct: 'some'", "n_shower is missing", "zenith_angle is missing", "pointing_dir is missing",
    ):  # fmt: skip
        assert f"step 1: job_config/{said}" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing\n", "expected datasets"),
        ("Dataset name: a\nMetaQuery\n", "expected the query of a"),
        ("Dataset name: a\n{'x': print()}\n", r"datasets.txt:2: no Python object"),
        ("Dataset name: a\n{1: 2}\n", "names of metadata"),
    ],
)
def test_what_tells_of_no_dataset_is_refused(tmp_path, text, said):
    path = tmp_path / "datasets.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_datasets(path)


def test_what_of_a_production_cannot_be_translated_is_named_with_its_place(tmp_path):
    path = tmp_path / "prod.yml"
    path.write_text(
        "ProdSteps:\n"
        "  - {ID: 1, input_meta_query: {dataset: Prod5_DL0, moon: blue},\n"
        "     job_config: {type: CtapipeProcessing, version: v1, ctapipe_site_config: x.yml,\n"
        "       input_limit: 3}}\n"
        "  - {ID: 2, input_meta_query: {parentID: 7}, job_config: {type: Merging}}\n"
        "  - {ID: 3, input_meta_query: {}, job_config: {type: SimPipe}}\n"
        "  - {input_meta_query: {}}\n"
        "Common: {MCCampaign: X, other: 1}\n"
    )
    with pytest.raises(UsageError) as caught:
        translate_production(path, tmp_path / "made")
    for said in (
        "/ProdSteps/0/input_meta_query/dataset: Prod5_DL0 is kept in DIRAC's file catalogue",
        "/ProdSteps/0/input_meta_query/moon: 'blue'",
        "/ProdSteps/0/job_config/ctapipe_site_config: CTADIRAC 3.1 keeps it and no job of it reads",
        "/ProdSteps/0/job_config/input_limit: not known",
        "/ProdSteps/1/input_meta_query/parentID: 7",
        "/ProdSteps/1/job_config/version: is missing",
        "/ProdSteps/2/job_config/type: 'SimPipe'",
        "/ProdSteps/3: expected ID",
        "/Common/other",
        "step 1: array_layout is missing",
        "step 1: job_config/output_extension is missing",
    ):
        assert said in caught.value.message
    assert not (tmp_path / "made").exists()
    path.write_text("ProdSteps: 3\n")
    with pytest.raises(UsageError, match="a list of steps"):
        translate_production(path, tmp_path / "made")


def test_a_job_that_is_written_is_read_the_same(tmp_path):
    job = read_job(MADE / "merge" / "job.jdl")
    path = tmp_path / "again.xml"
    path.write_text(write_xml(job))
    again = read_job(path)
    assert (again.steps, again.input_data) == (job.steps, job.input_data)
    assert asked_of_grid(again) == asked_of_grid(job)
