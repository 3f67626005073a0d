"""What is in projects: how many tasks of which status, how long they ran, data sets, models, and sub-projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..stores import now
from . import project_tree, query
from .call import Call

STATUSES = "created queued in_progress stopped publishing published closed failed completed unknown".split()
ARCHIVED = "archived"
# Which tasks of a project count when the project is looked at as one of these.
CHILDREN: dict[str, dict[str, list[str]]] = {
    "pipeline": {"system_tags": ["pipeline"], "type": ["controller"]},
    "report": {"system_tags": ["reports"], "type": ["report"]},
    "dataset": {},
}
HOLDERS = {"pipeline": ".pipelines", "dataset": ".datasets"}
UNFINISHED = ("queued", "in_progress", "failed")


def selected(call: Call, public: bool) -> set[str] | None:
    """Return the projects that hold what the request looks for, with those above them; None: it looks for nothing."""
    data, mongo = call.data, call.mongo
    users, kind = data["active_users"], data["children_type"]
    if not users and not kind:
        return None
    company = {"$in": [call.company, ""]} if public else call.company
    conditions: list[dict[str, Any]] = [{"company": company}]
    if users:
        conditions.append({"user": {"$in": users}})
    if data["children_tags"]:
        conditions.append(query.list_condition("tags", data["children_tags"]))
    if kind in HOLDERS:
        wanted = {"system_tags": kind, "basename": {"$ne": HOLDERS[kind]}}
        found = {item["_id"] for item in mongo.projects.find({"$and": [*conditions, wanted]}, ["_id"])}
    elif kind == "report":
        reports = mongo.tasks.find({"$and": [*conditions, {"system_tags": "reports"}]}, ["project"])
        found = {item["project"] for item in reports if item.get("project")}
    else:
        found = {item["_id"] for item in mongo.projects.find({"$and": conditions}, ["_id"])}
        for table in (mongo.tasks, mongo.models):
            found |= {item["project"] for item in table.find({"$and": conditions}, ["project"]) if item.get("project")}
    above = mongo.projects.find({"_id": {"$in": sorted(found)}}, ["path"])
    return found.union(*(item.get("path") or [] for item in above))


def add(call: Call, projects: list[dict[str, Any]], within: Iterable[str] | None) -> None:
    """Add to projects what the request wants to know of them."""
    data, ids = call.data, [project["id"] for project in projects]
    wanted = _filter(call)
    if data["check_own_contents"]:
        own = _own_contents(call, ids, wanted)
        for project in projects:
            project.update(own[project["id"]])
    if data["include_stats"]:
        children = _children(call, ids, within) if data["stats_with_children"] else {}
        there = set(ids).union(*({item["_id"] for item in below} for below in children.values()))
        tasks = _tasks(call, sorted(there), wanted)
        for project in projects:
            below = children.get(project["id"], [])
            chosen = {project["id"], *(item["_id"] for item in below)}
            project["stats"] = {"active": _figures([task for task in tasks if task["project"] in chosen])}
            project["sub_projects"] = [{"id": item["_id"], "name": item["name"]} for item in below]
    if data["include_dataset_stats"]:
        datasets = _dataset_stats(call, ids)
        for project in projects:
            project["dataset_stats"] = datasets.get(project["id"])


def contents(call: Call, projects: Sequence[str]) -> dict[str, int]:
    """Return how much is in projects: tasks, models and reports, and those that are not archived."""
    mongo = call.mongo
    found = mongo.projects.find({"_id": {"$in": list(projects)}}, ["system_tags"])
    special = {
        kind: [item["_id"] for item in found if kind in (item.get("system_tags") or [])]
        for kind in ("pipeline", "dataset")
    }
    live: dict[str, Any] = {"system_tags": {"$ne": ARCHIVED}}
    controllers = mongo.tasks.find({"project": {"$in": special["pipeline"]}, "type": "controller", **live}, ["project"])
    versions = mongo.tasks.find({"project": {"$in": special["dataset"]}, **live}, ["project"])
    plain = [item["_id"] for item in found if not any(item["_id"] in ids for ids in special.values())]
    inside: dict[str, Any] = {"project": {"$in": plain}}
    reports, others = {"system_tags": "reports"}, {"system_tags": {"$ne": "reports"}}
    return {
        "pipelines": len({task["project"] for task in controllers}),
        "datasets": len({task["project"] for task in versions}),
        "tasks": mongo.tasks.count({**inside, **others}),
        "non_archived_tasks": mongo.tasks.count({"$and": [inside, others, live]}),
        "models": mongo.models.count(inside),
        "non_archived_models": mongo.models.count({**inside, **live}),
        "reports": mongo.tasks.count({**inside, **reports}),
        "non_archived_reports": mongo.tasks.count({"$and": [inside, reports, live]}),
    }


def _filter(call: Call) -> list[dict[str, Any]]:
    """Return the conditions of what counts; archived things do not unless they are asked for."""
    data = call.data
    kind = data["children_type"]
    if data["include_stats_filter"] or not kind:
        wanted = dict(data["include_stats_filter"] or {})
    else:
        tags = {"tags": data["children_tags"]} if data["children_tags"] else {}
        wanted = {**tags, **CHILDREN[kind]}
    chosen = [tag for tag in wanted.get("system_tags", []) if tag.lstrip("-") != ARCHIVED]
    wanted["system_tags"] = [*chosen, f"-{ARCHIVED}"]
    conditions = [query.list_condition(field, values) for field, values in wanted.items()]
    if data["active_users"]:
        conditions.append({"user": {"$in": data["active_users"]}})
    return [{"company": {"$in": ["", call.company]}}, *conditions]


def _own_contents(call: Call, ids: list[str], wanted: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how many tasks and models are in each project itself, or data sets when those are looked for."""
    if call.data["children_type"] == "dataset":
        below = call.mongo.projects.find({"parent": {"$in": ids}, "system_tags": "dataset"}, ["parent"])
        counts = Counter(item["parent"] for item in below)
        return {identifier: {"own_datasets": counts[identifier]} for identifier in ids}
    condition = {"$and": [{"project": {"$in": ids}}, *wanted]}
    tasks, models = (
        Counter(item["project"] for item in table.find(condition, ["project"]))
        for table in (call.mongo.tasks, call.mongo.models)
    )
    return {identifier: {"own_tasks": tasks[identifier], "own_models": models[identifier]} for identifier in ids}


