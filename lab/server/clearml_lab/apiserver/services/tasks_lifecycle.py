"""tasks.*: the life of tasks, from the queue to the end, one at a time and many together."""

from __future__ import annotations

from typing import Any

from ...stores import now
from .. import batch, task_operations, task_status, workers_registry
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint
from .tasks import FORCE, REQUEST

NOTES = (Field("status_reason", default=""), Field("status_message", default=""))
CHANGE = (REQUEST, FORCE, *NOTES)
MANY = (batch.IDS, *NOTES)
STEPS = Field("include_pipeline_steps", "bool", default=False)
QUEUE = (Field("queue"), Field("queue_name"), Field("verify_watched_queue", "bool", default=False))
DEQUEUE = (Field("remove_from_all_queues", "bool", default=False), Field("new_status"))
OUTPUTS = (
    Field("return_file_urls", "bool", default=False),
    Field("delete_output_models", "bool", default=True),
    Field("delete_external_artifacts", "bool", default=True),
)
TRASH = Field("move_to_trash", "bool", default=False)
CLEAR = Field("clear_all", "bool", default=False)
MODEL = Field("publish_model", "bool", default=True)


@endpoint("tasks.started", *CHANGE)
def started(call: Call) -> dict[str, Any]:
    """Note that the task runs. A task that is running already keeps its start time."""
    task = call.mongo.tasks.get(call.data["task"], ["status", "started"])
    if not task:
        raise error("invalid_id", task=None)
    again = task["status"] == "in_progress" and task.get("started")
    fields = {} if again else {"started": now()}
    result = _change(call, "in_progress", fields, () if again else ("completed", "active_duration"))
    return {**result, "started": result["updated"]}


@endpoint("tasks.stopped", *CHANGE)
def stopped(call: Call) -> dict[str, Any]:
    """Note that the task was aborted."""
    return _change(call, "stopped", {"completed": now()})


@endpoint("tasks.failed", *CHANGE)
def failed(call: Call) -> dict[str, Any]:
    """Note that the task failed."""
    return _change(call, "failed", {"completed": now()})


@endpoint("tasks.close", *CHANGE)
def close(call: Call) -> dict[str, Any]:
    """Note that nothing more will come from the task."""
    return _change(call, "closed", {})


@endpoint("tasks.completed", *CHANGE, Field("publish", "bool", default=False), version="2.2")
def completed(call: Call) -> dict[str, Any]:
    """Note that the task is done, and publish it on demand."""
    result = _change(call, "completed", {"completed": now()})
    published = 0
    if call.data["publish"]:
        published = task_operations.publish(call, call.data["task"])["updated"]
        result["fields"]["status"] = "published"
    return {**result, "published": published}


@endpoint("tasks.stop", *CHANGE, STEPS)
def stop(call: Call) -> dict[str, Any]:
    """Abort a task."""
    return task_operations.stop(call, call.data["task"])


@endpoint("tasks.stop_many", *MANY, FORCE, STEPS)
def stop_many(call: Call) -> dict[str, Any]:
    """Abort tasks."""
    return batch.run(call.data["ids"], lambda task: task_operations.stop(call, task))


@endpoint("tasks.enqueue", *CHANGE, *QUEUE, Field("update_execution_queue", "bool", default=True))
def enqueue(call: Call) -> dict[str, Any]:
    """Let a task wait in a queue."""
    if call.data["verify_watched_queue"] and not call.data["update_execution_queue"]:
        problem = "verify_watched_queue cannot be used with update_execution_queue=False"
        raise error("validation_error", problem)
    result = task_operations.enqueue(call, call.data["task"])
    return {**result, **watched(call, result)}


@endpoint("tasks.enqueue_many", *MANY, *QUEUE, Field("validate_tasks", "bool", default=False))
def enqueue_many(call: Call) -> dict[str, Any]:
    """Let tasks wait in a queue."""
    result = batch.run(call.data["ids"], lambda task: _with_truth(task_operations.enqueue(call, task), "queued"))
    return {**result, **(watched(call, result["succeeded"][0]) if result["succeeded"] else {})}


