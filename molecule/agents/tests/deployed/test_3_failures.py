"""No task is lost: whatever dies under it ends it, or lets it go on."""

from __future__ import annotations

import subprocess

import testinfra
import testinfra.host

from helpers.fleet import HOST_13, SERVER, WORKERS, Fleet, let_end, process_of, shown, wait_for


def test_what_dies_fails_its_task_alone(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host
) -> None:
    """A task's process, a task that takes more memory than its agent may have, and an agent with its task."""
    greedy = fleet.enqueue("small", "takes_memory.py")
    killed, orphaned = fleet.started("default", host_12), fleet.started("services", host_13)
    agents = {name: shown(host, name, "MainPID") for host, name in ((host_12, "default"), (host_13, "services"))}
    before = shown(host_12, "small", "MainPID")
    host_12.check_output(f"kill -KILL {process_of(host_12, killed)}")
    host_13.check_output(f"kill -KILL {agents['services']}")
    assert fleet.ended(killed) == ("failed", "worker execution exit code -9")
    assert fleet.ended(greedy) == ("failed", "worker execution exit code -9")
    assert fleet.ended(orphaned) == ("failed", "worker died")
    assert not host_13.file(f"/proc/{process_of(host_13, orphaned)}").exists
    assert shown(host_12, "default", "MainPID") == agents["default"]
    assert shown(host_12, "small", "MainPID") == before
    wait_for("the service is back", lambda: shown(host_13, "services", "ActiveState") == "active", 60)
    assert shown(host_13, "services", "MainPID") != agents["services"]


def test_a_stopped_service_stops_its_task(fleet: Fleet, host_13: testinfra.host.Host) -> None:
    task = fleet.started("services", host_13)
    host_13.check_output("systemctl stop clearml-agent@services")
    assert fleet.ended(task)[0] == "stopped"
    assert not host_13.file(f"/proc/{process_of(host_13, task)}").exists
    assert shown(host_13, "services", "ActiveState") == "inactive"
    assert f"{HOST_13}:services" not in fleet.workers()
    host_13.check_output("systemctl start clearml-agent@services")


def test_a_restart_of_the_server_and_of_a_host(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host
) -> None:
    """Both at once: the host cannot tell the server that its task ends."""
    goes_on, dies = fleet.started("default", host_12), fleet.started("services", host_13)
    before = shown(host_12, "default", "MainPID")
    testinfra.get_host(f"docker://{SERVER}").check_output("docker restart clearml-server")
    subprocess.run(["docker", "restart", "--time", "60", HOST_13], check=True, capture_output=True)
    wait_for("the server answers", fleet.workers, 180)
    let_end(host_12, goes_on)
    assert fleet.ended(goes_on)[0] == "completed"
    assert fleet.ended(dies)[0] in ("stopped", "failed")
    after = {host: fleet.started(queue, host) for host, queue in ((host_12, "default"), (host_13, "services"))}
    for host, task in after.items():
        let_end(host, task)
        assert fleet.ended(task)[0] == "completed"
    assert shown(host_12, "default", "MainPID") == before
    assert fleet.workers() == WORKERS
