"""What all commands share: errors to exit codes, output options, and the way to the server.

Nothing heavy is imported here: a command starts in well under 0.3 s.
"""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from provmanager.errors import JSONDict, ProvError

if TYPE_CHECKING:
    from provmanager.client import ProvClient

P = ParamSpec("P")
R = TypeVar("R")

CONTEXT = {"help_option_names": ["-h", "--help"]}
INTERRUPTED = 130


class _ProcessEdge(click.Command):
    """Turns what goes wrong into one line on stderr and the exit code of its class."""

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: what click takes
        options["context_settings"] = CONTEXT | options.get("context_settings", {})
        super().__init__(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:  # Any: what the command returns
        """Run the command."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except ProvError as error:
            fail(ctx, error)
        except KeyboardInterrupt:
            click.echo(f"\n{program(ctx)}: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has enough (`| head`); nothing more can be written to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        return result


class ProdCommand(_ProcessEdge, click.Command):
    """A ``prod-*`` command: ``@click.command(cls=ProdCommand)``."""


class ProdGroup(_ProcessEdge, click.Group):
    """A ``prod-*`` command with subcommands, one of which may be meant when none is named."""

    command_class = ProdCommand

    def __init__(self, *args: Any, default: str | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the default subcommand where none is named."""
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if self._default and (not args or (args[0].startswith("-") and args[0] not in own)):
            args = [self._default, *args]
        return super().parse_args(ctx, args)


def program(ctx: click.Context) -> str:
    """Return the name of the running command: ``prod-trace``, also when called ``prod trace``."""
    names = ctx.command_path.split()
    if names[:2] == ["python", "-m"]:
        names = ["prod-" + names[2].rpartition(".")[2].replace("_", "-"), *names[3:]]
    if names[0] == "prod" and len(names) > 1:
        names = [f"prod-{names[1]}", *names[2:]]
    return names[0]


def fail(ctx: click.Context, error: ProvError) -> NoReturn:
    """Say what went wrong and end with its exit code."""
    click.echo(f"{program(ctx)}: {click.style('error:', fg='red')} {error.message}", err=True)
    for candidate in error.details.get("candidates", ())[:10]:
        where = candidate.get("location") or candidate.get("name") or ""
        click.echo(f"  {candidate.get('id')}  {where}", err=True)
    for suggestion in error.details.get("suggestions", ())[:10]:
        click.echo(f"  did you mean {suggestion}?", err=True)
    ctx.exit(error.exit_code)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command writes: data to stdout, everything else to stderr."""

    as_json: bool
    is_quiet: bool
    is_verbose: bool

    def data(self, text: str) -> None:
        """Write what was asked for."""
        click.echo(text)

    def json(self, value: JSONDict | list[Any]) -> None:  # Any: free-form JSON
        """Write what was asked for, as JSON."""
        import json

        click.echo(json.dumps(value, indent=2, ensure_ascii=False))

    def note(self, text: str) -> None:
        """Tell of what happens, unless asked to be quiet."""
        if not self.is_quiet:
            click.echo(text, err=True)

    def detail(self, text: str) -> None:
        """Tell of what happens, if asked for more."""
        if self.is_verbose:
            click.echo(text, err=True)


def output_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add ``--json``, ``--quiet`` and ``--verbose``; the command gets an `output: Output`."""

    @click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
    @click.option("-q", "--quiet", is_flag=True, help="Write nothing but data and errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
    @functools.wraps(function)
    def with_output(*args: Any, **options: Any) -> R:  # Any: what click passes
        as_json, quiet, verbose = (options.pop(n) for n in ("as_json", "quiet", "verbose"))
        if verbose:
            _log_to_stderr()
        options["output"] = Output(as_json=as_json, is_quiet=quiet, is_verbose=verbose)
        return function(*args, **options)

    return with_output


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _moved(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return pairs of prefixes from ``FROM=TO``."""
    pairs = [(before, after) for before, _, after in (value.partition("=") for value in values)]
    if not all(before and after for before, after in pairs):
        raise click.BadParameter("expected FROM=TO, such as lfn:/vo/=/data/vo/")
    return pairs


moved_option = click.option(
    "--map",
    "moved",
    multiple=True,
    callback=_moved,
    metavar="FROM=TO",
    help="Where a location begins with FROM, its file lies under TO here; repeatable.",
)
"""Adds ``--map``; the command gets `moved`, pairs of prefixes."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The server that was named on the command line."""

    url: str | None
    token_file: str | None


def server_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add ``--server`` and ``--token-file``; the command gets a `server: ServerOptions`."""

    @click.option(
        "--server",
        "server_url",
        metavar="URL",
        help="The server (default: $PROV_SERVER_URL, else the one of this state directory).",
    )
    @click.option(
        "--token-file",
        metavar="FILE",
        help="File with the token (default: $PROV_TOKEN, $PROV_TOKEN_FILE, else that server's).",
    )
    @functools.wraps(function)
    def with_server(*args: Any, **options: Any) -> R:  # Any: what click passes
        url, token_file = options.pop("server_url"), options.pop("token_file")
        options["server"] = ServerOptions(url=url, token_file=token_file)
        return function(*args, **options)

    return with_server


def connect(
    server: ServerOptions | None = None,
    *,
    spool: bool = False,
    timeout_s: float = 120.0,
    retries: int = 2,
) -> "ProvClient":
    """Return a client of the server that the command line or the environment names.

    Parameters
    ----------
    server : ServerOptions, optional
        What the command line says.
    spool : bool
        Whether documents may wait on disk while the server is away.
    timeout_s : float
        How long an answer may take, in seconds.
    retries : int
        How often a call is repeated while the server is away.

    Raises
    ------
    UsageError
        The URL or the token file cannot be used.
    """
    from provmanager.client import ProvClient, Spool
    from provmanager.config import find_connection, spool_dir

    server = server or ServerOptions(None, None)
    found = find_connection(url=server.url, token_file=server.token_file)
    return ProvClient(
        found.url,
        found.token,
        timeout_s=timeout_s,
        retries=retries,
        spool=Spool(spool_dir()) if spool else None,
    )
