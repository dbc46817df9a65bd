"""What the commands share: errors become exit codes, subcommands are loaded on demand."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

CONTEXT = {"help_option_names": ["-h", "--help"]}
INTERRUPTED = 130


class ToolError(Exception):
    """The task failed."""

    exit_code = 1


class WrongUseError(ToolError):
    """An option, a setting or a combination of them is wrong."""

    exit_code = 2


class NotFoundError(ToolError):
    """A file that was named is not there."""

    exit_code = 3


class ToolCommand(click.Command):
    """A command that tells what went wrong in one line, with the exit code of its class."""

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: what click takes
        options["context_settings"] = CONTEXT | options.get("context_settings", {})
        super().__init__(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:  # Any: what the command returns
        """Run the command; a bug still shows its traceback."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            click.echo(f"\n{ctx.command_path}: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except (ToolError, ValueError, OSError) as error:
            click.echo(f"{ctx.command_path}: {error}", err=True)
            ctx.exit(getattr(error, "exit_code", ToolError.exit_code))
        return result


class ToolGroup(click.Group):
    """A group that imports a subcommand when it is called, and not to list it.

    Parameters
    ----------
    tasks : mapping of str to (str, str)
        Name of each subcommand; the module that has it as `main`, and what it does.
    """

    def __init__(
        self,
        *args: Any,  # Any: what click takes
        tasks: Mapping[str, tuple[str, str]],
        **options: Any,
    ) -> None:
        options["context_settings"] = CONTEXT | options.get("context_settings", {})
        super().__init__(*args, **options)
        self._tasks = tasks

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the pipeline."""
        return list(self._tasks)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand, imported now."""
        if cmd_name not in self._tasks:
            return None
        command = import_module(self._tasks[cmd_name][0]).main
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each subcommand does without importing it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in self._tasks.items()])
