"""`make acceptance`: the official SDK and agent against a server; without CONFIG, against a lab stack of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.commands.shell import ROOT, LabError, exit_with
from lab.stack import CLIENTS_PYTHON, running

NAME = "clearml-acceptance"
# What any server can be asked, and what only a stack that may be broken can.
ANY_SERVER, OWN_STACK = ROOT / "tests" / "acceptance", ROOT / "tests" / "lab"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return pytest's exit code, or 2 when there is no server to test."""
    parser = argparse.ArgumentParser(prog="make acceptance", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the clearml.conf of a user of the server")
    options, pytest = parser.parse_known_args(arguments)
    try:
        if options.config:
            return _test({"CLEARML_CONFIG_FILE": str(_existing(options.config))}, pytest, ANY_SERVER)
        with tempfile.TemporaryDirectory(prefix=f"{NAME}-client-") as folder:
            start = time.monotonic()
            with running(NAME) as stack:
                print(f"The stack is ready after {time.monotonic() - start:.0f} s", flush=True)
                return _test(stack.environment(Path(folder)), pytest, ANY_SERVER, OWN_STACK)
    except LabError as ex:
        print(ex, file=sys.stderr)
        return 2


def _existing(config: Path) -> Path:
    path = config.expanduser().resolve()
    if not path.is_file():
        raise LabError(f"CONFIG is {str(config)!r}, and there is no such file; it has to name a clearml.conf.")
    return path


def _test(server: Mapping[str, str], arguments: Sequence[str], *folders: Path) -> int:
    """Run the tests in folders, or those that the arguments name, against a server that variables lead to."""
    named = [argument for argument in arguments if Path(argument.partition("::")[0]).exists()]
    command = [str(CLIENTS_PYTHON), "-m", "pytest", "-c", str(ANY_SERVER / "pytest.ini"), f"--rootdir={ROOT}"]
    command += [*arguments, *([] if named else map(str, folders))]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **server}, check=False).returncode


if __name__ == "__main__":
    exit_with(main)
