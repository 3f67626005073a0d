"""The Compose files without Ansible, on this machine's own Docker engine, with the lab's images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.commands.shell import ROOT
from lab.stack import REGISTRY_PREFIX, Project, free_ports

from tests.stack import PROJECT

# What Molecule's scenarios test with: the client, and the published keys.
sys.path.insert(0, str(ROOT / "molecule" / "resources"))

from helpers.platform import Platform


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy that is not started."""
    return Project.copy(tmp_path)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The plain stack, up and healthy; removed with its data at the end."""
    project = Project.copy(tmp_path_factory.mktemp("stack"))
    web, api, files = free_ports(3)
    project.write_env(
        COMPOSE_PROJECT_NAME=PROJECT,
        CLEARML_REGISTRY_PREFIX=REGISTRY_PREFIX,
        CLEARML_WEB_PORT=str(web),
        CLEARML_API_PORT=str(api),
        CLEARML_FILES_PORT=str(files),
        CLEARML_FILES_HOST=f"http://127.0.0.1:{files}",
    )
    # What an interrupted run left behind.
    project.compose("down", "--volumes", "--timeout", "5")
    try:
        project.compose("up", "--detach", "--wait", "--wait-timeout", "300")
        yield project
    finally:
        project.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="session")
def platform(stack: Project) -> Platform:
    """A client of the plain stack."""
    api, web, files = (f"http://127.0.0.1:{stack.settings[f'CLEARML_{name}_PORT']}" for name in ("API", "WEB", "FILES"))
    return Platform(None, api, web, files)
