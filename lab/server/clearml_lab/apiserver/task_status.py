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
LOCKED = ("publishing", "published", "completed")


def load(call: Call, task: str) -> dict[str, Any]:
    """Return a task of the caller's company that may be changed."""
    query = {"id": task, "company": call.company}
    document = call.mongo.tasks.get({"_id": task, "company": {"$in": [call.company, ""]}})
    if not document:
        raise error("invalid_task_id", **query)
    if not document["company"]:
        raise error("no_write_permission", f"cannot modify public task(s), ids={(task,)}")
    return document


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
    if not force and status != current and status not in NEXT[current]:
        raise error("invalid_task_status", "Invalid status change", current_status=current, new_status=status)
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
    if unset:
        update["$unset"] = dict.fromkeys(unset, 1)
    if not call.mongo.tasks.update({"_id": task["_id"], "status": current}, update):
        raise error("failed_changing_task_status", task_id=task["_id"], current_status=current, new_status=status)
    if task.get("project"):
        call.mongo.projects.update(task["project"], {"$set": {"last_update": when}})
    return {"updated": 1, "fields": changed}
