"""What a run leaves on the hosts, and on the server."""

from __future__ import annotations

import testinfra.host

from helpers.fleet import HOME, HOST_12, HOST_13, Fleet, shown, wait_for
from helpers.playbooks import runs


def test_on_a_deployed_host_check_mode_announces_nothing() -> None:
    assert [run for run in runs("converge.yml") if run.check][-1].changed == []


def test_the_server_knows_the_workers_and_their_queues(fleet: Fleet) -> None:
    expected = {
        f"{HOST_12}:default": {"default"},
        "a-worker:small": {"urgent", "small"},
        f"{HOST_13}:services": {"services"},
    }
    wait_for("all workers are registered", lambda: fleet.workers() == expected, 30, lambda: str(fleet.workers()))


def test_services_run_as_the_unprivileged_user_and_start_with_the_host(
    host_12: testinfra.host.Host, host_13: testinfra.host.Host
) -> None:
    for host, instances in ((host_12, ("default", "small")), (host_13, ("services",))):
        for instance in instances:
            service = host.service(f"clearml-agent@{instance}")
            assert service.is_running
            assert service.is_enabled
            assert shown(host, instance, "StatusText") == "waiting for tasks"
            pid = shown(host, instance, "MainPID")
            status = host.file(f"/proc/{pid}/status").content_string
            assert f"Uid:\t{host.user('clearml-agent').uid}" in status
            assert "NoNewPrivs:\t1" in status


def test_configuration_is_readable_by_the_agent_alone(host_12: testinfra.host.Host) -> None:
    conf = host_12.file("/etc/clearml-agent/default/clearml.conf")
    assert (conf.user, conf.group, conf.mode) == ("clearml-agent", "clearml-agent", 0o600)
    credentials = host_12.file(f"{HOME}/.git-credentials")
    assert (credentials.user, credentials.mode) == ("clearml-agent", 0o600)
    assert host_12.run("runuser -u nobody -- cat /etc/clearml-agent/default/clearml.conf").rc != 0


def test_tasks_cannot_change_the_agents_programs(host_12: testinfra.host.Host) -> None:
    found = host_12.run("runuser -u clearml-agent -- find /opt/clearml-agent -writable -not -type l")
    assert found.stdout == ""


def test_limits_are_set_where_they_are_asked_for(host_12: testinfra.host.Host) -> None:
    assert shown(host_12, "small", "MemoryMax") == str(1 << 30)
    assert shown(host_12, "small", "CPUQuotaPerSecUSec") == "1.500000s"
    assert shown(host_12, "default", "MemoryMax") == "infinity"
