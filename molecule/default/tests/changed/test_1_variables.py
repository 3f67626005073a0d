"""Changing one thing restarts what reads it and what depends on that, and nothing else."""

from __future__ import annotations

import json
import re

import pytest
import testinfra.host
import yaml

from helpers.containers import inspect, touched
from helpers.expected import DATABASES, NAMES, ROOT, in_bytes
from helpers.platform import Platform
from helpers.playbooks import deploy
from helpers.variables import Variables

READERS = {
    "CLEARML_MONGO_MEMORY": ["clearml-mongo"],
    "CLEARML_ELASTIC_MEMORY": ["clearml-elastic"],
    "CLEARML_ELASTIC_WATERMARK_LOW": ["clearml-elastic"],
    "CLEARML_REDIS_MEMORY": ["clearml-redis"],
    "CLEARML_SERVER_MEMORY": ["clearml-server"],
    "CLEARML_FILESERVER_MEMORY": ["clearml-fileserver"],
    "CLEARML_WEBSERVER_MEMORY": ["clearml-webserver"],
    "CLEARML_ASYNC_DELETE_MEMORY": ["clearml-async-delete"],
    # Digests of the configuration files.
    "CLEARML_APISERVER_DIGEST": ["clearml-server"],
    "CLEARML_SECURE_DIGEST": ["clearml-server", "clearml-fileserver", "clearml-async-delete"],
}


def with_dependants(names: list[str]) -> set[str]:
    """The services, and all that depend on them, as the Compose file says."""
    services = yaml.safe_load((ROOT / "compose" / "stack.yml").read_text())["services"]
    found = set(names)
    while more := {name for name, service in services.items() if found & service.get("depends_on", {}).keys()} - found:
        found |= more
    return found


@pytest.mark.parametrize("setting", READERS)
def test_what_a_setting_restarts(host: testinfra.host.Host, variables: Variables, setting: str) -> None:
    """What Compose would do if this setting alone were another."""
    project = f"{variables['clearml_server_data_root']}/compose"
    plan = host.run(f"cd %s && {setting}=600m docker compose up --detach --dry-run", project)
    assert plan.rc == 0, plan.stderr
    assert set(re.findall(r"Container (\S+) +Recreate\b", plan.stderr)) == with_dependants(READERS[setting])


def test_one_service_restarts_alone(host: testinfra.host.Host, variables: Variables) -> None:
    """What Compose really does."""
    before = inspect(host)
    host.check_output(
        "cd %s && CLEARML_WEBSERVER_MEMORY=700m docker compose up --detach",
        f"{variables['clearml_server_data_root']}/compose",
    )
    after = inspect(host)
    assert touched(before, after) == {"clearml-webserver"}
    assert after["clearml-webserver"]["HostConfig"]["Memory"] == in_bytes("700m")


def test_variables_restart_their_reader_and_what_depends_on_it(
    host: testinfra.host.Host, platform: Platform, credentials: dict[str, str]
) -> None:
    """The run of the next file, which names neither variable, takes both back."""
    before = inspect(host)
    renamed = {"clearml_access_users": [{"username": credentials["username"], "name": "Somebody Else"}]}
    deploy("--extra-vars", json.dumps(renamed), "--extra-vars", "clearml_server_webserver_memory=600m")
    after = inspect(host)
    assert touched(before, after) == set(NAMES) - set(DATABASES)
    assert after["clearml-webserver"]["HostConfig"]["Memory"] == in_bytes("600m")
    token = platform.login(credentials["username"], credentials["password"]).data["token"]
    assert platform.call("users.get_current_user", token).data["user"]["name"] == "Somebody Else"
