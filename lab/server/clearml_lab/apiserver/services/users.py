"""users.*: people and service accounts as the rest of the platform sees them."""

from __future__ import annotations

from typing import Any

from .. import query
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint

USER = query.Kind(
    fields=frozenset("id company name family_name given_name avatar preferences created created_in_version".split()),
    hidden=frozenset({"preferences"}),
    patterns=(),
    lists=("id",),
)


@endpoint("users.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """Return all users of the caller's company."""
    users, more = query.get_many(call, call.mongo.users, USER)
    return {"users": users, **more}


@endpoint("users.get_by_id", Field("user", required=True))
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one user."""
    values = {"id": call.data["user"], "company": call.company}
    user = call.mongo.users.get({"_id": values["id"], "company": call.company})
    if not user:
        raise error("invalid_user_id", **values)
    return {"user": query.public_form(user)}


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
