"""Programs side by side in one container: all run, or none does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

# Seconds that the others get to end by themselves. Docker kills everything after ten.
PATIENCE = 5.0


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and which open files it takes over."""

    name: str
    command: Sequence[str]
    user: str | None = None
    files: Sequence[int] = ()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it."""
        groups: list[str] | None = [] if self.user else None
        return subprocess.Popen(self.command, pass_fds=self.files, user=self.user, group=self.user, extra_groups=groups)


class Stopped(Exception):
    """Somebody stops the container."""


def run(*programs: Program) -> int:
    """Run programs until one of them ends or somebody stops the container, then end the rest; return the exit code.

    Any end of a program is a failure, for all of them serve for as long as the container is there.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(program.start() for program in programs)
        names = dict(zip((process.pid for process in processes), programs, strict=True))
        while True:
            # Not only our own: process 1 of a container inherits whatever a health check leaves behind.
            pid, status = os.wait()
            if pid in names:
                code = os.waitstatus_to_exitcode(status)
                print(f"{names[pid].name} ended with code {code}: so does the rest", file=sys.stderr, flush=True)
                return code if code > 0 else 1
    except Stopped:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(processes)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what can be ended in good order. All the rest ends with process 1, which this is in a container."""
    told = []
    for process in processes:
        # Without CAP_KILL, even root may not tell another user's program to end.
        with contextlib.suppress(PermissionError):
            process.terminate()
            told.append(process)
    for process in told:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped
