"""Run what the pages show: the commands of their ``console`` blocks, on the record of the demo.

    make demo && . .demo/env && python docs/transcripts.py

writes their outputs anew. In such a block a line that begins with ``$`` is a command; what follows
is all that it writes to a terminal of 100 columns. A test fails when a page shows something else.
"""

import errno
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/auditors.md", "docs/ivoa-questions.md")

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Return the commands that a page shows."""
    lines = [line for block in _BLOCK.findall(page) for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def render(page: str, environment: Mapping[str, str]) -> str:
    """Return the page with what its commands write now, in `environment`."""
    return _BLOCK.sub(lambda block: "".join(_block(block.group(), environment)), page)


def _block(block: str, environment: Mapping[str, str]) -> Iterator[str]:
    for line in block.splitlines():
        if line.startswith("$ "):
            said = run(line.removeprefix("$ "), environment)
            yield f"{line}\n{said}" + ("" if said.endswith("\n") or not said else "\n")


def run(command: str, environment: Mapping[str, str]) -> str:
    """Return what `command` writes to a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 100))
    plain = {**environment, "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=plain,
    ):
        os.close(theirs)
        said = b"".join(_pieces(ours))
        os.close(ours)
    return said.decode().replace("\r\n", "\n")


def _pieces(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError as error:  # how a terminal says that nobody writes to it any more
            if error.errno != errno.EIO:
                raise
            return
        if not piece:
            return
        yield piece


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(render(path.read_text("utf-8"), os.environ), encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
