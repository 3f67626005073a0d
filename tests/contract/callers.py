"""Who calls: the recorded server's user and keys become those of the server under test."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import requests
from plugins.module_utils.published_keys import KEY_PAIRS

from .patterns import ACCESS_KEY, claims
from .translation import Translation

# The person and the service accounts of the recorded server.
USER, PASSWORD = "admin", "secret"
SERVICE_ACCOUNTS = ("CIKEYCIKEYCIKEYCIKEYCIKEYCIKEY", "ROBOKEYROBOKEYROBOKEYROBOKEY00")
# Keys of the accounts that every server has; those of its own components work, the others are revoked.
SYSTEM = tuple(KEY_PAIRS[name][0] for name in ("apiserver", "fileserver"))
REVOKED = tuple(KEY_PAIRS[name][0] for name in ("webserver", "tests"))

Pair = tuple[str, str]


@dataclass(frozen=True)
class Server:
    """The server under test: its address, a person who can log in, and the key of a system component."""

    url: str
    user: Pair
    system: Pair


@dataclass(frozen=True)
class Login:
    """What to send with a request."""

    basic: Pair | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Callers:
    """Translates the authorization of recorded calls."""

    def __init__(self, server: Server, http: requests.Session, translation: Translation) -> None:
        self._server, self._http, self._translation = server, http, translation
        self._token = self._call("auth.login", {})["token"]
        self._made: Pair | None = None

    def login(self, header: str | None) -> Login | None:
        """Return how to make a call, or None when nobody on this server can: then the call is left out."""
        if not header:
            return Login()
        kind, _, value = header.partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            pair = self._pair(name, secret)
            return Login(pair) if pair else None
        return self._bearer(header, value) if kind == "Bearer" else Login(headers={"Authorization": header})

    def _pair(self, name: str, secret: str) -> Pair | None:
        if name == USER:
            return self._server.user if secret == PASSWORD else (self._server.user[0], f"wrong-{secret}")
        if name in SYSTEM:
            return self._server.system if secret != "wrong" else None
        if name in (*REVOKED, *SERVICE_ACCOUNTS):
            return None
        if not ACCESS_KEY.match(name):
            return name, secret
        ids = self._translation.ids
        return (ids[name], ids.get(secret, "unknown")) if name in ids else self._own_pair()

    def _bearer(self, header: str, token: str) -> Login | None:
        if token in self._translation.tokens:
            return Login(headers={"Authorization": f"Bearer {self._translation.tokens[token]}"})
        try:
            role = claims(token).get("identity", {}).get("role")
        except (IndexError, ValueError):
            return Login(headers={"Authorization": header})
        return Login(headers={"Authorization": f"Bearer {self._token}"}) if role == "user" else None

    def _own_pair(self) -> Pair:
        """Return a key pair of the user, for calls whose recorded one was made in an earlier recording."""
        if not self._made:
            made = self._call("auth.create_credentials", {"label": "replay"})["credentials"]
            self._made = (made["access_key"], made["secret_key"])
        return self._made

    def _call(self, endpoint: str, content: dict[str, str]) -> dict[str, dict[str, str]]:
        answer = self._http.post(f"{self._server.url}/{endpoint}", auth=self._server.user, json=content, timeout=60)
        self._http.cookies.clear()
        answer.raise_for_status()
        data: dict[str, dict[str, str]] = answer.json()["data"]
        return data
