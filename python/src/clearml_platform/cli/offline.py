"""``offline``: experiments that were recorded without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearml_platform.cli.options import Json, console, working
from clearml_platform.command import only_json, print_json

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Experiments that were recorded without a server."""


@app.command()
def send(
    session: Annotated[Path, typer.Argument(help="The .zip file or the folder that the tracker named.")],
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it belongs (default: as it was recorded).")
    ] = None,
    json: Json = False,
) -> None:
    """Send an experiment that was recorded offline; nothing of it is lost, or the exit code is not 0."""
    from clearml_platform.offline import send_offline
    from clearml_platform.server import Server

    with only_json(wanted=json), working("Sending"):
        task = send_offline(session, project)
        page = Server.connect().task_page(task)
    if json:
        print_json({"id": task, "page": page})
    else:
        console().print(f"Sent as task {task}: {page}", soft_wrap=True, highlight=False)
