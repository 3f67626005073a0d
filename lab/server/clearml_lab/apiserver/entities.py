"""What is done to tasks, models and projects alike: move, tag, and show to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..stores import Table, now
from . import project_tree, query
from .call import Call
from .errors import error
from .fields import Field, Structure

TAG_FIELDS = (
    Field("include_system", "bool", default=False),
    Field(
        "filter", shape=Structure("Filter", (Field("tags", "list", of="str"), Field("system_tags", "list", of="str")))
    ),
)


def tags(
    call: Call, tables: Sequence[Table], projects: Sequence[str] | None, always_both: bool = False
) -> dict[str, list[str]]:
    """Return which tags objects have, sorted, and which system tags on demand."""
    inside = project_tree.with_children(call, [item for item in projects or [] if item])
    conditions: list[dict[str, Any]] = [{"company": call.company}]
    for field, values in (call.data["filter"] or {}).items():
        if values:
            conditions.append(query.list_condition(field, values))
    found: dict[str, set[str]] = {"tags": set()}
    if call.data["include_system"] or always_both:
        found["system_tags"] = set()
    for table in tables:
        own = "_id" if table is call.mongo.projects else "project"
        chosen = [*conditions, {own: {"$in": inside}}] if inside else conditions
        for item in table.find({"$and": chosen}, ["tags", "system_tags"]):
            found["tags"].update(item.get("tags") or [])
            if call.data["include_system"]:
                found["system_tags"].update(item.get("system_tags") or [])
    return {field: sorted(values) for field, values in found.items()}


def writable(call: Call, table: Table, ids: Sequence[str], missing: str) -> list[dict[str, Any]]:
    """Return objects that the caller may change; raise `missing` unless all of them are there."""
    found = table.find({"_id": {"$in": list(ids)}, "company": {"$in": [call.company, ""]}})
    public = tuple(item["_id"] for item in found if not item["company"])
    if public:
        raise error("no_write_permission", f"cannot modify public task(s), ids={public}")
    absent = sorted(set(ids) - {item["_id"] for item in found})
    if absent:
        raise error(missing, ids=absent)
    return found


def move(call: Call, table: Table, missing: str) -> dict[str, Any]:
    """Move objects to a project, which is created when it is named and not there."""
    data = call.data
    if data["project"] is None and not data["project_name"]:
        if "project" not in call.sent:
            raise error("missing_required_fields", "project or project_name is required")
        target = None
    else:
        target = data["project"] or project_tree.find_or_create(call, data["project_name"])
    objects = writable(call, table, data["ids"], missing)
    if target and not call.mongo.projects.get({"_id": target, "company": call.company}, ["_id"]):
        raise error("invalid_project_id", id=target)
    change = {"project": target, "last_change": now(), "last_changed_by": call.identity.user}
    table.update_all({"_id": {"$in": data["ids"]}}, {"$set": change})
    for project in {target, *(item.get("project") for item in objects)}:
        project_tree.touch(call, project)
    return {"project_id": target}


def edit_tags(call: Call, table: Table, missing: str) -> dict[str, Any]:
    """Add tags to objects, and take some away."""
    added, removed = call.data["add_tags"] or [], call.data["remove_tags"] or []
    if not added and not removed:
        raise error("validation_error", "Either add tags or remove tags should be provided")
    query.check_tags(added)
    with table.lock:
        objects = writable(call, table, call.data["ids"], missing)
        for item in objects:
            tags = sorted({*(item.get("tags") or []), *added} - set(removed))
            change = {"tags": tags, "last_change": now(), "last_changed_by": call.identity.user}
            table.update(item["_id"], {"$set": change})
    return {"updated": len(objects)}


def publish(call: Call, table: Table, missing: str, public: bool) -> dict[str, Any]:
    """Show objects of the caller's company to everybody, or no longer."""
    ids = call.data["ids"]
    owner = {"company": call.company} if public else {"company": "", "company_origin": call.company}
    known = {item["_id"] for item in table.find({"_id": {"$in": ids}, **owner}, ["_id"])}
    absent = sorted(set(ids) - known)
    if absent:
        raise error(missing, ids=absent)
    last = {"last_change": now(), "last_changed_by": call.identity.user}
    if public:
        change: dict[str, Any] = {"$set": {"company": "", "company_origin": call.company, **last}}
    else:
        change = {"$set": {"company": call.company, **last}, "$unset": {"company_origin": 1}}
    return {"updated": table.update_all({"_id": {"$in": ids}}, change)}
