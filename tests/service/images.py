"""A container engine that runs here, and an image made of programs of this machine."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import provmanager

PROGRAMS = ("sh", "cat", "wc", "sleep", "env")
_LEFT_OUT = frozenset({"test", "tests", "site-packages", "dist-packages", "idlelib", "ensurepip",
                       "lib2to3", "tkinter", "turtledemo", "__pycache__"})  # fmt: skip

# For machines whose control groups or limits the defaults do not fit (a container within one).
_CAREFUL = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""
_STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{root}/graph"
runroot = "{root}/run"
"""


@dataclass(frozen=True)
class Podman:
    """podman with a store of its own; `environ` says where."""

    environ: Mapping[str, str]

    def __call__(self, *arguments: object) -> str:
        """Run podman, and return what it says."""
        return self.run(*arguments, check=True).stdout

    def run(self, *arguments: object, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run podman."""
        return subprocess.run(
            ["podman", *map(str, arguments)],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=check,
        )


def working_podman(folder: Path, tree: Path) -> tuple[Podman | None, str]:
    """Return podman as it runs containers here, else why it does not."""
    if shutil.which("podman") is None:
        return None, "podman is not installed"
    careful = folder / "containers.conf"
    careful.write_text(_CAREFUL)
    runtime = folder / "runtime"  # what podman of an ordinary user keeps running, for these tests
    runtime.mkdir(0o700)
    said = ""
    for driver in ("overlay", "vfs"):
        storage = folder / f"storage-{driver}.conf"
        storage.write_text(_STORAGE.format(driver=driver, root=folder / driver))
        for more in ({}, {"CONTAINERS_CONF": str(careful)}):
            where = {"CONTAINERS_STORAGE_CONF": str(storage), "XDG_RUNTIME_DIR": str(runtime)}
            podman = Podman({**where, **more})
            done = podman.run("run", "--rm", "--net=none", "--rootfs", tree, "sh", "-c", "exit 7")
            if done.returncode == 7:
                return podman, ""
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return None, f"podman runs no container here: {said}"


def make_tree(tree: Path) -> Path:
    """Lay out a root file system: a shell, a few programs, this Python, and our capture."""
    for name in ("tmp", "proc", "sys", "dev", "etc", "run", "var/lib", "opt"):
        (tree / name).mkdir(parents=True)
    files = [Path(str(shutil.which(name))) for name in PROGRAMS]
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    for path in _standard_library(library):
        _copy(path, tree)
    files += [python, *library.glob("lib-dynload/*.so")]
    for needed in _shared_libraries(files):
        _copy(needed, tree)
    for path in files:
        _copy(path, tree)
    (tree / "bin").mkdir(exist_ok=True)
    for path in files[: len(PROGRAMS)]:
        if path.parent != Path("/bin"):
            (tree / "bin" / path.name).symlink_to(path)
    (tree / "bin" / "python").symlink_to(python)
    package = Path(provmanager.__file__).parent
    for part in ("__init__.py", "capture"):
        target = tree / "opt" / "provmanager" / part
        target.parent.mkdir(exist_ok=True)
        if part == "capture":
            shutil.copytree(package / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(package / part, target)
    return tree


def import_image(podman: Podman, tree: Path, name: str, *changes: str) -> str:
    """Make an image of a tree, and return its id."""
    archive = tree.with_suffix(".tar")
    if not archive.exists():
        with tarfile.open(archive, "w") as tar:
            tar.add(tree, arcname=".")
    options = [
        f"--change={change}"
        for change in ("ENV PATH=/bin:/usr/bin", "ENV PYTHONPATH=/opt", *changes)
    ]
    podman("import", "--quiet", *options, archive, name)
    return podman("image", "inspect", "--format", "{{.Id}}", name).strip()


def _standard_library(folder: Path) -> Iterator[Path]:
    for top, names, files in os.walk(folder):
        names[:] = [n for n in names if n not in _LEFT_OUT and not n.startswith("config-")]
        yield from (Path(top) / name for name in files if not name.endswith((".a", ".so")))


def _shared_libraries(files: Sequence[Path]) -> set[Path]:
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False)
    words = (word for line in said.stdout.splitlines() for word in line.split())
    return {Path(word) for word in words if word.startswith("/") and not word.endswith(":")}


def _copy(path: Path, tree: Path) -> None:
    target = tree / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path, target)
