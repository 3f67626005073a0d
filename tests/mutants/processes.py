"""Running the programs that do the work, so that an interruption leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Seconds that an interrupted program has to remove what it started.
CLEAN_UP = 120


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    code: int
    output: str


def run(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], timeout: int) -> Ended:
    """Run a program and return what it printed. Interrupted, or too slow, it may still clean up after itself."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C reaches this program alone, which passes it on once: a second one would break off the cleaning up.
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return Ended(-1, f"{_stop(process)}\nIt took more than {timeout} s.")
    except BaseException:
        _stop(process)
        raise
    return Ended(process.returncode, output)


def _stop(process: subprocess.Popen[str]) -> str:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=CLEAN_UP)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return output
