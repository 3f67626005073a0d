"""auth.*: tokens, key pairs and accounts."""

from __future__ import annotations

import re
import secrets
import string
import uuid
from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import now
from .. import authentication, fixed_users
from ..call import Call
from ..errors import ApiError, error
from ..fields import Field
from ..registry import SYSTEM_ROLES, endpoint
from ..tokens import Identity
from . import users
from .login import guest_mode

MAX_LIFETIME = 31536000
EMAIL = re.compile(r"^[^@\s]+@[\w-]+(\.[\w-]+)+$")
COMPANY_ROLES = ("admin", "superuser", "user", "annotator", "guest")
ROLES = (*SYSTEM_ROLES, *COMPANY_ROLES)


@endpoint("auth.login", Field("expiration_sec", "int", most=MAX_LIFETIME))
def login(call: Call) -> dict[str, Any]:
    """Turn a name and password or a key pair into a token, which is also set as the session cookie."""
    token = _token_for(call, call.identity.user, call.company)
    call.set_cookie(token)
    return {"token": token}


@endpoint("auth.logout", version="2.2")
def logout(call: Call) -> None:
    """End the session that the caller's token belongs to."""
    authentication.revoke(call.server, call.token)
    call.set_cookie(None)


@endpoint(
    "auth.get_token_for_user",
    Field("user", required=True),
    Field("company"),
    Field("expiration_sec", "int", most=MAX_LIFETIME),
    roles=SYSTEM_ROLES,
)
def get_token_for_user(call: Call) -> dict[str, Any]:
    """Give a system component the token of any user."""
    return {"token": _token_for(call, call.data["user"], call.data["company"])}


@endpoint("auth.validate_token", Field("token", required=True), roles=SYSTEM_ROLES)
def validate_token(call: Call) -> dict[str, Any]:
    """Tell a system component, such as the fileserver, whether a token is good and whose it is."""
    try:
        token = authentication.read_token(call.server, call.data["token"])
    except ApiError as ex:
        return {"valid": False, "msg": str(ex.__cause__ or ex)}
    valid = not authentication.is_revoked(call.server, token)
    return {"valid": valid, "user": token.identity.user, "company": token.identity.company}


@endpoint(
    "auth.create_user",
    Field("name", required=True),
    Field("company", required=True),
    Field("email", required=True),
    Field("role", default="user", choices=ROLES),
    Field("family_name"),
    Field("given_name"),
    Field("avatar"),
    roles=SYSTEM_ROLES,
)
def create_user(call: Call) -> dict[str, Any]:
    """Create an account and the user that belongs to it."""
    data = call.data
    if not call.mongo.companies.get(data["company"], ["_id"]):
        raise error("invalid_id", company=data["company"])
    if not EMAIL.match(data["email"]):
        problem = " (domain validation failed)" if "@" in data["email"] else ""
        raise error("data_validation_error", email=f"Invalid email address: {data['email']}{problem}")
    user = uuid.uuid4().hex
    account = {key: data[key] for key in ("name", "company", "role", "email")}
    try:
        call.mongo.accounts.insert({"_id": user, **account, "created": now(), "credentials": [], "autocreated": False})
    except DuplicateKeyError:
        raise error("expected_unique_data", email=data["email"]) from None
    names = {key: data[key] for key in ("family_name", "given_name", "avatar")}
    users.add(call.mongo, user, data["company"], data["name"], created_in_version=call.server.version, **names)
    return {"id": user}


@endpoint(
    "auth.edit_user",
    Field("user", required=True),
    Field("role", choices=COMPANY_ROLES),
    roles=(*SYSTEM_ROLES, "admin"),
)
def edit_user(call: Call) -> dict[str, Any]:
    """Give an account another role."""
    role = call.data["role"]
    if role is None:
        raise ApiError(500, "No update parameters, would remove data")
    query = {"_id": call.data["user"], "company": call.company}
    with call.mongo.accounts.lock:
        account = call.mongo.accounts.get(query, ["role"])
        if not account:
            raise error("invalid_user_id")
        call.mongo.accounts.update(query, {"$set": {"role": role}})
    return {"updated": int(account["role"] != role), "fields": {"role": role}}


