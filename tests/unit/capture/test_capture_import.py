"""Importing capture costs a tool next to nothing."""

import json
import subprocess
import sys
from pathlib import Path

from capture_records import record_of, run_tool

LOADED = """
import json, sys
before = set(sys.modules)
from provmanager import capture
{use}
after = set(sys.modules) - before
print(json.dumps(sorted(name.partition('.')[0] for name in after)))
"""


def loaded(tmp_path: Path, use: str) -> set[str]:
    done = run_tool(LOADED.format(use=use), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_nothing_but_the_standard_library_is_loaded(tmp_path: Path) -> None:
    use = "with capture.activity('x') as run: run.input('/etc/hostname')"
    for code in ("", use, "import provmanager.capture.command"):
        others = loaded(tmp_path, code) - set(sys.stdlib_module_names)
        assert others == {"provmanager"}


def test_no_other_part_of_provmanager_is_loaded(tmp_path: Path) -> None:
    code = """
import sys
from provmanager import capture
with capture.activity('x'): pass
names = {n for n in sys.modules if n.startswith('provmanager.')}
assert all(n.startswith('provmanager.capture') for n in names), names
"""
    assert run_tool(code, cwd=tmp_path).returncode == 0


def test_importing_loads_no_slow_part_of_the_standard_library(tmp_path: Path) -> None:
    names = loaded(tmp_path, "")
    assert not names & {"asyncio", "email", "http", "subprocess", "zipfile", "tomllib", "tempfile"}


def test_importing_is_quick(tmp_path: Path) -> None:
    code = """
import time
begin = time.process_time()
import provmanager.capture
print(time.process_time() - begin)
"""
    times = [float(run_tool(code, cwd=tmp_path).stdout) for _ in range(5)]
    assert min(times) < 0.1


def test_recording_takes_milliseconds(tmp_path: Path) -> None:
    code = """
import time
from provmanager import capture
times = []
for number in range(20):
    begin = time.process_time()
    with capture.activity('quick', record='quick.json'):
        pass
    times.append(time.process_time() - begin)
print(times[0], sorted(times)[10])
"""
    done = run_tool(code, cwd=tmp_path)
    first_s, median_s = map(float, done.stdout.split())
    assert first_s < 1
    assert median_s < 0.05


def test_it_works_in_an_isolated_interpreter(tmp_path: Path) -> None:
    """As on a worker node: no site packages, only our package on the path."""
    root = Path(__file__).resolve().parents[3]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from provmanager import capture\n"
        "with capture.activity('bare') as run: run.value('n', 1)\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, check=True)
    assert record_of(tmp_path / "bare.prov.json")["outputs"] == [{"name": "n", "value": 1}]
