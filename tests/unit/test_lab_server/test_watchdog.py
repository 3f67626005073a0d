"""The watchdog stops tasks that are silent, and no others."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from clearml_lab.apiserver import watchdog
from clearml_lab.stores import now


class Tasks:
    """As much of a table as the watchdog uses."""

    def __init__(self, *tasks: dict[str, Any]) -> None:
        self.tasks = {task["_id"]: task for task in tasks}
        self.before_update: Any = lambda: None

    def matches(self, task: dict[str, Any], query: dict[str, Any]) -> bool:
        return bool(task["status"] == query["status"] and task["last_update"] < query["last_update"]["$lt"])

    def find(self, query: dict[str, Any], fields: list[str]) -> list[dict[str, Any]]:
        return [dict(task) for task in self.tasks.values() if self.matches(task, query)]

    def update(self, query: dict[str, Any], change: dict[str, Any]) -> int:
        self.before_update()
        task = self.tasks[query["_id"]]
        if not self.matches(task, query):
            return 0
        task.update(change["$set"])
        return 1


def task(name: str, status: str, silent: float) -> dict[str, Any]:
    return {"_id": name, "name": name, "status": status, "last_update": now() - timedelta(seconds=silent)}


def stop(tasks: Tasks) -> int:
    mongo: Any = SimpleNamespace(tasks=tasks)
    return watchdog.stop_silent_tasks(mongo, 60)


def test_silent_tasks_are_stopped_with_a_reason() -> None:
    tasks = Tasks(task("silent", "in_progress", 90), task("alive", "in_progress", 30), task("waits", "queued", 90))
    assert stop(tasks) == 1
    assert {name: found["status"] for name, found in tasks.tasks.items()} == {
        "silent": "stopped",
        "alive": "in_progress",
        "waits": "queued",
    }
    assert tasks.tasks["silent"]["status_reason"] == "Forced stop (non-responsive)"


def test_a_task_that_reports_in_the_last_moment_goes_on() -> None:
    tasks = Tasks(task("late", "in_progress", 90))
    tasks.before_update = lambda: tasks.tasks["late"].update(last_update=now())
    assert stop(tasks) == 0
    assert tasks.tasks["late"]["status"] == "in_progress"


@pytest.mark.parametrize(("enabled", "expected"), [(True, True), (False, False)])
def test_it_can_be_switched_off(enabled: bool, expected: bool) -> None:
    settings = {f"{watchdog.SETTINGS}.enabled": enabled}
    config: Any = SimpleNamespace(get=lambda name, default=None: settings.get(name, default))
    mongo: Any = None
    assert (watchdog.start(config, mongo) is not None) is expected
