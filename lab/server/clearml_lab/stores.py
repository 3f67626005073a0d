"""Connections to Mongo, Elasticsearch and Redis, with addresses from the configuration and the environment."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import redis
from elasticsearch import Elasticsearch
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from . import nested_lists, updates
from .config import Config

log = logging.getLogger("clearml.database")
Document = dict[str, Any]


class Table:
    """A Mongo collection and its lock.

    Every write takes the lock, since the stand-in database of the lab does not update atomically. Code that reads,
    decides and writes takes it around all three. This holds because there is one apiserver process.
    """

    def __init__(self, collection: Collection[Document]) -> None:
        self.collection = collection
        self.lock = threading.RLock()

    def get(self, query: Mapping[str, Any] | str, fields: Sequence[str] | None = None) -> Document | None:
        """Return the first document that matches a query or has this id."""
        document = self.collection.find_one(_query(query), list(fields) if fields else None)
        return _unwrapped(document) if document else None

    def find(self, query: Mapping[str, Any], fields: Sequence[str] | None = None) -> list[Document]:
        """Return all documents that match."""
        return [_unwrapped(item) for item in self.collection.find(query, list(fields) if fields else None)]

    def page(
        self, query: Mapping[str, Any], start: int, size: int, order: Sequence[tuple[str, int]] = ()
    ) -> list[Document]:
        """Return some of the documents that match, in an order."""
        cursor = self.collection.find(query)
        ordered = cursor.sort(list(order)) if order else cursor
        return [_unwrapped(item) for item in ordered.skip(start).limit(size)]

    def count(self, query: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        return self.collection.count_documents(query)

    def insert(self, document: Document) -> None:
        """Add a document; pymongo's DuplicateKeyError says that a unique index is violated."""
        with self.lock:
            self.collection.insert_one(nested_lists.wrap(document))

    def update(self, query: Mapping[str, Any] | str, change: Mapping[str, Any], upsert: bool = False) -> int:
        """Change the first document that matches; return 1, or 0 when none does."""
        stored = _change(change)
        with self.lock:
            if upsert or not updates.needs_replacing(stored):
                return self.collection.update_one(_query(query), stored, upsert=upsert).matched_count
            return self._replace(self.collection.find(_query(query)).limit(1), stored)

    def update_all(self, query: Mapping[str, Any], change: Mapping[str, Any]) -> int:
        """Change all documents that match; return how many there were."""
        stored = _change(change)
        with self.lock:
            if not updates.needs_replacing(stored):
                return self.collection.update_many(query, stored).matched_count
            return self._replace(self.collection.find(query), stored)

    def _replace(self, documents: Iterable[Document], change: Mapping[str, Any]) -> int:
        found = list(documents)
        for document in found:
            self.collection.replace_one({"_id": document["_id"]}, updates.apply(document, change))
        return len(found)

    def delete(self, query: Mapping[str, Any] | str) -> int:
        """Delete all documents that match; return how many there were."""
        with self.lock:
            return self.collection.delete_many(_query(query)).deleted_count


