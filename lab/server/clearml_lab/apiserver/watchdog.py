"""The watchdog: tasks that run but gave no sign of life for too long are stopped."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from ..config import Config
from ..stores import Mongo, now

log = logging.getLogger("clearml.watchdog")
SETTINGS = "services.tasks.non_responsive_tasks_watchdog"
REASON = "Forced stop (non-responsive)"


def start(config: Config, mongo: Mongo) -> threading.Thread | None:
    """Look for silent tasks at the configured interval, for as long as the process lives."""
    if not config.get(f"{SETTINGS}.enabled", True):
        return None
    interval = config.get(f"{SETTINGS}.watch_interval_sec", 900)
    threshold = config.get(f"{SETTINGS}.threshold_sec", 7200)
    pause = threading.Event()

    def watch() -> None:
        while not pause.wait(interval):
            try:
                log.info("%d non-responsive tasks stopped", stop_silent_tasks(mongo, threshold))
            except Exception:  # the next round may find the database again
                log.exception("Failed stopping tasks")

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    return thread


def stop_silent_tasks(mongo: Mongo, threshold: float) -> int:
    """Stop the tasks that run and were last updated more than `threshold` seconds ago; return how many."""
    limit = now() - timedelta(seconds=threshold)
    silent = mongo.tasks.find(
        {"status": "in_progress", "last_update": {"$lt": limit}}, ["name", "project", "last_update"]
    )
    stopped = 0
    for task in silent:
        log.info("Stopping %s (%s), last updated at %s", task["_id"], task["name"], task["last_update"])
        when = now()
        changed = {
            "status": "stopped",
            "status_reason": REASON,
            "status_message": REASON,
            "status_changed": when,
            "last_update": when,
            "last_change": when,
            "last_changed_by": "__apiserver__",
        }
        # Only if it is still silent: it may have reported since it was found.
        still = {"_id": task["_id"], "status": "in_progress", "last_update": {"$lt": limit}}
        stopped += mongo.tasks.update(still, {"$set": changed})
        if task.get("project"):
            mongo.projects.update(task["project"], {"$set": {"last_update": when}})
    return stopped
