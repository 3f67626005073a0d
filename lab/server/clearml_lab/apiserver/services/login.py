"""login.*: what a login page has to know."""

from __future__ import annotations

from typing import Any

from .. import authentication, fixed_users
from ..call import Call
from ..registry import endpoint


@endpoint("login.supported_modes", authorize=None)
def supported_modes(call: Call) -> dict[str, Any]:
    """Say whether people log in with a name and a password, and whether the server started well."""
    return {
        "authenticated": call.authenticated,
        "basic": {"enabled": fixed_users.enabled(call.config), "guest": guest_mode(call)},
        "server_errors": {"es_connection_error": call.server.elastic_unreachable, "missed_es_upgrade": False},
        "sso": {},
        "sso_providers": [],
    }


@endpoint("login.logout", version="2.13", authorize=None)
def logout(call: Call) -> None:
    """End the caller's session."""
    authentication.revoke(call.server, call.token)
    call.set_cookie(None)


def guest_mode(call: Call) -> dict[str, Any]:
    """Describe the guest; its password is no secret, since it is meant for everybody."""
    guest = fixed_users.guest(call.config)
    if not guest:
        return {"enabled": False}
    return {"enabled": True, "name": guest.name, "username": guest.username, "password": guest.password}
