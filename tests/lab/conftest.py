"""The lab stack that `make acceptance` started, and its clients."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab.stack import SAVED, Stack

from tests.acceptance.conftest import agent, api, project, queue  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The running stack. A test that breaks it waits until it is well again."""
    saved = os.environ.get(SAVED)
    if not saved:
        pytest.exit(f"{SAVED} is not set: these tests are run by `make acceptance`, which starts the stack.", 2)
    return Stack.load(Path(saved))


@pytest.fixture(scope="session")
def person(stack: Stack) -> tuple[str, str]:
    """The name and the password of a person who may log in."""
    return stack.person
