"""workers.*: what agents report about themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from elasticsearch.helpers import bulk

from ...stores import now
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint

VERSION = "2.4"
CATEGORIES = {"cpu": "cpu", "gpu": "gpu", "memory": "memory", "network": "network", "disk": "disk"}


@endpoint(
    "workers.status_report",
    Field("worker", required=True),
    Field("timestamp", "int", required=True),
    Field("task"),
    Field("queue"),
    Field("queues", "list"),
    Field("tags", "list"),
    Field("system_tags", "list"),
    Field("machine_stats", "dict"),
    version=VERSION,
)
def status_report(call: Call) -> None:
    """Note that a worker lives, what it works on, and how busy its machine is."""
    data = call.data
    entry = _entry(call, data["worker"])
    when = now()
    entry.update(ip=call.caller_ip, queue=data["queue"], last_activity_time=when, last_report_time=when)
    entry.update({key: data[key] for key in ("tags", "system_tags") if data[key] is not None})
    if data["queues"]:
        entry["queues"] = data["queues"]
    if data["machine_stats"]:
        _store_statistics(call, data)
    try:
        entry["task"], entry["project"] = _running(call, data["worker"], data["task"], when)
    finally:
        _save(call, entry)


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


def _key(call: Call, worker: str) -> str:
    return f"worker_{call.company}_{call.identity.user}_{worker}"


def _entry(call: Call, worker: str) -> dict[str, Any]:
    """Return what is known of the worker; one that never registered is registered by its first report."""
    stored: Any = call.server.workers_redis.get(_key(call, worker))
    if stored:
        return dict(json.loads(stored))
    user = call.mongo.accounts.get({"_id": call.identity.user, "company": call.company}, ["name"])
    if not user:
        raise error("invalid_user_id", id=call.identity.user, company=call.company)
    return {
        "key": _key(call, worker),
        "id": worker,
        "user": {"id": user["_id"], "name": user["name"]},
        "company": {"id": call.company, "name": call.identity.company_name},
        "queues": [],
        "register_time": now(),
        "register_timeout": call.config.get("services.workers.default_worker_timeout_sec", 600),
    }


def _save(call: Call, entry: dict[str, Any]) -> None:
    text = json.dumps(entry, default=lambda value: value.isoformat())
    call.server.workers_redis.set(entry["key"], text, ex=int(entry["register_timeout"]))


def _store_statistics(call: Call, data: dict[str, Any]) -> None:
    """Store one document a figure, in the index of the month."""
    month = datetime.now(UTC).strftime("%Y-%m")
    index = f"worker_stats_{call.company.lower()}_{month}"
    actions = []
    for metric, value in data["machine_stats"].items():
        values = value if isinstance(value, list) else [value]
        for position, figure in enumerate(values):
            if not isinstance(figure, (int, float)):
                continue
            document = {
                "timestamp": data["timestamp"],
                "worker": data["worker"],
                "category": CATEGORIES.get(metric.partition("_")[0], "other"),
                "metric": metric,
                "variant": str(position) if isinstance(value, list) else "total",
                "value": float(figure),
                "task": data["task"],
                "company_id": call.company,
            }
            actions.append({"_index": index, "_source": document})
    if actions:
        bulk(call.server.workers, actions)
