"""What became of a host since it was bare (prepare.yml listed it then)."""

from __future__ import annotations

import difflib

import testinfra.host

from helpers.expected import ROOT
from helpers.playbooks import EPHEMERAL


def changes(host: testinfra.host.Host) -> list[str]:
    """Each line of the list of what a run could change that is other than on the bare host."""
    before = (EPHEMERAL / f"bare-{host.backend.name}.txt").read_text().splitlines()
    assert len(before) > 1000, "the list of the bare host is not complete"
    script = (ROOT / "molecule" / "resources" / "scripts" / "list-host.sh").read_text()
    after = host.check_output("sh -c %s", script).splitlines()
    return list(difflib.unified_diff(before, after, "before", "after", n=0, lineterm=""))
