"""Breaking services of a running stack, and waiting until they are well again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from lab.stack import Stack

from tests.acceptance.server import wait_for

SECONDS = 180


def kill(stack: Stack, service: str) -> None:
    """Kill a service's main process, as the kernel does when memory runs out; Docker starts it again."""
    os.kill(_state(stack, service)["Pid"], signal.SIGKILL)


def restart(stack: Stack, service: str) -> None:
    """Restart a service as an operator does, with those that depend on it."""
    stack.project.compose("restart", service)


def recover(stack: Stack, service: str, end: Callable[[Stack, str], None] = kill) -> None:
    """End a service, and wait until it is started anew and healthy."""
    before = _state(stack, service)["StartedAt"]
    end(stack, service)

    def well() -> bool:
        state = _state(stack, service)
        health = state.get("Health", {}).get("Status", "healthy")
        return bool(state["Running"] and health == "healthy" and state["StartedAt"] != before)

    wait_for(f"{service} is well again", well, SECONDS)


def _state(stack: Stack, service: str) -> dict[str, Any]:
    state: dict[str, Any] = stack.project.containers()[service]["State"]
    return state
