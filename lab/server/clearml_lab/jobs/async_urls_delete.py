"""The async deleter: deletes the files whose tasks, models or projects are gone, through the fileserver."""

from __future__ import annotations

import argparse
import logging
import time
from datetime import timedelta
from typing import Any

import requests
from pymongo.errors import PyMongoError

from .. import program
from ..apiserver import tokens
from ..config import Config
from ..stores import Mongo, now
from ..urls import StorageRules

log = logging.getLogger("clearml.JOB-async_urls_delete")
PAUSE = 10
BATCH = 10000
SETTINGS = "services.async_urls_delete"


class Deleter:
    """Takes scheduled URLs from Mongo and deletes them, each at most `max_retries` times."""

    def __init__(self, config: Config, mongo: Mongo, host: str) -> None:
        self.config, self.mongo, self.host = config, mongo, host.rstrip("/")
        self.rules = StorageRules(config.get(f"{SETTINGS}.fileserver.url_prefixes", []))
        self.max_retries = config.get(f"{SETTINGS}.max_retries", 3)
        self.session = requests.Session()
        self.session.trust_env = False

    def due(self) -> list[dict[str, Any]]:
        """Return the URLs whose turn it is: new ones, and failed ones after a pause."""
        patience = timedelta(seconds=self.config.get(f"{SETTINGS}.retry_timeout_sec", 60))
        query = {
            "status": {"$ne": "failed"},
            "storage_type": "fileserver",
            "retry_count": {"$lt": self.max_retries},
            "$or": [
                {"last_failure_time": {"$exists": False}},
                {"last_failure_time": {"$lt": now() - patience}},
            ],
        }
        return list(self.mongo.urls_to_delete.collection.find(query).limit(BATCH))

    def run_once(self) -> int:
        """Delete what is due and return how much that was."""
        entries = self.due()
        by_path: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            path = self.rules.path_on(self.host, entry["url"])
            if path:
                by_path.setdefault(path, []).append(entry)
            else:
                self._give_up(entry, "Invalid Fileserver url or missing Fileserver configuration for account")
        if by_path:
            self._delete(by_path)
        return len(entries)

    def _delete(self, by_path: dict[str, list[dict[str, Any]]]) -> None:
        log.info("Deleting %d files or folders from the fileserver", len(by_path))
        everything = [entry for entries in by_path.values() for entry in entries]
        try:
            answer = self.session.post(
                f"{self.host}/delete_many",
                json={"files": sorted(by_path)},
                headers={"Authorization": f"Bearer {self._token()}"},
                timeout=self.config.get(f"{SETTINGS}.fileserver.timeout_sec", 300),
            )
            answer.raise_for_status()
            result = answer.json()
        except (requests.RequestException, ValueError) as ex:
            self._retry(everything, str(ex))
            return
        done = [entry for path in result.get("deleted", {}) for entry in by_path.pop(path, [])]
        if done:
            self.mongo.urls_to_delete.delete({"_id": {"$in": [entry["_id"] for entry in done]}})
            log.info("%d files deleted from Fileserver storage", len(done))
        for reason, paths in result.get("errors", {}).items():
            self._retry([entry for path in paths for entry in by_path.pop(path, [])], reason)
        self._retry([entry for entries in by_path.values() for entry in entries], "Not succeeded")

    def _retry(self, entries: list[dict[str, Any]], reason: str) -> None:
        for entry in entries:
            count = entry["retry_count"] + 1
            status = "failed" if count >= self.max_retries else "retrying"
            failure = {"retry_count": count, "status": status, "last_failure_reason": reason}
            self.mongo.urls_to_delete.update(entry["_id"], {"$set": {**failure, "last_failure_time": now()}})
        if entries:
            log.warning("Failed to delete %d files from Fileserver storage due to: %s", len(entries), reason)

    def _give_up(self, entry: dict[str, Any], reason: str) -> None:
        failure = {"status": "failed", "last_failure_time": now(), "last_failure_reason": reason}
        self.mongo.urls_to_delete.update(entry["_id"], {"$set": failure})
        log.warning("Failed to delete %s: %s", entry["url"], reason)

    def _token(self) -> str:
        """Return a short-lived token of the apiserver's own account: the same token_secret signs it."""
        company = self.config.get("apiserver.default_company")
        return tokens.encode(
            self.config.get("secure.auth.token_secret"),
            tokens.Identity("__apiserver__", company, "system", "clearml", "apiserver"),
            lifetime=self.config.get(f"{SETTINGS}.fileserver.token_expiration_sec", 600),
        )


def main() -> None:
    """Delete what is due, every ten seconds, until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fileserver-host", "-fh", help="address of the fileserver (default: hosts.fileserver)")
    arguments = parser.parse_args()
    config = program.start("apiserver")
    try:
        deleter = Deleter(config, Mongo(config), arguments.fileserver_host or config.get("hosts.fileserver"))
        log.info("Deleting through %s; url_prefixes: %s", deleter.host, deleter.rules.prefixes or "none")
        while True:
            if not deleter.run_once():
                time.sleep(PAUSE)
    except PyMongoError as ex:
        log.error("The database does not answer: %s", ex)
        program.fail(f"The database does not answer: {ex}")


if __name__ == "__main__":
    main()
