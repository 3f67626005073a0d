"""The fleet under test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import testinfra
import testinfra.host

from helpers.exposure import agent_secrets
from helpers.fleet import HOST_12, HOST_13, SERVER, Fleet, opened
from helpers.variables import Variables


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """The server and its agents."""
    with opened() as fleet:
        yield fleet


@pytest.fixture(scope="session")
def host_12() -> testinfra.host.Host:
    """The host with Debian 12."""
    return testinfra.get_host(f"docker://{HOST_12}")


@pytest.fixture(scope="session")
def host_13() -> testinfra.host.Host:
    """The host with Debian 13."""
    return testinfra.get_host(f"docker://{HOST_13}")


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """What nobody but agents and tasks may see: the key, and what the inventory keeps secret."""
    server = testinfra.get_host(f"docker://{SERVER}")
    key = json.loads(server.file("/opt/clearml/client/service_accounts.json").content_string)["agents"]
    return {"the agents' key": key["secret_key"], **agent_secrets(Variables.of(HOST_12))}
