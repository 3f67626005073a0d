"""Breaking services of a running stack, and waiting until they are well again."""

from __future__ import annotations

import os
import signal
from typing import Any

from lab.stack import Stack

from tests.acceptance.server import wait_for

SECONDS = 180


def kill(stack: Stack, service: str) -> None:
    """Kill a service's main process, as the kernel does when memory runs out; Docker starts it again."""
    os.kill(_container(stack, service)["State"]["Pid"], signal.SIGKILL)


def restart(stack: Stack, service: str) -> None:
    """Restart a service as an operator does, with those that depend on it."""
    stack.project.compose("restart", service)


def wait_until_well(stack: Stack, service: str, since: str) -> None:
    """Wait until a service that was started after `since` is healthy."""

    def well() -> bool:
        state = _container(stack, service)["State"]
        health = state.get("Health", {}).get("Status", "healthy")
        return bool(state["Running"] and health == "healthy" and state["StartedAt"] != since)

    wait_for(f"{service} is well again", well, SECONDS)


def started(stack: Stack, service: str) -> str:
    """Return when a service was started."""
    when: str = _container(stack, service)["State"]["StartedAt"]
    return when


def _container(stack: Stack, service: str) -> dict[str, Any]:
    return stack.project.containers()[service]
