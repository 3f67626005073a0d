"""A host of the lab on which playbooks with a fault run, and Molecule's tests look at what they left."""

from __future__ import annotations

import re
import string
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.mutants import processes
from tests.mutants.suites import environment, run_pytest
from tests.mutants.verdict import Outcome, Verdict, last_lines

NAME = "clearml-mutants"
# Stands for itself among the tests of a fault: the run that must fail.
DEPLOY = "playbooks/deploy.yml"
USER = "deployer"
INVENTORY = {
    "clearml_server": {
        "hosts": {
            NAME: {
                "ansible_connection": "community.docker.docker",
                # Somebody who has to use sudo, so that a missing become is found.
                "ansible_user": USER,
                # What is healthy is soon seen to be, and what does not come up is given up sooner than in production.
                "clearml_server_health_interval": "2s",
                "clearml_server_health_retries": 60,
                "clearml_server_health_start_period": "1s",
                "clearml_server_apiserver_start_period": "1s",
                "clearml_server_start_timeout": 240,
            }
        }
    }
}
MAKE_USER = f"""
useradd --create-home {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
"""
# Everything that a deploy makes, but for the engine and the images. The journal goes as well: secrets of an earlier
# fault are in it.
WIPE = """
if command -v docker >/dev/null; then
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
    docker volume ls --quiet | xargs --no-run-if-empty docker volume rm --force >/dev/null
    docker network prune --force >/dev/null
fi
rm -rf /opt/clearml /srv/clearml
journalctl --quiet --rotate
journalctl --quiet --vacuum-time=1s
"""
# Seconds for one run of a playbook.
TIMEOUT = 900
# A task that refused or failed; a template that cannot be rendered is a slip of the pen.
REFUSED = re.compile(r"^\[ERROR\]: Task failed: (Action|Module) failed", re.MULTILINE)


class HostError(Exception):
    """The host itself is not as it should be."""


class Host:
    """The host, and the directory in which Molecule's helpers and callback keep what belongs to it."""

    def __init__(self, copy: Path, ephemeral: Path) -> None:
        self.copy = copy
        self.ephemeral = ephemeral
        self.inventory = ephemeral / "inventory.yml"
        self.inventory.write_text(yaml.safe_dump(INVENTORY))
        self.environment = environment(copy) | self._as_molecule()

    def _as_molecule(self) -> dict[str, str]:
        # From Molecule's own configuration, so that tests find here what they find there.
        config = yaml.safe_load((self.copy / ".config" / "molecule" / "config.yml").read_text())
        own = {
            "MOLECULE_PROJECT_DIRECTORY": str(self.copy),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self.ephemeral),
            "MOLECULE_INVENTORY_FILE": str(self.inventory),
        }
        chosen: Mapping[str, str] = config["ansible"]["env"] | config["verifier"]["env"]
        return own | {name: string.Template(value).substitute(own) for name, value in chosen.items()}

    def lab(self, *arguments: str) -> None:
        """Run one of the lab's verbs."""
        self._must_end_well(["python3", "lab/lab.py", *arguments])

    def _must_end_well(self, command: Sequence[str]) -> None:
        ended = processes.run(command, self.copy, self.environment, TIMEOUT)
        if ended.code:
            raise HostError(f"{' '.join(command)[:80]} ended with code {ended.code}:\n{last_lines(ended.output)}")

    def boot(self) -> None:
        """Make the host anew."""
        self.lab("host", "down", NAME)
        self.lab("host", "up", NAME)
        self.inside(MAKE_USER)
        ended = self._playbook(
            "molecule/resources/prepare.yml", "--extra-vars", f"molecule_ephemeral_directory={self.ephemeral}"
        )
        if ended.code:
            raise HostError(f"The host {NAME} cannot be prepared:\n{last_lines(ended.output)}")

    def inside(self, script: str) -> None:
        """Run a script on the host."""
        self._must_end_well(["docker", "exec", NAME, "sh", "-euc", script])

    def judge(self, tests: Sequence[str], runs: Sequence[str]) -> Verdict:
        """Run the playbooks on a host without a platform, and the tests after that."""
        if runs[0] == "bare":
            self.boot()
        else:
            self.inside(WIPE)
        for name in ("runs.jsonl", "ansible.log"):
            (self.ephemeral / name).unlink(missing_ok=True)
        for run in runs:
            if run == "bare":
                continue
            ended = self._playbook("molecule/resources/converge.yml", *(["--check"] if run == "check" else []))
            if ended.code:
                return self._failed(ended, expected=DEPLOY in tests)
        tests = [test for test in tests if test != DEPLOY]
        if not tests:
            return Verdict(Outcome.SURVIVED)
        return run_pytest(self.copy, self.environment, tests, f"--hosts=docker://{NAME}")

    def _failed(self, ended: processes.Ended, *, expected: bool) -> Verdict:
        """Judge a deploy that failed. Only where it is expected to, or a slow machine would pass for a good test."""
        task = (re.findall(r"^TASK \[(.*?)\]", ended.output, re.MULTILINE) or ["no task ran"])[-1]
        refused = ended.code == 2 and REFUSED.search(ended.output)
        outcome = Outcome.CAUGHT if expected and refused else Outcome.UNCLEAR
        return Verdict(outcome, f"{DEPLOY}: {task}", last_lines(ended.output))

    def _playbook(self, playbook: str, *arguments: str) -> processes.Ended:
        command = ["ansible-playbook", "--inventory", str(self.inventory), playbook, *arguments]
        return processes.run(command, self.copy, self.environment, TIMEOUT)


@contextmanager
def host(copy: Path) -> Iterator[Host]:
    """A host that lasts as long as the block."""
    with tempfile.TemporaryDirectory(prefix="clearml-mutants-") as folder:
        running = Host(copy, Path(folder))
        try:
            running.boot()
            yield running
        finally:
            running.lab("host", "down", NAME)
