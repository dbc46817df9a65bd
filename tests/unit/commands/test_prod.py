import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from client_scripts import prod

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("httpx", "rich", "numpy", "h5py", "astropy", "yaml", "jsonschema", "lxml", "prov",
         "pydantic", "sqlalchemy", "fastapi", "asyncio", "cwltool", "ruamel")  # fmt: skip


@pytest.mark.parametrize("module", sorted({"prod", *(m for m, _ in prod.COMMANDS.values())}))
def test_importing_a_command_loads_nothing_heavy(module: str):
    script = (
        f"import sys, client_scripts.{module}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_program_is_also_a_subcommand():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = dict(
        line.split(" = ")
        for line in setup["options.entry_points"]["console_scripts"].strip().splitlines()
    )
    assert scripts.pop("prod") == "client_scripts.prod:main"
    assert scripts.pop("eclgrm") == "analysis.tools.eclgrm:main"
    assert scripts.pop("prov-dirac-steps") == "jobs.ctadirac.node:main"  # for jobs
    assert scripts == {
        f"prod-{name}": f"client_scripts.{module}:main"
        for name, (module, _) in prod.COMMANDS.items()
    }


def test_the_list_of_commands_is_made_without_importing_them():
    script = (
        "import sys; from client_scripts.prod import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('client_scripts.') and m.split('.')[1] "
        "not in ('prod', '_cli')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
    for name in prod.COMMANDS:
        assert name in result.stdout


@pytest.mark.parametrize("name", ["add-prov", "init-prov", "search", "status", "submit", "trace"])
def test_help_begins_with_an_example_and_ends_with_the_exit_codes(name: str):
    result = CliRunner().invoke(prod.main, [name, "-h"])
    assert result.exit_code == 0
    example, options, codes = (
        result.stdout.index(word) for word in ("Example", "Options:", "Exit codes:")
    )
    assert example < options < codes


def test_an_unknown_command_is_wrong_use():
    result = CliRunner().invoke(prod.main, ["tarce"])
    assert result.exit_code == 2
    assert "tarce" in result.stderr


@pytest.mark.parametrize("shell", prod.SHELLS)
def test_completion_scripts_cover_every_program(shell: str):
    result = CliRunner().invoke(prod.main, ["completion", shell])
    assert result.exit_code == 0
    for name in ("prod", *(f"prod-{command}" for command in prod.COMMANDS)):
        assert f"_{name.replace('-', '_').upper()}_COMPLETE" in result.stdout


def test_completion_lists_commands_and_choices():
    def complete(words: str, cword: int) -> list[str]:
        env = {"_PROD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(cword)}
        result = CliRunner().invoke(prod.main, [], env=env, prog_name="prod")
        return [line.partition(",")[2] for line in result.stdout.splitlines()]

    assert "trace" in complete("prod tr", 1)
    assert "prov-json" in complete("prod trace x --format prov", 4)
    assert complete("prod export x --format vo", 4) == ["votable"]
