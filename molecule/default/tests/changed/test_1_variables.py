"""Changing one thing restarts what reads it and what depends on that, and nothing else."""

from __future__ import annotations

from typing import Any

import testinfra.host

from helpers.containers import inspect, touched
from helpers.expected import DATABASES, NAMES, in_bytes
from helpers.platform import Platform
from helpers.playbooks import deploy


def test_one_service_restarts_alone(host: testinfra.host.Host) -> None:
    before = inspect(host)
    deploy("--extra-vars", "clearml_server_webserver_memory=600m")
    after = inspect(host)
    assert touched(before, after) == {"clearml-webserver"}
    assert after["clearml-webserver"]["HostConfig"]["Memory"] == in_bytes("600m")


def test_configuration_restarts_its_reader_and_what_depends_on_it(
    host: testinfra.host.Host, variables: dict[str, Any], platform: Platform, credentials: dict[str, str]
) -> None:
    """This run also takes back what the test before changed, of a service that depends on the reader anyway."""
    before = inspect(host)
    deploy("--extra-vars", "clearml_server_operator_name='Somebody Else'")
    after = inspect(host)
    assert touched(before, after) == set(NAMES) - set(DATABASES)
    assert after["clearml-webserver"]["HostConfig"]["Memory"] == in_bytes(variables["clearml_server_webserver_memory"])
    token = platform.login(credentials["username"], credentials["password"]).data["token"]
    assert platform.call("users.get_current_user", token).data["user"]["name"] == "Somebody Else"
