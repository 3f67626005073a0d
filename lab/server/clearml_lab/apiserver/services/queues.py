"""queues.*: where tasks wait for an agent."""

from __future__ import annotations

import uuid
from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import Mongo, now
from .. import query
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint, version_key

QUEUE = query.Kind(
    fields=frozenset(
        "id name display_name company created tags system_tags entries last_update metadata resources".split()
    ),
    lists=("tags", "system_tags", "id", "metadata.*"),
)
VERSION = "2.4"
REQUEST = Field("queue", required=True)


@endpoint(
    "queues.create",
    Field("name", required=True),
    Field("display_name"),
    Field("tags", "list"),
    Field("system_tags", "list"),
    Field("metadata", "dict"),
    version=VERSION,
)
def create(call: Call) -> dict[str, Any]:
    """Create a queue whose name is new."""
    data = call.data
    name = data["name"].strip()
    if len(name) < 3:
        raise error("data_validation_error", name="String value is too short")
    with call.mongo.queues.lock:
        if call.mongo.queues.get({"company": call.company, "name": name}, ["_id"]):
            raise error("expected_unique_data", name=name, company=call.company)
        return {"id": add(call.mongo, call.company, **{**data, "name": name})}


@endpoint("queues.get_by_id", REQUEST, Field("max_task_entries", "int"), version=VERSION)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one queue with the tasks in it."""
    return {"queue": _shown(call, query.public_form(_load(call)))}


@endpoint("queues.get_default", version=VERSION)
def get_default(call: Call) -> dict[str, Any]:
    """Return the queue that is tagged as the default one."""
    queue = call.mongo.queues.get({"company": call.company, "system_tags": "default"})
    if not queue:
        raise error("no_default_queue")
    return {"id": queue["_id"], "name": queue["name"]}


@endpoint("queues.get_all", Field("search_hidden", "bool"), Field("max_task_entries", "int"), version=VERSION)
def get_all(call: Call) -> dict[str, Any]:
    """Return the queues that the request asks for; hidden ones only by id, by name or on demand."""
    data = call.data
    hidden = call.config.get("services.queues.hidden_tags", [])
    everything = data["search_hidden"] or data.get("id") or data.get("name") or not hidden
    visible = {} if everything else {"system_tags": {"$nin": hidden}}
    queues, more = query.get_many(call, call.mongo.queues, QUEUE, visible)
    return {"queues": [_shown(call, queue) for queue in queues], **more}


@endpoint("queues.delete", REQUEST, Field("force", "bool", default=False), version=VERSION)
def delete(call: Call) -> dict[str, Any]:
    """Delete a queue; one that is not empty only by force, and its tasks are then no longer queued."""
    queue = _load(call)
    if queue["entries"] and not call.data["force"]:
        raise error("queue_not_empty", "use force=true to delete", id=queue["_id"])
    for entry in queue["entries"]:
        call.mongo.tasks.update(
            {"_id": entry["task"], "status": "queued"},
            {
                "$set": {
                    "status": "created",
                    "status_reason": f"Queue {queue['_id']} was deleted",
                    "status_message": "",
                    "status_changed": now(),
                    "last_change": now(),
                    "last_changed_by": call.identity.user,
                },
                "$unset": {"execution.queue": 1, "enqueue_status": 1},
            },
        )
    call.mongo.queues.delete(queue["_id"])
    return {"deleted": 1}


def add(mongo: Mongo, company: str, name: str, **details: Any) -> str:
    """Store a new queue and return its id."""
    created = now()
    queue = {
        "_id": uuid.uuid4().hex,
        "name": name,
        "display_name": details.get("display_name"),
        "company": company,
        "created": created,
        "tags": sorted(details.get("tags") or []),
        "system_tags": sorted(details.get("system_tags") or []),
        "entries": [],
        "last_update": created,
        "metadata": details.get("metadata") or {},
    }
    try:
        mongo.queues.insert(queue)
    except DuplicateKeyError:
        raise error("expected_unique_data", name=name, company=company) from None
    return str(queue["_id"])


def remove_task(mongo: Mongo, task: str) -> None:
    """Take a task off every queue. The list is rewritten whole: the lab's database cannot pull by condition."""
    with mongo.queues.lock:
        for queue in mongo.queues.find({"entries.task": task}, ["entries"]):
            entries = [entry for entry in queue["entries"] if entry["task"] != task]
            mongo.queues.update(queue["_id"], {"$set": {"entries": entries, "last_update": now()}})


def _shown(call: Call, queue: dict[str, Any]) -> dict[str, Any]:
    """Return a queue as the API shows it. Clients from before metadata was a mapping (2.17) get an empty list."""
    if "metadata" in queue and version_key(call.requested) <= (2, 16):
        return {**queue, "metadata": []}
    return queue


def _load(call: Call) -> dict[str, Any]:
    values = {"id": call.data["queue"], "company": call.company}
    queue = call.mongo.queues.get({"_id": values["id"], "company": call.company})
    if not queue:
        raise error("invalid_queue_id", **values)
    return queue
