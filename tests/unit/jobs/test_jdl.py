"""Job descriptions that DIRAC's parser reads as they were meant."""

import json

import pytest

from jobs.engines.diracx import GridOptions
from jobs.engines.diracx.jdl import JobRequest, make_jdl
from provmanager.errors import UsageError


def test_everything_that_can_be_asked_for_is_in_the_jdl():
    options = GridOptions(
        job_type="MCSimulation", sites=("CTAO.A.de", "CTAO.B.es"), banned_sites=("CTAO.C.fr",),
        cpu_time_s=3600, priority=5, job_group="prod7",
    )  # fmt: skip
    job = JobRequest(
        name="merge", executable="run.sh", arguments="--n 3 'two words'",
        input_sandbox=("SB:SandboxSE|/S3/b/x.tar.zst",), input_data=("/vo/a.h5", "LFN:/vo/b.h5"),
        output_sandbox=("std.out", "*.log"), options=options,
    )  # fmt: skip
    assert make_jdl(job).splitlines() == [
        'JobName = "merge";',
        'JobGroup = "prod7";',
        'JobType = "MCSimulation";',
        'Executable = "run.sh";',
        "Arguments = \"--n 3 'two words'\";",
        'InputSandbox = {"SB:SandboxSE|/S3/b/x.tar.zst"};',
        'InputData = {"LFN:/vo/a.h5", "LFN:/vo/b.h5"};',
        'OutputSandbox = {"std.out", "*.log"};',
        'Site = {"CTAO.A.de", "CTAO.B.es"};',
        'BannedSites = {"CTAO.C.fr"};',
        "CPUTime = 3600;",
        "Priority = 5;",
    ]


@pytest.mark.parametrize("name", ['say "x"', "a; b", "a[0]", "{a}", "two\nlines"])
def test_what_the_parser_cannot_read_is_refused_and_named(name):
    with pytest.raises(UsageError, match="JobName") as raised:
        make_jdl(JobRequest(name=name, executable="run.sh"))
    assert repr(name) in raised.value.message


@pytest.mark.parametrize("lfn", ["a.h5", "/vo//a.h5", "root://host/vo/a.h5"])
def test_an_lfn_must_be_one(lfn):
    with pytest.raises(UsageError, match="no LFN"):
        make_jdl(JobRequest(name="x", executable="run.sh", input_data=(lfn,)))


def test_options_come_from_a_file(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"job_type": "Test", "sites": ["A", "B"], "cpu_time_s": 100}))
    assert GridOptions.read(path) == GridOptions(job_type="Test", sites=("A", "B"), cpu_time_s=100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[", "Expecting"),
        ("[1]", "expected an object"),
        ('{"site": "A"}', "banned_sites, bring_products, container, container_binds"),
        ('{"sites": "A B", "priority": "5"}', "priority is '5': expected int"),
        ('{"sites": [1]}', "a list of str"),
        ('{"container_engine": "lxc"}', "container_engine is 'lxc': expected one of apptainer"),
        ('{"container_binds": ["data"]}', "container_binds is .*absolute paths"),
        ('{"container_binds": ["/a b"]}', "without blanks"),
    ],
)
def test_wrong_options_are_named(tmp_path, text, expected):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=expected) as raised:
        GridOptions.read(path)
    assert str(path) in raised.value.message
