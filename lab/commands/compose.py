"""Compose v2 against this machine's own engine, also where that comes without Compose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.commands import images
from lab.commands.shell import LabError, alone, run, succeeds


def compose(folder: Path, arguments: list[str], variables: list[str]) -> int:
    """Run `docker compose` in a project's folder and return its exit code."""
    for variable in variables:
        if "=" not in variable:
            raise LabError(f"--env is {variable}: it must be NAME=VALUE.")
    if not folder.is_dir():
        raise LabError(f"--project-directory is {folder}: there is no such folder.")
    if succeeds("docker", "compose", "version"):
        environment = os.environ | dict(variable.split("=", 1) for variable in variables)
        return subprocess.run(["docker", "compose", *arguments], cwd=folder, env=environment, check=False).returncode
    if not images.exists(images.COMPOSE):
        with alone("images"):
            images.build_all([images.COMPOSE])
    return subprocess.run(tool_command(folder, arguments, variables), check=False).returncode


def tool_command(folder: Path, arguments: list[str], variables: list[str]) -> list[str]:
    """The command that runs Compose in a container: the engine sees the project's folder under the same path."""
    endpoint = run("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    if not endpoint.startswith("unix://"):
        raise LabError(f"The engine is at {endpoint}: without the Compose plugin the lab needs one of this machine.")
    command = ["docker", "run", "--rm", "--interactive", "--network", "none"]
    if sys.stdin.isatty() and sys.stdout.isatty():
        command += ["--tty"]
    command += ["--mount", f"type=bind,source={endpoint.removeprefix('unix://')},target=/var/run/docker.sock"]
    command += ["--mount", f"type=bind,source={folder},target={folder}", "--workdir", str(folder)]
    for variable in variables:
        command += ["--env", variable]
    return [*command, images.COMPOSE.name, "docker", "compose", *arguments]
