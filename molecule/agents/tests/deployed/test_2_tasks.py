"""Tasks run with all that they need, and nobody sees a secret meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import testinfra.host

from helpers.exposure import Watched, held_by, watched_processes
from helpers.fleet import HOME, HOST_12, HOST_13, SERVER, Fleet

INSTANCES = {"default": "default", "urgent": "small", "small": "small", "services": "services"}
PACKAGES = ["clearml==2.1.12", f"git+https://{SERVER}/package"]


@dataclass(frozen=True)
class Work:
    """A task on each queue, and what lists of processes showed meanwhile."""

    tasks: dict[str, str]
    watched: list[Watched]


@pytest.fixture(scope="module")
def work(fleet: Fleet) -> Work:
    """Let all queues work at the same time."""
    # As somebody who has no rights there.
    with watched_processes(HOST_12, "nobody") as on_12, watched_processes(HOST_13, "nobody") as on_13:
        tasks = {queue: fleet.enqueue(queue, "reports.py", PACKAGES) for queue in INSTANCES}
        for task in tasks.values():
            fleet.ended(task)
    return Work(tasks, [on_12, on_13])


@pytest.mark.parametrize("queue", INSTANCES)
def test_a_task_from_a_private_repository_runs_on_each_queue(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host, work: Work, queue: str
) -> None:
    found = fleet.task(work.tasks[queue])
    assert found["status"] == "completed", fleet.console(work.tasks[queue])[-3000:]
    metrics = {metric["metric"]: metric["value"] for kind in found["last_metrics"].values() for metric in kind.values()}
    assert metrics["n"] == 7
    (artifact,) = found["execution"]["artifacts"]
    path = urlsplit(artifact["uri"]).path.removeprefix("/")
    seen: dict[str, Any] = json.loads(fleet.platform.download(path, fleet.token).body)
    host, instance = host_13 if queue == "services" else host_12, INSTANCES[queue]
    assert seen.pop("environment").startswith(f"{HOME}/instances/{instance}/venvs/")
    assert seen == {
        "clearml": "2.1.12",
        "packaged": "from a private repository",
        "user": host.user("clearml-agent").uid,
        "site": 'a "site" of $HOME # 1',
        # As the official agent says that there are none.
        "gpus": "none",
    }


def test_the_repository_is_private(host_12: testinfra.host.Host) -> None:
    """Otherwise the tasks would prove nothing about the token."""
    asked = host_12.run("runuser -u nobody -- git -c credential.helper= ls-remote https://%s/code </dev/null", SERVER)
    assert asked.rc != 0
    assert "could not read Username" in asked.stderr


def test_no_secret_is_in_the_console_of_a_task(fleet: Fleet, work: Work, secrets: dict[str, str]) -> None:
    for task in work.tasks.values():
        console = fleet.console(task)
        assert "agent.package_manager.type = pip" in console, "the agent did not print its configuration"
        assert held_by(console, secrets) == []


def test_no_secret_is_in_lists_of_processes(work: Work, secrets: dict[str, str]) -> None:
    for watched in work.watched:
        assert watched.looks > 50, "the watcher did not look often enough to prove anything"
        assert any("reports.py" in shown for shown in watched.shown)
        assert watched.holding(secrets) == []
