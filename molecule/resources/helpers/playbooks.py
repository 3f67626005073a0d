"""Running playbooks from a test, and what the runs so far changed (the callback record_runs writes it down)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.expected import ROOT

# Where Molecule and its playbooks keep what belongs to the hosts of the scenario.
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@dataclass(frozen=True)
class Run:
    """One run of ansible-playbook."""

    playbook: str
    check: bool
    started: float
    ended: float
    tasks: int
    # The number of the first task that changed something; 0 if none did.
    first_change: int
    changed: list[str]
    failed: list[str]


def runs(playbook: str) -> list[Run]:
    """All runs of a playbook so far on the hosts of this scenario, oldest first."""
    recorded = EPHEMERAL / "runs.jsonl"
    lines = recorded.read_text().splitlines() if recorded.exists() else []
    return [run for run in (Run(**json.loads(line)) for line in lines) if run.playbook == playbook]


def command(playbook: str, *arguments: str) -> list[str]:
    """How to run a playbook of this repository on the scenario's hosts."""
    return ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], playbook, *arguments]


def ansible_playbook(playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook, with its whole output kept."""
    return subprocess.run(
        command(playbook, *arguments),
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def deploy(*arguments: str) -> Run:
    """Run playbooks/deploy.yml, as talkative as it can be, and say what it changed; a failed run fails the test."""
    result = ansible_playbook("playbooks/deploy.yml", "--diff", "-vvv", *arguments)
    assert result.returncode == 0, result.stdout[-5000:]
    return runs("deploy.yml")[-1]


def edited(host: str, **variables: Any) -> str:
    """Edit the inventory: a host's variables, over those that it has; return the argument for further runs."""
    folder = EPHEMERAL / "edited"
    (folder / "host_vars").mkdir(parents=True, exist_ok=True)
    (folder / "hosts.yml").write_text("all: {}\n")
    (folder / "host_vars" / f"{host}.yml").write_text(json.dumps(variables))
    return f"--inventory={folder}"


def killed(playbook: str, task: int, delay: float, *arguments: str) -> str:
    """Run a playbook that is killed some time after the beginning of a task; return what it printed until then."""
    # To a file: what survives the run, such as SSH's shared connection, would keep a pipe open.
    output = EPHEMERAL / "killed.log"
    plugins = f"{os.environ['ANSIBLE_CALLBACKS_ENABLED']},kill_run"
    settings = {"ANSIBLE_CALLBACKS_ENABLED": plugins, "KILL_RUN_TASK": str(task), "KILL_RUN_DELAY": str(delay)}
    with output.open("w") as file:
        result = subprocess.run(
            command(playbook, *arguments),
            cwd=ROOT,
            env={**os.environ, **settings, "ANSIBLE_FORCE_COLOR": "0"},
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
            start_new_session=True,
        )
    assert result.returncode == -signal.SIGKILL, output.read_text()[-5000:]
    return output.read_text()
