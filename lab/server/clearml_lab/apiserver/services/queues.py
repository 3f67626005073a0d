"""queues.*: where tasks wait for an agent."""

from __future__ import annotations

import uuid
from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import Mongo, now
from .. import metadata, query, queue_entries, queue_metrics, workers_registry
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint, version_key

QUEUE = query.Kind(
    name="Queue",
    fields=frozenset(
        "id name display_name company created tags system_tags entries last_update metadata resources".split()
    ),
    lists=("tags", "system_tags", "id", "metadata.*"),
)
VERSION, METADATA_VERSION, PEEK_VERSION = "2.4", "2.13", "2.15"
CHANGEABLE = ("name", "display_name", "tags", "system_tags", "metadata")
SHORTEST_NAME = 3
REQUEST = Field("queue", required=True)
TASK = Field("task", required=True)
MOST_ENTRIES = Field("max_task_entries", "int")
DETAILS = (
    Field("display_name"),
    Field("tags", "list", of="str"),
    Field("system_tags", "list", of="str"),
    Field("metadata", "dict", of=metadata.ITEM),
)
LISTED = (Field("search_hidden", "bool"), MOST_ENTRIES)


@endpoint("queues.create", Field("name", required=True), *DETAILS, version=VERSION)
def create(call: Call) -> dict[str, Any]:
    """Create a queue whose name is new."""
    data = call.data
    query.check_tags(data["tags"], data["system_tags"])
    with call.mongo.queues.lock:
        name = _free_name(call, data["name"])
        return {"id": add(call.mongo, call.company, **{**data, "name": name})}


@endpoint("queues.update", REQUEST, Field("name"), *DETAILS, version=VERSION)
def update(call: Call) -> dict[str, Any]:
    """Change what the request names, and leave the rest."""
    data = call.data
    query.check_tags(data["tags"], data["system_tags"])
    fields = {key: data[key] for key in CHANGEABLE if data[key] is not None}
    stored = dict(fields)
    with call.mongo.queues.lock:
        queue = queue_entries.load(call, data["queue"])
        if not fields:
            return {"updated": 0, "fields": {}}
        if "name" in fields:
            stored["name"] = _free_name(call, fields["name"], but=queue["_id"])
        if "metadata" in fields:
            stored["metadata"] = metadata.stored(fields["metadata"].values())
        for key in {"tags", "system_tags"} & fields.keys():
            stored[key] = fields[key] = sorted(fields[key])
        return {"updated": call.mongo.queues.update(queue["_id"], {"$set": stored}), "fields": fields}


@endpoint("queues.get_by_id", REQUEST, MOST_ENTRIES, version=VERSION)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one queue with the tasks in it."""
    return {"queue": _shown(call, query.public_form(queue_entries.load(call, call.data["queue"])))}


@endpoint("queues.get_default", version=VERSION)
def get_default(call: Call) -> dict[str, Any]:
    """Return the queue that is tagged as the default one."""
    tagged = call.mongo.queues.find({"company": call.company, "system_tags": "default"}, ["name"])
    if not tagged:
        raise error("no_default_queue")
    if len(tagged) > 1:
        raise error("several_default_queues", queues=[queue["_id"] for queue in tagged])
    return {"id": tagged[0]["_id"], "name": tagged[0]["name"]}


@endpoint("queues.get_all", *LISTED, version=VERSION)
def get_all(call: Call) -> dict[str, Any]:
    """Return the queues that the request asks for; hidden ones only by id, by name or on demand."""
    call.data = metadata.escape_query(call.data)
    queues, more = query.get_many(call, call.mongo.queues, QUEUE, _visible(call))
    return {"queues": [_shown(call, queue) for queue in queues], **more}


@endpoint("queues.get_all_ex", *LISTED, version=VERSION)
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return the same, whole, with the names of tasks and with the workers that take from each queue."""
    everything = {key: value for key, value in call.data.items() if key not in {"only_fields", "projection"}}
    call.data = metadata.escape_query(everything)
    queues, more = query.get_many(call, call.mongo.queues, QUEUE, _visible(call))
    workers = workers_registry.find(call)
    return {"queues": [_extended(call, _shown(call, queue), workers) for queue in queues], **more}


