"""Fixtures for the tests of all scenarios (a plugin of pytest, see .config/molecule/config.yml)."""

from __future__ import annotations

import json

import pytest
import testinfra.host
import yaml

from helpers.containers import Inspected, inspect
from helpers.platform import Platform
from helpers.variables import Variables


@pytest.fixture(scope="module")
def variables(host: testinfra.host.Host) -> Variables:
    """The roles' variables on this host: their defaults, and the scenario's own values over them."""
    return Variables.of(host.backend.name)


@pytest.fixture(scope="module")
def containers(host: testinfra.host.Host) -> Inspected:
    """The host's containers, as they were when the first test of the file asked."""
    return inspect(host)


@pytest.fixture
def secrets(host: testinfra.host.Host, variables: Variables) -> dict[str, str]:
    """The secrets in use: those that secrets.yml holds now, unless the inventory has its own."""
    content = host.file(f"{variables['clearml_server_data_root']}/secrets.yml").content_string
    return {**yaml.safe_load(content), **variables["clearml_server_secrets"]}


@pytest.fixture(scope="module")
def credentials(host: testinfra.host.Host, variables: Variables) -> dict[str, str]:
    """The operator's account and the service account's key."""
    found: dict[str, str] = json.loads(
        host.file(f"{variables['clearml_server_data_root']}/client/credentials.json").content_string
    )
    return found


@pytest.fixture(scope="module")
def platform(host: testinfra.host.Host, variables: Variables) -> Platform:
    """A client inside the host."""
    bind = variables["clearml_server_bind_address"]
    address = "127.0.0.1" if bind == "0.0.0.0" else bind
    ports = (variables[f"clearml_server_{name}_port"] for name in ("api", "web", "files"))
    api, web, files = (f"http://{address}:{port}" for port in ports)
    return Platform(host.backend.name, api, web, files)


@pytest.fixture(scope="module")
def token(platform: Platform, credentials: dict[str, str]) -> str:
    """A token of the service account."""
    answer = platform.login(credentials["access_key"], credentials["secret_key"])
    return str(answer.data["token"])
