"""Small Python scripts that run inside a test host.

What they work on comes through standard input: a secret among their arguments would be seen in lists of processes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def command(host: str | None, script: str, user: str = "root") -> list[str]:
    """How to start a script on a host; no host means this machine."""
    where = ["docker", "exec", "--interactive", "--user", user, host] if host else []
    return [*where, "python3", "-c", script]


def run_python(host: str | None, script: str, data: Any, user: str = "root") -> Any:
    """Run a script that reads one line of JSON and prints JSON."""
    result = subprocess.run(
        command(host, script, user),
        input=json.dumps(data) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@contextmanager
def python_meanwhile(host: str | None, script: str, data: Any, user: str = "root") -> Iterator[dict[str, Any]]:
    """Run a script while the block runs. It ends with its standard input; what it printed is in the dictionary then."""
    process = subprocess.Popen(command(host, script, user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(data) + "\n")
    process.stdin.flush()
    printed: dict[str, Any] = {}
    try:
        yield printed
    finally:
        output, _ = process.communicate(timeout=30)
    printed.update(json.loads(output))
