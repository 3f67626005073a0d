"""A run with --check on a bare host: it works, announces what it would do, and changes nothing."""

from __future__ import annotations

import testinfra.host

from helpers.bare import changes
from helpers.playbooks import runs


def test_the_check_announced_changes() -> None:
    """Otherwise it looked at nothing, and that nothing changed would prove nothing."""
    checks = [run for run in runs("converge.yml") if run.check]
    assert checks, "run `molecule check` first"
    assert not checks[-1].failed
    assert checks[-1].changed


def test_the_check_changed_nothing(host: testinfra.host.Host) -> None:
    difference = changes(host)
    assert not difference, "\n".join(difference[:50])


def test_docker_is_still_absent(host: testinfra.host.Host) -> None:
    assert not host.exists("docker")
    assert not host.exists("dockerd")
