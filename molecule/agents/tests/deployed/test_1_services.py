"""What the run left on the hosts and on the server."""

from __future__ import annotations

import pytest
import testinfra
import testinfra.host

from helpers.fleet import HOME, HOST_12, HOST_13, WORKERS, Fleet, shown, wait_for
from helpers.playbooks import runs

INSTANCES = [(HOST_12, "default"), (HOST_12, "small"), (HOST_12, "spare"), (HOST_13, "services")]


@pytest.fixture(params=[HOST_12, HOST_13])
def host(request: pytest.FixtureRequest) -> testinfra.host.Host:
    """Each of the agents' hosts."""
    return testinfra.get_host(f"docker://{request.param}")


def test_the_second_run_changed_nothing_and_a_check_announces_nothing() -> None:
    first, *later = [run for run in runs("converge.yml") if not run.check]
    assert first.changed
    assert later, "run `molecule idempotence` first"
    assert [run.changed for run in later] == [[] for _ in later]
    last = runs("converge.yml")[-1]
    assert last.check and last.started > later[-1].ended, "run `molecule check` first"
    assert (last.changed, last.failed) == ([], [])


def test_the_server_knows_the_workers_and_their_queues(fleet: Fleet) -> None:
    wait_for("all workers are registered", lambda: fleet.workers() == WORKERS, 30, lambda: str(fleet.workers()))


@pytest.mark.parametrize(("name", "instance"), INSTANCES)
def test_a_service_runs_as_the_unprivileged_user_and_starts_with_the_host(name: str, instance: str) -> None:
    host = testinfra.get_host(f"docker://{name}")
    service = host.service(f"clearml-agent@{instance}")
    assert service.is_running
    assert service.is_enabled
    assert shown(host, instance, "StatusText") == "waiting for tasks"
    status = host.file(f"/proc/{shown(host, instance, 'MainPID')}/status").content_string
    user = host.user("clearml-agent").uid
    assert f"Uid:\t{user}\t{user}\t{user}\t{user}\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert "CapBnd:\t0000000000000000\n" in status


@pytest.mark.parametrize(("name", "instance"), INSTANCES)
def test_configuration_is_readable_by_the_agent_alone(name: str, instance: str) -> None:
    host = testinfra.get_host(f"docker://{name}")
    for path in (f"/etc/clearml-agent/{instance}/clearml.conf", f"{HOME}/.git-credentials"):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("clearml-agent", "clearml-agent", 0o600)
        assert host.run("runuser -u nobody -- cat %s", path).rc != 0


def test_tasks_cannot_change_the_agents_programs(host: testinfra.host.Host) -> None:
    found = host.run("runuser -u clearml-agent -- find /opt/clearml-agent /etc/systemd -writable -not -type l")
    assert found.stdout == ""


def test_limits_are_set_where_they_are_asked_for() -> None:
    host = testinfra.get_host(f"docker://{HOST_12}")
    assert shown(host, "small", "MemoryMax") == str(1 << 30)
    assert shown(host, "small", "CPUQuotaPerSecUSec") == "1.500000s"
    assert shown(host, "default", "MemoryMax") == "infinity"
