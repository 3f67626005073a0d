"""What is done to whole tasks: queue them, stop, reset, publish, archive and delete them.

Each takes the call, whose reason and message are noted in the task, and the id of one task, and returns what the API
answers for it; so the endpoints for many tasks do the same as those for one.
"""

from __future__ import annotations

from typing import Any

from ..stores import now
from . import cleanup, model_operations, queue_entries, task_document, task_status
from .call import Call
from .errors import ApiError, error
from .services import queues

ARCHIVED = "archived"
# What a task that is reset loses, and what it starts anew with.
FORGOTTEN = (
    "output.result output.error last_worker last_worker_report started completed published active_duration"
    " enqueue_status execution.queue"
).split()
FRESH: dict[str, Any] = {
    "last_iteration": 0,
    "last_metrics": {},
    "unique_metrics": [],
    "metric_stats": {},
    "runtime": {},
}


def enqueue(call: Call, task_id: str) -> dict[str, Any]:
    """Let a task wait in a queue: the one named by id or name, or the default one."""
    data = call.data
    if data.get("queue") and data.get("queue_name"):
        raise error("validation_error", "Either queue id or queue name should be provided")
    task = task_status.load(call, task_id)
    keep_queue = data.get("update_execution_queue") is False
    if keep_queue and not (task["status"] == "queued" and (task.get("execution") or {}).get("queue")):
        problem = (
            "Cannot skip setting execution queue for a task that is not enqueued or does not have execution queue set"
        )
        raise error("validation_error", problem)
    queue = data.get("queue") or _queue_by_name(call, data.get("queue_name")) or queues.get_default(call)["id"]
    if data.get("validate_tasks"):
        task_document.check_references(call, task)
    before = task["status"]
    if before == "queued" and task.get("enqueue_status"):
        before = task["enqueue_status"]
    result = _change(call, task, "queued", fields={"enqueue_status": before}, force=bool(data.get("force")))
    try:
        queue_entries.add(call, queue, task_id)
    except ApiError:
        waiting = {**task, "status": "queued"}
        undone = {"enqueue_status": None}
        task_status.change(call, waiting, task["status"], reason="failed enqueueing", force=True, fields=undone)
        raise
    if not keep_queue:
        call.mongo.tasks.update(task_id, {"$set": {"execution.queue": queue}})
        result["fields"]["execution.queue"] = queue
    queue_entries.forget(call.mongo, task_id, but=queue)
    return {"queued": 1, **result}


def dequeue(call: Call, task_id: str) -> dict[str, Any]:
    """Take a task off its queue. One that was deleted meanwhile is only taken off."""
    status = call.data.get("new_status")
    if status and status not in task_status.NEXT:
        raise error("validation_error", f"Invalid task status: {status}")
    if not call.mongo.tasks.get({"_id": task_id, "company": {"$in": [call.company, ""]}}, ["_id"]):
        queue_entries.forget(call.mongo, task_id)
        return {"dequeued": 1, "updated": 0, "fields": {}}
    task = task_status.load(call, task_id)
    return {"dequeued": 1, **_take_off(call, task, everywhere=bool(call.data.get("remove_from_all_queues")), to=status)}


def stop(call: Call, task_id: str) -> dict[str, Any]:
    """Abort a task; one that an agent runs is only asked to stop, and the agent does the rest."""
    task = task_status.load(call, task_id)
    if call.data.get("include_pipeline_steps"):
        for step in _steps(call, task):
            _stop(call, step, force=True)
    return _stop(call, task, force=bool(call.data.get("force")))


def reset(call: Call, task_id: str) -> dict[str, Any]:
    """Make a task a draft again: without results, and with its parameters."""
    data = call.data
    task = task_status.load(call, task_id)
    if not data["force"] and task["status"] == "published":
        raise error("invalid_task_status", task_id=task_id, status=task["status"])
    dequeued = _remove_quietly(call, task)
    queue_entries.forget(call.mongo, task_id)
    cleanup.check_deletable(call, task, data["force"])
    result = cleanup.delete_outputs(
        call, task, with_models=data["delete_output_models"], external=data["delete_external_artifacts"], leave=False
    )
    execution = task.get("execution") or {}
    fields: dict[str, Any] = {**FRESH, "models": {**task["models"], "output": []}}
    unset = tuple(FORGOTTEN)
    if data["clear_all"]:
        fields |= {"execution": dict(task_document.EXECUTION), "script": dict(task_document.SCRIPT)}
        unset = tuple(name for name in FORGOTTEN if name != "execution.queue")
    else:
        artifacts = execution.get("artifacts") or {}
        fields["execution.artifacts"] = {key: item for key, item in artifacts.items() if item.get("mode") == "input"}
    changed = task_status.change(
        call, task, "created", reason="reset", message="reset", force=data["force"], fields=fields, unset=unset
    )
    return {
        "updated": changed["updated"],
        "fields": {name: value for name, value in changed["fields"].items() if name not in fields},
        "deleted_models": result["deleted_models"],
        "urls": result["urls"] if data["return_file_urls"] else {},
        "dequeued": dequeued,
    }


def publish(call: Call, task_id: str) -> dict[str, Any]:
    """Make a task read-only, and its last output model with it."""
    task = task_status.load(call, task_id)
    force = bool(call.data.get("force"))
    if not force:
        task_status.check(task["status"], "published")
    outputs = (task.get("models") or {}).get("output") or []
    if outputs and call.data.get("publish_model", True):
        model = call.mongo.models.get({"_id": outputs[-1]["model"], "company": call.company}, ["ready"])
        if model and not model.get("ready"):
            model_operations.publish(call, model["_id"])
    return _change(
        call, task, "published", fields={"published": now(), "output": task.get("output") or {}}, force=force
    )


