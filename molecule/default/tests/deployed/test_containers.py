"""Each container runs as the role's defaults and the release say, and as locked down as its image allows."""

from __future__ import annotations

import json

import pytest
import testinfra.host

from helpers.containers import Inspected, condition
from helpers.expected import DATABASES, NAMES, SERVICES, Service, in_bytes, in_nanoseconds, release_images
from helpers.variables import Variables

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def test_no_other_container_exists(containers: Inspected) -> None:
    assert containers.keys() == set(NAMES)


@each_service
def test_is_well(containers: Inspected, service: Service) -> None:
    assert condition(containers[service.name]) == ("healthy" if service.health_check else "running")


@each_service
def test_runs_its_pinned_image(containers: Inspected, variables: Variables, service: Service) -> None:
    images = release_images(str(variables["clearml_server_release"]))
    container = containers[service.name]
    assert container["Config"]["Image"] == variables["clearml_server_registry_prefix"] + images[service.image]
    assert container["Config"]["Image"].rpartition(":")[2] not in ("", "latest")


@each_service
def test_memory_limit(host: testinfra.host.Host, containers: Inspected, variables: Variables, service: Service) -> None:
    """As the engine was told, and as the kernel enforces it."""
    limit = in_bytes(variables[service.memory])
    container = containers[service.name]
    assert container["HostConfig"]["Memory"] == limit
    version_2, version_1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    enforced = host.check_output(f"docker exec %s sh -c 'cat {version_2} 2>/dev/null || cat {version_1}'", service.name)
    assert int(enforced) == limit


@each_service
def test_logs_are_rotated(containers: Inspected, variables: Variables, service: Service) -> None:
    assert containers[service.name]["HostConfig"]["LogConfig"] == {
        "Type": "json-file",
        "Config": {
            "max-size": variables["clearml_server_log_max_size"],
            "max-file": str(variables["clearml_server_log_max_files"]),
        },
    }


@each_service
def test_health_check_times(containers: Inspected, variables: Variables, service: Service) -> None:
    if not service.health_check:
        return
    check = containers[service.name]["Config"]["Healthcheck"]
    start = "apiserver_start_period" if service.name == "clearml-server" else "health_start_period"
    assert check["Interval"] == in_nanoseconds(variables["clearml_server_health_interval"])
    assert check["Timeout"] == in_nanoseconds(variables["clearml_server_health_timeout"])
    assert check["StartPeriod"] == in_nanoseconds(variables[f"clearml_server_{start}"])
    assert check["Retries"] == variables["clearml_server_health_retries"]


@each_service
def test_comes_back_by_itself(containers: Inspected, service: Service) -> None:
    assert containers[service.name]["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


@each_service
def test_privileges(containers: Inspected, service: Service) -> None:
    settings = containers[service.name]["HostConfig"]
    assert settings["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["SecurityOpt"]
    assert settings["Privileged"] is False
    added = {capability.removeprefix("CAP_") for capability in settings["CapAdd"] or []}
    wanted = set() if service.name in DATABASES else {"CHOWN", "DAC_OVERRIDE", "FOWNER"}
    if service.name == "clearml-webserver":
        wanted |= {"SETUID", "SETGID", "NET_BIND_SERVICE"}
    assert added == wanted


@each_service
def test_processes_cannot_gain_privileges(host: testinfra.host.Host, containers: Inspected, service: Service) -> None:
    """What the kernel says of the main process."""
    status = host.file(f"/proc/{containers[service.name]['State']['Pid']}/status").content_string
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    if service.name in DATABASES:
        assert int(fields["CapBnd"], 16) == 0
        assert fields["Uid"].split()[0] == ("1000" if service.name == "clearml-elastic" else "999")


def test_heap_is_half_of_the_limit(host: testinfra.host.Host, variables: Variables) -> None:
    answer = host.check_output("docker exec clearml-elastic curl -fsS http://localhost:9200/_nodes/jvm")
    (node,) = json.loads(answer)["nodes"].values()
    share = node["jvm"]["mem"]["heap_max_in_bytes"] / in_bytes(variables["clearml_server_elastic_memory"])
    assert 0.45 <= share <= 0.55


def test_watermarks(host: testinfra.host.Host, variables: Variables) -> None:
    """All three as set, and in an order that warns before it blocks."""
    answer = host.check_output(
        "docker exec clearml-elastic curl -fsS 'http://localhost:9200/_nodes/settings?flat_settings=true'"
    )
    (node,) = json.loads(answer)["nodes"].values()
    watermarks = {
        name: node["settings"][f"cluster.routing.allocation.disk.watermark.{setting}"]
        for name, setting in (("low", "low"), ("high", "high"), ("flood", "flood_stage"))
    }
    assert watermarks == {name: variables[f"clearml_server_elastic_watermark_{name}"] for name in watermarks}
    sizes = [in_bytes(watermarks[name]) for name in ("low", "high", "flood")]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3


def test_memory_maps(host: testinfra.host.Host, variables: Variables) -> None:
    """The kernel has it now, and after the next boot."""
    value = host.sysctl("vm.max_map_count")
    assert value >= variables["host_max_map_count"]
    assert f"vm.max_map_count={value}" in host.file("/etc/sysctl.d/99-clearml.conf").content_string
