"""workers.*: what agents report about themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ...stores import now
from .. import worker_stats, workers_registry
from ..call import Call
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint

VERSION = "2.4"
LISTS = ("cpu_usage cpu_temperature gpu_usage gpu_temperature gpu_memory_free gpu_memory_used").split()
FIGURES = ("memory_used memory_free network_tx network_rx disk_free_home disk_free_temp disk_read disk_write").split()
MACHINE_STATS = Structure(
    "MachineStats",
    (*(Field(name, "list", of="int, float") for name in LISTS), *(Field(name, "float") for name in FIGURES)),
)
RESOURCES = Structure("Resources", (Field("cpu_usage", "float"), Field("gpu_usage", "float")))
REQUEST = Field("worker", required=True)
TAGS = (Field("tags", "list", of="str"), Field("system_tags", "list", of="str"))
PATTERN = Field("worker_pattern")


@endpoint(
    "workers.register",
    REQUEST,
    *TAGS,
    Field("timeout", "int", default=600),
    Field("queues", "list", of="str"),
    Field("resources", shape=RESOURCES),
    version=VERSION,
)
def register(call: Call) -> None:
    """Note that a worker is there, and from which queues it takes tasks."""
    data = call.data
    timeout = data["timeout"] or call.config.get("apiserver.workers.default_timeout", 600)
    if timeout <= 0:
        raise error("worker_registration_failed", "invalid timeout", timeout=timeout, worker=data["worker"])
    details = {key: data[key] for key in ("queues", "tags", "system_tags", "resources")}
    workers_registry.register(call, data["worker"], timeout=timeout, **details)


@endpoint("workers.unregister", REQUEST, *TAGS, version=VERSION)
def unregister(call: Call) -> None:
    """Forget a worker."""
    workers_registry.remove(call, call.data["worker"])


@endpoint(
    "workers.status_report",
    REQUEST,
    *TAGS,
    Field("timestamp", "int", required=True),
    Field("task"),
    Field("queue"),
    Field("queues", "list", of="str"),
    Field("machine_stats", shape=MACHINE_STATS),
    version=VERSION,
)
def status_report(call: Call) -> None:
    """Note that a worker lives, what it works on, and how busy its machine is."""
    data = call.data
    entry = workers_registry.load(call, data["worker"])
    when = now()
    tags = {key: data[key] or [] for key in ("tags", "system_tags")}
    entry.update(ip=call.caller_ip, queue=data["queue"], last_activity_time=when, **tags)
    if data["queues"]:
        entry["queues"] = data["queues"]
    try:
        if data["machine_stats"]:
            worker_stats.store(call, data)
        entry["task"], entry["project"] = _running(call, data["worker"], data["task"], when)
        entry["last_report_time"] = when
    finally:
        workers_registry.save(call, entry)


@endpoint("workers.get_all", Field("last_seen", "int", default=3600), *TAGS, PATTERN, version=VERSION)
def get_all(call: Call) -> dict[str, Any]:
    """Return the workers that were active lately, with the queues that they take from."""
    entries = workers_registry.find(call, call.data["last_seen"], **_filters(call))
    queues = _queues(call, entries)
    running = {entry["task"]["id"] for entry in entries if entry.get("task")}
    tasks = _tasks(call, [*running, *(queue["next"] for queue in queues.values())])
    for queue in queues.values():
        following = queue.pop("next")
        if following:
            queue["next_task"] = {"id": following, **_only(tasks.get(following, {}), "name")}
    return {"workers": [_shown(entry, queues, tasks) for entry in entries]}


@endpoint("workers.get_count", Field("last_seen", "int", default=0), *TAGS, PATTERN)
def get_count(call: Call) -> dict[str, Any]:
    """Return how many workers are registered, or were active lately."""
    if call.data["last_seen"]:
        return {"count": len(workers_registry.find(call, call.data["last_seen"], **_filters(call)))}
    return {"count": len(workers_registry.keys(call, **_filters(call)))}


def _filters(call: Call) -> dict[str, Any]:
    data = call.data
    return {"pattern": data["worker_pattern"], "tags": data["tags"] or (), "system_tags": data["system_tags"] or ()}


def _queues(call: Call, entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is shown of all queues that these workers take from; `next` is the task in front."""
    names = sorted({queue for entry in entries for queue in entry["queues"]})
    shown = {name: {"id": name, "next": None} for name in names}
    for queue in call.mongo.queues.find({"_id": {"$in": names}}):
        waiting = [entry["task"] for entry in queue["entries"]]
        details = {"num_tasks": len(waiting), **_only(queue, "name", "display_name")}
        shown[queue["_id"]].update(details, next=waiting[0] if waiting else None)
    return shown


def _tasks(call: Call, wanted: Iterable[str | None]) -> dict[str, dict[str, Any]]:
    names = sorted({name for name in wanted if name})
    fields = ["name", "last_iteration", "active_duration"]
    return {task["_id"]: task for task in call.mongo.tasks.find({"_id": {"$in": names}}, fields)}


def _shown(
    entry: dict[str, Any], queues: dict[str, dict[str, Any]], tasks: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    shown = {key: value for key, value in entry.items() if value is not None and key not in {"queue", "queues", "task"}}
    shown["queues"] = [queues[name] for name in entry["queues"]]
    if entry.get("queue") in entry["queues"]:
        shown["queue"] = queues[entry["queue"]]
    if entry.get("task"):
        task = tasks.get(entry["task"]["id"])
        progress = _only(task, "last_iteration") if task else {}
        if task:
            progress["running_time"] = (task.get("active_duration") or 0) * 1000
        shown["task"] = {**entry["task"], **progress}
    return shown


def _only(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if document.get(name) is not None}


def _running(call: Call, worker: str, task: str | None, when: datetime) -> tuple[Any, Any]:
    """Note in the task who runs it; return task and project with their names."""
    if not task:
        return None, None
    seen = {
        "last_worker": worker,
        "last_worker_report": when,
        "last_update": when,
        "last_change": when,
        "last_changed_by": call.identity.user,
    }
    query = {"_id": task, "company": call.company}
    if not call.mongo.tasks.update(query, {"$set": seen}):
        raise error("invalid_task_id", id=task, company=call.company)
    document = call.mongo.tasks.get(task, ["name", "project"]) or {}
    project = call.mongo.projects.get(document["project"], ["name"]) if document.get("project") else None
    return (
        {"id": task, "name": document.get("name")},
        {"id": project["_id"], "name": project["name"]} if project else None,
    )
