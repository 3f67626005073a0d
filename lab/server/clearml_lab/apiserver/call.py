"""What an endpoint gets to see: the request, the caller, and the server's configuration and stores."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch
from redis import Redis
from werkzeug.datastructures import Headers

from ..config import Config
from ..stores import Mongo
from .errors import ApiError
from .tokens import Identity, Token


@dataclass
class Server:
    """The configuration and the stores, shared by all calls."""

    config: Config
    mongo: Mongo
    events: Elasticsearch
    workers: Elasticsearch
    redis: Redis
    workers_redis: Redis
    version: str
    build: str = ""
    commit: str = ""
    elastic_unreachable: bool = False


@dataclass(frozen=True)
class Download:
    """An answer that is a file, without an envelope."""

    filename: str
    lines: Iterable[str]
    mimetype: str = "text/plain"


@dataclass
class Call:
    """One request on its way through the server."""

    server: Server
    headers: Headers
    remote_address: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    requested: str = "1.0"
    actual: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()  # the names of what the request holds, even when it holds null
    batch: list[dict[str, Any]] | None = None
    token: Token | None = None
    cookie: str | None = None
    cookie_set: bool = False
    _identity: Identity | None = None

    @property
    def identity(self) -> Identity:
        """Who is calling. Endpoints without authorization ask `authenticated` first."""
        if self._identity is None:
            raise ApiError(500, "Missing identity")
        return self._identity

    @identity.setter
    def identity(self, value: Identity) -> None:
        self._identity = value

    @property
    def authenticated(self) -> bool:
        """Say whether the caller is known."""
        return self._identity is not None

    @property
    def company(self) -> str:
        """The caller's company: every query is limited to it."""
        return self.identity.company

    @property
    def config(self) -> Config:
        """The server's configuration."""
        return self.server.config

    @property
    def mongo(self) -> Mongo:
        """The server's Mongo databases."""
        return self.server.mongo

    def asking(self, data: dict[str, Any]) -> Call:
        """Return the same call with another request in it, for another endpoint."""
        other = copy.copy(self)
        other.data, other.sent = data, frozenset(data)
        return other

    def header(self, name: str) -> str | None:
        """Return an X-Clearml-… header, or the same under the product's earlier name."""
        return self.headers.get(f"X-Clearml-{name}") or self.headers.get(f"X-Trains-{name}")

    @property
    def caller_ip(self) -> str:
        """The caller's address as the nearest proxy saw it."""
        forwarded = self.headers.get("X-Forwarded-For") or self.headers.get("X-Real-IP")
        return forwarded or self.remote_address or "untrackable"

    def set_cookie(self, token: str | None) -> None:
        """Set the session cookie in the answer, or remove it."""
        self.cookie, self.cookie_set = token, True
