"""The fleet under test."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import testinfra
import testinfra.host

from helpers.expected import ROOT
from helpers.fleet import HOST_12, HOST_13, REPORTS, SERVER, WAITS, Fleet, GitServer
from helpers.platform import Platform
from helpers.variables import Variables


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a private repository with the code of all tasks."""
    work, served = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("served")
    (work / "waits.py").write_text(WAITS)
    (work / "reports.py").write_text(REPORTS)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(work)]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Code of the tests' tasks"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(served / "code.git")], check=True)
    subprocess.run(["git", "-C", str(served / "code.git"), "update-server-info"], check=True)
    variables = Variables.of(HOST_12)
    pair = f"{variables['clearml_agent_git_user']}:{variables['clearml_agent_git_token']}"
    GitServer.authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    address = variables["clearml_agent_git_host"]
    with http.server.ThreadingHTTPServer(
        (address, 0), lambda *arguments: GitServer(*arguments, directory=str(served))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}/code.git"
        server.shutdown()


@pytest.fixture(scope="session")
def host_12() -> testinfra.host.Host:
    """The host with Debian 12."""
    return testinfra.get_host(f"docker://{HOST_12}")


@pytest.fixture(scope="session")
def host_13() -> testinfra.host.Host:
    """The host with Debian 13."""
    return testinfra.get_host(f"docker://{HOST_13}")


@pytest.fixture(scope="session")
def fleet(repository: str, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The server and its agents."""
    server = testinfra.get_host(f"docker://{SERVER}")
    account = json.loads(server.file("/opt/clearml/client/credentials.json").content_string)
    platform = Platform(SERVER, "http://127.0.0.1:8008", "http://127.0.0.1:8080", "http://127.0.0.1:8081")
    return Fleet(platform, account, repository, tmp_path_factory.mktemp("client"))


@pytest.fixture
def agents() -> Callable[..., list[str]]:
    """Return a function that makes the command for a playbook on the agents' hosts."""

    def command(playbook: str, host: str, **variables: Any) -> list[str]:
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        limit = f"localhost,{host}"
        run = ["ansible-playbook", "-i", inventory, f"{ROOT}/playbooks/{playbook}", "--limit", limit]
        return [*run, "--extra-vars", json.dumps(variables)]

    return command
