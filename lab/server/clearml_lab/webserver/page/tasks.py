"""Tasks as the page shows them: in a list, and one with its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .apiserver import Apiserver
from .charts import Curve, curve
from .files import FileLinks
from .formats import moment

PER_PAGE = 20
LISTED = "id name type status project.name started completed active_duration last_iteration last_metrics tags".split()
DETAILED = [
    *LISTED, "created", "user.name", "status_message", "status_reason", "comment", "last_worker", "hyperparams",
    "execution.artifacts", "models",
]  # fmt: skip
# What the SDK reports of the machine by itself.
MACHINE = ":monitor:"
SAMPLES = 120
LOG_EVENTS = 100


@dataclass(frozen=True)
class Metric:
    """A scalar: its last value, the extremes, and its curve where that was asked for."""

    metric: str
    variant: str
    last: Any
    lowest: Any
    highest: Any
    curve: Curve | None = None

    @property
    def name(self) -> str:
        """Both parts of the name."""
        return f"{self.metric} / {self.variant}" if self.variant != self.metric else self.metric


@dataclass(frozen=True)
class Task:
    """A line in the list of tasks."""

    id: str
    name: str
    type: str
    status: str
    project: str
    project_id: str
    started: datetime | None
    seconds: float | None
    tags: list[str]
    metrics: list[Metric]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Task:
        """Read what the API says."""
        project = found.get("project") or {}
        status, started, completed = found.get("status"), moment(found.get("started")), moment(found.get("completed"))
        end = completed or (datetime.now(UTC) if status == "in_progress" else None)
        span = (end - started).total_seconds() if started and end else None
        return cls(
            id=found["id"],
            name=found.get("name") or "",
            type=found.get("type") or "",
            status=status or "unknown",
            project=project.get("name") or "",
            project_id=project.get("id") or "",
            started=started,
            seconds=found.get("active_duration") or span,
            tags=found.get("tags") or [],
            metrics=sorted(_metrics(found), key=lambda item: (item.metric.startswith(MACHINE), item.name)),
        )

    @property
    def address(self) -> str:
        """Its place on this server, which is the same in the official web application."""
        return address_of(self.id, self.project_id)


@dataclass(frozen=True)
class Artifact:
    """A file or value that a task left."""

    key: str
    type: str
    bytes: int | None
    address: str
    link: str


@dataclass(frozen=True)
class Details:
    """One task, whole."""

    task: Task
    created: datetime | None
    user: str
    message: str
    comment: str
    worker: str
    iteration: int
    parameters: dict[str, dict[str, str]]
    artifacts: list[Artifact]
    log: str
    log_total: int


def address_of(task: str, project: str = "") -> str:
    """Return the address of a task. Its project may be left open, as the SDK does."""
    return f"/projects/{project or '*'}/tasks/{task}"


def page_of_tasks(api: Apiserver, project: str, page: int) -> tuple[list[Task], bool]:
    """Return a page of the tasks of a project and those below it, or of all, newest first; and whether there are more.

    One more than a page holds is asked for: that says whether there are more.
    """
    data: dict[str, Any] = {"project": [project], "include_subprojects": True} if project else {}
    found = api.call(
        "tasks.get_all_ex",
        **data,
        system_tags=["-archived"],
        order_by=["-created"],
        start=page * PER_PAGE,
        size=PER_PAGE + 1,
        only_fields=LISTED,
    )["tasks"]
    return [Task.read(task) for task in found[:PER_PAGE]], len(found) > PER_PAGE


def details_of_task(api: Apiserver, task_id: str, files: FileLinks) -> Details | None:
    """Return all that the page shows of a task; None when the visitor sees no such task."""
    found = api.call("tasks.get_all_ex", id=[task_id], only_fields=DETAILED)["tasks"]
    if not found:
        return None
    (task,) = found
    lines = api.call("events.scalar_metrics_iter_histogram", task=task_id, samples=SAMPLES)
    log = api.call("events.get_task_log", task=task_id, batch_size=LOG_EVENTS, order="asc")
    shown = Task.read(task)
    shown.metrics[:] = [_with_curve(metric, lines) for metric in shown.metrics]
    artifacts = (task.get("execution") or {}).get("artifacts") or []
    return Details(
        task=shown,
        created=moment(task.get("created")),
        user=(task.get("user") or {}).get("name") or "",
        message=task.get("status_message") or task.get("status_reason") or "",
        comment=task.get("comment") or "",
        worker=task.get("last_worker") or "",
        iteration=task.get("last_iteration") or 0,
        parameters={
            section: {name: str(item.get("value", "")) for name, item in sorted(items.items())}
            for section, items in sorted((task.get("hyperparams") or {}).items())
        },
        artifacts=[_artifact(item, files) for item in artifacts],
        log="\n".join(event.get("msg", "").rstrip("\n") for event in log["events"]),
        log_total=log["total"],
    )


def _metrics(found: Mapping[str, Any]) -> Iterator[Metric]:
    for variants in (found.get("last_metrics") or {}).values():
        for item in variants.values():
            yield Metric(
                metric=item.get("metric") or "",
                variant=item.get("variant") or "",
                last=item.get("value"),
                lowest=item.get("min_value"),
                highest=item.get("max_value"),
            )


def _with_curve(metric: Metric, lines: Mapping[str, Any]) -> Metric:
    line = lines.get(metric.metric, {}).get(metric.variant)
    return Metric(**{**vars(metric), "curve": curve(line) if line else None})


def _artifact(item: Mapping[str, Any], files: FileLinks) -> Artifact:
    address = item.get("uri") or ""
    return Artifact(
        key=item.get("key") or "",
        type=item.get("type") or "",
        bytes=item.get("content_size"),
        address=address,
        link=files.link(address),
    )