def archive(call: Call, task_id: str) -> int:
    """Put a task away. If it waits or runs it is taken off its queue, or stopped."""
    task = task_status.load(call, task_id)
    for item in [*(_steps(call, task) if call.data.get("include_pipeline_steps") else []), task]:
        _take_off(call, item, everywhere=True, aborted="stopped")
        _tag(call, item, add=True)
    return 1


def unarchive(call: Call, task_id: str) -> int:
    """Bring an archived task back."""
    task = task_status.load(call, task_id)
    for item in [*(_steps(call, task) if call.data.get("include_pipeline_steps") else []), task]:
        _tag(call, item, add=False)
    return 1


def delete(call: Call, task_id: str) -> dict[str, Any]:
    """Delete a task with its events, and leave its files to the async deleter."""
    data = call.data
    task = task_status.load(call, task_id)
    force = data["force"]
    if not force and task["status"] != "created" and ARCHIVED not in task.get("system_tags", []):
        raise error(
            "task_cannot_be_deleted",
            "due to status, use force=True",
            task=task["_id"],
            expected="created",
            current=task["status"],
        )
    for step in _steps(call, task) if data.get("include_pipeline_steps") else []:
        _delete(call, step, force=True)
    result = _delete(call, task, force)
    return {"deleted": True, **result, "urls": result["urls"] if data["return_file_urls"] else None}


def _change(call: Call, task: dict[str, Any], status: str, *, fields: dict[str, Any], force: bool) -> dict[str, Any]:
    reason, message = call.data.get("status_reason") or "", call.data.get("status_message") or ""
    return task_status.change(call, task, status, reason=reason, message=message, force=force, fields=fields)


def _queue_by_name(call: Call, name: str | None) -> str | None:
    """Return the queue with a name, after creating it when there is none."""
    if not name:
        return None
    found = call.mongo.queues.get({"company": call.company, "name": name}, ["_id"])
    return str(found["_id"]) if found else queues.add(call.mongo, call.company, name=name)


def _remove_quietly(call: Call, task: dict[str, Any]) -> dict[str, Any]:
    """Take a waiting task off its queue, if that queue is still there and has it."""
    queue = (task.get("execution") or {}).get("queue")
    if task["status"] != "queued" or not queue:
        return {}
    try:
        return {"removed": queue_entries.remove(call, queue, task["_id"], update_status=False)}
    except ApiError:
        return {}


def _take_off(
    call: Call, task: dict[str, Any], *, everywhere: bool, to: str | None = None, aborted: str | None = None
) -> dict[str, Any]:
    """Take a task off its queue, and give it a status: `to`, `aborted` when it runs, or the one that it had before."""
    _remove_quietly(call, task)
    if everywhere:
        queue_entries.forget(call.mongo, task["_id"])
    if task["status"] not in task_status.RUNNING:
        return {"updated": 0, "fields": {}}
    if aborted and task["status"] == "in_progress":
        to = aborted
    status = to or task.get("enqueue_status") or "created"
    return _change(call, task, status, fields={"enqueue_status": None}, force=True)


def _stop(call: Call, task: dict[str, Any], force: bool) -> dict[str, Any]:
    waits = task["status"] == "queued"
    reason = call.data.get("status_reason") or ""
    if not waits and task_status.DEVELOPMENT not in task.get("system_tags", []) and _runs_elsewhere(call, task):
        return task_status.change(call, task, task["status"], reason=reason, message="stopping", force=force)
    if waits:
        _remove_quietly(call, task)
    user = call.mongo.users.get(call.identity.user, ["name"]) or {}
    message = f"Stopped by {user.get('name', call.identity.user)}"
    return task_status.change(call, task, "stopped", reason=reason, message=message, force=force)


def _runs_elsewhere(call: Call, task: dict[str, Any]) -> bool:
    """Say whether a worker gave a sign of life lately."""
    seconds = call.config.get("apiserver.workers.task_update_timeout", 600)
    updated = task.get("last_update")
    return bool(task.get("last_worker") and updated and (now() - updated).total_seconds() < seconds)


def _steps(call: Call, task: dict[str, Any]) -> list[dict[str, Any]]:
    if task.get("type") != "controller":
        return []
    return call.mongo.tasks.find({"company": call.company, "parent": task["_id"]})


def _tag(call: Call, task: dict[str, Any], *, add: bool) -> None:
    with call.mongo.tasks.lock:
        current = call.mongo.tasks.get(task["_id"], ["system_tags"]) or {}
        tags = set(current.get("system_tags") or [])
        tags = tags | {ARCHIVED} if add else tags - {ARCHIVED}
        notes = {name: call.data.get(name) or "" for name in ("status_message", "status_reason")}
        task_status.write(call, task["_id"], {"system_tags": sorted(tags), **notes}, updated=False)


def _delete(call: Call, task: dict[str, Any], force: bool) -> dict[str, Any]:
    _remove_quietly(call, task)
    queue_entries.forget(call.mongo, task["_id"])
    cleanup.check_deletable(call, task, force)
    result = cleanup.delete_outputs(
        call,
        task,
        with_models=call.data["delete_output_models"],
        external=call.data["delete_external_artifacts"],
        leave=True,
    )
    call.mongo.tasks.delete(task["_id"])
    if task.get("project"):
        call.mongo.projects.update(task["project"], {"$set": {"last_update": now()}})
    return result
