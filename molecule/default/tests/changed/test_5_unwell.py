"""A deploy does not end well before every service is healthy."""

from __future__ import annotations

import testinfra.host

from helpers.containers import wait_until_well
from helpers.playbooks import ansible_playbook


def test_a_service_that_is_not_healthy_in_time_fails_the_run(host: testinfra.host.Host) -> None:
    """The web server was stopped, and a second is too short for its first health check."""
    host.check_output("docker stop --time 2 clearml-webserver")
    result = ansible_playbook("playbooks/deploy.yml", "--extra-vars", "clearml_server_start_timeout=1")
    wait_until_well(host)
    assert result.returncode == 2
    assert "clearml-webserver is starting" in result.stdout
