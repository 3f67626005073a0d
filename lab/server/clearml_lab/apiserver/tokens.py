"""JSON Web Tokens: who a caller is, signed with secure.auth.token_secret."""

from __future__ import annotations

import time
import uuid
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from .errors import ApiError, error

# A short secret is the operator's choice, and the official server accepts it silently.
warnings.filterwarnings("ignore", category=getattr(jwt, "InsecureKeyLengthWarning", UserWarning), module="jwt")


@dataclass(frozen=True)
class Identity:
    """A caller: user and company ids with their names, and the role that decides what is allowed."""

    user: str
    company: str
    role: str
    company_name: str = ""
    user_name: str = ""


@dataclass(frozen=True)
class Token:
    """A decoded token. The session id is what logging out revokes."""

    identity: Identity
    session_id: str
    expires: int | None


def encode(secret: str, identity: Identity, *, lifetime: int | None, **claims: str) -> str:
    """Return a signed token. Without a lifetime it never expires."""
    now = int(time.time())
    payload: dict[str, Any] = {
        "auth_type": "Bearer",
        "identity": asdict(identity),
        "session_id": uuid.uuid4().hex,
        "env": "<unknown>",
        "iat": now,
        **claims,
    }
    if lifetime:
        payload["exp"] = now + lifetime
    return jwt.encode(payload, secret, algorithm="HS256")


def decode(secret: str, text: str) -> Token:
    """Check signature and expiry and return the token, or raise the API's error."""
    try:
        # All algorithms, as there, for the same messages: "none" is refused when there is a key, and there is one.
        payload = jwt.decode(text, secret, algorithms=list(get_default_algorithms()))
    except jwt.InvalidKeyError as ex:
        raise error("invalid_token", "jwt invalid key error", reason=ex) from ex
    except jwt.InvalidTokenError as ex:
        raise error("invalid_token", "invalid jwt token", reason=ex) from ex
    identity = payload.get("identity")
    if not isinstance(identity, dict):  # there, the error on the way to this answer is the answer
        raise ApiError(500, "tuple index out of range")
    known = {name: str(value) for name, value in identity.items() if name in Identity.__dataclass_fields__}
    try:
        return Token(Identity(**known), str(payload.get("session_id") or ""), payload.get("exp"))
    except TypeError as ex:
        raise error("invalid_token", "failed parsing token", reason=ex) from None
