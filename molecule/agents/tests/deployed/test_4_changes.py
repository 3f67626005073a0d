"""Agents that drain, change, come and go, with tasks under way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import testinfra.host

from helpers.exposure import watched_processes
from helpers.fleet import HOST_12, HOST_13, WORKERS, Fleet, let_end, shown, wait_for
from helpers.playbooks import ansible_playbook, edited, runs

# The inventory after somebody changed what the first host has.
EDITED = edited(
    HOST_12,
    clearml_agent_instances=[
        {"name": "default", "queues": ["default"]},
        {"name": "small", "queues": ["urgent", "small"], "memory": "900m", "worker": "a-worker:small"},
        {"name": "added", "queues": ["added"]},
    ],
)


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    """Run playbooks while the test goes on."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_drained_agents_let_their_tasks_end_and_take_no_others(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host, meanwhile: ThreadPoolExecutor
) -> None:
    """The task on the second host takes longer than the inventory allows there."""
    running, endless = fleet.started("default", host_12), fleet.started("services", host_13)
    drain = meanwhile.submit(ansible_playbook, "playbooks/drain.yml")
    wait_for("the agent is told", lambda: host_12.file("/run/clearml-agent/default/drain").exists, 60)
    waiting = fleet.enqueue("default")
    assert fleet.ended(endless)[0] == "stopped"
    assert fleet.task(running)["status"] == "in_progress"
    assert not drain.done(), "the run did not wait for the task"
    let_end(host_12, running)
    output = " ".join(drain.result().stdout.split())
    assert drain.result().returncode == 0, output[-5000:]
    assert f"services still was running task {endless} after 4 s" in output
    assert fleet.ended(running)[0] == "completed"
    assert fleet.task(waiting)["status"] == "queued"
    assert fleet.workers() == {}
    for host, instance in ((host_12, "default"), (host_12, "small"), (host_12, "spare"), (host_13, "services")):
        assert shown(host, instance, "ActiveState") == "inactive"

    back = ansible_playbook("playbooks/agents.yml")
    assert back.returncode == 0, back.stdout[-5000:]
    assert fleet.workers() == WORKERS
    let_end(host_12, waiting)
    assert fleet.ended(waiting)[0] == "completed"


def test_only_what_changed_restarts_and_after_its_task(
    fleet: Fleet, host_12: testinfra.host.Host, meanwhile: ThreadPoolExecutor, secrets: dict[str, str]
) -> None:
    """One instance is changed, one removed, one added, and one stays. The run is as talkative as it can be."""
    before = {name: shown(host_12, name, "MainPID") for name in ("default", "small")}
    task = fleet.started("small", host_12)
    arguments = EDITED, f"--limit={HOST_12}", "--diff", "-vvv"
    with watched_processes(HOST_12, "nobody") as there, watched_processes(None) as here:
        change = meanwhile.submit(ansible_playbook, "playbooks/agents.yml", *arguments)
        wait_for("the agent is told", lambda: host_12.file("/run/clearml-agent/small/drain").exists, 60)
        assert shown(host_12, "small", "MainPID") == before["small"]
        assert not change.done(), "the run did not wait for the task"
        let_end(host_12, task)
        assert change.result().returncode == 0, change.result().stdout[-5000:]
    assert fleet.ended(task)[0] == "completed"
    assert shown(host_12, "default", "MainPID") == before["default"]
    assert shown(host_12, "small", "MainPID") != before["small"]
    assert shown(host_12, "small", "MemoryMax") == str(900 << 20)
    workers = fleet.workers()
    assert workers[f"{HOST_12}:added"] == {"added"}
    assert f"{HOST_12}:spare" not in workers
    assert shown(host_12, "spare", "ActiveState") == "inactive"
    assert host_12.check_output("find /etc /run /var/lib/clearml-agent/instances -name '*spare*'") == ""
    # Root of this machine sees the environments of agents and tasks as well, where secrets belong.
    here.shown = [shown for shown in here.shown if "RUNTIME_DIRECTORY=/run/clearml-agent" not in shown]
    for watched in (there, here):
        assert watched.looks > 50, "the watcher did not look often enough to prove anything"
        assert watched.holding(secrets) == []


def test_a_wrong_key_is_refused_before_anything_changes() -> None:
    key = {"clearml_agent_access_key": "WRONGKEY0123456789", "clearml_agent_secret_key": "WrongSecret0123456789"}
    refused = ansible_playbook("playbooks/agents.yml", EDITED, f"--limit={HOST_12}", f"--extra-vars={json.dumps(key)}")
    assert refused.returncode != 0
    output = " ".join(refused.stdout.split())
    assert "while logging in with the key pair" in output
    assert "WrongSecret" not in output
    assert runs("agents.yml")[-1].changed == []


def test_verify_names_what_does_not_work(host_13: testinfra.host.Host) -> None:
    well = ansible_playbook("playbooks/verify.yml", EDITED)
    output = " ".join(well.stdout.split())
    assert well.returncode == 0, output[-5000:]
    assert "put a task on each queue" in output
    assert "No worker listens to the queue spare" in output
    host_13.check_output("systemctl stop clearml-agent@services")
    unwell = ansible_playbook("playbooks/verify.yml", EDITED, "--limit=clearml_agents")
    assert unwell.returncode != 0
    sentence = f"The service clearml-agent@services of {HOST_13} does not run"
    assert sentence in " ".join(unwell.stdout.split())
