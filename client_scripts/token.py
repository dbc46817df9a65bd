"""`prod-token`: make, list and revoke access tokens."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provmanager.errors import UsageError

from ._cli import Output, ProdCommand, ProdGroup, ServerOptions, connect, output_options
from ._cli import server_options as _server

if TYPE_CHECKING:
    from provmanager.client import TokenItem

_EPILOG = """\b
Examples:
  prod-token create nightly --role recorder --expires 90d --to nightly.token
  prod-token create job-4711 --role recorder --job 4711 --expires 3d
  prod-token list
  prod-token revoke nightly
"""

_ROLES = ("reader", "recorder", "curator", "admin")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return a duration such as ``90d`` in seconds."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r} is no duration; expected 90s, 30m, 12h, 7d or 4w")
    return float(match[1]) * _UNITS_S[match[2]]


@click.group(cls=ProdGroup, epilog=_EPILOG)
@click.version_option(package_name="provmanager")
def main() -> None:
    """Make, list and revoke access tokens (role admin)."""


@main.command(cls=ProdCommand)
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="reader", show_default=True)
@click.option(
    "--expires", callback=_seconds, metavar="DURATION", help="90d, 12h … (default: never)."
)
@click.option("--job", metavar="ID", help="The only job whose documents it may deliver (recorder).")
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path),
    help="File for the token, of mode 0600 (default: standard output).",
)
@_server
@output_options
def create(
    name: str,
    role: Any,  # Any: one of _ROLES
    expires: float | None,
    job: str | None,
    file: Path | None,
    server: ServerOptions,
    output: Output,
) -> None:
    """Make a token for NAME, and show it this once."""
    if file is not None and file.exists():
        raise UsageError(f"{file} is there already: name another file")
    with connect(server) as client:
        made = client.create_token(name, role, expires_in_s=expires, job=job)
    if file is not None:
        _write_private(file, made["token"])
    if output.as_json:
        output.json({**made, "token": None if file else made["token"]})
    elif file is None:
        output.data(made["token"])
    bound = f", for job {job} only" if job else ""
    until = f"until {made['expires_at']}" if made["expires_at"] else "for ever"
    output.note(f"made token {name!r} ({made['id']}): {role}{bound}, valid {until}")


def _write_private(path: Path, token: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; the token was made and is lost: revoke it"
        ) from error
    with open(descriptor, "w") as file:
        file.write(token + "\n")


@main.command("list", cls=ProdCommand)
@click.option("--all", "also_ended", is_flag=True, help="Also revoked and expired ones.")
@_server
@output_options
def list_tokens(also_ended: bool, server: ServerOptions, output: Output) -> None:
    """List the valid tokens, the newest first."""
    with connect(server) as client:
        tokens = [item for item in client.tokens() if also_ended or _state(item) == "valid"]
    if output.as_json:
        output.json([dict(item) for item in tokens])
        return
    rows = [("NAME", "ROLE", "STATE", "EXPIRES", "LAST USED", "JOB", "ID")]
    rows += [
        (
            item["name"],
            item["role"],
            _state(item),
            _day(item["expires_at"]) or "never",
            _day(item["last_used_at"]) or "never",
            item["job"] or "-",
            item["id"],
        )
        for item in tokens
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        output.data("  ".join(cells).rstrip())


def _state(item: "TokenItem") -> str:
    from datetime import UTC, datetime

    if item["revoked_at"]:
        return "revoked"
    ends = item["expires_at"]
    return "expired" if ends and datetime.fromisoformat(ends) <= datetime.now(UTC) else "valid"


def _day(instant: str | None) -> str:
    return instant[:16].replace("T", " ") if instant else ""


@main.command(cls=ProdCommand)
@click.argument("which", metavar="NAME_OR_ID")
@_server
@output_options
def revoke(which: str, server: ServerOptions, output: Output) -> None:
    """Revoke a token: from now on it is refused."""
    with connect(server) as client:
        item = client.revoke_token(which)
    output.note(f"revoked token {item['name']!r} ({item['id']})")
    if output.as_json:
        output.json(dict(item))


if __name__ == "__main__":
    main(prog_name="prod-token")
