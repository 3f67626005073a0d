"""playbooks/verify.yml: exits with 0 when all is well, and otherwise says what is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import testinfra.host

from helpers.containers import wait_until_well
from helpers.playbooks import ansible_playbook, runs


def test_all_is_well() -> None:
    result = ansible_playbook("playbooks/verify.yml")
    assert result.returncode == 0, result.stdout[-3000:]
    assert runs("verify.yml")[-1].changed == []


@pytest.fixture
def stopped(host: testinfra.host.Host) -> Iterator[list[str]]:
    """Two containers that somebody stopped, one with and one without a health check; they are started again."""
    names = ["clearml-webserver", "clearml-async-delete"]
    host.check_output("docker stop --time 2 %s %s", *names)
    yield names
    host.check_output("docker start %s %s", *names)
    wait_until_well(host)


def test_what_is_down_is_named(stopped: list[str]) -> None:
    result = ansible_playbook("playbooks/verify.yml")
    assert result.returncode != 0
    message = " ".join(result.stdout.partition("fatal:")[2].split())
    for name in stopped:
        assert re.search(rf"{name} is exited", message), message
    assert "clearml-mongo is" not in message
