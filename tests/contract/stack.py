"""A lab stack without data, for one replay: databases and apiserver, with keys that are known here."""

from __future__ import annotations

import json
import secrets
import shutil
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.commands.shell import LabError, alone, last_lines
from tests.stack.project import REGISTRY_PREFIX, ROOT, Project, free_ports

from .callers import USER, Server

NAME = "clearml-contract"
OVERLAY = "known-config.yml"


@contextmanager
def empty_server() -> Iterator[Server]:
    """Start a stack, and remove it with its data, whatever happens. What an earlier run left behind goes first."""
    with alone("contract"), tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        project, server = _prepare(Path(folder))
        _compose(project, "down", "--volumes", "--timeout", "5")
        try:
            _compose(project, "up", "--detach", "--wait", "--wait-timeout", "300", "clearml-server")
            yield server
        finally:
            _compose(project, "down", "--volumes", "--timeout", "5")


def _prepare(folder: Path) -> tuple[Project, Server]:
    """Copy the Compose files, and write the configuration that the server will read."""
    project = Project(Path(shutil.copytree(ROOT / "compose", folder / "compose")))
    shutil.copy(Path(__file__).with_name(OVERLAY), project.directory)
    config = folder / "config"
    config.mkdir(mode=0o700)
    (port,) = free_ports(1)
    server = Server(f"http://127.0.0.1:{port}", (USER, _random(30)), (_random(30), _random(60)))
    # The accounts of the recorded server: one person, and nobody but the official service accounts.
    person = {"username": USER, "password": server.user[1], "name": "Admin"}
    fixed_users = {"enabled": True, "pass_hashed": False, "users": [person]}
    _write(config / "apiserver.conf", {"auth": {"fixed_users": fixed_users}})
    system = dict(zip(("user_key", "user_secret"), server.system, strict=True))
    fileserver = {"user_key": _random(30), "user_secret": _random(60)}
    credentials = {"apiserver": system, "fileserver": fileserver}
    _write(config / "secure.conf", {"auth": {"token_secret": _random(60)}, "credentials": credentials})
    project.write_env(
        COMPOSE_PROJECT_NAME=NAME,
        COMPOSE_FILE=f"docker-compose.yml:managed-secrets.yml:{OVERLAY}",
        CLEARML_CONTRACT_CONFIG=str(config),
        CLEARML_REGISTRY_PREFIX=REGISTRY_PREFIX,
        CLEARML_API_PORT=str(port),
        CLEARML_FILES_HOST="http://127.0.0.1:8081",
        # Ready as soon as it answers, and patient on a busy machine.
        CLEARML_HEALTH_INTERVAL="2s",
        CLEARML_HEALTH_RETRIES="100",
    )
    return project, server


def _write(path: Path, content: dict[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))  # which the configuration's format contains


def _random(length: int) -> str:
    """Return upper-case letters and digits, as access keys have them."""
    return "K" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length - 1))


def _compose(project: Project, *arguments: str) -> None:
    result = project.compose(*arguments, check=False)
    if result.returncode:
        output = last_lines(result.stdout + result.stderr)
        raise LabError(f"docker compose {' '.join(arguments)} ended with exit code {result.returncode}:\n{output}")
