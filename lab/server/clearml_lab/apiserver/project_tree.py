"""Projects in a hierarchy: the name of each is its path, whose levels are parted by slashes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from ..stores import now
from .call import Call
from .errors import error

MIN_NAME = 3
SEPARATOR = "/"
Project = dict[str, Any]


def load(call: Call, project: str) -> Project:
    """Return a project that the caller may change."""
    found = call.mongo.projects.get({"_id": project, "company": {"$in": [call.company, ""]}})
    if not found:
        raise error("invalid_project_id", id=project)
    if not found["company"]:
        raise error("no_write_permission", f"cannot modify public project(s), ids={(project,)}")
    return found


def clean(name: str, may_be_empty: bool = False) -> str:
    """Return a path without superfluous slashes and blanks."""
    path = SEPARATOR.join(part.strip() for part in name.split(SEPARATOR) if part)
    if not path and not may_be_empty:
        raise error("invalid_project_name", name=name)
    return path


def depth(path: str) -> int:
    """Return on which level a project is."""
    return len([part for part in path.split(SEPARATOR) if part])


def check_depth(call: Call, deepest: int) -> None:
    """Refuse a hierarchy that is too deep."""
    most = call.config.get("services.projects.sub_projects.max_depth", 10)
    if deepest > most:
        raise error("project_path_exceeds_max", max_depth=most)


def below(call: Call, project: str) -> list[Project]:
    """Return all projects below one."""
    return call.mongo.projects.find({"path": project})


def rename(call: Call, project: Project, path: str, parent: Project | None) -> int:
    """Give a project another path, and with it all that are below it; return how many those are."""
    when, projects = now(), call.mongo.projects
    above = [*parent["path"], parent["_id"]] if parent else []
    basename = path.rpartition(SEPARATOR)[2]
    moved = {"name": path, "basename": basename, "parent": parent["_id"] if parent else None, "path": above}
    children = below(call, project["_id"])
    projects.update(project["_id"], {"$set": {**moved, "last_update": when}})
    for child in children:
        name = path + child["name"][len(project["name"]) :]
        chain = [*above, *child["path"][len(project["path"]) :]]
        projects.update(child["_id"], {"$set": {"name": name, "path": chain, "last_update": when}})
    return 1 + len(children)


def with_children(call: Call, projects: Sequence[str]) -> list[str]:
    """Return projects with all that are below them."""
    below = call.mongo.projects.find({"path": {"$in": projects}}, ["_id"])
    return [*projects, *(item["_id"] for item in below)]


def include_children(call: Call) -> None:
    """Let a request that asks for what is in projects ask for what is below them, too, when it says so."""
    data = call.data
    if data.pop("include_subprojects", False) and data.get("project"):
        projects = data["project"] if isinstance(data["project"], list) else [data["project"]]
        data["project"] = with_children(call, projects)


def find_or_create(call: Call, name: str) -> str:
    """Return the project with this name, after creating what is missing of it."""
    path = clean(name)
    with call.mongo.projects.lock:
        return str(ensure(call, path, {"description": ""})["_id"])


def touch(call: Call, project: str | None) -> None:
    """Note that something in the project changed."""
    if project:
        call.mongo.projects.update(project, {"$set": {"last_update": now()}})


def ensure(call: Call, path: str, details: dict[str, Any]) -> dict[str, Any]:
    """Return the project with this path, after creating what is missing. Only the last one gets the details."""
    projects = call.mongo.projects
    existing = projects.get({"company": call.company, "name": path})
    if existing:
        return existing
    location, _, basename = path.rpartition(SEPARATOR)
    if len(basename) < MIN_NAME:
        raise error("validation_error", "Project name cannot be blank")
    created = now()
    parent = ensure(call, location, {"description": ""}) if location else None
    project = {
        "_id": uuid.uuid4().hex,
        "user": call.identity.user,
        "company": call.company,
        "name": path,
        "basename": basename,
        "created": created,
        "last_update": created,
        "featured": 9999,
        "tags": [],
        "system_tags": [],
        **{key: value for key, value in details.items() if value is not None},
        "parent": parent["_id"] if parent else None,
        "path": [*parent["path"], parent["_id"]] if parent else [],
    }
    try:
        projects.insert(project)
    except DuplicateKeyError:
        raise error("expected_unique_data", name=path, company=call.company) from None
    if parent:
        projects.update(parent["_id"], {"$set": {"last_update": created}})
    return project
