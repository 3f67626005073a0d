"""One run of a playbook's preflights over many inventories, each a host of its own, and what was said about each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .prepare import Case, fill_in, make_shell

ROOT = Path(__file__).resolve().parents[3]
RELEASE = yaml.safe_load((ROOT / "roles" / "clearml_server" / "defaults" / "main.yml").read_text())[
    "clearml_server_release"
]
# All hosts are this machine.
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
# What only a program's author understands.
JARGON = re.compile(r"Traceback|Error while|object has no|NoneType|AnsibleUndefined|<class|\{\{")


def run_checks(
    inventory: Path, *arguments: str, playbook: str = "deploy.yml", check_mode: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run what a playbook looks at before it changes anything."""
    program = Path(sys.executable).parent / "ansible-playbook"
    mode = ["--check"] if check_mode else []
    return subprocess.run(
        [program, "-i", inventory, f"playbooks/{playbook}", *mode, "--tags", "always", *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": os.fspath(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass(frozen=True)
class Inventory:
    """All inventories in one file, each a host; and what stands for the places that they name."""

    path: Path
    places: dict[str, Any]


def group(
    folder: Path, places: dict[str, Any], common: Mapping[str, Any], hosts: Mapping[str, Any], cases: Iterable[Case]
) -> dict[str, Any]:
    """Return a group of an inventory: hosts that must pass, and a host for each case."""
    docker = {case.host: case.docker for case in cases}
    everything = {**hosts, **{case.host: case.variables for case in cases}}
    return {
        "vars": {**fill_in(dict(common), places), **LOCAL},
        "hosts": {
            host: {
                **fill_in(variables, places),
                "ansible_shell_executable": os.fspath(make_shell(folder, host, docker.get(host, {}))),
            }
            for host, variables in everything.items()
        },
    }


class Refused:
    """One run over many inventories: what was said about each, and what changed."""

    def __init__(
        self, inventory: Inventory, hosts: list[str], playbook: str = "deploy.yml", *, check_mode: bool = True
    ) -> None:
        limit = ["--limit", ",".join(["localhost", *hosts])] if hosts else []
        run = run_checks(
            inventory.path,
            "--forks",
            "4",
            *limit,
            playbook=playbook,
            check_mode=check_mode,
            ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
        )
        self.output = run.stdout + run.stderr
        assert "{" in run.stdout, self.output
        # The times of the tasks follow.
        report, _ = json.JSONDecoder().raw_decode(run.stdout[run.stdout.index("{") :])
        self.places = inventory.places
        self.stats: dict[str, dict[str, int]] = report["stats"]
        self.failures: dict[str, list[str]] = {}
        for play in report["plays"]:
            for task in play["tasks"]:
                for host, result in task["hosts"].items():
                    for part in result.get("results", [result]):
                        if part.get("failed") and part.get("failed_when_result") is not False:
                            self.failures.setdefault(host, []).append(part["msg"])


def chosen_hosts(request: pytest.FixtureRequest) -> list[str]:
    """Return the hosts that the chosen tests of a module are about (pytest -k), or none when one is about all."""
    hosts: list[str] = []
    for item in request.session.items:
        if not isinstance(item, pytest.Function) or item.module is not request.module:
            continue
        values = item.callspec.params if hasattr(item, "callspec") else {}
        case = values.get("case")
        if isinstance(case, Case):
            hosts.append(case.host)
        elif "host" in values:
            hosts.append(str(values["host"]))
        elif "refused" in item.fixturenames:
            return []
    return hosts


def check_sentence(sentence: str, case: Case, places: dict[str, Any]) -> None:
    """Fail unless it says what is wanted, and says it in one sentence."""
    for word in fill_in(case.says, places):
        assert word in sentence
    assert not JARGON.search(sentence), sentence
    assert sentence == sentence.strip() and "\n" not in sentence
    assert sentence.endswith((".", "?"))
    # A second sentence would begin with its variable.
    assert not re.search(r"[.?] (clearml|host|docker)_\w+", sentence), sentence


def check_refused(refused: Refused, case: Case) -> None:
    """Fail unless a wrong inventory was refused, with one right sentence."""
    if case.absent and Path(case.absent).exists():
        pytest.skip(f"this machine has {case.absent}, so the inventory is right")
    failures = refused.failures.get(case.host, [])
    assert len(failures) == 1, failures
    check_sentence(failures[0], case, refused.places)
    assert refused.stats[case.host]["failures"] == 1


def error_lines(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the terminal shows as an error."""
    assert "Traceback" not in run.stdout + run.stderr
    return re.findall(r"^\[ERROR\]: (.*)$", run.stdout + run.stderr, re.MULTILINE)
