"""users.*: people and service accounts as the rest of the platform sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import Mongo, now
from .. import query
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import SYSTEM_ROLES, endpoint

USER = query.Kind(
    name="User",
    fields=frozenset("id company name family_name given_name avatar preferences created created_in_version".split()),
    hidden=frozenset({"preferences"}),
    lists=("id",),
)
CHANGEABLE = ("name", "family_name", "given_name")
REQUEST = Field("user", required=True)
Preferences = dict[str, Any]


@endpoint("users.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """Return all users of the caller's company. A scroll works, but its id is not told."""
    users, _ = query.get_many(call, call.mongo.users, USER)
    return {"users": users}


@endpoint("users.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return users with their company as an object."""
    return {"users": _with_company(call)}


@endpoint("users.get_all_ex", version="2.8")
def get_all_ex_of_projects(call: Call) -> dict[str, Any]:
    """Return the same, on demand only of those who made something in some projects, or in any."""
    projects = call.data.get("active_in_projects")
    if projects is None:
        return {"users": _with_company(call)}
    active = _makers(call, projects, call.data.get("id"))
    if not active:
        return {"users": []}
    call.data = {**call.data, "id": sorted(active)}
    return {"users": _with_company(call)}


@endpoint("users.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one user."""
    return {"user": query.public_form(_load(call, call.data["user"]))}


@endpoint("users.get_current_user")
def get_current_user(call: Call) -> dict[str, Any]:
    """Return the caller, with company and role."""
    user = call.mongo.users.get({"_id": call.identity.user, "company": call.company})
    if not user:
        raise error("invalid_user", "failed loading user")
    company = call.mongo.companies.get(call.company, ["name"]) or {"_id": call.company}
    shown = query.project(query.public_form(user), [], USER.hidden)
    most = call.config.get("services.organization.download.max_download_items", 1000)
    return {
        "user": {**shown, "company": query.public_form(company), "role": call.identity.role},
        "getting_started": call.config.get("apiserver.getting_started_info", None),
        "settings": {"max_download_items": int(most)},
    }


@endpoint(
    "users.create",
    Field("id", required=True),
    Field("name", required=True),
    Field("company", required=True),
    *(Field(name) for name in ("family_name", "given_name", "avatar")),
    roles=SYSTEM_ROLES,
)
def create(call: Call) -> None:
    """Create a user without an account."""
    data = call.data
    names = {key: data[key] for key in ("family_name", "given_name", "avatar")}
    try:
        add(call.mongo, data["id"], data["company"], data["name"], created_in_version=call.server.version, **names)
    except DuplicateKeyError:
        raise error("user_id_exists", id=data["id"]) from None


@endpoint("users.delete", REQUEST, roles=SYSTEM_ROLES)
def delete(call: Call) -> None:
    """Delete a user; the account, if there is one, stays."""
    if not call.mongo.users.delete(call.data["user"]):
        raise error("invalid_user_id", id=call.data["user"])


@endpoint("users.update", REQUEST)
def update(call: Call) -> dict[str, Any]:
    """Change a user's names."""
    fields = {key: call.data[key] for key in CHANGEABLE if call.data.get(key) is not None}
    for key, value in fields.items():
        if not isinstance(value, str):
            problem = {key: "StringField only accepts string values"}
            raise error("data_validation_error", "while updating user", **problem)
    if not fields:
        return {"updated": 0, "fields": {}}
    user = call.data["user"]
    updated = call.mongo.users.update({"_id": user, "company": call.company}, {"$set": fields})
    if "name" in fields:
        call.mongo.accounts.update(user, {"$set": {"name": fields["name"]}})
    return {"updated": updated, "fields": fields}


@endpoint("users.get_preferences")
def get_preferences(call: Call) -> dict[str, Any]:
    """Return what the web application keeps about the caller."""
    return {"preferences": _preferences(call)}


@endpoint(
    "users.set_preferences", Field("preferences", "dict", required=True), Field("return_updated", "bool", default=True)
)
def set_preferences(call: Call) -> dict[str, Any]:
    """Change some of that; a dot in a key leads into the tree."""
    changes = call.data["preferences"]
    for key, outermost in _keys(changes):
        if key.startswith("$") or ("." in key and not outermost):
            raise error("fields_value_error", f"Key {key} is invalid. Keys cannot start with '$' or contain '.'.")
    with call.mongo.users.lock:
        before = _preferences(call)
        after: Preferences = json.loads(json.dumps(before))
        for path, value in changes.items():
            try:
                _put(after, path.split("."), value)
            except (IndexError, TypeError, ValueError):
                raise error("invalid_preferences_update", key=path, value=value) from None
        if after == before:
            return {"updated": 0, "fields": {}}
        text = json.dumps(after, separators=(",", ":"))
        updated = call.mongo.users.update(call.identity.user, {"$set": {"preferences": text}})
    return {"updated": updated, "fields": {"preferences": after} if call.data["return_updated"] else {}}


def add(mongo: Mongo, identifier: str, company: str, name: str, **details: str | None) -> None:
    """Store a new user."""
    given = {key: value for key, value in details.items() if value is not None}
    document = {"company": company, "name": name, **given, "preferences": "", "created": now()}
    mongo.users.insert({"_id": identifier, **document})


def _load(call: Call, user: str) -> dict[str, Any]:
    """Return a user of the caller's company; system components see those of all companies."""
    company = {} if call.identity.role == "system" else {"company": call.company}
    document = call.mongo.users.get({"_id": user, **company})
    if not document:
        raise error("invalid_user_id", id=user, **company)
    return document


def _preferences(call: Call) -> Preferences:
    stored: Preferences = json.loads(_load(call, call.identity.user).get("preferences") or "{}")
    return stored


def _keys(tree: Any, outermost: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield each key of a tree, and whether it is one of its outermost."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key, outermost
            yield from _keys(value, outermost=False)
    elif isinstance(tree, list):
        for item in tree:
            yield from _keys(item, outermost=False)


def _put(tree: Any, path: list[str], value: Any) -> None:
    """Set what is at a path. The positions of a list are numbers; what is neither list nor mapping has no inside."""
    for key in path[:-1]:
        tree = (
            tree[int(key)] if isinstance(tree, list) else tree.setdefault(key, {}) if isinstance(tree, dict) else None
        )
    if isinstance(tree, list):
        tree[int(path[-1])] = value
    elif isinstance(tree, dict):
        tree[path[-1]] = value
    else:
        raise TypeError("no mapping")


def _with_company(call: Call) -> list[dict[str, Any]]:
    asked = call.data.get("projection") or call.data.get("only_fields") or []
    company = next((path for path in asked if path.partition(".")[0] == "company"), None if asked else "company")
    own = [path for path in asked if not path.startswith("company.")]
    call.data = {**call.data, "projection": [*own, "id", "company"] if asked else []}
    users, _ = query.get_many(call, call.mongo.users, USER)
    fields = {path.partition(".")[2] for path in asked if path.startswith("company.")}
    names = {item["_id"]: query.public_form(item) for item in call.mongo.companies.find({}, sorted(fields))}
    for user in users:
        identifier = user.pop("company")
        if company:
            user["company"] = {"id": identifier, **(names.get(identifier, {}) if fields else {})}
    return users


def _makers(call: Call, projects: list[str], wanted: list[str] | None) -> set[str]:
    """Return who made a project, a task or a model in these projects and below them."""
    mongo = call.mongo
    conditions: dict[str, Any] = {"company": call.company, **({"user": {"$in": wanted}} if wanted else {})}
    inside, themselves = dict(conditions), dict(conditions)
    if projects:
        below = [item["_id"] for item in mongo.projects.find({"path": {"$in": projects}}, ["_id"])]
        themselves["_id"] = inside["project"] = {"$in": [*projects, *below]}
    found = [*mongo.projects.find(themselves, ["user"]), *mongo.tasks.find(inside, ["user"])]
    found += mongo.models.find(inside, ["user"])
    return {item["user"] for item in found if item.get("user")}
