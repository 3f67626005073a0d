"""What is known of workers: an entry each in Redis, which expires when the worker is silent for too long."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ..stores import now
from .call import Call
from .errors import error

Entry = dict[str, Any]
TAG_FIELDS = ("tags", "system_tags")


def register(call: Call, worker: str, **details: Any) -> Entry:
    """Make the entry of a worker, in place of an earlier one. Its queues must exist."""
    user = call.mongo.accounts.get({"_id": call.identity.user, "company": call.company}, ["name"])
    if not user:
        raise error("invalid_user_id", id=call.identity.user, company=call.company)
    wanted = details.get("queues") or []
    query = {"company": call.company, "_id": {"$in": wanted}}
    missing = set(wanted) - {queue["_id"] for queue in call.mongo.queues.find(query, ["_id"])}
    if missing:
        raise error("invalid_queue_id", ids=sorted(missing))
    if wanted and details.get("resources"):
        call.mongo.queues.update_all(query, {"$set": {"resources": details["resources"]}})
    when = now()
    entry = {
        "key": _key(call, worker),
        "id": worker,
        "user": {"id": user["_id"], "name": user["name"]},
        "company": {"id": call.company, "name": call.identity.company_name},
        "ip": call.caller_ip,
        "queues": wanted,
        "register_time": when,
        "register_timeout": details.get("timeout") or _default_timeout(call),
        "last_activity_time": when,
        "tags": details.get("tags") or [],
        "system_tags": details.get("system_tags") or [],
    }
    save(call, entry)
    return entry


def load(call: Call, worker: str) -> Entry:
    """Return the entry of one of the caller's workers; one that never registered is registered now."""
    stored: Any = call.server.workers_redis.get(_key(call, worker))
    if stored:
        return _decode(stored)
    if not call.config.get("apiserver.workers.auto_register", False):
        raise error("invalid_worker_id", worker=worker)
    return register(call, worker)


def save(call: Call, entry: Entry) -> None:
    """Store an entry, and note it under its tags."""
    client, seconds = call.server.workers_redis, int(entry["register_timeout"])
    client.set(entry["key"], json.dumps(entry, default=lambda value: value.isoformat()), ex=seconds)
    for field in TAG_FIELDS:
        for tag in entry[field]:
            client.zadd(_tag_key(call, field, tag), {entry["key"]: int(time.time()) + seconds})


def remove(call: Call, worker: str) -> None:
    """Forget one of the caller's workers."""
    removed = call.server.workers_redis.delete(_key(call, worker))
    if not removed and not call.config.get("apiserver.workers.auto_unregister", False):
        raise error("worker_not_registered", worker=worker)


def keys(
    call: Call, pattern: str | None = None, tags: Sequence[str] = (), system_tags: Sequence[str] = ()
) -> set[bytes]:
    """Return the keys of the company's workers that match a pattern, with these tags and without those after `-`."""
    client = call.server.workers_redis
    found = set(client.scan_iter(f"worker_{call.company}_*_{pattern or '*'}"))
    for field, wanted in zip(TAG_FIELDS, (tags, system_tags), strict=True):
        included = [_tagged(call, field, tag) for tag in wanted if not tag.startswith("-")]
        excluded = [_tagged(call, field, tag[1:]) for tag in wanted if tag.startswith("-")]
        if included:
            found &= set().union(*included)
        found -= set().union(*excluded)
    return found


def find(call: Call, last_seen: int | None = None, **filters: Any) -> list[Entry]:
    """Return the entries of the company's workers, or of those seen in the last seconds."""
    names = sorted(keys(call, **filters))
    stored: Any = call.server.workers_redis.mget(names) if names else []
    entries = [_decode(text) for text in stored if text]
    if not last_seen:
        return entries
    since = now() - timedelta(seconds=max(1, last_seen))
    return [entry for entry in entries if datetime.fromisoformat(entry["last_activity_time"]) >= since]


def _default_timeout(call: Call) -> int:
    return int(call.config.get("services.workers.default_worker_timeout_sec", 600))


def _key(call: Call, worker: str) -> str:
    return f"worker_{call.company}_{call.identity.user}_{worker}"


def _tag_key(call: Call, field: str, tag: str) -> str:
    return f"workers.{field}_{call.company}_{tag}"


def _tagged(call: Call, field: str, tag: str) -> set[bytes]:
    """Return the keys of workers that had a tag and are not silent for too long."""
    found: Any = call.server.workers_redis.zrangebyscore(_tag_key(call, field, tag), int(time.time()), "+inf")
    return set(found)


def _decode(text: bytes | str) -> Entry:
    entry: Entry = json.loads(text)
    return entry
