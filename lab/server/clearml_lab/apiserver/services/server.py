"""server.*: version and configuration."""

from __future__ import annotations

from typing import Any

from ...stores import now
from ..call import Call
from ..errors import ApiError
from ..fields import Field
from ..registry import MAX_VERSION, endpoint


@endpoint("server.info")
def info(call: Call) -> dict[str, Any]:
    """Return version, build and commit."""
    return _info(call)


def _info(call: Call) -> dict[str, Any]:
    return {"version": call.server.version, "build": call.server.build, "commit": call.server.commit}


@endpoint("server.info", version="2.8")
def info_with_uid(call: Call) -> dict[str, Any]:
    """Return the same and the server's own id."""
    setting = call.mongo.settings.get("server.uuid")
    return {**_info(call), "uid": setting["value"] if setting else None}


@endpoint("server.info", version="2.12")
def info_with_api_version(call: Call) -> dict[str, Any]:
    """Return version, build and commit, and the newest API version."""
    return {**_info(call), "api_version": MAX_VERSION}


@endpoint("server.report_stats_option", Field("enabled", "bool"))
def report_stats_option(call: Call) -> dict[str, Any]:
    """Return whether usage statistics may be sent, and note what the caller wants. Nothing is ever sent from here."""
    if not call.config.get("apiserver.statistics.supported", True):
        return {"supported": False}
    with call.mongo.companies.lock:
        company = call.mongo.companies.get(call.company) or {}
        option = (company.get("defaults") or {}).get("stats_option") or {"enabled": False}
        if call.data["enabled"] is not None:
            option = {
                "enabled": call.data["enabled"],
                "enabled_version": call.server.version,
                "enabled_time": now(),
                "enabled_user": call.identity.user,
            }
            call.mongo.companies.update(call.company, {"$set": {"defaults.stats_option": option}})
    return {"supported": True, **option, "current_version": call.server.version}


@endpoint("server.config", Field("path"), roles=("root", "system"))
def config(call: Call) -> dict[str, Any]:
    """Return the configuration, or the part at `path`. Only the whole leaves the secrets out, as it does there."""
    path = call.data["path"]
    try:
        tree = dict(call.config.get(path) if path else call.config.tree)
    except KeyError:
        problem = f"Unable to find value for key '{path}' and default value was not provided."
        raise ApiError(500, f'"{problem}"') from None
    return {key: value for key, value in tree.items() if key != "secure"}
