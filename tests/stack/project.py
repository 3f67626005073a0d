"""A copy of compose/ that a test may start, on this machine's own Docker engine, with the lab's images."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Another name lets two of these stacks run side by side.
PROJECT = os.environ.get("CLEARML_STACK_TEST_PROJECT", "clearml-stack-test")
REGISTRY_PREFIX = "127.0.0.1:15000/"


@dataclass
class Project:
    """A copy of compose/ with an .env of its own."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def copy(cls, folder: Path) -> Project:
        """A fresh copy in a folder, without an .env."""
        return cls(Path(shutil.copytree(ROOT / "compose", folder / "compose")))

    def write_env(self, **settings: str) -> None:
        """Start from .env.example, as a person would, and set the given values."""
        self.settings = settings
        lines = (self.directory / ".env.example").read_text().splitlines()
        kept = [line for line in lines if line.split("=")[0] not in settings]
        chosen = [f"{name}={value}" for name, value in settings.items()]
        (self.directory / ".env").write_text("\n".join([*kept, *chosen, ""]))

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Compose v2 against this machine's engine."""
        lab = [sys.executable, str(ROOT / "lab" / "lab.py")]
        result = subprocess.run(
            [*lab, "compose", "--project-directory", str(self.directory), "--", *arguments],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if check:
            assert result.returncode == 0, f"docker compose {' '.join(arguments)}\n{result.stdout}\n{result.stderr}"
        return result

    def config(self) -> dict[str, Any]:
        """The project as Compose understands it."""
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json").stdout)
        return config

    def containers(self) -> dict[str, dict[str, Any]]:
        """The project's containers, by the name of their service."""
        label = f"label=com.docker.compose.project={PROJECT}"
        ids = docker("ps", "--all", "--quiet", "--filter", label).split()
        inspected = json.loads(docker("inspect", *ids)) if ids else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in inspected}


def docker(*arguments: str) -> str:
    """Run the engine's client."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True).stdout


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody holds."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