def _children(call: Call, ids: list[str], within: Iterable[str] | None) -> dict[str, list[dict[str, Any]]]:
    """Return the projects below each project."""
    hidden = bool(call.data["search_hidden"] or call.data["children_type"])
    conditions: list[dict[str, Any]] = [{"path": {"$in": ids}}]
    if not hidden:
        conditions.append({"system_tags": {"$ne": "hidden"}})
    if within is not None:
        conditions.append({"_id": {"$in": sorted(within)}})
    found = call.mongo.projects.find({"$and": conditions}, ["name", "path"])
    return {identifier: [item for item in found if identifier in item["path"]] for identifier in ids}


def _tasks(call: Call, ids: list[str], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fields = ["project", "status", "started", "completed"]
    return call.mongo.tasks.find({"$and": [{"project": {"$in": ids}}, *wanted]}, fields)


def _figures(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = Counter(task.get("status") or "unknown" for task in tasks)
    yesterday = now() - timedelta(hours=24)
    spans = [(task.get("started"), task.get("completed"), task["status"]) for task in tasks]
    runtime = sum(int((end - start).total_seconds()) for start, end, _ in spans if start and end and end > start)
    done = sum(1 for _, end, status in spans if end and end > yesterday and status not in UNFINISHED)
    earliest = datetime.min.replace(tzinfo=UTC)
    last = max((start or earliest for start, _, _ in spans), default=earliest)
    return {
        "status_count": {status: counts[status] for status in STATUSES},
        "total_tasks": sum(counts.values()),
        "total_runtime": runtime,
        "completed_tasks_24h": done,
        "last_task_run": last if last != earliest else None,
    }


def _dataset_stats(call: Call, ids: list[str]) -> dict[str, dict[str, int]]:
    """Return size and number of files of the newest version of each data set."""
    condition = {
        "company": {"$in": ["", call.company]},
        "project": {"$in": ids},
        "system_tags": {"$ne": ARCHIVED},
    }
    versions = call.mongo.tasks.find(condition, ["project", "runtime", "last_update"])
    versions.sort(key=lambda task: task["last_update"])
    newest = {task["project"]: task["runtime"] for task in versions if task.get("runtime")}
    return {
        project: {"file_count": runtime.get("ds_file_count", 0), "total_size": runtime.get("ds_total_size", 0)}
        for project, runtime in newest.items()
    }


def inside(call: Call, projects: Sequence[str | None] | None, subprojects: bool, public: bool = True) -> dict[str, Any]:
    """Return the condition of what is in some projects: in all when none is named."""
    company: dict[str, Any] = {"company": {"$in": ["", call.company]} if public else call.company}
    if not projects:
        return company if subprojects or projects is not None else {**company, "project": None}
    named = [project for project in projects if project]
    chosen: list[str | None] = list(project_tree.with_children(call, named)) if subprojects else list(projects)
    return {**company, "project": {"$in": chosen}}
