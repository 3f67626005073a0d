"""Asked for Compose v2, which the distribution does not have, the role says what to set, before it changed anything."""

from __future__ import annotations

import testinfra.host

from helpers.playbooks import ansible_playbook, runs


def test_the_message_names_the_variable(host: testinfra.host.Host) -> None:
    result = ansible_playbook("molecule/debian12/refused.yml")
    assert result.returncode != 0
    message = " ".join(result.stdout.partition("fatal:")[2].split())
    assert "docker_source is distribution" in message
    assert "set docker_source to docker" in message


def test_nothing_was_changed(host: testinfra.host.Host) -> None:
    refused = runs("refused.yml")[-1]
    assert refused.failed and not refused.changed
    assert not host.exists("dockerd")
