"""Files and directories on the host: who owns them, and who may read them."""

from __future__ import annotations

import pytest
import testinfra.host

from helpers.containers import Inspected
from helpers.exposure import READABLE, given_secrets, readable_by_others
from helpers.variables import Variables

OWNERS = {
    ".": (0, 0, 0o755),
    "config": (0, 0, 0o700),
    "client": (0, 0, 0o700),
    "compose": (0, 0, 0o755),
    "logs": (0, 0, 0o755),
    "data": (0, 0, 0o755),
    "data/mongo_4": (0, 0, 0o755),
    "data/mongo_4/db": (999, 999, 0o700),
    "data/elastic_7": (1000, 0, 0o770),
    "data/redis": (999, 999, 0o700),
    "data/fileserver": (0, 0, 0o700),
    "secrets.yml": (0, 0, 0o600),
    "config/secure.conf": (0, 0, 0o600),
    "config/apiserver.conf": (0, 0, 0o600),
    "config/services.conf": (0, 0, 0o600),
    "client/clearml.conf": (0, 0, 0o600),
    "client/credentials.json": (0, 0, 0o600),
    "client/service_accounts.json": (0, 0, 0o600),
    "client/addresses.json": (0, 0, 0o600),
}


@pytest.mark.parametrize("path", OWNERS)
def test_owner_and_mode(host: testinfra.host.Host, variables: Variables, path: str) -> None:
    file = host.file(f"{variables['clearml_server_data_root']}/{path}")
    assert file.exists
    assert (file.uid, file.gid, file.mode) == OWNERS[path]


def test_no_secret_is_in_a_file_that_others_may_read(
    host: testinfra.host.Host, variables: Variables, secrets: dict[str, str]
) -> None:
    """Whatever file it is."""
    everything = {**secrets, **given_secrets(variables)}
    roots = (variables["clearml_server_data_root"], *READABLE)
    assert readable_by_others(host.backend.name, everything, roots) == []


def test_the_data_is_in_the_directories(host: testinfra.host.Host, variables: Variables, containers: Inspected) -> None:
    """Each volume is bound to its directory under the data root, and nothing else is written to the host."""
    root = variables["clearml_server_data_root"]
    bound = {
        (name, mount["Destination"]): host.check_output(
            "docker volume inspect --format '{{.Options.device}}' %s", mount["Name"]
        )
        for name, container in containers.items()
        for mount in container["Mounts"]
        if mount["Type"] == "volume"
    }
    assert bound[("clearml-mongo", "/data/db")] == f"{root}/data/mongo_4/db"
    assert bound[("clearml-elastic", "/usr/share/elasticsearch/data")] == f"{root}/data/elastic_7"
    assert bound[("clearml-redis", "/data")] == f"{root}/data/redis"
    assert bound[("clearml-fileserver", "/mnt/fileserver")] == f"{root}/data/fileserver"
    assert bound[("clearml-server", "/opt/clearml/config")] == f"{root}/config"
    assert bound[("clearml-server", "/var/log/clearml")] == f"{root}/logs"
    assert all(device.startswith(root) for device in bound.values()), bound


def test_the_configuration_cannot_be_written_by_containers(containers: Inspected) -> None:
    mounts = [
        (name, mount["RW"])
        for name, container in containers.items()
        for mount in container["Mounts"]
        if mount["Destination"] == "/opt/clearml/config"
    ]
    assert sorted(mounts) == [("clearml-async-delete", False), ("clearml-fileserver", False), ("clearml-server", False)]


def test_plain_compose_sees_the_same_project(host: testinfra.host.Host, variables: Variables) -> None:
    """What an operator types on the host works, and would change nothing."""
    project = f"{variables['clearml_server_data_root']}/compose"
    services = host.check_output("cd %s && docker compose ps --services | sort", project).splitlines()
    assert len(services) == 7
    dry_run = host.run("cd %s && docker compose up --detach --dry-run", project)
    assert dry_run.rc == 0
    assert "Recreate" not in dry_run.stderr and "Creating" not in dry_run.stderr
