"""Tasks run, and none is lost: whatever dies under them ends them, or lets them go on."""

from __future__ import annotations

import subprocess

import testinfra.host

from helpers.fleet import HOST_13, SERVER, Fleet, let_end, shown, wait_for
from helpers.variables import Variables

QUEUES = ("default", "urgent", "small", "services")


def test_a_task_from_a_private_repository_runs_on_each_queue(fleet: Fleet) -> None:
    tasks = {queue: fleet.enqueue(queue, "reports.py", "clearml") for queue in QUEUES}
    for queue, task in tasks.items():
        found = fleet.ended(task)
        assert found["status"] == "completed", f"{queue}: {fleet.console(task)[-3000:]}"
        assert [artifact["key"] for artifact in found["execution"]["artifacts"]] == ["out"]
        (metric,) = (
            metric for metric in found["last_metrics"].values() for metric in metric.values() if metric["metric"] == "n"
        )
        assert metric["value"] == 7


def test_its_console_shows_no_secret(fleet: Fleet, variables: Variables) -> None:
    task = fleet.call("tasks.get_all", status=["completed"], only_fields=["id"])["tasks"][0]["id"]
    console = fleet.console(task)
    assert "agent.package_manager.type = pip" in console, "the agent did not print its configuration"
    assert "Marker" not in console


def test_a_killed_process_fails_the_task_and_a_killed_agent_comes_back(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host
) -> None:
    killed, orphaned = fleet.started("default"), fleet.started("services")
    host_12.check_output("pkill -KILL -f '[w]aits.py'")
    before = shown(host_13, "services", "MainPID")
    host_13.check_output(f"kill -KILL {before}")
    found = fleet.ended(killed)
    assert (found["status"], found["status_reason"]) == ("failed", "worker execution exit code -9")
    found = fleet.ended(orphaned)
    assert (found["status"], found["status_reason"]) == ("failed", "worker died")
    assert host_13.run("pgrep -f [w]aits.py").rc == 1
    wait_for("the service is back", lambda: shown(host_13, "services", "ActiveState") == "active", 60)
    assert shown(host_13, "services", "MainPID") != before


def test_a_restart_of_the_server_and_of_a_host(
    fleet: Fleet, host_12: testinfra.host.Host, host_13: testinfra.host.Host
) -> None:
    goes_on, dies = fleet.started("default"), fleet.started("services")
    before = shown(host_12, "default", "MainPID")
    testinfra.get_host(f"docker://{SERVER}").check_output("docker restart clearml-server")
    subprocess.run(["docker", "restart", "--time", "60", HOST_13], check=True, capture_output=True)
    wait_for("the server answers", lambda: fleet.workers(), 180)
    let_end(host_12, goes_on)
    assert fleet.ended(goes_on)["status"] == "completed"
    assert shown(host_12, "default", "MainPID") == before
    assert fleet.ended(dies)["status"] in ("stopped", "failed")
    wait_for("the worker is back", lambda: f"{HOST_13}:services" in fleet.workers(), 120)
    after = fleet.started("services")
    let_end(host_13, after)
    assert fleet.ended(after)["status"] == "completed"
