"""One project and one key pair for all tests of a run; both are gone afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Api


def pytest_sessionstart() -> None:
    """Say at once which server is missing, rather than in every test."""
    path = os.environ.get("CLEARML_CONFIG_FILE")
    if not path or not Path(path).is_file():
        pytest.exit(f"CLEARML_CONFIG_FILE is {path!r}; it has to name the clearml.conf of the server to test.", 2)


@pytest.fixture(scope="session")
def api() -> Api:
    """The API of the server under test."""
    return Api()


@pytest.fixture(scope="session")
def project(api: Api) -> Iterator[str]:
    """The project that holds everything."""
    name = f"acceptance-{uuid.uuid4().hex[:8]}"
    identifier = api.call("projects.create", name=name, description="made by the acceptance tests")["id"]
    yield name
    api.call("projects.delete", project=identifier, force=True, delete_contents=True)


@pytest.fixture
def queue(api: Api, project: str) -> Iterator[str]:
    """A queue that nothing listens on."""
    name = f"{project}-{uuid.uuid4().hex[:4]}"
    identifier = api.call("queues.create", name=name)["id"]
    yield name
    api.call("queues.delete", queue=identifier, force=True)