@endpoint("queues.delete", REQUEST, Field("force", "bool", default=False), version=VERSION)
def delete(call: Call) -> dict[str, Any]:
    """Delete a queue; one that is not empty only by force, and its tasks are then no longer queued."""
    with call.mongo.queues.lock:
        queue = queue_entries.load(call, call.data["queue"])
        if queue["entries"] and not call.data["force"]:
            raise error("queue_not_empty", "use force=true to delete", id=queue["_id"])
        call.mongo.queues.delete(queue["_id"])
    waiting = [entry["task"] for entry in queue["entries"]]
    queue_entries.release(call, queue["_id"], waiting, f"Queue {queue['_id']} was deleted")
    return {"deleted": 1}


@endpoint("queues.add_task", REQUEST, TASK, Field("update_execution_queue", "bool", default=True), version=VERSION)
def add_task(call: Call) -> dict[str, Any]:
    """Put a task at the end of a queue, and note in the task where it waits."""
    queue, task = call.data["queue"], call.data["task"]
    added = queue_entries.add(call, queue, task)
    if call.data["update_execution_queue"]:
        call.mongo.tasks.update(task, {"$set": {"execution.queue": queue}})
    return {"added": added}


@endpoint("queues.get_next_task", REQUEST, Field("get_task_info", "bool", default=False), Field("task"))
def get_next_task(call: Call) -> dict[str, Any]:
    """Give an agent the task that waits longest; nobody else gets it."""
    entry = queue_entries.take(call, call.data["queue"], call.data["task"])
    if not entry:
        return {}
    task = call.mongo.tasks.get(entry["task"], ["company", "user", "status"])
    if not task:
        return {"entry": entry}
    if task["status"] == "stopped":  # an agent that gave it up was late: it had been queued again
        call.mongo.tasks.update(task["_id"], {"$set": {"status": "queued"}})
    info = {"task_info": {"company": task["company"], "user": task["user"]}} if call.data["get_task_info"] else {}
    return {"entry": entry, **info}


@endpoint("queues.remove_task", REQUEST, TASK, Field("update_task_status", "bool", default=False), version=VERSION)
def remove_task(call: Call) -> dict[str, Any]:
    """Take a task off a queue."""
    data = call.data
    return {"removed": queue_entries.remove(call, data["queue"], data["task"], data["update_task_status"])}


@endpoint("queues.clear_queue", REQUEST)
def clear_queue(call: Call) -> dict[str, Any]:
    """Take all tasks off a queue."""
    return {"removed_tasks": queue_entries.clear(call, call.data["queue"])}


@endpoint("queues.peek_task", REQUEST, version=PEEK_VERSION)
def peek_task(call: Call) -> dict[str, Any]:
    """Return the task that an agent would get."""
    entries = queue_entries.load(call, call.data["queue"])["entries"]
    return {"task": entries[0]["task"] if entries else None}


@endpoint("queues.get_num_entries", REQUEST, version=PEEK_VERSION)
def get_num_entries(call: Call) -> dict[str, Any]:
    """Return how many tasks wait in a queue."""
    queue = call.mongo.queues.get({"_id": call.data["queue"], "company": {"$in": ["", call.company]}})
    if not queue:
        raise error("invalid_queue_id", queue_id=call.data["queue"])
    return {"num": len(queue["entries"])}


@endpoint("queues.move_task_forward", REQUEST, TASK, Field("count", "int", default=1), version=VERSION)
def move_task_forward(call: Call) -> dict[str, Any]:
    """Let a task overtake others."""
    return {"position": queue_entries.move(call, call.data["queue"], call.data["task"], -call.data["count"])}


@endpoint("queues.move_task_backward", REQUEST, TASK, Field("count", "int", default=1), version=VERSION)
def move_task_backward(call: Call) -> dict[str, Any]:
    """Let others overtake a task."""
    return {"position": queue_entries.move(call, call.data["queue"], call.data["task"], call.data["count"])}


@endpoint("queues.move_task_to_front", REQUEST, TASK, version=VERSION)
def move_task_to_front(call: Call) -> dict[str, Any]:
    """Make a task the next one."""
    return {"position": queue_entries.move(call, call.data["queue"], call.data["task"], queue_entries.FIRST)}


@endpoint("queues.move_task_to_back", REQUEST, TASK, version=VERSION)
def move_task_to_back(call: Call) -> dict[str, Any]:
    """Make a task the last one."""
    return {"position": queue_entries.move(call, call.data["queue"], call.data["task"], queue_entries.LAST)}


