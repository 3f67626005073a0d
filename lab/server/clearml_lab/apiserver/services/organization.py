"""organization.*: the company as a whole."""

from __future__ import annotations

from typing import Any

from .. import entities, query
from ..call import Call
from ..entities import TAG_FIELDS
from ..errors import ApiError
from ..fields import Field
from ..registry import endpoint
from .models import MODEL
from .projects import PROJECT
from .tasks import TASK

COUNTED = {
    "projects": ("projects", PROJECT),
    "tasks": ("tasks", TASK),
    "models": ("models", MODEL),
    "pipelines": ("projects", PROJECT),
    "pipeline_runs": ("tasks", TASK),
    "datasets": ("projects", PROJECT),
    "dataset_versions": ("tasks", TASK),
    "reports": ("tasks", TASK),
}
TYPES = {"pipeline_runs": "controller", "dataset_versions": "data_processing", "reports": "report"}


@endpoint("organization.get_tags", *TAG_FIELDS)
def get_tags(call: Call) -> dict[str, Any]:
    """Return which tags tasks and models have."""
    return entities.tags(call, [call.mongo.tasks, call.mongo.models], None)


@endpoint("organization.get_user_companies")
def get_user_companies(call: Call) -> dict[str, Any]:
    """Return the caller's company with all who are in it."""
    users = call.mongo.users.find({"company": call.company}, ["name", "avatar"])
    owners = [{"id": user["_id"], "name": user["name"], "avatar": user.get("avatar")} for user in users]
    owners.sort(key=lambda user: str(user["name"]))
    company = {"id": call.company, "name": call.identity.company_name, "allocated": len(users), "owners": owners}
    return {"companies": [company]}


@endpoint(
    "organization.get_entities_count",
    *(Field(name, "dict") for name in COUNTED),
    Field("active_users", "list"),
    Field("search_hidden", "bool", default=False),
    Field("allow_public", "bool", default=True),
    Field("limit", "int"),
)
def get_entities_count(call: Call) -> dict[str, Any]:
    """Return how many objects of each kind there are that meet its conditions."""
    counts: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in COUNTED:
        if call.data[name] is not None:
            try:
                counts[name] = _count(call, name, dict(call.data[name]))
            except ApiError as ex:
                problems[name] = str(ex)
    return {**counts, "errors": problems} if problems else counts


def _count(call: Call, name: str, data: dict[str, Any]) -> int:
    table, kind = COUNTED[name]
    if name in TYPES:
        data["type"] = TYPES[name]
    hidden = call.data["search_hidden"] or name not in ("projects", "tasks")
    extra: dict[str, Any] = {} if hidden else {"system_tags": {"$ne": "hidden"}}
    if call.data["active_users"]:
        extra["user"] = {"$in": call.data["active_users"]}
    condition = query.condition(call, kind, data, extra, public=call.data["allow_public"])
    count: int = getattr(call.mongo, table).count(condition)
    return min(count, call.data["limit"]) if call.data["limit"] else count
