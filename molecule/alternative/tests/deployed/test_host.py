"""The host trusts the extra authority, pulls from the registry that it vouches for, and has the options asked for."""

from __future__ import annotations

import json

import testinfra.host

from helpers.containers import Inspected
from helpers.expected import release_images
from helpers.inside import run_python
from helpers.variables import Variables

# Opens an address as any program on the host does.
OPEN = """
import json, sys, urllib.request
print(json.dumps(urllib.request.urlopen(json.loads(sys.stdin.readline()), timeout=10).status))
"""


def test_programs_trust_the_authority(host: testinfra.host.Host, variables: Variables) -> None:
    registry = variables["clearml_server_registry_prefix"]
    assert run_python(host.backend.name, OPEN, f"https://{registry}v2/") == 200


def test_the_engine_trusts_the_authority(host: testinfra.host.Host, variables: Variables) -> None:
    """Every image came from that registry, and can be pulled from there again."""
    prefix = variables["clearml_server_registry_prefix"]
    tags = set(host.check_output("docker images --format '{{.Repository}}:{{.Tag}}'").split())
    assert tags == {prefix + image for image in release_images(variables["clearml_server_release"]).values()}
    assert host.run("docker pull --quiet %s", min(tags)).rc == 0


def test_the_engine_runs_with_the_options(host: testinfra.host.Host, variables: Variables) -> None:
    """Those that were there before are still in use, too."""
    information = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert information["Labels"] == variables["docker_daemon_options"]["labels"]
    assert information["RegistryConfig"]["Mirrors"], "the mirror that the host came with is gone"
    options = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert options.items() >= variables["docker_daemon_options"].items()


def test_the_server_is_told_to_look_for_updates(containers: Inspected) -> None:
    assert "CLEARML__apiserver__check_for_updates__enabled=true" in containers["clearml-server"]["Config"]["Env"]
