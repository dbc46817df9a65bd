"""The state directory: where a server keeps its data, its token and its address."""

import os
from collections.abc import Mapping
from pathlib import Path


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the state directory.

    ``PROV_STATE_DIR`` if set; else ``$XDG_STATE_HOME/provmanager``, which is
    ``~/.local/state/provmanager``; for root ``/var/lib/provmanager``, because the account that
    runs PostgreSQL for root cannot reach root's home. The same as ``platformdirs`` on Linux.
    """
    environ = os.environ if environ is None else environ
    if environ.get("PROV_STATE_DIR"):
        return Path(environ["PROV_STATE_DIR"]).expanduser().absolute()
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "provmanager"
    if os.geteuid() == 0:
        return Path("/var/lib/provmanager")
    return Path.home() / ".local" / "state" / "provmanager"


def admin_token_file(directory: Path) -> Path:
    """Return where the server of state directory `directory` puts its operator's token."""
    return directory / "admin.token"


def server_file(directory: Path) -> Path:
    """Return where a running server of state directory `directory` says its address (JSON)."""
    return directory / "server.json"
