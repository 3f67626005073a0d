"""No secret is anywhere but where it belongs, after all that the tests before did to the hosts."""

from __future__ import annotations

import pytest
import testinfra
import testinfra.host

from helpers.exposure import held_by, journal, readable_by_others
from helpers.fleet import HOST_12, HOST_13
from helpers.playbooks import EPHEMERAL


@pytest.fixture(params=[HOST_12, HOST_13])
def host(request: pytest.FixtureRequest) -> testinfra.host.Host:
    """Each of the agents' hosts."""
    return testinfra.get_host(f"docker://{request.param}")


def test_the_output_of_any_run(secrets: dict[str, str]) -> None:
    log = (EPHEMERAL / "ansible.log").read_text()
    assert "/etc/clearml-agent/small/clearml.conf" in log, "no run was as talkative as it can be"
    assert held_by(log, secrets) == []


def test_the_journal(host: testinfra.host.Host, secrets: dict[str, str]) -> None:
    """Agents write there what their tasks print."""
    text = journal(host)
    assert "agent.package_manager.type = pip" in text
    assert held_by(text, secrets) == []


def test_units(host: testinfra.host.Host, secrets: dict[str, str]) -> None:
    shown = host.check_output("systemctl show 'clearml-agent@*'; systemctl cat 'clearml-agent@*'")
    assert "/run_agent.py daemon --foreground" in shown
    assert held_by(shown, secrets) == []


def test_files_that_others_may_read(host: testinfra.host.Host, secrets: dict[str, str]) -> None:
    assert readable_by_others(host.backend.name, secrets) == []
