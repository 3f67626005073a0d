"""Options that several verbs have, and how verbs print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clearml_platform.workflow.config import DEFAULT_FILE, MODEL_TYPES

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else to stdout.")]
Project = Annotated[str, typer.Option("--project", help="The project.", metavar="NAME")]
ConfigFile = Annotated[str, typer.Option("--config", help="The YAML file with all settings.", metavar="FILE")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting for this run, such as data.test_size=0.3.", metavar="KEY=VALUE"),
]
DataTask = Annotated[
    str | None, typer.Option("--data-task", help="Take the data that this task prepared.", metavar="ID")
]
DataFolder = Annotated[
    str | None,
    typer.Option("--data-folder", help="Take the data that `data prepare --output` wrote.", metavar="DIR"),
]
NoTracking = Annotated[bool, typer.Option("--no-tracking", help="Record nothing, and need no server.")]
CONFIG = DEFAULT_FILE


def model_types(incomplete: str) -> list[str]:
    """Complete the type of a model."""
    return [name for name in MODEL_TYPES if name.startswith(incomplete)]


ModelType = Annotated[
    str, typer.Option("--model-type", help=", ".join(MODEL_TYPES), metavar="TYPE", autocompletion=model_types)
]


def console(*, as_json: bool = False) -> Console:
    """Return where people read: stdout, but when that is a machine's."""
    from rich.console import Console

    return Console(stderr=as_json)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show that something is done, and for how long, where a person is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    error = Console(stderr=True)
    if not error.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error, transient=True) as progress:
        progress.add_task(text, total=None)
        yield
