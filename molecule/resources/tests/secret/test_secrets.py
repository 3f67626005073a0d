"""No secret is anywhere but where it belongs, after all that the tests before did to the host.

The inventory's own secrets are looked for, and those that were made on the host. What lists of processes showed is
looked at where the runs are made (tests/interrupted, tests/changed).
"""

from __future__ import annotations

import pytest
import testinfra.host

from helpers.exposure import (
    READABLE,
    container_logs,
    given_secrets,
    held_by,
    journal,
    readable_by_others,
    told_by_the_engine,
)
from helpers.playbooks import EPHEMERAL
from helpers.variables import Variables


@pytest.fixture
def everything(secrets: dict[str, str], variables: Variables) -> dict[str, str]:
    """All secrets there are."""
    return {**secrets, **given_secrets(variables)}


def test_the_output_of_any_run(everything: dict[str, str]) -> None:
    """All runs on this host so far, those with --diff and -vvv among them."""
    log = (EPHEMERAL / "ansible.log").read_text()
    assert "PLAY RECAP" in log and "/secrets.yml" in log, "the log is not complete"
    assert "module_args" in log, "no run was as talkative as it can be"
    assert held_by(log, everything) == []


def test_the_journal(host: testinfra.host.Host, everything: dict[str, str]) -> None:
    assert held_by(journal(host), everything) == []


def test_the_logs_of_containers(host: testinfra.host.Host, variables: Variables, everything: dict[str, str]) -> None:
    """What they print, and the files that the services write."""
    logs = container_logs(host) + host.check_output("cat %s/logs/*.log", variables["clearml_server_data_root"])
    assert len(logs) > 1000, "the logs are not complete"
    assert held_by(logs, everything) == []


def test_what_the_engine_tells(host: testinfra.host.Host, everything: dict[str, str]) -> None:
    assert held_by(told_by_the_engine(host), everything) == []


def test_files_that_others_may_read(
    host: testinfra.host.Host, variables: Variables, everything: dict[str, str]
) -> None:
    roots = (variables["clearml_server_data_root"], *READABLE)
    assert readable_by_others(host.backend.name, everything, roots) == []
