"""The containers of a host, as its Docker engine describes them."""

from __future__ import annotations

import json
import time
from typing import Any

import testinfra.host

Inspected = dict[str, dict[str, Any]]


def inspect(host: testinfra.host.Host) -> Inspected:
    """Everything that the engine knows of each container, by the container's name."""
    listed = host.check_output("docker inspect $(docker ps --all --quiet)")
    return {container["Name"].removeprefix("/"): container for container in json.loads(listed)}


def condition(container: dict[str, Any]) -> str:
    """The container's health, or its status where it has no health check or does not run."""
    state = container["State"]
    return str(state.get("Health", {}).get("Status", state["Status"])) if state["Running"] else str(state["Status"])


def identity(container: dict[str, Any]) -> tuple[str, str, int]:
    """What stays the same as long as nobody replaces, stops or starts the container."""
    return container["Id"], container["State"]["StartedAt"], container["State"]["Pid"]


def touched(before: Inspected, after: Inspected) -> set[str]:
    """Names of the containers that were replaced, stopped, started or added in between."""
    names = before.keys() | after.keys()
    missing = before.keys() ^ after.keys()
    return missing | {name for name in names - missing if identity(before[name]) != identity(after[name])}


def wait_until_well(host: testinfra.host.Host, seconds: int = 180) -> None:
    """Wait until each container runs and is healthy; fail with those that are not."""
    deadline = time.monotonic() + seconds
    while True:
        unwell = {
            name: condition(container)
            for name, container in inspect(host).items()
            if condition(container) not in ("healthy", "running")
        }
        if not unwell:
            return
        assert time.monotonic() < deadline, f"after {seconds} s: {unwell}"
        time.sleep(1)
