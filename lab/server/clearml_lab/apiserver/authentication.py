"""Who is calling: a bearer token, a key pair, or a fixed user's name and password; and acting for somebody else."""

from __future__ import annotations

import base64
import time

from ..stores import now
from . import fixed_users, tokens
from .call import Call, Server
from .errors import error
from .registry import SYSTEM_ROLES, Endpoint
from .tokens import Identity, Token

REVOKED = "revoked_tokens"


def authenticate(call: Call, endpoint: Endpoint, authorization: str | None) -> None:
    """Find out who is calling and whether the endpoint is for them."""
    if endpoint.authorize is False:
        return
    if not authorization:
        if endpoint.authorize:
            raise error("no_credentials")
        return
    try:
        _identify(call, authorization)
    except Exception:
        if endpoint.authorize:
            raise
        return
    _check_role(call, endpoint)
    if _impersonate(call):
        _check_role(call, endpoint)


def issue_token(server: Server, identity: Identity, lifetime: int | None) -> str:
    """Return a new token. Only system components get one that does not expire."""
    if identity.role != "system":
        lifetime = lifetime or server.config.get("apiserver.auth.default_expiration_sec")
    return tokens.encode(
        server.config.get("secure.auth.token_secret"),
        identity,
        lifetime=lifetime,
        api_version="2.34",
        server_version=server.version,
        server_build=server.build,
        feature_set="basic",
    )


def read_token(server: Server, text: str) -> Token:
    """Decode a token with the configured secret. Whether it was revoked is another question."""
    return tokens.decode(server.config.get("secure.auth.token_secret"), text)


def is_revoked(server: Server, token: Token) -> bool:
    """Say whether somebody logged out of this session."""
    return bool(token.session_id) and server.redis.zscore(REVOKED, token.session_id) is not None


def revoke(server: Server, token: Token | None) -> None:
    """End a session, and forget those whose token has expired meanwhile."""
    if token is None or not token.session_id:
        return
    seconds = int(time.time())
    expires = token.expires or seconds + server.config.get("apiserver.auth.default_expiration_sec")
    server.redis.zadd(REVOKED, {token.session_id: expires})
    server.redis.zremrangebyscore(REVOKED, 0, seconds)


def _identify(call: Call, authorization: str) -> None:
    kind, _, value = authorization.partition(" ")
    if kind == "Bearer":
        token = read_token(call.server, value)
        if is_revoked(call.server, token):
            raise error("invalid_token", "revoked token")
        call.token, call.identity = token, token.identity
    elif kind == "Basic":
        call.identity = _basic(call, value)
    else:
        raise error("bad_auth_type")


def _basic(call: Call, value: str) -> Identity:
    try:
        key, _, secret = base64.b64decode(value.encode()).decode("latin-1").partition(":")
    except ValueError as ex:
        raise error("bad_credentials", str(ex)) from None
    accounts = call.mongo.accounts
    fixed_user = fixed_users.find(call.config, key)
    if fixed_user:
        if not fixed_user.accepts(secret, call.config.get(f"{fixed_users.USERS}.pass_hashed", False)):
            raise error("invalid_credentials", "bad username or password")
        if fixed_user.is_guest and call.name not in call.config.get(f"{fixed_users.GUEST}.allow_endpoints"):
            raise error("invalid_credentials", "endpoint not allowed for guest")
        account = accounts.get(fixed_user.id)
    else:
        account = _account_of_pair(call, key, secret)
    if not account:
        raise error("invalid_credentials", "failed to locate provided credentials")
    company = call.mongo.companies.get(account["company"], ["name"])
    if not company:
        raise error("invalid_credentials", "invalid user company")
    return Identity(account["_id"], account["company"], account["role"], company["name"], account["name"])


def _account_of_pair(call: Call, key: str, secret: str) -> dict[str, object] | None:
    """Find the account of a key pair and note the use."""
    accounts = call.mongo.accounts
    with accounts.lock:
        account = accounts.get({"credentials.key": key}) if key else None
        pairs = account["credentials"] if account else []
        pair = next((item for item in pairs if (item["key"], item["secret"]) == (key, secret)), None)
        if not account or not pair:
            return None
        pair["last_used"] = now()
        pair["last_used_from"] = call.header("Worker") or call.caller_ip
        accounts.update(account["_id"], {"$set": {"credentials": pairs}})
        return account


def _check_role(call: Call, endpoint: Endpoint) -> None:
    role = call.identity.role
    if endpoint.authorize and endpoint.roles and role not in endpoint.roles:
        raise error("role_not_allowed", role=role, allowed=tuple(endpoint.roles))


def _impersonate(call: Call) -> bool:
    """Let system components and administrators act as a user, with their own role or with the user's."""
    act_as, impersonate_as = call.header("Act-As"), call.header("Impersonate-As")
    if not act_as and not impersonate_as:
        return False
    if act_as and impersonate_as:
        raise error("invalid_headers", "only one allowed", headers=("X-Clearml-Act-As", "X-Clearml-Impersonate-As"))
    caller = call.identity
    if caller.role not in (*SYSTEM_ROLES, "admin"):
        raise error("impersonation_error", "impersonation not allowed", role=caller.role)
    query = {"id": act_as or impersonate_as}
    if caller.role != "root":
        query["company"] = caller.company
    account = call.mongo.accounts.get({"_id" if name == "id" else name: value for name, value in query.items()})
    if not account:
        raise error("impersonation_error", "unknown user", **query)
    company = call.mongo.companies.get(account["company"], ["name"])
    if not company:
        raise error("impersonation_error", "unknown company for user", **query, company=account["company"])
    call.identity = Identity(
        account["_id"],
        account["company"],
        caller.role if act_as else account["role"],
        company["name"],
        f"{caller.user_name} (acting as {account['name']})"
        if act_as
        else f"{account['name']} (impersonated by {caller.user_name})",
    )
    return True
