"""Log in to the server, and write clearml.conf, which the SDK reads.

  init_clearml.py --api-host http://clearml.example.com:8008 --username anna
  init_clearml.py --api-host http://clearml.example.com:8008 --access-key KEY --secret-key SECRET
  init_clearml.py --from /opt/clearml/client       what Ansible left on the server's host
  init_clearml.py --check                          test what is in force, change nothing

Values come from the options, then from the environment (CLEARML_API_HOST, CLEARML_WEB_HOST, CLEARML_FILES_HOST,
CLEARML_API_ACCESS_KEY, CLEARML_API_SECRET_KEY), then from the file that Ansible left. Other settings of a file that is
there are kept, and the file as it was is kept beside it. Without any values this prints how to get them.

Exit codes: 0 done, 1 this machine's fault (clock, disk), 2 wrong input, 3 the server's fault, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clearml_platform import connect
from clearml_platform.command import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    return run(_command, arguments)


def _command(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    return connect.command(
        {name: getattr(options, name) for name in connect.VARIABLES},
        username=options.username,
        left=options.left,
        output=options.output,
        only_check=options.check,
        as_json=options.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_argument_group("where the server is")
    where.add_argument("--api-host", metavar="URL", help="address of the API, such as http://clearml.example.com:8008")
    where.add_argument("--web-host", metavar="URL", help="address of the web application (default: from --api-host)")
    where.add_argument("--files-host", metavar="URL", help="address of the fileserver (default: from --api-host)")
    who = parser.add_argument_group("who logs in")
    who.add_argument("--access-key", metavar="KEY")
    who.add_argument("--secret-key", metavar="SECRET", help="better in CLEARML_API_SECRET_KEY: commands can be listed")
    who.add_argument(
        "--username",
        metavar="NAME",
        help=f"make a key of your own; the password is asked for, or in {connect.PASSWORD}",
    )
    who.add_argument(
        "--from",
        dest="left",
        type=Path,
        metavar="PATH",
        help=f"credentials.json or clearml.conf that Ansible left, or its folder (default: {connect.LEFT_BY_ANSIBLE})",
    )
    parser.add_argument("--check", action="store_true", help="only test what is in force")
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default: CLEARML_CONFIG_FILE, or ~/clearml.conf)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