@endpoint(
    "queues.get_queue_metrics",
    Field("queue_ids", "list", of="str"),
    Field("from_date", "float", required=True, least=0),
    Field("to_date", "float", required=True, least=0),
    Field("interval", "int", required=True, least=1),
    Field("refresh", "bool", default=False),
    version=VERSION,
)
def get_queue_metrics(call: Call) -> dict[str, Any]:
    """Return lengths and waiting times over time, of the named queues or of all together."""
    data = call.data
    chosen = {"_id": {"$in": data["queue_ids"]}} if data["queue_ids"] else {}
    queues = call.mongo.queues.find({"company": call.company, **chosen, **_visible(call)})
    if not queues:
        return {"queues": []}
    if data["refresh"]:
        queue_metrics.log(call, queues)
    if data["from_date"] >= data["to_date"]:
        raise error("fields_value_error", "from_date must be less than to_date")
    names = [queue["_id"] for queue in queues]
    figures = queue_metrics.histograms(
        call, names, data["from_date"], data["to_date"], data["interval"], each=bool(data["queue_ids"])
    )
    return {"queues": [_histogram(queue, moments) for queue, moments in figures.items()]}


@endpoint(
    "queues.add_or_update_metadata",
    REQUEST,
    Field("metadata", "list", of=metadata.ITEM, shortest=1),
    Field("replace_metadata", "bool", default=False),
    version=METADATA_VERSION,
)
def add_or_update_metadata(call: Call) -> dict[str, Any]:
    """Add metadata to a queue, or replace all that it has."""
    with call.mongo.queues.lock:
        queue = queue_entries.load(call, call.data["queue"])
        changed = metadata.merged(queue, call.data["metadata"], call.data["replace_metadata"])
        return {"updated": call.mongo.queues.update(queue["_id"], {"$set": {"metadata": changed}})}


@endpoint("queues.delete_metadata", REQUEST, Field("keys", "list", of="str", shortest=1), version=METADATA_VERSION)
def delete_metadata(call: Call) -> dict[str, Any]:
    """Take metadata away from a queue, by its keys."""
    with call.mongo.queues.lock:
        queue = queue_entries.load(call, call.data["queue"])
        kept = metadata.without(queue, call.data["keys"])
        return {"updated": call.mongo.queues.update(queue["_id"], {"$set": {"metadata": kept}})}


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
        "metadata": metadata.stored((details.get("metadata") or {}).values()),
    }
    try:
        mongo.queues.insert(queue)
    except DuplicateKeyError:
        raise error("expected_unique_data", name=name, company=company) from None
    return str(queue["_id"])


def _free_name(call: Call, name: str, but: str = "") -> str:
    """Return a name as it is stored; refuse one that is too short or belongs to a queue other than `but`."""
    name = name.strip()
    if len(name) < SHORTEST_NAME:
        raise error("data_validation_error", name="String value is too short")
    taken = call.mongo.queues.get({"company": call.company, "name": name}, ["_id"])
    if taken and taken["_id"] != but:
        raise error("expected_unique_data", name=name, company=call.company)
    return name


def _visible(call: Call) -> dict[str, Any]:
    """Return the condition that leaves hidden queues out, unless they are asked for."""
    data, hidden = call.data, call.config.get("services.queues.hidden_tags", [])
    everything = data.get("search_hidden") or data.get("id") or data.get("name") or not hidden
    return {} if everything else {"system_tags": {"$nin": hidden}}


def _shown(call: Call, queue: dict[str, Any]) -> dict[str, Any]:
    """Return a queue as the API shows it."""
    most = call.data.get("max_task_entries")
    if most and "entries" in queue:
        queue = {**queue, "entries": queue["entries"][:most] if most > 0 else queue["entries"][most:]}
    return metadata.shown(queue, old_client=version_key(call.requested) <= (2, 16))


def _extended(call: Call, queue: dict[str, Any], workers: list[dict[str, Any]]) -> dict[str, Any]:
    tasks = call.mongo.tasks.find({"_id": {"$in": [entry["task"] for entry in queue["entries"]]}}, ["name"])
    names = {task["_id"]: {"name": task["name"]} for task in tasks}
    return {
        **queue,
        "company": {"id": queue["company"]},
        "entries": [
            {**entry, "task": {"id": entry["task"], **names.get(entry["task"], {})}} for entry in queue["entries"]
        ],
        "workers": [
            {"name": worker["id"], "ip": worker["ip"], "key": worker["key"], "task": worker.get("task")}
            for worker in workers
            if queue["id"] in worker["queues"]
        ],
    }


def _histogram(queue: str, moments: list[tuple[int, queue_metrics.Figures]]) -> dict[str, Any]:
    return {
        "queue": queue,
        "dates": [moment for moment, _ in moments],
        "avg_waiting_times": [figures["avg_waiting_time"] for _, figures in moments],
        "queue_lengths": [figures["queue_length"] for _, figures in moments],
    }
