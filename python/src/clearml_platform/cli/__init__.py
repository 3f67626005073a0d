"""The command ``clearml-platform``: what the scripts do, as the verbs of one command.

Everything that takes long to import (the SDK, pandas, scikit-learn) is imported by the verb that needs it, so that
help and completion are quick.
"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from clearml_platform import __version__
from clearml_platform.cli import connection, data, experiments, models, offline, pipeline
from clearml_platform.command import run

# No traceback with local variables: they may hold secrets.
app = typer.Typer(
    name="clearml-platform",
    help="Experiments, models and pipelines on your ClearML server.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong input, 3 the server's fault, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(connection.init)
app.command("compare")(experiments.compare)
app.command("train")(experiments.train)
app.command("evaluate")(experiments.evaluate)
app.add_typer(models.app, name="models")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(data.app, name="data")
app.add_typer(offline.app, name="offline")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run(_dispatch, arguments)


def _dispatch(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="clearml-platform")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print(f"clearml-platform {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Experiments, models and pipelines on your ClearML server."""
