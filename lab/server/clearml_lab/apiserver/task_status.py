"""The life of a task: which status may follow which, and the change itself."""

from __future__ import annotations

from typing import Any

from ..stores import now
from .call import Call
from .errors import error

NEXT = {
    "created": {"queued", "in_progress"},
    "queued": {"created", "in_progress", "stopped"},
    "in_progress": {"stopped", "failed", "created", "completed"},
    "stopped": {"closed", "created", "failed", "queued", "in_progress", "published", "publishing", "completed"},
    "closed": {"created", "failed", "published", "publishing", "stopped"},
    "failed": {"created", "stopped", "published", "queued"},
    "publishing": {"published"},
    "published": set(),
    "completed": {"published", "in_progress", "created"},
}
LOCKED = ("publishing", "published")
RUNNING = ("queued", "in_progress")
DEVELOPMENT = "development"  # the tag of a task that somebody runs by hand


def load(call: Call, task: str) -> dict[str, Any]:
    """Return a task of the caller's company that may be changed."""
    query = {"id": task, "company": call.company}
    document = call.mongo.tasks.get({"_id": task, "company": {"$in": [call.company, ""]}})
    if not document:
        raise error("invalid_task_id", **query)
    if not document["company"]:
        raise error("no_write_permission", f"cannot modify public task(s), ids={(task,)}")
    return document


def load_for_update(call: Call, task: str, *, force: bool = False, any_status: bool = False) -> dict[str, Any]:
    """Return a task whose contents may be changed: a draft; with `force` also one that waits or runs."""
    document = load(call, task)
    if not any_status and document["status"] not in ("created", *(RUNNING if force else ())):
        raise error("invalid_task_status", expected="created", status=document["status"])
    return document


def check(current: str, status: str) -> None:
    """Refuse a status that may not follow the current one."""
    if status not in NEXT[current]:
        raise error("invalid_task_status", "Invalid status change", current_status=current, new_status=status)


def write(call: Call, task: str, fields: dict[str, Any], unset: tuple[str, ...] = (), updated: bool = True) -> int:
    """Set and remove fields, and note who did so; `updated` says that this counts as a sign of life."""
    when = now()
    last = {"last_change": when, "last_changed_by": call.identity.user, **({"last_update": when} if updated else {})}
    change: dict[str, Any] = {"$set": {**fields, **last}}
    if unset:
        change["$unset"] = dict.fromkeys(unset, 1)
    return call.mongo.tasks.update(task, change)


def duration(task: dict[str, Any]) -> dict[str, int]:
    """Return how long a task runs, as a field to set, if it does."""
    if task["status"] != "in_progress" or not task.get("started"):
        return {}
    return {"active_duration": int((now() - task["started"]).total_seconds())}


def change(
    call: Call,
    task: dict[str, Any],
    status: str,
    *,
    reason: str = "",
    message: str = "",
    force: bool = False,
    fields: dict[str, Any] | None = None,
    unset: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Change the status; `force` allows any change. Return what the API answers: count and changed fields."""
    current = task["status"]
    if not force and status != current:
        check(current, status)
    when = now()
    changed = {
        "status": status,
        "status_reason": reason,
        "status_message": message,
        "status_changed": when,
        "last_update": when,
        "last_change": when,
        "last_changed_by": call.identity.user,
        **(fields or {}),
    }
    update: dict[str, Any] = {"$set": changed}
    if status == "queued" and DEVELOPMENT in task.get("system_tags", []):
        update["$set"] = {**changed, "system_tags": [tag for tag in task["system_tags"] if tag != DEVELOPMENT]}
    if unset:
        update["$unset"] = dict.fromkeys(unset, 1)
    if not call.mongo.tasks.update({"_id": task["_id"], "status": current}, update):
        raise error("failed_changing_task_status", task_id=task["_id"], current_status=current, new_status=status)
    if task.get("project"):
        call.mongo.projects.update(task["project"], {"$set": {"last_update": when}})
    return {"updated": 1, "fields": changed}
