"""What all commands share: exit codes, messages, options, and a fast start."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import client_scripts
from client_scripts._cli import Output, ProdCommand, ProdGroup, output_options
from provmanager.errors import AmbiguousError, NotFoundError, all_errors

MODULES = sorted(
    f"client_scripts.{path.stem}" if path.stem != "__init__" else "client_scripts"
    for path in Path(client_scripts.__path__[0]).glob("*.py")
)
HEAVY = {
    "astropy", "fastapi", "h5py", "httpx", "jsonschema", "lxml", "networkx", "numpy", "orjson",
    "prov", "psycopg2", "pydantic", "rich", "sqlalchemy", "starlette", "uvicorn", "yaml",
}  # fmt: skip


def imported_by(*modules):
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", [*MODULES, "provmanager.client", "provmanager.config"])
def test_importing_a_command_loads_nothing_heavy(module):
    assert imported_by(module) & HEAVY == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_command_starts_in_well_under_0_3_s(module):
    def start_s():
        """Time of the processor, so that a machine with much else to do does not matter."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(start_s() for _ in range(3)) < 0.3


def command(function, **options):
    return click.command(cls=ProdCommand, name="prod-x", **options)(function)


def run(function, *arguments, **options):
    return CliRunner().invoke(command(function), arguments, prog_name="prod-x", **options)


@pytest.mark.parametrize("code", sorted(all_errors()))
def test_every_error_ends_with_its_message_and_exit_code(code):
    error = all_errors()[code]("what was wrong: what to do")

    def fail():
        raise error

    result = run(fail)
    assert result.exit_code == error.exit_code != 0
    assert result.stderr == "prod-x: error: what was wrong: what to do\n"
    assert result.stdout == ""


def test_candidates_and_suggestions_are_listed():
    def ambiguous():
        raise AmbiguousError(
            "two", candidates=[{"id": "u1", "location": "file://h/a"}, {"id": "u2"}]
        )

    assert "  u1  file://h/a\n  u2  \n" in run(ambiguous).stderr

    def not_found():
        raise NotFoundError("none", suggestions=["dl2.h5"])

    assert "did you mean dl2.h5?" in run(not_found).stderr


def test_wrong_options_are_a_usage_error():
    result = run(lambda: None, "--nonsense")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_what_nobody_foresaw_is_not_hidden():
    def crash():
        raise ZeroDivisionError

    assert isinstance(run(crash).exception, ZeroDivisionError)


def test_output_goes_where_it_belongs():
    @click.command(cls=ProdCommand)
    @output_options
    def tell(output: Output):
        output.note("a note")
        output.detail("a detail")
        if output.as_json:
            output.json({"é": 1})
        else:
            output.data("data")

    def said(*arguments):
        result = CliRunner().invoke(tell, arguments)
        return result.stdout, result.stderr

    assert said() == ("data\n", "a note\n")
    assert said("-q") == ("data\n", "")
    assert said("--json") == ('{\n  "é": 1\n}\n', "a note\n")
    assert said("--verbose") == ("data\n", "a note\na detail\n")


def test_help_of_both_spellings():
    for option in ("-h", "--help"):
        assert "Usage: prod-x" in run(lambda: None, option).stdout


SCRIPT = """
import sys, time
import click
from client_scripts._cli import ProdCommand
@click.command(cls=ProdCommand)
def main():
    {body}
main(prog_name="prod-x")
"""


def start(body, **options):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_ctrl_c_ends_with_130():
    process = start('print("on", flush=True); time.sleep(60)')
    process.stdout.readline()
    process.send_signal(2)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "\nprod-x: interrupted\n")


def test_a_closed_pipe_is_no_failure():
    process = start("for n in range(10**6): click.echo(n)")
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), said) == (0, "")


def test_a_pipe_that_closes_before_the_last_flush_is_no_failure():
    process = start("time.sleep(0.3); sys.stdout.write('late')")
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), said) == (0, "")


def test_no_color_is_honoured():
    def fail():
        raise NotFoundError("none")

    colourful = CliRunner().invoke(command(fail), color=True, prog_name="prod-x")
    assert "\x1b[31merror:" in colourful.stderr
    plain = CliRunner(env={"NO_COLOR": "1"}).invoke(command(fail), color=True, prog_name="prod-x")
    assert plain.stderr == "prod-x: error: none\n"


def test_a_group_may_mean_a_subcommand():
    @click.group(cls=ProdGroup, default="start")
    def main():
        """A group."""

    @main.command()
    @click.option("--port", default=1)
    def start(port):
        click.echo(f"start {port}")

    @main.command()
    def stop():
        click.echo("stop")

    def said(*arguments):
        return CliRunner().invoke(main, arguments, prog_name="prod-x")

    assert said().stdout == "start 1\n"
    assert said("--port", "2").stdout == "start 2\n"
    assert said("start", "--port", "3").stdout == "start 3\n"
    assert said("stop").stdout == "stop\n"
    assert "Commands:" in said("--help").stdout
    assert said("halt").exit_code == 2
    assert isinstance(main.commands["start"], ProdCommand)


@pytest.mark.parametrize("name", ["server", "token"])
def test_commands_tell_of_themselves(name):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
    base = [sys.executable, "-m", f"client_scripts.{name}"]
    for arguments in (["--help"], ["-h"], ["--version"]):
        done = subprocess.run(
            [*base, *arguments], capture_output=True, text=True, check=False, env=environ
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"prod-{name}" in done.stdout
