"""Running commands, waiting, and telling the person at the keyboard about it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


class LabError(Exception):
    """Something that the lab cannot do; its text is the whole message."""


def run(*command: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output; a failure shows the command and the end of what it printed."""
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )
    if check and result.returncode:
        output = last_lines(result.stdout + result.stderr)
        raise LabError(f"{' '.join(command)} ended with exit code {result.returncode}:\n{output}")
    return result.stdout.strip()


def succeeds(*command: str) -> bool:
    """Whether a command ends with exit code 0."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def last_lines(text: str, count: int = 20) -> str:
    """The end of a long text."""
    return "\n".join(text.strip().splitlines()[-count:])


def tail(log: Path) -> str:
    """The end of a log file."""
    return last_lines(log.read_text(errors="replace")) if log.exists() else "(there is no such file)"


def wait_for(what: str, condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    """Wait until a condition holds, or say after the deadline what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not come within {seconds:.0f} s. {explain()}".strip())
        time.sleep(0.3)


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a command to its end, or to a signal; either way, whatever it cleans up is cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what a long step does, and how long it took."""
    print(f"{title} ...", flush=True)
    start = time.monotonic()
    yield
    print(f"{title}: done in {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def alone(part: str) -> Iterator[None]:
    """Let one lab command at a time change a part of the lab."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{part}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another lab command is at work on the {part}: waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt_install(*packages: str) -> None:
    """Install packages of the distribution on this machine."""
    names = " and ".join(packages)
    if shutil.which("apt-get") is None:
        raise LabError(f"The lab needs {names}, and this machine has no apt-get: install by hand, then start again.")
    if os.geteuid() != 0:
        raise LabError(f"The lab needs {names}: install with `sudo apt-get install {' '.join(packages)}`.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {names} on this machine"):
        run("apt-get", "update", "-qq", environment=environment)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, environment=environment)
