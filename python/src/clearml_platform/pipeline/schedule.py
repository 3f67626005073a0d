"""Runs at the times of a cron expression, for as long as this process lives; times are UTC, as the server's are.

What was started for which time stands on the server (a tag of the run), so a scheduler that is started again, or a
second one, starts nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from clearml_platform.errors import InputError, ServerError
from clearml_platform.pipeline.create import Pipeline
from clearml_platform.server import RefusedError, Server

# A tag of the runs that a schedule started: which time they are for.
DUE = "due "
FORMAT = "%Y-%m-%dT%H:%MZ"
# How long a pause may be, in seconds: a machine that was asleep looks at the clock again soon.
PAUSE = 30.0


def next_time(cron: str, after: datetime) -> datetime:
    """Return the first time of a cron expression after a time.

    Raises:
        InputError: this is no cron expression of five fields.
    """
    from croniter import CroniterError, croniter

    if len(cron.split()) != 5:
        raise InputError(
            f"--schedule: {cron!r} is no cron expression (minute hour day month weekday), e.g. '0 3 * * *'."
        )
    try:
        found: datetime = croniter(cron, after).get_next(datetime)
    except (CroniterError, ValueError) as error:
        raise InputError(f"--schedule: {cron!r} is no cron expression ({error}); one is '0 3 * * *'.") from None
    return found


def run_due(server: Server, pipeline: Pipeline, draft: str, due: datetime) -> str | None:
    """Start the run of a time, a clone of a draft, unless it was started before; return its id.

    The API has no transactions. A clone is made with its tag in one request, then all clones for this time are looked
    at, and only the first of them is started. Whoever made another one deletes it; whoever finds a first one that was
    never started, because a scheduler died in between, starts that.
    """
    tag = f"{DUE}{due:{FORMAT}}"
    if not _runs(server, pipeline, tag):
        name = f"{pipeline.name} {due:{FORMAT}}"
        own = server.call("tasks.clone", task=draft, new_task_name=name, new_task_tags=[tag])["id"]
        if _runs(server, pipeline, tag)[0]["id"] != own:
            server.call("tasks.delete", task=own, force=True)
    first = _runs(server, pipeline, tag)[0]
    if first["status"] != "created":
        return None
    pipeline.enqueue(server, first["id"])
    return str(first["id"])


def last_due(server: Server, pipeline: Pipeline) -> datetime | None:
    """Return the latest time for which a run was started."""
    project = server.project_id(f"{pipeline.project}/.pipelines/{pipeline.name}")
    rows = project and server.pages(
        "tasks.get_all", "tasks", project=[project], search_hidden=True, only_fields=["id", "tags"]
    )
    tags = [tag for row in rows or [] for tag in row.get("tags") or [] if tag.startswith(DUE)]
    return _parsed(max(tags)) if tags else None


def run_forever(
    server: Server,
    pipeline: Pipeline,
    cron: str,
    say: Callable[[str], None],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Start a run at each time of a cron expression.

    A time that passed while no scheduler was there is made up for, but only the last one. All runs are clones of a
    draft that is made now, so they run the code of now; the draft goes when the scheduler does.

    Args:
        server: the server.
        pipeline: what is run.
        cron: minute, hour, day of the month, month, day of the week, in UTC.
        say: is told what happens.
        now: the clock.
        sleep: the pause.
    """
    due = next_time(cron, last_due(server, pipeline) or now())
    draft = pipeline.draft(server)
    try:
        for note in pipeline.notes:
            say(note)
        while True:
            while (following := next_time(cron, due)) <= now():
                due = following
            say(f"The next run is due at {due:{FORMAT}}.")
            while (left := (due - now()).total_seconds()) > 0:
                sleep(min(left, PAUSE))
            _start(server, pipeline, draft, due, say, sleep)
            due = following
    finally:
        with suppress(ServerError):
            server.call("tasks.delete", task=draft, force=True)


def _start(
    server: Server,
    pipeline: Pipeline,
    draft: str,
    due: datetime,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    """Start the run of a time; a server that is away is waited for."""
    while True:
        try:
            started = run_due(server, pipeline, draft, due)
            break
        except ServerError as error:
            if isinstance(error, RefusedError):
                raise
            say(f"{error} Trying again in {PAUSE:.0f} s.")
        sleep(PAUSE)
    say(f"Started {started} for {due:{FORMAT}}." if started else f"The run for {due:{FORMAT}} was started before.")


def _runs(server: Server, pipeline: Pipeline, tag: str) -> list[dict[str, Any]]:
    """Return the runs that carry a tag, the first one first."""
    project = server.project_id(f"{pipeline.project}/.pipelines/{pipeline.name}")
    if project is None:
        return []
    rows = server.pages(
        "tasks.get_all",
        "tasks",
        project=[project],
        tags=[tag],
        search_hidden=True,
        order_by=["created", "id"],
        only_fields=["id", "status"],
    )
    return list(rows)


def _parsed(tag: str) -> datetime:
    return datetime.strptime(tag.removeprefix(DUE), FORMAT).replace(tzinfo=timezone.utc)
