"""Make docs/commands.md: the reference of every command, from the commands themselves.

    python docs/commands.py

A test fails when the page is not what this makes.
"""

import configparser
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from provmanager.config.settings import Settings
from provmanager.errors import all_errors

PAGE = Path(__file__).with_suffix(".md")
ROOT = PAGE.parent.parent

HEAD = """\
# Commands

<!-- Made by docs/commands.py from the commands themselves; do not edit. -->

Each `prod-` command is also a subcommand of `prod`: `prod-trace x` and `prod trace x` are the same.
All take `-h` / `--help` and `--version` (`prod-search`: `-V`). What was asked for goes to standard
output, everything else to standard error; colours only to a terminal, and never where `NO_COLOR` is
set.
"""

VARIABLES = """\
## Environment of all commands

| variable | meaning |
|---|---|
| `PROV_SERVER_URL` | the server; else that of the state directory, else `http://127.0.0.1:7768` |
| `PROV_TOKEN` | the token |
| `PROV_TOKEN_FILE` | file with the token; else, for the server of the state directory, its own |
| `PROV_STATE_DIR` | the state directory (see below) |
| `PROV_SPOOL_DIR` | where documents wait for a server that is away; else `spool` in there |
| `NO_COLOR` | no colours |

The state directory holds the embedded database, the operator's token and the address of the server
that runs from it. It is `$XDG_STATE_HOME/provmanager`, which is `~/.local/state/provmanager`; for
root `/var/lib/provmanager`.

Those of capture (`PROV_RUN_FILE`, …) stand in [capture.md](capture.md).
"""


COMMON = (
    ("to the server", ("--server", "--token-file")),
    ("of output", ("--json", "--quiet", "--verbose")),
)
"""Options that many commands share, told once: what they are about, and their names."""

Options = dict[str, click.Option]


def entry_points() -> dict[str, click.Command]:
    """Return the console scripts of setup.cfg by name, each as its click command."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options.entry_points"]["console_scripts"].strip().splitlines()
    found = {}
    for line in lines:
        name, _, target = (part.strip() for part in line.partition("="))
        module, _, attribute = target.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, click.Command):  # another is started by jobs, not by people
            found[name] = command
    return found


def render() -> str:
    """Return the page."""
    commands = sorted(entry_points().items())
    common: Options = {}
    told = [part for name, command in commands for part in _command(name, command, common, level=2)]
    parts = [HEAD, *_exit_codes(), VARIABLES, *_common(common), *told]
    parts += _settings()
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _exit_codes() -> Iterator[str]:
    meaning = defaultdict(list)
    for code, error in sorted(all_errors().items()):
        said = re.sub(r" \(.*\)", "", (error.__doc__ or "").partition("\n")[0]).rstrip(".")
        meaning[error.exit_code].append(f"{_bare(said)} (`{code}`)")
    rows = {0: "done", 8: "still running", 130: "interrupted"}
    rows |= {code: "; ".join(said) for code, said in meaning.items()}
    yield "## Exit codes"
    yield "| code | meaning |\n|--:|---|\n" + "\n".join(
        f"| {code} | {said} |" for code, said in sorted(rows.items())
    )


def _bare(text: str) -> str:
    return text[:1].lower() + text[1:]


def _common(options: Options) -> Iterator[str]:
    yield "## Common options"
    rows = [_row(options[name]) for _, names in COMMON for name in names]
    yield "| option | meaning |\n|---|---|\n" + "\n".join(rows)


def _command(name: str, command: click.Command, common: Options, *, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name, **command.context_settings)
    yield f"{'#' * level} {name}"
    yield from _text(command.help)
    params = [p for p in command.get_params(context) if not _is_everywhere(p)]
    yield f"```\n{' '.join([name, *_usage(command, params)])}\n```"
    options = [p for p in params if isinstance(p, click.Option) and not p.hidden]
    own = []
    for option in options:
        shared = [name for _, names in COMMON for name in names if name in option.opts]
        common |= dict.fromkeys(shared, option)
        own += [] if shared else [_row(option)]
    if own:
        yield "| option | meaning |\n|---|---|\n" + "\n".join(own)
    has = {name for option in options for name in option.opts}
    kinds = [about for about, names in COMMON if has >= set(names)]
    if kinds:
        yield f"Also the [common options](#common-options) {' and '.join(kinds)}."
    yield from _text(command.epilog)
    if isinstance(command, click.Group) and name != "prod":
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None and not found.hidden:
                yield from _command(f"{name} {sub}", found, common, level=level + 1)
    elif isinstance(command, click.Group):
        names = " ".join(f"`{sub}`" for sub in command.list_commands(context))
        yield f"Subcommands: {names}."


def _is_everywhere(param: click.Parameter) -> bool:
    return param.is_eager and bool({"--help", "--version", "-V"} & set(param.opts))


def _usage(command: click.Command, params: list[click.Parameter]) -> Iterator[str]:
    if any(isinstance(p, click.Option) for p in params):
        yield "[OPTIONS]"
    for param in params:
        if isinstance(param, click.Argument):
            shown = param.metavar or str(param.name).upper()
            if not param.metavar:
                shown = shown if param.required else f"[{shown}]"
                shown += "..." if param.nargs != 1 else ""
            yield shown
    if isinstance(command, click.Group):
        yield "COMMAND …"


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.secondary_opts:
        names += " / " + ", ".join(f"`{name}`" for name in option.secondary_opts)
    value = _value(option)
    said = " ".join((option.help or "").split())
    if option.show_default and isinstance(option.default, str | int | float):
        said += f" [default: {option.default}]"
    said += " Repeatable." if option.multiple and "repeatable" not in said else ""
    said += " Required." if option.required else ""
    return f"| {names}{f' `{value}`' if value else ''} | {_cell(said)} |"


def _value(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return _cell(option.metavar)
    if isinstance(option.type, click.Choice):
        return _cell("|".join(str(getattr(c, "value", c)) for c in option.type.choices))
    return option.type.name.partition(" ")[0].upper()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(text: str | None) -> Iterator[str]:
    """Yield the paragraphs of a help text; those that click leaves as they are become code."""
    for paragraph in (text or "").replace("\f", "").strip().split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            title = lines[1].strip() if len(lines) > 1 and lines[1].rstrip().endswith(":") else ""
            if title:
                yield title
            body = "\n".join(lines[2:] if title else lines[1:])
            yield f"```\n{textwrap.dedent(body)}\n```"
        elif lines:
            yield " ".join(line.strip() for line in lines)


def _settings() -> Iterator[str]:
    yield "## Settings of the server"
    yield "Environment variables, read once when `prod-server` starts; its options win over them."
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default if field.default_factory is None else ""
        shown = "" if default in (None, "", ()) else f"`{default}`"
        said = " ".join((field.description or "").split()).replace("``", "`")
        rows.append(f"| `PROV_{name.upper()}` | {shown} | {_cell(said)} |")
    yield "| variable | default | meaning |\n|---|---|---|\n" + "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
