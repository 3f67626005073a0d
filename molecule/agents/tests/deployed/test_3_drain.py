"""Agents that stop, change, come and go, with tasks under way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import testinfra.host

from helpers.fleet import HOST_12, HOST_13, Fleet, let_end, shown, wait_for
from helpers.playbooks import runs

Command = Callable[..., list[str]]
DEFAULT = {"name": "default", "queues": ["default"]}
SMALL = {"name": "small", "queues": ["urgent", "small"], "memory": "1g", "cpus": 1.5, "worker": "a-worker:small"}


def run(command: list[str], *, fails: bool = False) -> str:
    """Run a playbook to its end; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert (done.returncode != 0) == fails, done.stdout[-5000:] + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_a_drained_agent_lets_its_task_end_and_takes_no_other(
    fleet: Fleet, host_12: testinfra.host.Host, agents: Command
) -> None:
    running = fleet.started("default")
    with subprocess.Popen(
        agents("drain.yml", HOST_12, clearml_agent_drain_instances=["default"]), stdout=subprocess.PIPE, text=True
    ) as drain:
        wait_for("it is told", lambda: host_12.file("/run/clearml-agent/default/drain").exists, 60)
        waiting = fleet.enqueue("default")
        assert drain.poll() is None, "the run did not wait for the task"
        let_end(host_12, running)
        output = drain.communicate(timeout=120)[0]
    assert drain.returncode == 0, output
    assert fleet.ended(running)["status"] == "completed"
    assert fleet.status(waiting) == "queued"
    assert shown(host_12, "default", "ActiveState") == "inactive"
    assert f"{HOST_12}:default" not in fleet.workers()
    assert shown(host_12, "small", "ActiveState") == "active"
    run(agents("agents.yml", HOST_12))
    let_end(host_12, waiting)
    assert fleet.ended(waiting)["status"] == "completed"


def test_what_takes_too_long_is_stopped(fleet: Fleet, host_13: testinfra.host.Host, agents: Command) -> None:
    endless = fleet.started("services")
    output = run(agents("drain.yml", HOST_13, clearml_agent_drain_timeout=2))
    assert f"services still was running task {endless} after 2 s" in output
    assert fleet.ended(endless)["status"] == "stopped"
    run(agents("agents.yml", HOST_13))
    assert shown(host_13, "services", "ActiveState") == "active"


def test_only_what_changed_restarts_and_after_its_task(
    fleet: Fleet, host_12: testinfra.host.Host, agents: Command
) -> None:
    task = fleet.started("small")
    before: dict[str, Any] = {name: shown(host_12, name, "MainPID") for name in ("default", "small")}
    changed = [DEFAULT, {**SMALL, "memory": "900m"}, {"name": "added", "queues": ["added"]}]
    with subprocess.Popen(
        agents("agents.yml", HOST_12, clearml_agent_instances=changed), stdout=subprocess.PIPE, text=True
    ) as change:
        wait_for("it is told", lambda: host_12.file("/run/clearml-agent/small/drain").exists, 90)
        assert shown(host_12, "small", "MainPID") == before["small"]
        let_end(host_12, task)
        output = change.communicate(timeout=200)[0]
    assert change.returncode == 0, output
    assert fleet.ended(task)["status"] == "completed"
    assert shown(host_12, "default", "MainPID") == before["default"]
    assert shown(host_12, "small", "MainPID") != before["small"]
    assert shown(host_12, "small", "MemoryMax") == str(900 << 20)
    assert fleet.workers()[f"{HOST_12}:added"] == {"added"}


def test_what_the_inventory_no_longer_has_is_removed(
    fleet: Fleet, host_12: testinfra.host.Host, agents: Command
) -> None:
    run(agents("agents.yml", HOST_12))
    assert f"{HOST_12}:added" not in fleet.workers()
    assert shown(host_12, "added", "ActiveState") == "inactive"
    assert host_12.check_output("find /etc /var/lib/clearml-agent/instances -name '*added*'") == ""
    assert shown(host_12, "small", "MemoryMax") == str(1 << 30)


def test_a_wrong_key_is_refused_before_anything_changes(agents: Command) -> None:
    key = {"clearml_agent_access_key": "WRONGKEY0123456789", "clearml_agent_secret_key": "WrongSecret0123456789"}
    output = run(agents("agents.yml", HOST_12, **key), fails=True)
    assert "while logging in with the key pair" in output
    assert "WrongSecret" not in output
    assert runs("agents.yml")[-1].changed == []


def test_verify_names_what_does_not_work(host_13: testinfra.host.Host, agents: Command) -> None:
    assert "put a task on each queue" in run(agents("verify.yml", f"{HOST_12},{HOST_13}"))
    host_13.check_output("systemctl stop clearml-agent@services")
    output = run(agents("verify.yml", HOST_13), fails=True)
    assert f"The service clearml-agent@services of {HOST_13} does not run" in output
