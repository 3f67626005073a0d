"""Running and timing commands, for `make bench`."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from lab.commands.shell import ROOT

LAB = [sys.executable, str(ROOT / "lab" / "lab.py")]


def say(text: str) -> None:
    """Progress goes to standard error, so that --json stays clean."""
    print(text, file=sys.stderr, flush=True)


def call(*command: str, check: bool = True) -> str:
    """Run a command and return its output; show it only when it failed."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if check and result.returncode:
        say(result.stdout[-4000:] + result.stderr[-4000:])
        raise SystemExit(f"bench: {' '.join(command[:3])} ... failed with exit code {result.returncode}")
    return result.stdout


def timed(*command: str) -> tuple[float, str]:
    """Seconds that a command took, and its output."""
    start = time.monotonic()
    output = call(*command)
    return time.monotonic() - start, output


def changed(recap: str) -> int:
    """Number of changed tasks in Ansible's PLAY RECAP, of all hosts together."""
    found = re.findall(r"changed=(\d+)", recap[recap.rindex("PLAY RECAP") :])
    if not found:
        raise SystemExit("bench: the output of ansible-playbook has no PLAY RECAP")
    return sum(map(int, found))
