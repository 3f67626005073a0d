"""The distribution's engine works: it runs, comes back at boot, and runs containers."""

from __future__ import annotations

import json

import testinfra.host

from helpers.expected import release_images, role_defaults
from helpers.playbooks import runs


def test_the_engine_answers(host: testinfra.host.Host) -> None:
    information = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert not information.get("ServerErrors")
    assert information["ServerVersion"]
    assert information["Driver"] == "overlay2"


def test_it_starts_at_boot(host: testinfra.host.Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_it_runs_containers(host: testinfra.host.Host) -> None:
    """Through the registry mirror that the host's daemon.json named before the role came: it is still in use."""
    redis = release_images(role_defaults("clearml_server")["clearml_server_release"])["CLEARML_REDIS_IMAGE"]
    assert "v=" in host.check_output("docker run --rm %s redis-server --version", redis)


def test_the_second_run_changed_nothing() -> None:
    first, second = [run for run in runs("converge.yml") if not run.check]
    assert first.changed
    assert second.changed == []
