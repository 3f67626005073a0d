"""What the server does of its own accord: it stops silent tasks, and deletes files of deleted tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import requests
from lab.stack import Stack, write_config

from tests.acceptance.server import Api, wait_for
from tests.lab import outages

Reconfigure = Callable[[dict[str, object]], None]


@pytest.fixture
def services_conf(stack: Stack) -> Iterator[Reconfigure]:
    """Give the apiserver settings of the file services.conf until the end of the test."""
    path = stack.config / "services.conf"

    def restart() -> None:
        outages.recover(stack, "clearml-server")

    def reconfigure(content: dict[str, object]) -> None:
        write_config(path, content)
        restart()

    yield reconfigure
    path.unlink()
    restart()


def test_the_watchdog_stops_silent_tasks_alone(api: Api, project: str, services_conf: Reconfigure) -> None:
    place = api.project_id(project)
    services_conf({"tasks": {"non_responsive_tasks_watchdog": {"threshold_sec": 6, "watch_interval_sec": 1}}})
    names = ("silent", "alive", "draft")
    silent, alive, draft = (api.call("tasks.create", name=name, type="testing", project=place)["id"] for name in names)
    for task in (silent, alive):
        api.call("tasks.started", task=task)

    def stopped() -> bool:
        api.call("tasks.ping", task=alive)
        return bool(api.call("tasks.get_by_id", task=silent)["task"]["status"] == "stopped")

    wait_for("the silent task is stopped", stopped, 60)
    reason = api.call("tasks.get_by_id", task=silent)["task"]["status_reason"]
    assert reason == "Forced stop (non-responsive)"
    assert api.call("tasks.get_by_id", task=alive)["task"]["status"] == "in_progress"
    assert api.call("tasks.get_by_id", task=draft)["task"]["status"] == "created"


def stored(api: Api, name: str) -> str:
    """Store a file, and return its address."""
    answer = requests.post(api.files, files={name: (name, os.urandom(100))}, headers=api.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return f"{api.files}/{name}"


def test_only_files_below_the_configured_addresses_are_deleted(api: Api, project: str) -> None:
    """A file that is stored under an address which is none of url_prefixes stays, though it is the same server."""
    place = api.project_id(project)
    ours, theirs = stored(api, f"{project}/ours.bin"), stored(api, f"{project}/theirs.bin")
    elsewhere = theirs.replace("127.0.0.1", "localhost")
    for name, url in (("theirs", elsewhere), ("ours", ours)):
        task = api.call("tasks.create", name=name, type="testing", project=place)["id"]
        artifact = {"key": name, "type": "custom", "mode": "output", "uri": url}
        api.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact])
        answer = api.call("tasks.delete", task=task, delete_external_artifacts=True, return_file_urls=True)
        assert answer["urls"]["artifact_urls"] == [url]
    # Scheduled later, deleted: the other one had its turn.
    wait_for("the file is gone", lambda: api.file(ours).status_code == 404, 60)
    assert api.file(theirs).status_code == 200
