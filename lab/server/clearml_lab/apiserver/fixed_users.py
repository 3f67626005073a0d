"""Fixed users: people named in the configuration, who log in with a name and a password."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import bcrypt

from ..config import Config

USERS = "apiserver.auth.fixed_users"
GUEST = "services.auth.fixed_users.guest"


class FixedUsersError(Exception):
    """A list of fixed users that makes no sense."""


@dataclass(frozen=True)
class FixedUser:
    """One of apiserver.auth.fixed_users.users; all of username, password and name are needed."""

    username: str
    password: Any
    name: str
    company: str
    is_guest: bool = False
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", user_id(self.company, self.username))

    @property
    def role(self) -> str:
        """Fixed users are plain users; there is no administrator among them."""
        return "guest" if self.is_guest else "user"

    @property
    def email(self) -> str:
        """An address that is unique, as the database wants one."""
        return f"{self.id}@example.com"

    def accepts(self, password: str, hashed: bool) -> bool:
        """Say whether the password is right. A number in the configuration never equals what was typed."""
        if hashed:
            # bcrypt itself looks at 72 bytes; newer versions of the library refuse more instead of cutting them off
            return bcrypt.checkpw(password.encode()[:72], base64.b64decode(self.password.encode("ascii")))
        return bool(password == self.password)


def user_id(company: str, username: str) -> str:
    """Return the id of a fixed user, the same on every server."""
    return hashlib.md5(f"{company}:{username}".encode(), usedforsecurity=False).hexdigest()


def enabled(config: Config) -> bool:
    """Say whether fixed users are on."""
    return bool(config.get(f"{USERS}.enabled", False))


def guest(config: Config) -> FixedUser | None:
    """Return the guest, when there is one."""
    settings = config.get(GUEST)
    if not (enabled(config) and settings["enabled"]):
        return None
    return FixedUser(
        settings["username"], settings["password"], settings["name"], settings["default_company"], is_guest=True
    )


def load(config: Config) -> list[FixedUser]:
    """Return all fixed users, the guest first. Raise TypeError when an entry lacks a key or has an unknown one."""
    company = config.get("apiserver.default_company")
    users = [FixedUser(**{"company": company, **entry}) for entry in config.get(f"{USERS}.users", [])]
    visitor = guest(config)
    return [visitor, *users] if visitor else users


def check(users: list[FixedUser]) -> None:
    """Refuse a list in which a name appears twice."""
    if len({user.username for user in users}) < len(users):
        raise FixedUsersError("Duplicate user names found in fixed users configuration")


def find(config: Config, username: str) -> FixedUser | None:
    """Return the fixed user of that name, when fixed users are on."""
    if not enabled(config):
        return None
    return next((user for user in load(config) if user.username == username), None)