@endpoint("auth.create_credentials", Field("label"))
def create_credentials(call: Call) -> dict[str, Any]:
    """Create a key pair for the caller. The secret is shown this once."""
    _refuse_protected(call)
    key = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(30))
    secret = secrets.token_urlsafe(50)
    while secret[0] in "-_":
        secret = secrets.token_urlsafe(50)
    label = {"label": call.data["label"]} if call.data["label"] is not None else {}
    query = {"id": call.identity.user, "company": call.company}
    pair = {"key": key, "secret": secret, **label}
    if not call.mongo.accounts.update(_stored(query), {"$push": {"credentials": pair}}):
        raise error("invalid_user_id", **query)
    return {"credentials": {"access_key": key, "secret_key": secret, **label}}


@endpoint("auth.get_credentials")
def get_credentials(call: Call) -> dict[str, Any]:
    """Return the caller's key pairs without their secrets."""
    query = {"id": call.identity.user, "company": call.company}
    account = call.mongo.accounts.get(_stored(query))
    if not account:
        raise error("invalid_user_id", **query)
    return {"credentials": [_shown(pair) for pair in account["credentials"]]}


@endpoint("auth.edit_credentials", Field("access_key", required=True), Field("label"))
def edit_credentials(call: Call) -> dict[str, Any]:
    """Change the label of a key pair."""
    key = call.data["access_key"]
    if not _change_pairs(call, key, lambda pair: {**pair, "label": call.data["label"]}):
        raise error(
            "invalid_access_key",
            "invalid user or invalid access key",
            user=call.identity.user,
            access_key=key,
            company=call.company,
        )
    return {"updated": 1}


@endpoint("auth.revoke_credentials", Field("access_key", required=True))
def revoke_credentials(call: Call) -> dict[str, Any]:
    """Delete a key pair. Tokens that were issued for it stay valid until they expire."""
    _refuse_protected(call)
    key = call.data["access_key"]
    if not _change_pairs(call, key, lambda _: None):
        query = {"id": call.identity.user, "company": call.company, "credentials__key": key}
        raise error("invalid_user", "invalid user or invalid access key", **query)
    return {"revoked": 1}


@endpoint("auth.fixed_users_mode", authorize=False)
def fixed_users_mode(call: Call) -> dict[str, Any]:
    """Say whether people log in as fixed users."""
    errors = {"es_connection_error": True} if call.server.elastic_unreachable else {}
    return {"enabled": fixed_users.enabled(call.config), "guest": guest_mode(call), "server_errors": errors}


def _token_for(call: Call, user: str, company: str | None) -> str:
    query = {"id": user, **({"company": company} if company else {})}
    account = call.mongo.accounts.get(_stored(query))
    if not account:
        raise error("invalid_user_id", **query)
    owner = call.mongo.companies.get(account["company"], ["name"])
    if not owner:
        raise error("invalid_id", "invalid company associated with user", company=account["company"])
    identity = Identity(account["_id"], account["company"], account["role"], owner["name"], account["name"])
    return authentication.issue_token(call.server, identity, call.data.get("expiration_sec"))


def _refuse_protected(call: Call) -> None:
    """Accounts named in secure.credentials get their key pair from the configuration only."""
    if call.identity.user.strip("_") in call.config.get("secure.credentials"):
        raise error("invalid_user_id", "protected identity")


def _change_pairs(call: Call, key: str, change: Any) -> bool:
    """Replace the caller's key pair by what `change` returns (None deletes it); say whether there was one."""
    accounts = call.mongo.accounts
    with accounts.lock:
        account = accounts.get({"_id": call.identity.user, "company": call.company})
        pairs = account["credentials"] if account else []
        if not any(pair["key"] == key for pair in pairs):
            return False
        changed = [change(pair) if pair["key"] == key else pair for pair in pairs]
        accounts.update(call.identity.user, {"$set": {"credentials": [pair for pair in changed if pair]}})
    return True


def _shown(pair: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"access_key": pair["key"]}
    shown |= {name: pair[name] for name in ("label", "last_used_from") if pair.get(name) is not None}
    if pair.get("last_used"):
        shown["last_used"] = pair["last_used"].replace(tzinfo=None)
    return shown


def _stored(query: dict[str, Any]) -> dict[str, Any]:
    return {"_id" if key == "id" else key: value for key, value in query.items()}
