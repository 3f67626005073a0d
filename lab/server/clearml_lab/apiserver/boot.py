"""What the apiserver does before it listens: find its stores, prepare them, create the accounts of the configuration.

It never waits for long: a store that is down ends the process, and the restart policy starts it again. An error in the
accounts, however, is only logged, as on the official server: "Failed initializing mongodb" in the log is the one sign.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
from elasticsearch import ConnectionError as ElasticConnectionError
from elasticsearch import Elasticsearch

from ..config import Config
from ..stores import Mongo, connect_elastic, connect_redis, now
from . import fixed_users, templates
from .call import Server
from .fixed_users import FixedUser
from .services import queues
from .services import users as user_service

log = logging.getLogger("clearml.boot")
SCHEMA_VERSIONS = (
    "0.12.1 0.13.0 0.14.0 0.15.0 0.16.0 0.16.1 0.16.2 0.17.0 1.0.0 1.0.2 1.3.0 1.6.0 1.7.0 1.9.0"
).split()
UNIQUE_INDEXES = {
    "projects": ["name", "company"],
    "queues": ["name", "company"],
    "urls_to_delete": ["url", "company"],
    "accounts": ["email"],
}


class BootError(Exception):
    """A store that the server cannot do without is not there."""


def boot(config: Config, environ: Mapping[str, str] = os.environ) -> Server:
    """Connect, prepare the stores, and return the server. Raise when a store does not answer."""
    log.info("################ API Server initializing #####################")
    server = Server(
        config=config,
        mongo=Mongo(config, environ),
        events=connect_elastic(config, "events", environ),
        workers=connect_elastic(config, "workers", environ),
        redis=connect_redis(config, "apiserver", environ),
        workers_redis=connect_redis(config, "workers", environ),
        version=environ.get("CLEARML_SERVER_VERSION", "unknown"),
        build=environ.get("CLEARML_SERVER_BUILD", ""),
        commit=environ.get("CLEARML_SERVER_COMMIT", ""),
    )
    name = hashlib.md5(";".join(sorted(server.mongo.hosts.values())).encode(), usedforsecurity=False).hexdigest()
    with exclusive(server.redis, f"dist_lock_db_init_{name}", config.get("apiserver.db_init_timout", 120)):
        wait_for_elastic(config, server.events)
        empty = is_empty(server.mongo)
        log.info("Applying mappings to Elasticsearch")
        templates.apply(server.events)
        try:
            prepare_mongo(server, empty)
        except Exception as ex:  # as the official server: it comes up, and the log is the only witness
            # The cause stands in the first line: it is what a deployment looks for and shows.
            log.exception("Failed initializing mongodb: %s", ex)  # noqa: TRY401
    return server


@contextmanager
def exclusive(client: redis.Redis, name: str, lifetime: int) -> Iterator[None]:
    """Hold a lock in Redis. One left behind by a killed process goes after its lifetime; wait twice that long."""
    deadline = time.monotonic() + 2 * lifetime
    while not client.set(name, os.getpid(), ex=lifetime, nx=True):
        if time.monotonic() > deadline:
            raise BootError(f"Could not acquire {name} lock for {2 * lifetime} seconds")
        time.sleep(0.1)
    try:
        yield
    finally:
        client.delete(name)


def wait_for_elastic(config: Config, client: Elasticsearch) -> None:
    """Give Elasticsearch the configured number of tries."""
    tries = config.get("apiserver.elastic.probing.max_retries", 4)
    pause = config.get("apiserver.elastic.probing.timeout", 30)
    for attempt in range(1, tries + 1):
        try:
            client.cluster.health()
            return
        except ElasticConnectionError as ex:
            if attempt == tries:
                log.error("Error connecting to Elasticsearch: %s", ex)
                break
            log.warning(
                "Could not connect to ElasticSearch Service. Retry %d of %d. Waiting for %dsec", attempt, tries, pause
            )
            time.sleep(pause)
    raise BootError("Error starting server: failed connecting to ElasticSearch service")


def is_empty(mongo: Mongo) -> bool:
    """Say whether no ClearML server has ever written to these databases."""
    names = {*mongo.backend.list_collection_names(), *mongo.auth.list_collection_names()}
    return not names & {"company", "user", "versions"}


def prepare_mongo(server: Server, empty: bool) -> None:
    """Bring the databases up to date and create what the configuration asks for."""
    config, mongo = server.config, server.mongo
    _apply_versions(server, empty)
    for table, fields in UNIQUE_INDEXES.items():
        getattr(mongo, table).collection.create_index([(field, 1) for field in fields], unique=True)
    if not mongo.settings.get("server.uuid"):
        mongo.settings.insert({"_id": "server.uuid", "value": str(uuid.uuid4())})
    company = config.get("apiserver.default_company")
    _ensure_company(mongo, company, "clearml")
    if not mongo.queues.count({"company": company}):
        queues.add(mongo, company, name="default", system_tags=["default"])
    _ensure_accounts(config, mongo, company)


def _apply_versions(server: Server, empty: bool) -> None:
    """Note which version of the schema the data has. This server has none of the migrations, only their record."""
    log.info("Started mongodb migrations")
    if server.config.get("apiserver.mongo.ensure_db_version_on_startup", True):
        log.info("Checking DB version")
        version = server.mongo.backend.client.server_info()["version"]
        series = ".".join(version.split(".")[:2])
        if series == "7.0":
            log.info("DB version: %s", series)
        else:
            log.warning("Database version should be 7.0.x. Instead: %s", version)
    known = {item["num"] for item in server.mongo.versions.find({}, ["num"])}
    for number in SCHEMA_VERSIONS:
        if number in known:
            continue
        if empty:
            log.info("Skipping migration %s (empty databases)", number)
        server.mongo.versions.insert(
            {"_id": uuid.uuid4().hex, "num": number, "created": now(), "desc": "Applied on server startup"}
        )
    log.info("Finished mongodb migrations")


def _ensure_company(mongo: Mongo, company: str, name: str) -> None:
    if not mongo.companies.get(company):
        log.info("Creating company: %s", name)
        stats = {"stats_option": {"enabled": False}}
        mongo.companies.insert({"_id": company, "name": name, "defaults": stats})


def _ensure_accounts(config: Config, mongo: Mongo, company: str) -> None:
    """Create the internal accounts and the fixed users, and remove those that the configuration no longer has."""
    fixed = fixed_users.enabled(config)
    emails = set()
    for name, settings in config.get("secure.credentials", {}).items():
        email = f"{name}@example.com"
        emails.add(email.lower())
        key, secret = settings["user_key"], settings["user_secret"]
        revoked = fixed and settings.get("revoke_in_fixed_mode", False)
        pairs = [{"key": str(key), "secret": str(secret)}] if key and secret and not revoked else []
        account = {"name": name, "role": settings["role"], "email": email, "credentials": pairs}
        _ensure_account(mongo, f"__{name}__", company, account)
        if settings["role"] == "user" and not mongo.users.get(f"__{name}__"):
            user_service.add(mongo, f"__{name}__", company, settings["display_name"])

    users: list[FixedUser] = []
    if fixed:
        log.info("Fixed users mode is enabled")
        users = fixed_users.load(config)
        fixed_users.check(users)
        emails.update(user.email for user in users)
    if config.get("apiserver.auth.delete_missing_autocreated_users", True):
        _remove_missing(mongo, company, emails)
    if users:
        log.info("Adding fixed users")
    for fixed_user in users:
        try:
            _ensure_fixed_user(mongo, fixed_user)
        except Exception as ex:  # noqa: BLE001 - one bad entry does not keep the others out
            log.error("Failed creating fixed user %s: %s", fixed_user.name, ex)


def _ensure_account(mongo: Mongo, identifier: str, company: str, account: dict[str, Any]) -> None:
    """Create an account or bring it up to date; internal ones get the key pair of the configuration at each boot."""
    if mongo.accounts.get(identifier, ["_id"]):
        log.info("Setting credentials for existing user %s (%s)", identifier, account["name"])
        mongo.accounts.update(identifier, {"$set": {**account, "autocreated": True}})
        return
    log.info("Creating user: %s", account["name"])
    details = {"company": company, "created": now(), "credentials": [], "autocreated": True, **account}
    mongo.accounts.insert({"_id": identifier, **details})


def _ensure_fixed_user(mongo: Mongo, user: FixedUser) -> None:
    """Create a fixed user or update its name. Key pairs that it has made for itself stay."""
    if user.is_guest:
        _ensure_company(mongo, user.company, "guests")
    account = {"role": user.role, "email": user.email}
    if mongo.accounts.get(user.id, ["_id"]):
        mongo.accounts.update(user.id, {"$set": {**account, "autocreated": True}})
    else:
        _ensure_account(mongo, user.id, user.company, {"name": user.name, **account})
    given, _, family = user.name.partition(" ")
    names = {"given_name": given, "family_name": family}
    if mongo.users.get(user.id, ["_id"]):
        mongo.users.update(user.id, {"$set": {"name": user.name, **names}})
    else:
        version = os.environ.get("CLEARML_SERVER_VERSION", "unknown")
        user_service.add(mongo, user.id, user.company, user.name, created_in_version=version, **names)


def _remove_missing(mongo: Mongo, company: str, emails: set[str]) -> None:
    query = {"company": company, "autocreated": True, "email": {"$nin": sorted(emails)}}
    for account in mongo.accounts.find(query):
        log.info(
            "Removing user that is no longer in configuration: %s\t%s\t%s",
            account["_id"],
            account["email"],
            account["name"],
        )
        mongo.accounts.delete(account["_id"])
