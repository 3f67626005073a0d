"""Running tests in a copy of the repository, and what their failure tells of the fault in it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lab.stack import CLIENTS_PYTHON, running

from tests.mutants import processes, record_failure
from tests.mutants.verdict import Outcome, Verdict, last_lines

# Seconds for one run of pytest.
TIMEOUT = 900
# The stack's name here, so that `make stack` may run at the same time.
STACK = {"CLEARML_STACK_TEST_PROJECT": "clearml-mutants-stack"}
LAB_STACK = "clearml-mutants-lab"


class Suite(Protocol):
    """A layer of tests that is ready to judge the copy as it is."""

    def judge(self, tests: Sequence[str], runs: Sequence[str]) -> Verdict:
        """Run what has to run, and the tests after that."""


class LocalSuite:
    """Tests that start what they need themselves: those of the plugins, and of the Compose files."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.environment = environment(copy) | STACK

    def judge(self, tests: Sequence[str], runs: Sequence[str]) -> Verdict:
        """Run the tests."""
        return run_pytest(self.copy, self.environment, tests)


class ClientsSuite(LocalSuite):
    """Tests of the official clients, and of what is built on them, against a lab stack."""

    def __init__(self, copy: Path, server: Mapping[str, str]) -> None:
        super().__init__(copy)
        self.environment |= server

    def judge(self, tests: Sequence[str], runs: Sequence[str]) -> Verdict:
        """Run the tests with the clients' packages."""
        options = ["-c", f"{self.copy}/tests/acceptance/pytest.ini", f"--rootdir={self.copy}"]
        return run_pytest(self.copy, self.environment, tests, *options, python=str(CLIENTS_PYTHON))


@contextmanager
def clients(copy: Path) -> Iterator[ClientsSuite]:
    """A suite with a lab stack, which no fault touches."""
    with tempfile.TemporaryDirectory(prefix="clearml-mutants-clients-") as folder, running(LAB_STACK) as stack:
        yield ClientsSuite(copy, stack.environment(Path(folder)))


@contextmanager
def local(copy: Path) -> Iterator[LocalSuite]:
    """A suite that needs no preparation."""
    yield LocalSuite(copy)


def environment(copy: Path) -> dict[str, str]:
    """The environment of everything that runs in the copy."""
    return {
        **os.environ,
        "PATH": f"{copy}/.venv/bin:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(copy / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # Bytecode goes by a file's size and the second of its change; a fault may change neither.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_pytest(
    copy: Path, environment: dict[str, str], tests: Sequence[str], *options: str, python: str = sys.executable
) -> Verdict:
    """Run tests in the copy, up to the first that fails."""
    with tempfile.TemporaryDirectory(prefix="clearml-mutants-") as folder:
        failure = Path(folder) / "failure.json"
        command = [python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
        command += ["-p", record_failure.__name__, *options, *tests]
        variables = {**environment, record_failure.VARIABLE: str(failure)}
        ended = processes.run(command, copy, variables, TIMEOUT)
        if ended.code == 0:
            return Verdict(Outcome.SURVIVED)
        if ended.code != 1 or not failure.exists():
            return Verdict(Outcome.UNCLEAR, f"pytest ended with exit code {ended.code}", last_lines(ended.output))
        found = json.loads(failure.read_text(encoding="utf-8"))
    if found["assertion"]:
        return Verdict(Outcome.CAUGHT, found["test"], found["message"])
    return Verdict(Outcome.UNCLEAR, f"{found['test']} stumbled", last_lines(found["detail"]))
