"""The tasks in a queue: in which order they wait, and what becomes of those that leave it without an agent.

Every change reads the queue, decides, and writes it back whole, inside of the queues' lock: the lab's database has
neither update pipelines nor an atomic pop, and a task must go to one agent alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..stores import Mongo, now
from . import queue_metrics, task_status
from .call import Call
from .errors import error

FIRST, LAST = "first", "last"


def load(call: Call, queue: str) -> dict[str, Any]:
    """Return a queue of the caller's company."""
    document = call.mongo.queues.get({"_id": queue, "company": call.company})
    if not document:
        raise error("invalid_queue_id", id=queue, company=call.company)
    return document


def add(call: Call, queue: str, task: str) -> int:
    """Put a task at the end of a queue; it need not exist."""
    with call.mongo.queues.lock:
        document = load(call, queue)
        if _position(document, task) is not None:
            raise error("task_already_queued", task=task)
        _save(call, document, [*document["entries"], {"task": task, "added": now()}])
    return 1


def take(call: Call, queue: str, task: str | None = None) -> dict[str, Any] | None:
    """Take the first entry off a queue and return it; with `task`, only when it is that task's."""
    with call.mongo.queues.lock:
        document = load(call, queue)
        entries = document["entries"]
        if not entries or (task and entries[0]["task"] != task):
            return None
        _save(call, document, entries[1:])
    first: dict[str, Any] = entries[0]
    return first


def remove(call: Call, queue: str, task: str, update_status: bool) -> int:
    """Take a task off a queue."""
    with call.mongo.queues.lock:
        document = _load_with(call, queue, task)
        _save(call, document, [entry for entry in document["entries"] if entry["task"] != task])
    if update_status:
        release(call, queue, [task], f"Task was removed from the queue {queue}")
    return 1


def move(call: Call, queue: str, task: str, by: int | str) -> int:
    """Move a task within a queue, by a number of places or to an end; return where it is now."""
    with call.mongo.queues.lock:
        document = _load_with(call, queue, task)
        entries = document["entries"]
        position = _position(document, task) or 0
        last = len(entries) - 1
        wanted = 0 if by == FIRST else last if by == LAST else position + int(by)
        if wanted == position:
            return position
        wanted = min(max(wanted, 0), last)
        entry = entries.pop(position)
        entries.insert(wanted, entry)
        call.mongo.queues.update(document["_id"], {"$set": {"entries": entries}})
    return wanted


def clear(call: Call, queue: str) -> list[str]:
    """Empty a queue; return the tasks that are no longer queued."""
    with call.mongo.queues.lock:
        document = call.mongo.queues.get({"_id": queue, "company": call.company})
        if not document:
            raise error("invalid_queue_id", queue=queue)
        waiting = [entry["task"] for entry in document["entries"]]
        if not waiting:
            return []
        call.mongo.queues.update(document["_id"], {"$set": {"entries": []}})
        queue_metrics.log(call, [{**document, "entries": []}])
    return release(call, queue, waiting, f"Queue {queue} was cleared")


def release(call: Call, queue: str, tasks: Iterable[str], reason: str) -> list[str]:
    """Give tasks that were to wait in a queue the status that they had before; return those that there are."""
    released = []
    for identifier in tasks:
        query = {"_id": identifier, "company": call.company, "execution.queue": queue}
        task = call.mongo.tasks.get(query, ["status", "enqueue_status", "project"])
        if task:
            status = task.get("enqueue_status") or "created"
            unset = ("execution.queue", "enqueue_status")
            task_status.change(call, task, status, reason=reason, force=True, unset=unset)
            released.append(identifier)
    return released


def forget(mongo: Mongo, task: str, but: str = "") -> None:
    """Take a task off every queue but one."""
    with mongo.queues.lock:
        for document in mongo.queues.find({"entries.task": task, "_id": {"$ne": but}}):
            entries = [entry for entry in document["entries"] if entry["task"] != task]
            mongo.queues.update(document["_id"], {"$set": {"entries": entries, "last_update": now()}})


def _load_with(call: Call, queue: str, task: str) -> dict[str, Any]:
    document = call.mongo.queues.get({"_id": queue, "company": call.company})
    if not document or _position(document, task) is None:
        raise error("task_not_in_queue", task=task, id=queue, company=call.company)
    return document


def _position(queue: dict[str, Any], task: str) -> int | None:
    return next((place for place, entry in enumerate(queue["entries"]) if entry["task"] == task), None)


def _save(call: Call, queue: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    call.mongo.queues.update(queue["_id"], {"$set": {"entries": entries, "last_update": now()}})
    queue_metrics.log(call, [{**queue, "entries": entries}])
