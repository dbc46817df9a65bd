"""`prod`: all commands as one, each loaded only when it is called."""

from importlib import import_module

import click

from ._cli import ProdCommand, ProdGroup

COMMANDS = {
    "add-prov": ("add_prov", "Record provenance documents."),
    "capture": ("capture", "Run a command and record it."),
    "diff": ("diff", "Compare two products or runs."),
    "export": ("export", "Write a lineage in a format that other tools read."),
    "harvest": ("harvest", "Bring home the jobs of the grid that ended, and their records."),
    "impact": (
        "impact",
        "Show what a file, package or setting has touched, and plan to repeat it.",
    ),
    "init-prov": ("init_prov", "Describe what activities are expected to do."),
    "rerun": ("rerun", "Make a product again from its record, and compare."),
    "search": ("search", "Find products or activities."),
    "server": ("server", "Start the provenance server."),
    "status": ("status", "Show the runs of pipelines, and what became of their steps."),
    "submit": ("submit", "Run a pipeline or a CWL workflow, and record it."),
    "testbed": ("testbed", "A DiracX on this machine, to try grid submission."),
    "token": ("token", "Make, list and revoke access tokens."),
    "trace": ("trace", "Show what a product came from, or what came of it."),
    "validate": ("validate", "Check documents and lineages against W3C PROV-CONSTRAINTS."),
    "verify": ("verify", "Check files, documents and the log against the record."),
}
"""Name of each command, its module here, and what it does."""

SHELLS = ("bash", "zsh", "fish")

_EPILOG = """\b
Exit codes: 0 ok, 1 failed, 2 wrong use, 3 not found, 4 not authenticated or not allowed,
5 differs, 6 partly done, 8 still running, 75 try again later, 130 interrupted.
"""


class LazyGroup(ProdGroup):
    """A group that imports a command when it is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        return sorted([*COMMANDS, *self.commands])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = import_module(f"client_scripts.{COMMANDS[cmd_name][0]}").main
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does without importing it."""
        rows = [(name, told) for name, (_, told) in COMMANDS.items()]
        rows += [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))


@click.group(cls=LazyGroup, epilog=_EPILOG)
@click.version_option(package_name="provmanager", prog_name="prod")
def main() -> None:
    """Record, trace and find what data came from.

    \b
    Examples:
      prod server
      prod add-prov run.json
      prod trace dl2.h5

    Each command is also a program of its own: prod trace is prod-trace.
    """


@main.command(cls=ProdCommand)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes our commands in a shell.

    \b
    Examples:
      eval "$(prod completion bash)"                                  # ~/.bashrc
      prod completion fish > ~/.config/fish/completions/prod.fish
    """
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    assert cls is not None
    for name in ("prod", *(f"prod-{command}" for command in COMMANDS)):
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        click.echo(cls(main, {}, name, variable).source())


if __name__ == "__main__":
    main()