@endpoint("tasks.dequeue", *CHANGE, *DEQUEUE)
def dequeue(call: Call) -> dict[str, Any]:
    """Take a task off its queue."""
    return task_operations.dequeue(call, call.data["task"])


@endpoint("tasks.dequeue_many", *MANY, *DEQUEUE)
def dequeue_many(call: Call) -> dict[str, Any]:
    """Take tasks off their queues."""
    return batch.run(call.data["ids"], lambda task: _with_truth(task_operations.dequeue(call, task), "dequeued"))


@endpoint("tasks.reset", *CHANGE, CLEAR, *OUTPUTS)
def reset(call: Call) -> dict[str, Any]:
    """Make a task a draft again."""
    return {**task_operations.reset(call, call.data["task"]), "events": {}}


@endpoint("tasks.reset_many", *MANY, FORCE, CLEAR, *OUTPUTS)
def reset_many(call: Call) -> dict[str, Any]:
    """Make tasks drafts again."""
    return batch.run(call.data["ids"], lambda task: _with_truth(task_operations.reset(call, task), "dequeued"))


@endpoint("tasks.publish", *CHANGE, MODEL)
def publish(call: Call) -> dict[str, Any]:
    """Make a task read-only."""
    return task_operations.publish(call, call.data["task"])


@endpoint("tasks.publish_many", *MANY, FORCE, MODEL)
def publish_many(call: Call) -> dict[str, Any]:
    """Make tasks read-only."""
    return batch.run(call.data["ids"], lambda task: task_operations.publish(call, task))


@endpoint("tasks.archive", Field("tasks", "list", of="str", shortest=1), *NOTES, STEPS)
def archive(call: Call) -> dict[str, Any]:
    """Put tasks away, all of them or none."""
    ids = call.data["tasks"]
    known = {item["_id"] for item in call.mongo.tasks.find({"_id": {"$in": ids}, "company": call.company}, ["_id"])}
    missing = sorted(set(ids) - known)
    if missing:
        raise error("invalid_task_id", ids=missing)
    return {"archived": sum(task_operations.archive(call, task) for task in ids)}


@endpoint("tasks.archive_many", *MANY, STEPS)
def archive_many(call: Call) -> dict[str, Any]:
    """Put tasks away."""
    return batch.run(call.data["ids"], lambda task: {"archived": bool(task_operations.archive(call, task))})


@endpoint("tasks.unarchive_many", *MANY, STEPS)
def unarchive_many(call: Call) -> dict[str, Any]:
    """Bring archived tasks back."""
    return batch.run(call.data["ids"], lambda task: {"unarchived": bool(task_operations.unarchive(call, task))})


@endpoint("tasks.delete", *CHANGE, TRASH, *OUTPUTS, STEPS)
def delete(call: Call) -> dict[str, Any]:
    """Delete a task with its events, and leave its files to the async deleter."""
    return task_operations.delete(call, call.data["task"])


@endpoint("tasks.delete_many", *MANY, FORCE, TRASH, *OUTPUTS, STEPS)
def delete_many(call: Call) -> dict[str, Any]:
    """Delete tasks with their events, and leave their files to the async deleter."""
    return batch.run(call.data["ids"], lambda task: task_operations.delete(call, task))


def _change(call: Call, status: str, fields: dict[str, Any], unset: tuple[str, ...] = ()) -> dict[str, Any]:
    data = call.data
    return task_status.change(
        call,
        task_status.load(call, data["task"]),
        status,
        reason=data["status_reason"],
        message=data["status_message"],
        force=data["force"],
        fields=fields,
        unset=unset,
    )


def _with_truth(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a result in whose list form a count is a yes or no."""
    return {**result, name: bool(result.get(name))}


def watched(call: Call, result: dict[str, Any]) -> dict[str, bool]:
    """Say whether an agent listens on the queue, when the caller wants to know."""
    queue = result.get("fields", {}).get("execution.queue")
    if not call.data["verify_watched_queue"] or not queue:
        return {}
    return {"queue_watched": any(queue in worker["queues"] for worker in workers_registry.find(call))}
