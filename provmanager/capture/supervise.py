"""Run a child as if it had been started directly: its streams, its signals and its exit."""

import os
import resource
import signal
import subprocess
from collections.abc import Sequence

FORWARDED = frozenset(
    {
        signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
        signal.SIGUSR2, signal.SIGXCPU, signal.SIGALRM, signal.SIGWINCH, signal.SIGCONT,
    }
)  # fmt: skip
_SENT_BY_A_PROCESS = frozenset({0, -1, -6})  # SI_USER, SI_QUEUE, SI_TKILL
NOT_FOUND = 127
NOT_EXECUTABLE = 126


class CommandNotStartedError(Exception):
    """The command could not be started; `exit_code` is what a shell gives then."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_child(command: Sequence[str]) -> int:
    """Run `command` with our own streams and return its code (minus the signal that ended it).

    Signals that a process sends to us are passed on. Those of the terminal (Ctrl-C) reach the
    child by themselves, because it stays in our process group: passing them on would double them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    was_ignored = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if was_ignored:  # the kernel would throw the exit code away
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def unblock() -> None:  # the mask outlives exec
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        try:
            # a thread could deadlock in preexec_fn: there is none in this process
            child = subprocess.Popen(list(command), preexec_fn=unblock)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            reason = error.strerror or str(error)
            raise CommandNotStartedError(f"{command[0]}: {reason}", code) from error
        while child.poll() is None:
            info = signal.sigwaitinfo(FORWARDED | {signal.SIGCHLD})
            is_sent = info.si_code in _SENT_BY_A_PROCESS and info.si_pid != child.pid
            if info.si_signo != signal.SIGCHLD and is_sent:
                child.send_signal(info.si_signo)
        return child.returncode
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if was_ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def exit_like(code: int) -> int:
    """Return the exit code `code`; or, below zero, die of the same signal, without a core."""
    if code >= 0:
        return code
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    number = -code
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number  # a signal that does not end a process
