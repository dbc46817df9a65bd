"""What a process is told from outside: settings, and where its state lies.

`Settings` of the server lie in `provmanager.config.settings`: they need pydantic, which costs a
command a quarter of a second; all that is here needs the standard library only.
"""

from .connection import DEFAULT_HOST, DEFAULT_PORT, Connection, find_connection, spool_dir
from .state import admin_token_file, server_file, state_dir

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "Connection",
    "admin_token_file",
    "find_connection",
    "server_file",
    "spool_dir",
    "state_dir",
]
