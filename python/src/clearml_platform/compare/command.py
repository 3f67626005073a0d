"""The command, the same for the script and for `clearml-platform`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clearml_platform.command import print_json
from clearml_platform.compare import export as exporting
from clearml_platform.compare.collect import collect
from clearml_platform.compare.table import show
from clearml_platform.server import Server


def compare(
    ids: Sequence[str] = (),
    *,
    project: str | None = None,
    tags: Sequence[str] = (),
    where: str = "",
    top: int | None = None,
    metric: str | None = None,
    export: Path | None = None,
    everything: bool = False,
    as_list: bool = False,
    as_json: bool = False,
) -> int:
    """Compare experiments, or list them; print the result, and write it to a file if there is one to write.

    What selects the experiments is explained at `collect`.
    """
    if export is not None:
        exporting.check(export)
    curves = export is not None and export.suffix.lower() == ".html"
    comparison = collect(
        Server.connect(), ids=ids, project=project, tags=tags, where=where, top=top, metric=metric, curves=curves
    )
    if export is not None:
        exporting.write(comparison, export, everything=everything)
    if as_json:
        print_json(exporting.as_json(comparison))
        return 0
    from rich.console import Console

    console = Console()
    show(comparison, console, everything=everything, beside=False if as_list else None)
    if export is not None:
        console.print(f"{len(comparison.tasks)} experiments in {export}", markup=False, highlight=False)
    return 0
