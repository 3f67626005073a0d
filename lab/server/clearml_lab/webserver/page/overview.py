"""Everything that the first page shows, in six calls of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .apiserver import Apiserver
from .formats import moment
from .tasks import Task, page_of_tasks

MOST_PROJECTS, MOST_MODELS, WAITING = 50, 20, 5
# In the order of a task's life.
STATUSES = "created queued in_progress completed published stopped failed closed publishing unknown".split()


@dataclass(frozen=True)
class Reference:
    """Another object, by its id and name."""

    id: str
    name: str


@dataclass(frozen=True)
class Project:
    """A project with the number of its tasks, by status."""

    id: str
    name: str
    counts: dict[str, int]
    total: int
    updated: datetime | None


@dataclass(frozen=True)
class Model:
    """A model."""

    name: str
    framework: str
    published: bool
    project: str
    task: Reference | None
    tags: list[str]
    created: datetime | None


@dataclass(frozen=True)
class Queue:
    """A queue: the tasks that wait in it, and the workers that take from it."""

    name: str
    waiting: list[Reference]
    length: int
    workers: list[str]


@dataclass(frozen=True)
class Worker:
    """A worker that was there lately."""

    id: str
    user: str
    task: Reference | None
    queues: list[str]
    seen: datetime | None


@dataclass(frozen=True)
class Overview:
    """What the first page shows."""

    projects: list[Project]
    chosen: Reference | None
    tasks: list[Task]
    page: int
    more_tasks: bool
    models: list[Model]
    queues: list[Queue]
    workers: list[Worker]


def overview(api: Apiserver, project: str, page: int) -> Overview:
    """Ask for all of it; tasks and models of one project alone when that is given."""
    listed = _projects(api)
    tasks, more = page_of_tasks(api, project, page)
    return Overview(
        projects=listed,
        chosen=_chosen(api, project, listed) if project else None,
        tasks=tasks,
        page=page,
        more_tasks=more,
        models=_models(api, project),
        queues=_queues(api),
        workers=_workers(api),
    )


def _projects(api: Apiserver) -> list[Project]:
    found = api.call(
        "projects.get_all_ex",
        include_stats=True,
        order_by=["-last_update"],
        page_size=MOST_PROJECTS,
        only_fields=["id", "name", "last_update"],
    )["projects"]
    return [_project(item) for item in found]


def _project(item: Mapping[str, Any]) -> Project:
    counts = ((item.get("stats") or {}).get("active") or {}).get("status_count") or {}
    shown = {status: counts[status] for status in STATUSES if counts.get(status)}
    return Project(item["id"], item.get("name") or "", shown, sum(shown.values()), moment(item.get("last_update")))


def _chosen(api: Apiserver, project: str, listed: list[Project]) -> Reference:
    """Name the project that is looked at. It may be none of those listed: old, hidden or gone."""
    found = [Reference(item.id, item.name) for item in listed if item.id == project]
    if not found:
        asked = api.call("projects.get_all_ex", id=[project], search_hidden=True, only_fields=["id", "name"])
        found = [Reference(item["id"], item["name"]) for item in asked["projects"]]
    return found[0] if found else Reference(project, project)


def _models(api: Apiserver, project: str) -> list[Model]:
    data: dict[str, Any] = {"project": [project]} if project else {}
    found = api.call(
        "models.get_all_ex",
        **data,
        system_tags=["-archived"],
        order_by=["-created"],
        page_size=MOST_MODELS,
        only_fields="id name framework ready project.name task.name tags created".split(),
    )["models"]
    return [
        Model(
            name=item.get("name") or "",
            framework=item.get("framework") or "",
            published=bool(item.get("ready")),
            project=(item.get("project") or {}).get("name") or "",
            task=_reference(item.get("task")),
            tags=item.get("tags") or [],
            created=moment(item.get("created")),
        )
        for item in found
    ]


def _queues(api: Apiserver) -> list[Queue]:
    return [
        Queue(
            name=item.get("display_name") or item.get("name") or "",
            waiting=[task for entry in item["entries"][:WAITING] if (task := _reference(entry.get("task")))],
            length=len(item["entries"]),
            workers=sorted(worker.get("name") or worker.get("id") or "" for worker in item.get("workers") or []),
        )
        for item in api.call("queues.get_all_ex", order_by=["name"])["queues"]
    ]


def _workers(api: Apiserver) -> list[Worker]:
    workers = [
        Worker(
            id=item["id"],
            user=(item.get("user") or {}).get("name") or "",
            task=_reference(item.get("task")),
            queues=sorted(queue.get("name") or queue["id"] for queue in item.get("queues") or []),
            seen=moment(item.get("last_activity_time")),
        )
        for item in api.call("workers.get_all")["workers"]
    ]
    return sorted(workers, key=lambda worker: worker.id)


def _reference(item: Any) -> Reference | None:
    if not isinstance(item, Mapping) or not item.get("id"):
        return None
    return Reference(item["id"], item.get("name") or item["id"])
