"""A real ``prod-server`` as a subprocess, for tests to start, use, stop and kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from provmanager.client import ProvClient

COMMAND = [sys.executable, "-m", "client_scripts.server"]


@dataclass
class ServerProcess:
    """``prod-server start`` on the embedded database of a state directory of its own."""

    state_dir: Path
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def env(self):
        """Environment of a user of this server: nothing of the person who runs the tests."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
        return inherited | {"PROV_STATE_DIR": str(self.state_dir)} | self.environ

    def start(self, *options):
        """Start it in the foreground; return what it says of itself once it answers."""
        self.process = subprocess.Popen(
            [*COMMAND, "start", "--json", "--port=0", *options],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = ""
        while line := self.process.stdout.readline():
            said += line
            if line == "}\n":
                return json.loads(said)
        raise AssertionError(f"it ended: {self.process.stderr.read()}")

    def end(self, number=signal.SIGTERM):
        """End it with a signal; return (exit code, what it wrote to stderr)."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        code, self.process = self.process.returncode, None
        return code, said

    def command(self, *arguments, program=COMMAND, **options):
        """Run a subcommand of prod-server (or another program) to its end."""
        return subprocess.run(
            [*program, *map(str, arguments)],
            env=self.env, capture_output=True, text=True, check=False, timeout=120, **options,
        )  # fmt: skip

    @property
    def token(self):
        """The operator's token."""
        return (self.state_dir / "admin.token").read_text().strip()

    def client(self, **options):
        """A client of the running server, as the operator."""
        url = json.loads((self.state_dir / "server.json").read_text())["url"]
        return ProvClient(url, self.token, **options)
