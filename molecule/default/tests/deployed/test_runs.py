"""What Ansible's runs changed: the first everything, the second nothing; and a check after them announces nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from helpers.containers import Inspected
from helpers.expected import NAMES
from helpers.playbooks import runs


def test_the_second_run_changed_nothing() -> None:
    first, *later = [run for run in runs("converge.yml") if not run.check]
    assert first.changed
    assert later, "run `molecule idempotence` first"
    assert [run.changed for run in later] == [[] for _ in later]


def test_a_check_announces_nothing() -> None:
    real, last = [run for run in runs("converge.yml") if not run.check][-1], runs("converge.yml")[-1]
    assert last.check and last.started > real.ended, "run `molecule check` first"
    assert last.changed == []
    assert last.failed == []


@pytest.mark.parametrize("name", NAMES)
def test_no_container_was_touched_by_the_second_run(containers: Inspected, name: str) -> None:
    _, second, *_ = [run for run in runs("converge.yml") if not run.check]
    container = containers[name]
    assert datetime.fromisoformat(container["Created"][:19] + "+00:00").timestamp() < second.started
    assert datetime.fromisoformat(container["State"]["StartedAt"][:19] + "+00:00").timestamp() < second.started
    assert container["RestartCount"] == 0
