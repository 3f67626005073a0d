"""projects.*: what can be chosen from in the tasks and models of projects: metrics, parameters, tags, users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import entities, keys
from ..call import Call
from ..entities import TAG_FIELDS
from ..fields import Field
from ..project_stats import inside
from ..registry import endpoint

PROJECT = (Field("project"), Field("include_subprojects", "bool", default=True))
PROJECTS = (Field("projects", "list", of="str, NoneType"), Field("include_subprojects", "bool", default=True))
PAGE = (Field("page", "int", default=0), Field("page_size", "int", default=500))
PUBLIC = Field("allow_public", "bool", default=True)


@endpoint(
    "projects.get_unique_metric_variants",
    *PROJECT,
    Field("model_metrics", "bool", default=False),
    Field("ids", "list"),
)
def get_unique_metric_variants(call: Call) -> dict[str, Any]:
    """Return which scalars the tasks or models of a project reported."""
    table = call.mongo.models if call.data["model_metrics"] else call.mongo.tasks
    chosen = {"_id": {"$in": call.data["ids"]}} if call.data["ids"] else {}
    found: dict[tuple[str, str], dict[str, str]] = {}
    for item in table.find({**_inside_one(call), **chosen}, ["last_metrics"]):
        for metric_hash, variants in (item.get("last_metrics") or {}).items():
            for variant_hash, line in variants.items():
                found[line["metric"], line["variant"]] = {
                    "metric": line["metric"],
                    "metric_hash": metric_hash,
                    "variant": line["variant"],
                    "variant_hash": variant_hash,
                }
    return {"metrics": [found[name] for name in sorted(found)]}


@endpoint("projects.get_hyper_parameters", *PROJECT, *PAGE, version="2.9")
def get_hyper_parameters(call: Call) -> dict[str, Any]:
    """Return which parameters the tasks of a project have."""
    names = {
        (section, name)
        for task in call.mongo.tasks.find(_inside_one(call), ["hyperparams"])
        for section, items in (task.get("hyperparams") or {}).items()
        for name in items
    }
    shown = [{"section": keys.unescape(section), "name": keys.unescape(name)} for section, name in sorted(names)]
    page = _paged(call, shown)
    return {"total": len(page), "remaining": 0, "parameters": page}


@endpoint(
    "projects.get_hyperparam_values",
    *PROJECTS,
    Field("section", required=True),
    Field("name", required=True),
    Field("pattern"),
    PUBLIC,
    *PAGE,
    version="2.13",
)
def get_hyperparam_values(call: Call) -> dict[str, Any]:
    """Return which values a parameter has in the tasks of projects."""
    data = call.data
    path = ("hyperparams", keys.escape(data["section"]), keys.escape(data["name"]), "value")
    condition: dict[str, Any] = {**_inside(call), ".".join(path[:-1]): {"$exists": True}}
    if data["pattern"]:
        condition[".".join(path)] = {"$regex": data["pattern"], "$options": "i"}
    return _values(call, call.mongo.tasks.find(condition, ["hyperparams"]), path)


@endpoint("projects.get_model_metadata_keys", *PROJECT, *PAGE)
def get_model_metadata_keys(call: Call) -> dict[str, Any]:
    """Return which metadata the models of a project have."""
    models = call.mongo.models.find(_inside_one(call), ["metadata"])
    names = sorted({keys.unescape(name) for model in models for name in model.get("metadata") or {}})
    page = _paged(call, names)
    return {"total": len(page), "remaining": 0, "keys": page}


@endpoint("projects.get_model_metadata_values", *PROJECTS, Field("key", required=True), PUBLIC, *PAGE)
def get_model_metadata_values(call: Call) -> dict[str, Any]:
    """Return which values a key of metadata has in the models of projects."""
    path = ("metadata", keys.escape(call.data["key"]), "value")
    condition = {**_inside(call), ".".join(path[:-1]): {"$exists": True}}
    return _values(call, call.mongo.models.find(condition, ["metadata"]), path)


@endpoint("projects.get_project_tags", *TAG_FIELDS, Field("projects", "list", of="str"))
def get_project_tags(call: Call) -> dict[str, Any]:
    """Return which tags projects have."""
    return entities.tags(call, [call.mongo.projects], call.data["projects"], always_both=True)


@endpoint("projects.get_task_tags", *TAG_FIELDS, Field("projects", "list", of="str"), version="2.8")
def get_task_tags(call: Call) -> dict[str, Any]:
    """Return which tags the tasks of projects have."""
    return entities.tags(call, [call.mongo.tasks], call.data["projects"])


@endpoint("projects.get_model_tags", *TAG_FIELDS, Field("projects", "list", of="str"), version="2.8")
def get_model_tags(call: Call) -> dict[str, Any]:
    """Return which tags the models of projects have."""
    return entities.tags(call, [call.mongo.models], call.data["projects"])


@endpoint(
    "projects.get_task_parents",
    *PROJECTS,
    Field("tasks_state", choices=("active", "archived"), enum="EntityVisibility"),
    Field("task_name"),
    version="2.12",
)
def get_task_parents(call: Call) -> dict[str, Any]:
    """Return which tasks are parents of tasks in projects."""
    condition = _inside(call)
    if call.data["tasks_state"] == "archived":
        condition["system_tags"] = "archived"
    elif call.data["tasks_state"] == "active":
        condition["system_tags"] = {"$ne": "archived"}
    ids = {task["parent"] for task in call.mongo.tasks.find(condition, ["parent"]) if task.get("parent")}
    wanted: dict[str, Any] = {"_id": {"$in": sorted(ids)}, "company": {"$in": ["", call.company]}}
    if call.data["task_name"]:
        wanted["name"] = {"$regex": call.data["task_name"]}
    parents = call.mongo.tasks.find(wanted, ["name", "project"])
    projects = {task["project"] for task in parents if task.get("project")}
    names = {item["_id"]: item["name"] for item in call.mongo.projects.find({"_id": {"$in": sorted(projects)}})}
    shown = []
    for task in sorted(parents, key=lambda item: str(item["name"])):
        place = (
            {"project": {"id": task["project"], "name": names[task["project"]]}} if task.get("project") in names else {}
        )
        shown.append({"id": task["_id"], "name": task["name"], **place})
    return {"parents": shown}


@endpoint(
    "projects.get_user_names",
    *PROJECTS,
    Field("entity", choices=("task", "model"), enum="EntityTypeEnum", default="task"),
)
def get_user_names(call: Call) -> dict[str, Any]:
    """Return whose tasks or models are in projects."""
    table = call.mongo.models if call.data["entity"] == "model" else call.mongo.tasks
    ids = {item["user"] for item in table.find(_inside(call), ["user"])}
    users = call.mongo.users.find({"_id": {"$in": sorted(ids)}}, ["name"])
    return {"users": [{"id": user["_id"], "name": user["name"]} for user in users]}


def _inside_one(call: Call) -> dict[str, Any]:
    project = call.data["project"]
    return inside(call, [project] if project else None, call.data["include_subprojects"])


def _inside(call: Call) -> dict[str, Any]:
    return inside(
        call, call.data["projects"] or [], call.data["include_subprojects"], call.data.get("allow_public", True)
    )


def _values(call: Call, items: Iterable[dict[str, Any]], path: Sequence[str]) -> dict[str, Any]:
    values = set()
    for item in items:
        value: Any = item
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            values.add(value)
    page = _paged(call, sorted(values, key=_natural))
    return {"total": len(page), "values": page}


def _natural(value: Any) -> tuple[int, float, str]:
    """Order numbers by size, and put them before texts."""
    try:
        return 0, float(value), ""
    except (TypeError, ValueError):
        return 1, 0, str(value)


def _paged(call: Call, items: list[Any]) -> list[Any]:
    """Return one page. The official server counts after it cut the page, so its total is the page's length."""
    start, size = max(0, call.data["page"]), max(1, call.data["page_size"])
    return items[start * size : (start + 1) * size]
