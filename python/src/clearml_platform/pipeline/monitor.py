"""A run of a pipeline in the terminal, live: each stage's state, time, last output and metrics."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clearml_platform.errors import ServerError
from clearml_platform.pipeline.graph import duration
from clearml_platform.pipeline.run import Run, Stage, read
from clearml_platform.server import RefusedError, Server

LINES = 3
# How often the server is asked, and how long it may be away, in seconds.
EVERY, PATIENCE = 2.0, 120.0
# Metrics that fit into a row of the table.
SHOWN = 6
STYLES = {
    "pending": "dim",
    "draft": "dim",
    "queued": "yellow",
    "running": "bold blue",
    "completed": "green",
    "cached": "cyan",
    "failed": "bold red",
    "aborted": "red",
    "skipped": "dim",
}


def monitor(
    server: Server, identifier: str, console: Console, *, once: bool = False, every: float = EVERY, lines: int = LINES
) -> int:
    """Show a run until it ends.

    Args:
        server: the server.
        identifier: the id of the run's controller.
        console: where to; when it is no terminal, a line is printed for each change of a stage.
        once: show it as it is, and do not wait.
        every: how often the server is asked, in seconds.
        lines: how many of a stage's last lines of output are shown.

    Returns:
        1 when the run failed or was aborted, 0 otherwise.
    """
    run = read(server, identifier, lines=lines)
    if console.is_terminal and not once and not run.ended:
        with Live(table(run), console=console, auto_refresh=False) as live:
            while not run.ended:
                time.sleep(every)
                run = _read_again(server, run, lines)
                live.update(table(run), refresh=True)
    else:
        if not once and not run.ended:
            run = _follow(server, run, console, every, lines)
        console.print(table(run))
    return 0 if run.succeeded or not run.ended else 1


def table(run: Run) -> RenderableType:
    """Return a run as a table, and below it the last output of its stages."""
    rows = Table()
    rows.add_column("Stage", overflow="fold")
    rows.add_column("Status", no_wrap=True)
    rows.add_column("Time", justify="right", no_wrap=True)
    rows.add_column("Metrics", overflow="fold")
    rows.add_column("Task", no_wrap=True)
    for stage in run.stages:
        status = Text(stage.status, STYLES.get(stage.status, ""))
        rows.add_row(Text(stage.name), status, duration(stage.seconds), Text(_metrics(stage)), stage.task or "")
    outputs = [_output(stage.name, stage.reason, stage.log) for stage in run.stages if stage.log]
    # Where no stage failed, the controller itself did.
    if run.log and not any(stage.status == "failed" for stage in run.stages):
        outputs.append(_output("controller", run.reason, run.log))
    return Group(_title(run), rows, *outputs)


def _follow(server: Server, run: Run, console: Console, every: float, lines: int) -> Run:
    """Print a line for each change until the run ends."""
    before: dict[str, str] = {}
    while True:
        for stage in run.stages:
            if before.get(stage.name, "pending") != stage.status:
                text = " ".join(filter(None, (f"{stage.name}: {stage.status}", duration(stage.seconds))))
                console.print(Text(text))
            before[stage.name] = stage.status
        if run.ended:
            return run
        time.sleep(every)
        run = _read_again(server, run, lines)


def _read_again(server: Server, run: Run, lines: int) -> Run:
    """Read a run anew; a server that is away for a while, such as during an upgrade, is waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return read(server, run.id, lines=lines, known=run)
        except ServerError as error:
            if isinstance(error, RefusedError) or time.monotonic() > deadline:
                raise
        time.sleep(EVERY)


def _title(run: Run) -> Text:
    title = Text.assemble(
        (run.name, "bold"),
        f" ({run.project})  ",
        (run.status, STYLES.get(run.status, "")),
        f"  {duration(run.seconds)}",
    )
    if run.reason:
        title.append(f"  {run.reason}", "red")
    return title


def _metrics(stage: Stage) -> str:
    shown = [f"{name} {value:.4g}" for name, value in list(stage.metrics.items())[:SHOWN]]
    more = len(stage.metrics) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _output(name: str, reason: str, log: tuple[str, ...]) -> Text:
    text = Text(f"\n{name}", no_wrap=True, overflow="ellipsis")
    if reason:
        text.append(f"  {reason}", "red")
    for line in log:
        text.append(f"\n  {line}")
    return text
