"""The programs of the web server's container: all run, or none does. Real processes, in a real process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parents[3] / "lab" / "server"
# Each program says where it is, and then runs as its lines say.
SUPERVISE = """
import sys
from clearml_lab.webserver.supervisor import Program, run
commands = [[sys.executable, "-c", text] if text else ["/missing"] for text in sys.argv[1:]]
programs = [Program(command[-1], command) for command in commands]
sys.exit(run(*programs))
"""
# One write, so that two programs do not share a line.
SAY = "import os, signal; os.write(1, b'%d\\n' % os.getpid())"
SERVE = f"{SAY}; signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVE}"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that supervises programs."""
    started: list[subprocess.Popen[str]] = []

    def supervise(*programs: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, *programs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SERVER)},
            start_new_session=True,
        )
        started.append(process)
        return process

    yield supervise
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def pids(process: subprocess.Popen[str], count: int) -> list[int]:
    assert process.stdout
    return [int(process.stdout.readline()) for _ in range(count)]


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_when_one_is_killed_the_others_end(start: Start) -> None:
    process = start(SERVE, SERVE)
    first, second = pids(process, 2)
    os.kill(first, signal.SIGKILL)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "ended with code -9: so does the rest" in errors
    assert not is_there(second)


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (3, 3)])
def test_any_end_of_one_is_a_failure(start: Start, code: int, expected: int) -> None:
    process = start(SERVE, f"input(); raise SystemExit({code})")
    (other,) = pids(process, 1)
    process.communicate("\n", timeout=10)
    assert process.returncode == expected
    assert not is_there(other)


def test_stopping_ends_all_at_once_and_is_no_failure(start: Start) -> None:
    process = start(SERVE, SERVE)
    both = pids(process, 2)
    process.terminate()
    _, errors = process.communicate(timeout=4)  # the patience with programs that do not end is longer
    assert (process.returncode, errors) == (0, "")
    assert not any(map(is_there, both))


def test_what_does_not_end_is_killed(start: Start) -> None:
    process = start(STUBBORN, SERVE)
    both = pids(process, 2)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not any(map(is_there, both))


def test_a_program_that_cannot_be_started_leaves_none_behind(start: Start) -> None:
    process = start(SERVE, "")
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "/missing" in errors
    assert not any(is_there(int(pid)) for pid in output.split())
