"""The server of one replay: an empty lab stack of its own, without the services that recordings do not talk to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.stack import running

from .callers import USER, Server

NAME = "clearml-contract"


@contextmanager
def empty_server() -> Iterator[Server]:
    """Start databases and apiserver, and remove them afterwards. Its person bears the name of the recorded one."""
    with running(NAME, "clearml-server", username=USER) as stack:
        yield Server(stack.api, stack.person, stack.system)
