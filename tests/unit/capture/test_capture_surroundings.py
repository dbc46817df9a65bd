"""What capture finds out of the machine, the container, the job, the packages and the software."""

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from capture_records import record_of, run_tool

from provmanager.capture.agents import describe_agent
from provmanager.capture.environment import describe_environment, distribution_version
from provmanager.capture.hosts import describe_host, detect_container, image_items
from provmanager.capture.jobs import detect_job
from provmanager.capture.software import describe_software, git_state

CONTAINER_ID = "4f" * 32
DIGEST = f"sha256:{'ab' * 32}"


def tree(root: Path, files: dict[str, str]) -> Path:
    """Make a file system of the given files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_host_is_what_the_kernel_says() -> None:
    host = describe_host()
    names = os.uname()
    assert (host["name"], host["system"], host["release"]) == (
        names.nodename,
        names.sysname,
        names.release,
    )
    assert host["n_cpus"] >= 1
    assert host["memory_bytes"] > 1 << 28


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, {"proc/self/cgroup": "0::/user.slice\n"}, None),
        (
            {},
            {".dockerenv": "", "proc/self/cgroup": f"12:cpu:/docker/{CONTAINER_ID}\n"},
            {"runtime": "docker", "id": CONTAINER_ID},
        ),
        (
            {},
            {
                ".dockerenv": "",
                "proc/self/cgroup": "0::/\n",
                "proc/self/mountinfo": "9 8 0:1 /var/lib/docker/containers/"
                f"{CONTAINER_ID}/hostname /etc/hostname rw - ext4 /dev/sda rw\n",
            },
            {"runtime": "docker", "id": CONTAINER_ID},
        ),
        (
            {"PROV_CONTAINER_IMAGE": "tools:1.2", "PROV_CONTAINER_DIGEST": "sha256:ab"},
            {".dockerenv": ""},
            {"runtime": "docker", "image": "tools:1.2", "digest": "sha256:ab"},
        ),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "job-7-abcde"},
            {"proc/self/cgroup": f"0::/kubepods.slice/cri-containerd-{CONTAINER_ID}.scope\n"},
            {"runtime": "kubernetes", "id": CONTAINER_ID, "pod": "job-7-abcde"},
        ),
        (
            {"APPTAINER_CONTAINER": "/cvmfs/x/tools.sif", "APPTAINER_NAME": "tools.sif"},
            {".singularity.d/labels.json": '{"version": "1.2"}'},
            {
                "runtime": "apptainer",
                "image": "/cvmfs/x/tools.sif",
                "name": "tools.sif",
                "labels": {"version": "1.2"},
            },
        ),
        (
            {"SINGULARITY_CONTAINER": "/images/old.simg"},
            {".singularity.d/labels.json": "broken"},
            {"runtime": "singularity", "image": "/images/old.simg"},
        ),
        (
            {},
            {
                "run/.containerenv": 'engine="podman-4.9.4"\nname="run1"\n'
                f'id="{CONTAINER_ID}"\nimage="docker.io/library/tools:1"\nimageid="{"ab" * 32}"\n'
            },
            {
                "runtime": "podman",
                "image": "docker.io/library/tools:1",
                "digest": f"sha256:{'ab' * 32}",
                "id": CONTAINER_ID,
                "name": "run1",
            },
        ),
    ],
)
def test_containers_are_known_by_their_traces(
    tmp_path: Path, environ: dict[str, str], files: dict[str, str], expected: Any
) -> None:
    assert detect_container(environ, root=tree(tmp_path / "root", files)) == expected


# the names and values of a real DIRAC job on an ARC site with HTCondor below it
DIRAC_JOB = {
    "DIRACSITE": "LCG.UKI-SCOTGRID-GLASGOW.uk",
    "JOBID": "9554",
    "DIRAC_PROCESSORS": "1",
    "DIRAC_PILOT_STAMP": "962303fa83b64334a47c3efd3dfe81a0",
    "GRID_GLOBAL_JOBID": "76816b56e41a",
    "GRID_GLOBAL_JOBURL": "https://ce04.gla.scotgrid.ac.uk:443/arex/76816b56e41a",
    "GRID_GLOBAL_JOBHOST": "ce04.gla.scotgrid.ac.uk",
    "_CONDOR_SLOT": "slot1_12",
    "_CONDOR_SCRATCH_DIR": "/var/lib/condor/execute/dir_3814407",
}


def test_a_grid_job_is_known_with_the_systems_below_it(tmp_path: Path) -> None:
    ad = tmp_path / ".job.ad"
    ad.write_text(
        'ClusterId = 5021\nProcId = 3\nGlobalJobId = "ce04#5021.3#1764325170"\n'
        'Owner = "cta"\nNumJobStarts = 1\nRequirements = (OpSysAndVer == "EL9")\n'
    )
    job = detect_job({**DIRAC_JOB, "_CONDOR_JOB_AD": str(ad)})
    assert job == {
        "system": "DIRAC",
        "id": "9554",
        "site": "LCG.UKI-SCOTGRID-GLASGOW.uk",
        "pilot": "962303fa83b64334a47c3efd3dfe81a0",
        "n_cpus": "1",
        "batch": {
            "system": "ARC",
            "id": "76816b56e41a",
            "url": "https://ce04.gla.scotgrid.ac.uk:443/arex/76816b56e41a",
            "site": "ce04.gla.scotgrid.ac.uk",
            "batch": {
                "system": "HTCondor",
                "id": "5021.3",
                "slot": "slot1_12",
                "global_id": "ce04#5021.3#1764325170",
                "owner": "cta",
                "attempt": "1",
            },
        },
    }


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"JOBID": "7"}, None),  # anybody's variable
        ({"DIRACJOBID": "7", "JOBID": "7"}, {"system": "DIRAC", "id": "7"}),
        (  # what DIRAC 9.1.22's JobWrapper sets, and the pilot's batch system
            {
                "JOBID": "7",
                "DIRACSITE": "LCG.DESY.de",
                "DIRAC_PROCESSORS": "1",
                "DIRAC_WHOLENODE": "False",
                "DIRAC_PILOT_STAMP": "ab12",
            },
            {"system": "DIRAC", "id": "7", "site": "LCG.DESY.de", "pilot": "ab12", "n_cpus": "1"},
        ),
        (
            {"SLURM_JOB_ID": "81", "SLURM_ARRAY_TASK_ID": "4", "SLURM_JOB_PARTITION": "short"},
            {"system": "Slurm", "id": "81", "array_index": "4", "queue": "short"},
        ),
        ({"LSB_JOBID": "5", "LSB_QUEUE": "q"}, {"system": "LSF", "id": "5", "queue": "q"}),
        ({"PBS_JOBID": "5.srv"}, {"system": "PBS", "id": "5.srv"}),
        (
            {"JOB_ID": "5", "SGE_TASK_ID": "undefined", "QUEUE": "all.q"},
            {"system": "Grid Engine", "id": "5", "queue": "all.q"},
        ),
        (
            {"CI_JOB_ID": "8", "CI_JOB_NAME": "test"},
            {"system": "GitLab CI", "id": "8", "name": "test"},
        ),
        ({"_CONDOR_SCRATCH_DIR": "/x", "_CONDOR_JOB_AD": "/no/such"}, None),
    ],
)
def test_batch_jobs_are_known_by_their_variables(environ: dict[str, str], expected: Any) -> None:
    assert detect_job(environ) == expected


def test_the_packages_are_those_that_importlib_knows() -> None:
    found = {p["name"].lower(): p["version"] for p in describe_environment()["packages"]}
    expected = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    assert found == expected


def test_a_command_of_another_language_has_no_python_environment() -> None:
    environment = describe_environment(environ={"PATH": "/bin", "HOME": "/root"}, has_python=False)
    assert set(environment) == {"platform", "variables"}
    assert environment["variables"] == {"PATH": "/bin"}


def test_versions_come_from_the_distribution_or_the_module() -> None:
    assert distribution_version("numpy") == importlib.metadata.version("numpy")
    assert distribution_version("no-such-package") is None
    assert distribution_version("") is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Jo Doe <jo@example.org>", {"name": "Jo Doe", "email": "jo@example.org"}),
        ("Jo Doe", {"name": "Jo Doe"}),
        ("<https://orcid.org/1>", {"name": "https://orcid.org/1", "id": "https://orcid.org/1"}),
    ],
)
def test_a_person_can_be_named(told: str, expected: dict[str, str]) -> None:
    agent = describe_agent({"PROV_AGENT": told})
    assert agent is not None
    assert {k: agent.get(k) for k in expected} == expected
    assert agent["type"] == "Person"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@x", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "tool.py").write_text("print('x')\n")
    git(folder, "add", "tool.py")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://jo:hunter2@git.example/tool.git")
    return folder


def test_the_git_state_is_that_of_the_work_tree(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    clean = git_state(str(checkout / "tool.py"))
    assert clean == {
        "commit": commit,
        "dirty": False,
        "url": "https://jo:[redacted]@git.example/tool.git",
    }
    git(checkout, "tag", "v1.0")
    (checkout / "tool.py").write_text("print('y')\n")
    git_state.cache_clear()
    changed = git_state(str(checkout / "tool.py"))
    assert changed is not None
    assert (changed["dirty"], changed["describe"]) == (True, f"v1.0-0-g{commit[:12]}")


def test_files_that_git_does_not_track_have_no_git_state(checkout: Path) -> None:
    (checkout / "scratch.py").write_text("")
    packages = checkout / "venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "other.py").write_text("")
    assert git_state(str(checkout / "scratch.py")) is None
    assert git_state(str(packages / "other.py")) is None
    assert git_state("/nowhere/at/all.py") is None


def test_the_commit_is_found_where_git_is_not(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_state(str(checkout / "tool.py")) == {"commit": commit}


def test_the_commit_is_found_in_packed_references_and_linked_work_trees(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(checkout, "worktree", "add", "-q", str(tmp_path / "linked"))
    git(checkout, "pack-refs", "--all")
    commit = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    for place in (checkout, tmp_path / "linked"):
        assert git_state(str(place / "tool.py")) == {"commit": commit}


def test_a_git_that_hangs_does_not_hang_the_tool(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    begin = time.monotonic()
    assert git_state(str(checkout / "tool.py")) == {"commit": commit}
    assert time.monotonic() - begin < 50


def test_the_software_is_the_callers_package_with_its_version(checkout: Path) -> None:
    software = describe_software(None, None, module="numpy.fft", file="/x/site-packages/numpy/f.py")
    assert software == {"name": "numpy", "version": importlib.metadata.version("numpy")}
    script = describe_software(None, None, module="__main__", file=str(checkout / "tool.py"))
    assert script["name"] == "tool.py"
    assert script["git"]["commit"]
    assert describe_software("tool", "3", module="numpy", file=None) == {
        "name": "tool",
        "version": "3",
    }


def test_a_script_in_a_checkout_is_recorded_with_its_commit(checkout: Path, tmp_path: Path) -> None:
    script = checkout / "tool.py"
    script.write_text("from provmanager import capture\nwith capture.activity('t'): pass\n")
    git(checkout, "commit", "-q", "-a", "-m", "second")
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    assert run_tool(code, cwd=tmp_path).returncode == 0
    software = record_of(tmp_path / "t.prov.json")["software"]
    assert software["git"]["commit"] == git(checkout, "rev-parse", "HEAD")
    assert software["git"]["dirty"] is False


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (None, None),
        ({"runtime": "docker"}, None),
        ({"image": "debian:12"}, None),  # nobody knows which one
        ({"image": "debian:12", "digest": "sha256:short"}, None),
        ({"image": "debian:12", "digest": DIGEST}, "docker://docker.io/library/debian:12"),
        ({"image": "gammapy/tools", "digest": DIGEST}, "docker://docker.io/gammapy/tools"),
        ({"image": "ghcr.io/a/b:1", "digest": DIGEST}, "docker://ghcr.io/a/b:1"),
        ({"image": "docker://reg:5000/b", "digest": DIGEST}, "docker://reg:5000/b"),
        ({"image": "/opt/my tools.sif", "digest": DIGEST}, "file://node1/opt/my%20tools.sif"),
        ({"image": "/cvmfs/sw.example.org/el9"}, "cvmfs://sw.example.org/el9"),
    ],
)
def test_an_image_that_is_certain_is_something_that_was_used(
    container: dict[str, str] | None, expected: str | None
) -> None:
    found = image_items(container, host="node1")
    assert [item["url"] for item in found] == ([expected] if expected else [])
    for item in found:
        assert (item["role"], item["name"]) == ("container image", container["image"])
        assert item.get("sha256") == ("ab" * 32 if "digest" in container else None)


def test_registries_that_have_an_image_are_further_places_of_it() -> None:
    source = f"ghcr.io/a/b@{DIGEST}"
    (item,) = image_items(
        {"image": "localhost/b", "digest": DIGEST, "sources": [source]}, host="node1"
    )
    assert item["locations"] == [f"docker://{source}"]