class Mongo:
    """The two databases of ClearML, `backend` and `auth`."""

    def __init__(self, config: Config, environ: Mapping[str, str] = os.environ) -> None:
        log.info("Initializing database connections")
        self.hosts = {name: self._url(name, config, environ) for name in ("backend", "auth")}
        self._clients: dict[str, MongoClient[Document]] = {}
        self.backend = self._database("backend")
        self.auth = self._database("auth")

        self.accounts = Table(self.auth["user"])
        self.companies = Table(self.backend["company"])
        self.models = Table(self.backend["model"])
        self.projects = Table(self.backend["project"])
        self.queues = Table(self.backend["queue"])
        self.settings = Table(self.backend["settings"])
        self.storage_settings = Table(self.backend["storage_settings"])
        self.tasks = Table(self.backend["task"])
        self.urls_to_delete = Table(self.backend["url_to_delete"])
        self.users = Table(self.backend["user"])
        self.versions = Table(self.backend["versions"])

    def _database(self, name: str) -> Database[Document]:
        url = self.hosts[name]
        # The URL is logged as it is, with its password: the official server does so too.
        log.info("Registering connection to %s-db (%s)", name, url)
        server, database = url.partition("?")[0], urlsplit(url).path.strip("/") or name
        if server not in self._clients:
            self._clients[server] = MongoClient(url, tz_aware=True)
        return self._clients[server][database]

    @staticmethod
    def _url(name: str, config: Config, environ: Mapping[str, str]) -> str:
        connection_string = environ.get("CLEARML_MONGODB_SERVICE_CONNECTION_STRING")
        if connection_string:
            return connection_string
        url = urlsplit(str(config.get(f"hosts.mongo.{name}.host")))
        host = _first(environ, "CLEARML_MONGODB_SERVICE_HOST", "MONGODB_SERVICE_HOST") or url.hostname
        port = _first(environ, "CLEARML_MONGODB_SERVICE_PORT", "MONGODB_SERVICE_PORT") or url.port
        user = environ.get("CLEARML_MONGODB_SERVICE_USERNAME") or url.username
        password = environ.get("CLEARML_MONGODB_SERVICE_PASSWORD") or url.password
        login = f"{quote(user)}:{quote(password)}@" if user and password else f"{quote(user)}@" if user else ""
        address = f"{login}{host}:{port}" if port else f"{login}{host}"
        query = environ.get("CLEARML_MONGODB_SERVICE_QUERY") or url.query
        return urlunsplit((url.scheme, address, url.path, query, ""))


def connect_elastic(config: Config, cluster: str, environ: Mapping[str, str] = os.environ) -> Elasticsearch:
    """Return the client of a cluster, "events" or "workers". It connects when it is used."""
    settings = config.get(f"hosts.elastic.{cluster}")
    host = _first(environ, "CLEARML_ELASTIC_SERVICE_HOST", "ELASTIC_SERVICE_HOST")
    port = _first(environ, "CLEARML_ELASTIC_SERVICE_PORT", "ELASTIC_SERVICE_PORT")
    nodes = [
        f"{node.get('scheme', 'http')}://{host or node['host']}:{port or node.get('port', 9200)}"
        for node in settings["hosts"]
    ]
    arguments = dict(settings.get("args", {}))
    user = environ.get("CLEARML_ELASTIC_SERVICE_USERNAME") or config.get("secure.elastic.user", None)
    password = environ.get("CLEARML_ELASTIC_SERVICE_PASSWORD") or config.get("secure.elastic.password", None)
    return Elasticsearch(
        nodes,
        request_timeout=arguments.pop("timeout", 60),
        basic_auth=(user, password) if user and password else None,
        **arguments,
    )


def connect_redis(config: Config, alias: str, environ: Mapping[str, str] = os.environ) -> redis.Redis:
    """Return the client of an alias below hosts.redis. It connects when it is used."""
    settings = config.get(f"hosts.redis.{alias}")
    return redis.Redis(
        host=_first(environ, "CLEARML_REDIS_SERVICE_HOST", "REDIS_SERVICE_HOST") or settings["host"],
        port=int(_first(environ, "CLEARML_REDIS_SERVICE_PORT", "REDIS_SERVICE_PORT") or settings.get("port", 6379)),
        db=settings.get("db", 0),
        password=environ.get("CLEARML_REDIS_SERVICE_PASSWORD")
        or config.get(f"secure.redis.{alias}.password", None)
        or settings.get("password"),
        socket_connect_timeout=5,
    )


def now() -> datetime:
    """Return the current time; Mongo keeps milliseconds of it."""
    return datetime.now(UTC)


def _query(query: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return {"_id": query} if isinstance(query, str) else query


def _unwrapped(document: Document) -> Document:
    found: Document = nested_lists.unwrap(document)
    return found


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return an update whose values can be stored."""
    return {operator: nested_lists.wrap(fields) for operator, fields in change.items()}


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    values: Iterable[str | None] = (environ.get(name) for name in names)
    return next((value for value in values if value), None)
