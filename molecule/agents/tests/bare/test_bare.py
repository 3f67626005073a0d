"""A run with --check on bare hosts: it works, announces what it would do, and changes nothing."""

from __future__ import annotations

import pytest
import testinfra

from helpers.bare import changes
from helpers.playbooks import runs


@pytest.mark.parametrize("name", ["molecule-agents-12", "molecule-agents-13"])
def test_the_check_announced_changes_and_made_none(name: str) -> None:
    checks = [run for run in runs("converge.yml") if run.check]
    assert checks, "run `molecule check` first"
    assert not checks[-1].failed
    assert f"{name}: clearml_agent : Write what agents and systemd read" in checks[-1].changed
    difference = changes(testinfra.get_host(f"docker://{name}"))
    assert not difference, "\n".join(difference[:50])
