"""``init``: log in, and write clearml.conf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearml_platform import connect
from clearml_platform.cli.options import Json


def init(
    api_host: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the API, such as http://clearml.example.com:8008.")
    ] = None,
    web_host: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the web application (default: from --api-host).")
    ] = None,
    files_host: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the fileserver (default: from --api-host).")
    ] = None,
    access_key: Annotated[str | None, typer.Option(metavar="KEY", help="The key.")] = None,
    secret_key: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="Its secret; better in CLEARML_API_SECRET_KEY: commands can be listed."),
    ] = None,
    username: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Make a key of your own; the password is asked for, or in {connect.PASSWORD}."
        ),
    ] = None,
    left: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help=f"credentials.json or clearml.conf that Ansible left, or its folder "
            f"(default: {connect.LEFT_BY_ANSIBLE}).",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only test what is in force.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="(default: CLEARML_CONFIG_FILE, or ~/clearml.conf)")
    ] = None,
    json: Json = False,
) -> None:
    """Log in to the server, and write clearml.conf, which the SDK reads.

    Values come from the options, then from the environment (CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and so on), then
    from the file that Ansible left. Other settings of a file that is there are kept, and the file as it was is kept
    beside it. Without any values this prints how to get them.
    """
    given = {
        "api_host": api_host,
        "web_host": web_host,
        "files_host": files_host,
        "access_key": access_key,
        "secret_key": secret_key,
    }
    code = connect.command(given, username=username, left=left, output=output, only_check=check, as_json=json)
    raise typer.Exit(code)
