"""A wrong inventory is refused with one sentence that names variable, value and what is right, before anything changes.

Every wrong inventory of cases.yml is a host of its own in one run of playbooks/deploy.yml, and all of them are this
machine. Only the preflights run (they are tagged always), with --check as well, so that a wrong inventory that is not
refused deploys nothing. That they come before anything changes is shown on real hosts, by Molecule.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .prepare import Case, fill_in, make_folder, make_shell, ports, read_cases, read_good

ROOT = Path(__file__).resolve().parents[3]
CASES = read_cases()
GOOD = read_good()
RELEASE = yaml.safe_load((ROOT / "roles" / "clearml_server" / "defaults" / "main.yml").read_text())[
    "clearml_server_release"
]
# What only a program's author understands.
JARGON = re.compile(r"Traceback|Error while|object has no|NoneType|AnsibleUndefined|<class|\{\{")


def run_checks(
    inventory: Path, *arguments: str, playbook: str = "deploy.yml", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run what a playbook looks at before it changes anything."""
    program = Path(sys.executable).parent / "ansible-playbook"
    return subprocess.run(
        [program, "-i", inventory, f"playbooks/{playbook}", "--check", "--tags", "always", *arguments],
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


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inventory]:
    """Write the wrong inventories and the good ones, and make what they point to."""
    folder = tmp_path_factory.mktemp("inventories")
    make_folder(folder, RELEASE)
    hosts = {**GOOD["hosts"], **{case.host: case.variables for case in CASES}}
    docker = {case.host: case.docker for case in CASES}
    with ports() as numbers:
        places = {"folder": folder, "release": RELEASE, **numbers}
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
        }
        group = {
            "vars": {**fill_in(GOOD["common"], places), **local},
            "hosts": {
                host: {
                    **fill_in(variables, places),
                    "ansible_shell_executable": os.fspath(make_shell(folder, host, docker.get(host, {}))),
                }
                for host, variables in hosts.items()
            },
        }
        path = folder / "hosts.yml"
        path.write_text(yaml.safe_dump({"clearml_server": group}))
        yield Inventory(path, places)


class Refused:
    """One run over many inventories: what was said about each, and what changed."""

    def __init__(self, inventory: Inventory, hosts: list[str]) -> None:
        limit = ["--limit", ",".join(hosts)] if hosts else []
        run = run_checks(inventory.path, "--forks", "4", *limit, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
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


@pytest.fixture(scope="module")
def refused(request: pytest.FixtureRequest, inventory: Inventory) -> Refused:
    """Run the preflights over the inventories that the chosen tests are about (pytest -k), or over all."""
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
            return Refused(inventory, [])
    return Refused(inventory, hosts)


def check_sentence(sentence: str, case: Case, places: dict[str, Any]) -> None:
    """Fail unless it says what is wanted, and says it in one sentence."""
    for word in fill_in(case.says, places):
        assert word in sentence
    assert not JARGON.search(sentence), sentence
    assert sentence == sentence.strip() and "\n" not in sentence
    assert sentence.endswith((".", "?"))
    # A second sentence would begin with its variable.
    assert not re.search(r"[.?] (clearml|host|docker)_\w+", sentence), sentence


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.host)
def test_a_wrong_inventory_is_refused_with_one_sentence(refused: Refused, case: Case) -> None:
    failures = refused.failures.get(case.host, [])
    assert len(failures) == 1, failures
    check_sentence(failures[0], case, refused.places)
    assert refused.stats[case.host]["failures"] == 1


@pytest.mark.parametrize("host", GOOD["hosts"])
def test_right_values_are_accepted(refused: Refused, host: str) -> None:
    assert refused.failures.get(host, []) == []
    assert refused.stats[host]["failures"] == 0


def test_nothing_changed(refused: Refused) -> None:
    assert {case.host: refused.stats[case.host]["changed"] for case in CASES} == {case.host: 0 for case in CASES}
    assert list((refused.places["folder"] / "empty").iterdir()) == []


def test_no_secret_is_printed(refused: Refused) -> None:
    secrets = [secret for case in CASES for secret in case.hides]
    assert len(secrets) > 15
    assert [secret for secret in secrets if secret in refused.output] == []
    assert re.search(r"Hidden2[1-4]Hidden", refused.output) is None


# -- as an operator sees it


def error_lines(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the terminal shows as an error."""
    assert "Traceback" not in run.stdout + run.stderr
    return re.findall(r"^\[ERROR\]: (.*)$", run.stdout + run.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["misspelled variable", "public host from a variable that is not there", "password with a number sign"]
)
def test_the_terminal_shows_the_sentence_and_no_more(inventory: Inventory, name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    run = run_checks(inventory.path, "--limit", case.host)
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    check_sentence(line.removeprefix("Task failed: Action failed: "), case, inventory.places)
    assert "changed=0" in run.stdout


def test_a_value_on_the_command_line_is_refused(inventory: Inventory) -> None:
    run = run_checks(inventory.path, "--limit", "everything-as-it-comes", "-e", "clearml_server_web_port=http")
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert "clearml_server_web_port is http: it must be a port, a whole number from 1 to 65535." in line


@pytest.mark.parametrize(
    ("playbook", "text", "groups"),
    [
        ("deploy.yml", "clearml_servers: {hosts: {somewhere: }}", "clearml_servers"),
        ("deploy.yml", "clearml_server: {hosts: {}}", "none"),
        ("deploy.yml", "all: {hosts: {somewhere: }}", "ungrouped"),
        ("verify.yml", "", "none"),
    ],
    ids=["another-group", "empty-group", "no-group", "empty"],
)
def test_an_inventory_without_a_server_is_refused(tmp_path: Path, playbook: str, text: str, groups: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(text)
    run = run_checks(file, playbook=playbook)
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert str(file) in line
    assert "no host in the group clearml_server" in line
    assert f"groups with hosts: {groups}" in line
    assert "inventory/example/hosts.yml" in line


def test_a_vault_without_its_password_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(
        "clearml_server: {hosts: {locked: {ansible_connection: local, ansible_become: false, clearml_server_secrets: "
        '{token_secret: !vault "$ANSIBLE_VAULT;1.1;AES256\\n6162"}}}}\n'
    )
    run = run_checks(file)
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert "clearml_server_secrets cannot be decrypted" in line
    assert "--vault-password-file" in line
