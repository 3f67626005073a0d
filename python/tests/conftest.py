"""A server, and a project for each test file. `make package` starts the server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from clearml_platform.server import Server


@pytest.fixture(scope="session")
def server() -> Server:
    """The server of CLEARML_CONFIG_FILE."""
    if not os.environ.get("CLEARML_CONFIG_FILE"):
        pytest.exit("CLEARML_CONFIG_FILE is not set: these tests are run by `make package`.", 2)
    return Server.connect()


@pytest.fixture(scope="module")
def project(server: Server) -> Iterator[str]:
    """A project of its own; it is deleted with everything in it."""
    name = f"python-{uuid.uuid4().hex[:8]}"
    identifier = server.made_project(name)
    yield name
    server.call("projects.delete", project=identifier, force=True, delete_contents=True)
