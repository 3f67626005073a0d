"""One project and one key pair for all tests of a run; both are gone afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .agents import agent, services_agent
from .server import CONFIG, THREADS, Api, new_project, write_config

__all__ = ["agent", "services_agent"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say at once which server is missing, rather than in every test; cache nothing where the user's files are."""
    if not CONFIG or not Path(CONFIG).is_file():
        pytest.exit(f"CLEARML_CONFIG_FILE is {CONFIG!r}; it has to name the clearml.conf of the server to test.", 2)
    folder = TemporaryDirectory(prefix="clearml-acceptance-")
    session.config.add_cleanup(folder.cleanup)
    os.environ["CLEARML_CONFIG_FILE"] = str(write_config(Path(folder.name), THREADS))


@pytest.fixture(scope="session")
def api() -> Api:
    """The API of the server under test."""
    return Api()


@pytest.fixture(scope="session")
def project(api: Api) -> Iterator[str]:
    """The project that holds everything."""
    with new_project(api) as name:
        yield name


@pytest.fixture
def queue(api: Api, project: str) -> Iterator[str]:
    """A queue that nothing listens on."""
    name = f"{project}-{uuid.uuid4().hex[:4]}"
    identifier = api.call("queues.create", name=name)["id"]
    yield name
    api.call("queues.delete", queue=identifier, force=True)
