"""A run of a pipeline, as the server knows it: any run of any pipeline of the SDK, past or present."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from clearml_platform.errors import InputError
from clearml_platform.server import Server

# What the server calls the states of a task, and what people call those of a stage.
STATUSES = {
    "created": "draft",
    "queued": "queued",
    "in_progress": "running",
    "stopped": "aborted",
    "failed": "failed",
    "completed": "completed",
    "closed": "completed",
    "published": "completed",
    "publishing": "completed",
}
ENDED = {"completed", "failed", "aborted", "cached", "skipped"}
TASK_FIELDS = [
    "id",
    "name",
    "type",
    "status",
    "status_message",
    "status_reason",
    "started",
    "completed",
    "active_duration",
    "last_update",
    "last_metrics",
    "last_worker",
    "system_tags",
    "project",
    "parent",
    "configuration.Pipeline",
]


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    Attributes:
        name: its name.
        status: pending, draft, queued, running, completed, cached, failed, aborted or skipped.
        parents: the names of the stages before it.
        task: the id of the task that ran it, that of an earlier run when it is cached.
        seconds: how long it has run.
        metrics: its last values, as title/series.
        log: its last lines of output.
        reason: what the server says of its end, when it did not succeed.
    """

    name: str
    status: str
    parents: tuple[str, ...] = ()
    task: str | None = None
    seconds: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Run:
    """A run of a pipeline.

    Attributes:
        id: the id of its controller.
        name: its name.
        project: the project that the pipeline belongs to.
        status: that of the controller: draft, queued, running, completed, failed or aborted.
        seconds: how long the controller has run.
        stages: its stages.
        reason: what the server says of its end, when it did not succeed.
        log: the controller's last lines of output, when it did not succeed.
    """

    id: str
    name: str
    project: str
    status: str
    seconds: float | None
    stages: tuple[Stage, ...]
    reason: str = ""
    log: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether it ended well; the SDK's ``is_successful`` denies it when a stage was cached."""
        return self.status == "completed" and not any(stage.status in ("failed", "aborted") for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """Return what machines read."""
        return {**asdict(self), "succeeded": self.succeeded}


def latest(server: Server, project: str) -> str:
    """Return the id of the newest run of a project's pipelines.

    Raises:
        InputError: there is none.
    """
    found = server.call(
        "tasks.get_all_ex",
        project=[server.existing_project(project)],
        include_subprojects=True,
        search_hidden=True,
        type=["controller"],
        system_tags=["pipeline"],
        # A draft is no run.
        status=["queued", "in_progress", "stopped", "failed", "completed", "closed", "published"],
        order_by=["-created"],
        page=0,
        page_size=1,
        only_fields=["id"],
    )["tasks"]
    if not found:
        raise InputError(f"No pipeline has run in the project {project!r}.")
    return str(found[0]["id"])


def read(server: Server, identifier: str, *, lines: int = 0, known: Run | None = None) -> Run:
    """Return a run as it is now.

    Args:
        server: the server.
        identifier: the id of the controller.
        lines: how many of each stage's last lines of output to fetch, which is a request a stage.
        known: the run as it was before; the output of stages that had ended is not fetched again.

    Raises:
        InputError: this is no run of a pipeline.
    """
    controller = _tasks(server, [identifier]).get(identifier)
    if controller is None:
        raise InputError(f"There is no task {identifier!r} on {server.api_host}.")
    if "pipeline" not in (controller.get("system_tags") or []) and controller.get("type") != "controller":
        parent = (controller.get("parent") or {}).get("id")
        hint = f" Its pipeline may be {parent}." if parent else ""
        raise InputError(f"The task {identifier} ({controller['name']!r}) is no run of a pipeline.{hint}")
    nodes = _nodes(controller)
    ids = {name: node.get("job_id") or node.get("executed") for name, node in nodes.items()}
    tasks = _tasks(server, [one for one in ids.values() if one])
    status = STATUSES.get(controller["status"], controller["status"])
    before = {stage.task: stage for stage in known.stages if stage.status in ENDED} if known else {}
    stages = []
    for name, node in nodes.items():
        task = tasks.get(ids[name] or "")
        now = _stage_status(node, task, status)
        log: tuple[str, ...] = ()
        if lines and task and now != "queued":
            old = before.get(task["id"])
            log = old.log if old else _log(server, task["id"], lines)
        stages.append(
            Stage(
                name,
                now,
                tuple(node.get("parents") or ()),
                ids[name],
                _seconds(task) if task else None,
                _metrics(task or {}),
                log,
                _reason(task) if task and now in ("failed", "aborted") else "",
            )
        )
    reason = _reason(controller) if status in ("failed", "aborted") else ""
    return Run(
        identifier,
        controller["name"],
        str((controller.get("project") or {}).get("name", "")).partition("/.pipelines")[0],
        status,
        _seconds(controller),
        tuple(stages),
        reason,
        _log(server, identifier, lines) if lines and status in ("failed", "aborted") else (),
    )


def _tasks(server: Server, ids: list[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    rows = server.pages(
        "tasks.get_all_ex", "tasks", id=ids, search_hidden=True, only_fields=[*TASK_FIELDS, "project.name"]
    )
    return {str(row["id"]): row for row in rows}


def _nodes(controller: dict[str, Any]) -> dict[str, dict[str, Any]]:
    text = ((controller.get("configuration") or {}).get("Pipeline") or {}).get("value") or "{}"
    try:
        nodes = json.loads(text)
    except ValueError:
        nodes = {}
    return nodes if isinstance(nodes, dict) else {}


def _stage_status(node: dict[str, Any], task: dict[str, Any] | None, controller: str) -> str:
    """Return the state of a stage: what its task says, unless that task is not of this run or never came to be."""
    said = str(node.get("status") or "pending")
    if said in ("cached", "skipped"):
        return said
    if task is None:
        return "skipped" if controller in ENDED else "pending"
    return STATUSES.get(task["status"], str(task["status"]))


def _seconds(task: dict[str, Any]) -> float | None:
    started = _time(task.get("started"))
    if started is None:
        return None
    if task.get("active_duration") is not None and task["status"] != "in_progress":
        return float(task["active_duration"])
    end = _time(task.get("completed")) if task["status"] != "in_progress" else None
    return max(0.0, ((end or datetime.now(timezone.utc)) - started).total_seconds())


def _time(value: object) -> datetime | None:
    if not value:
        return None
    time = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _metrics(task: dict[str, Any]) -> dict[str, float]:
    values = {}
    for variants in (task.get("last_metrics") or {}).values():
        for one in variants.values():
            metric, variant = str(one.get("metric")), str(one.get("variant"))
            if metric.startswith(":monitor:") or one.get("value") is None:
                continue
            # What was reported as one value stands under "Summary".
            name = variant if metric in ("Summary", variant) else f"{metric}/{variant}"
            values[name] = float(one["value"])
    return dict(sorted(values.items()))


def _log(server: Server, task: str, lines: int) -> tuple[str, ...]:
    events = server.call("events.get_task_log", task=task, order="desc", batch_size=lines).get("events") or []
    text = "\n".join(str(event.get("msg", "")).rstrip("\n") for event in reversed(events))
    return tuple(line.rpartition("\r")[2] for line in text.splitlines() if line.strip())[-lines:]


def _reason(task: dict[str, Any]) -> str:
    return str(task.get("status_message") or task.get("status_reason") or "").strip()
