"""`prod-server`: start, look at and stop the provenance server; move its record elsewhere."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provmanager.errors import NotFoundError, ProvError, UsageError

from ._cli import Output, ProdCommand, ProdGroup, output_options

if TYPE_CHECKING:
    from provmanager.config.settings import Settings
    from provmanager.service.process import RunningServer

_EPILOG = """\b
Examples:
  prod-server                                 # embedded PostgreSQL, on this machine only
  prod-server --background && prod-add-prov run.json
  prod-server start --database-url postgresql://prov@db.example.org/prov
  prod-server dump record.dump && prod-server stop
  prod-server archive record.tar.gz
"""

_DATABASE = click.option(
    "--database-url",
    metavar="URL",
    help="postgresql://… (default: $PROV_DATABASE_URL, else the embedded one).",
)
_STATE_DIR = click.option(
    "--state-dir",
    metavar="FOLDER",
    help="Where data, token and log lie (default: $PROV_STATE_DIR, else your state directory).",
)


@click.group(cls=ProdGroup, default="start", epilog=_EPILOG)
@click.version_option(package_name="provmanager")
def main() -> None:
    """The provenance server; without a subcommand it starts."""


@main.command(cls=ProdCommand)
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", type=int, metavar="N", help="Port; 0 takes a free one (default: 7768).")
@_DATABASE
@click.option("--embedded", is_flag=True, help="The embedded database, whatever the environment.")
@_STATE_DIR
@click.option("--background", is_flag=True, help="Return as soon as the server answers.")
@click.option("--ready-fd", type=int, hidden=True)
@output_options
def start(
    host: str | None,
    port: int | None,
    database_url: str | None,
    embedded: bool,
    state_dir: str | None,
    background: bool,
    ready_fd: int | None,
    output: Output,
) -> None:
    """Start the server, with its database; it ends on SIGTERM and Ctrl-C.

    Writes to standard output where it listens and where the operator's token lies.
    """
    if embedded and database_url:
        raise UsageError("--embedded and --database-url: choose one")
    if embedded:
        os.environ.pop("PROV_DATABASE_URL", None)
    settings = _settings(
        host=host, port=port, database_url=database_url, state_dir=_absolute(state_dir)
    )
    if background:
        _start_in_background(settings, output)
        return
    from provmanager.service.serve import serve

    if ready_fd is None:
        serve(settings, on_ready=lambda server: _show(server, output))
        return
    with os.fdopen(ready_fd, "w") as pipe:
        try:
            serve(settings, on_ready=lambda server: _report(pipe, asdict(server)))
        except ProvError as error:
            _report(pipe, {"error": error.to_wire()})
            raise


def _settings(**overrides: Any) -> "Settings":  # Any: values of several types
    from provmanager.config.settings import load_settings

    return load_settings(**overrides)


def _absolute(folder: str | None) -> Path | None:
    return None if folder is None else Path(folder).expanduser().absolute()


def _report(pipe: Any, answer: dict[str, Any]) -> None:  # Any: a text file, JSON
    """Tell the waiting starter, once."""
    import json

    if not pipe.closed:
        json.dump(answer, pipe)
        pipe.close()


def _start_in_background(settings: "Settings", output: Output) -> None:
    from provmanager.service.process import start_in_background

    if settings.database_url:  # not as an argument: everybody sees those
        os.environ["PROV_DATABASE_URL"] = settings.database_url
    options = [
        f"--host={settings.host}",
        f"--port={settings.port}",
        f"--state-dir={settings.state_dir}",
    ]
    begin = time.time()
    server = start_in_background(options, state_dir=settings.state_dir)
    if server.started_at < begin:
        output.note(f"prod-server: it runs already (process {server.pid})")
    _show(server, output)


def _show(server: "RunningServer", output: Output) -> None:
    """Write where the server is and how to reach it from elsewhere."""
    if output.as_json:
        output.json(asdict(server))
    else:
        output.data(f"listening on  {server.url}")
        output.data(f"database      {server.database}")
        output.data(f"token         {server.token_file}")
        output.note(
            "Commands of this user find it by themselves. Elsewhere:\n"
            f"  export PROV_SERVER_URL={server.url} PROV_TOKEN_FILE={server.token_file}\n"
            "In a browser: prod-server open prints a link to the pages."
        )
    sys.stdout.flush()


@main.command(cls=ProdCommand)
@_STATE_DIR
@output_options
def status(state_dir: str | None, output: Output) -> None:
    """Say whether the server runs, and whether it and its database answer."""
    from provmanager.client import ProvClient
    from provmanager.config import state_dir as default_state_dir
    from provmanager.service.process import running_server

    folder = _absolute(state_dir) or default_state_dir()
    server = running_server(folder)
    if server is None:
        raise NotFoundError(f"no server runs from {folder}: start one with prod-server")
    with ProvClient(server.url, timeout_s=10, retries=0) as client:
        client.health()
    _show(server, output)


@main.command("open", cls=ProdCommand)
@output_options
def open_(output: Output) -> None:
    """Print a link to the pages that signs a browser in: once, within two minutes.

    The token itself is not in it. The browser may then read, and nothing else.
    """
    from provmanager.client import ProvClient

    with ProvClient.connect() as client:
        link = client.sign_in_link()
        url = f"{client.url}{link['path']}"
    if output.as_json:
        output.json({"url": url, "expires_in_s": link["expires_in_s"]})
    else:
        output.data(url)


@main.command(cls=ProdCommand)
@_STATE_DIR
@output_options
def stop(state_dir: str | None, output: Output) -> None:
    """Stop the server and its embedded database; nothing is lost."""
    from provmanager.config import state_dir as default_state_dir
    from provmanager.service.process import stop_database, stop_server

    folder = _absolute(state_dir) or default_state_dir()
    server = stop_server(folder)
    if server is not None:
        output.note(f"stopped the server at {server.url} (process {server.pid})")
    elif stop_database(folder):
        output.note("stopped an embedded database whose server had been killed")
    else:
        output.note(f"no server runs from {folder}")
    if output.as_json:
        output.json({"stopped": None if server is None else asdict(server)})


@main.command(cls=ProdCommand)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@_DATABASE
@_STATE_DIR
@output_options
def dump(file: Path, database_url: str | None, state_dir: str | None, output: Output) -> None:
    """Write the whole record into FILE (- for standard output), as it stands at this moment.

    The server may go on running. FILE holds everything, the tokens' digests too: keep it safe.
    """
    from provmanager.service.moving import dump_record

    settings = _settings(database_url=database_url, state_dir=_absolute(state_dir))
    size_bytes = dump_record(settings, None if str(file) == "-" else file)
    output.note(f"wrote {file} ({size_bytes} bytes)" if size_bytes else "wrote the record")
    if output.as_json and str(file) != "-":
        output.json({"file": str(file), "size_bytes": size_bytes})


@main.command(cls=ProdCommand)
@click.argument("file", type=click.Path(path_type=Path))
@_DATABASE
@_STATE_DIR
@output_options
def archive(file: Path, database_url: str | None, state_dir: str | None, output: Output) -> None:
    """Write every document and the log into FILE (.tar.gz), for any version and database.

    The server may go on running. Tokens are not in it. To restore it keep log.key of the state
    directory, too: with it the log goes on.
    """
    from provmanager.service.moving import archive_record

    settings = _settings(database_url=database_url, state_dir=_absolute(state_dir))
    n_documents = archive_record(settings, file, progress=_progress(output))
    output.note(f"wrote {n_documents} documents into {file}")
    if output.as_json:
        size_bytes = file.stat().st_size
        output.json({"file": str(file), "documents": n_documents, "size_bytes": size_bytes})


def _progress(output: Output) -> Callable[[int, int], None]:
    """Count on a terminal, at most once a second."""
    last = time.monotonic()
    shows = sys.stderr.isatty() and not output.is_quiet

    def show(done: int, of: int) -> None:
        nonlocal last
        now = time.monotonic()
        if shows and (now - last > 1 or done == of):
            click.echo(f"\r{done} of {of} documents", nl=done == of, err=True)
            last = now

    return show


@main.command(cls=ProdCommand)
@click.argument("file", type=click.Path(path_type=Path))
@_DATABASE
@_STATE_DIR
@output_options
def restore(file: Path, database_url: str | None, state_dir: str | None, output: Output) -> None:
    """Make the record from FILE, of `dump` or `archive`, in a database that has none.

    To move from the embedded database to a server: dump, then restore with --database-url. Of an
    archive the record is made anew from its documents, after all of it was checked.
    """
    from provmanager.service.moving import restore_record

    settings = _settings(database_url=database_url, state_dir=_absolute(state_dir))
    n_documents = restore_record(settings, file, progress=_progress(output))
    output.note(f"restored {n_documents} documents")
    if output.as_json:
        output.json({"documents": n_documents})


if __name__ == "__main__":
    main(prog_name="prod-server")
