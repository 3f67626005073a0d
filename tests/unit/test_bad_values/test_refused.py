"""A wrong inventory is refused with one sentence that names variable, value and what is right, before anything changes.

Every wrong inventory of cases.yml is a host of its own in one run of playbooks/deploy.yml, and all of them are this
machine. Only the preflights run (they are tagged always), with --check as well, so that a wrong inventory that is not
refused deploys nothing. That they come before anything changes is shown on real hosts, by Molecule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .prepare import Case, make_folder, ports, read_cases, read_good
from .runs import (
    RELEASE,
    Inventory,
    Refused,
    check_refused,
    check_sentence,
    chosen_hosts,
    error_lines,
    group,
    run_checks,
)

CASES = read_cases("cases.yml")
GOOD = read_good("good.yml")


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inventory]:
    """Write the wrong inventories and the good ones, and make what they point to."""
    folder = tmp_path_factory.mktemp("inventories")
    make_folder(folder, RELEASE)
    with ports() as numbers:
        places = {"folder": folder, "release": RELEASE, **numbers}
        path = folder / "hosts.yml"
        servers = group(folder, places, GOOD["common"], GOOD["hosts"], CASES)
        path.write_text(yaml.safe_dump({"clearml_server": servers}))
        yield Inventory(path, places)


@pytest.fixture(scope="module")
def refused(request: pytest.FixtureRequest, inventory: Inventory) -> Refused:
    """Run the preflights over the inventories that the chosen tests are about, or over all."""
    return Refused(inventory, chosen_hosts(request))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.host)
def test_a_wrong_inventory_is_refused_with_one_sentence(refused: Refused, case: Case) -> None:
    check_refused(refused, case)


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
