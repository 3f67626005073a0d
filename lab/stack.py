"""The platform on this machine's own Docker engine: a copy of compose/ with the lab's images, without a test host."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lab.commands.shell import CACHE, ROOT, LabError, alone, last_lines

REGISTRY_PREFIX = "127.0.0.1:15000/"
KNOWN_CONFIG = Path(__file__).with_name("known-config.yml")
# The official clients have other requirements than the tools of this repository, so they live in an environment of
# their own, which the Makefile installs.
CLIENTS_PYTHON = CACHE / "acceptance" / "bin" / "python"
# The variable that tells tests of a stack of their own.
SAVED = "CLEARML_LAB_STACK"
Pair = tuple[str, str]


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
        if check and result.returncode:
            output = last_lines(result.stdout + result.stderr)
            raise LabError(f"docker compose {' '.join(arguments)} ended with exit code {result.returncode}:\n{output}")
        return result

    def config(self) -> dict[str, Any]:
        """The project as Compose understands it."""
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json").stdout)
        return config

    def containers(self) -> dict[str, dict[str, Any]]:
        """The project's containers, by the name of their service."""
        label = f"label=com.docker.compose.project={self.settings['COMPOSE_PROJECT_NAME']}"
        ids = docker("ps", "--all", "--quiet", "--filter", label).split()
        inspected = json.loads(docker("inspect", *ids)) if ids else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in inspected}


@dataclass(frozen=True)
class Stack:
    """A running platform, and who may use it."""

    project: Project
    person: Pair  # a name and a password
    system: Pair  # a key pair of the apiserver's own account

    @property
    def config(self) -> Path:
        """The directory of the server's configuration; what is changed in it counts from the next start."""
        return Path(self.project.settings["CLEARML_KNOWN_CONFIG"])

    @property
    def api(self) -> str:
        """The address of the apiserver."""
        return f"http://127.0.0.1:{self.project.settings['CLEARML_API_PORT']}"

    @property
    def web(self) -> str:
        """The address of the web server."""
        return f"http://127.0.0.1:{self.project.settings['CLEARML_WEB_PORT']}"

    @property
    def files(self) -> str:
        """The address of the fileserver."""
        return f"http://127.0.0.1:{self.project.settings['CLEARML_FILES_PORT']}"

    def key_pair(self) -> Pair:
        """Make a key pair of the person."""
        content = {"label": "lab"}
        answer = requests.post(f"{self.api}/auth.create_credentials", auth=self.person, json=content, timeout=60)
        answer.raise_for_status()
        made = answer.json()["data"]["credentials"]
        return made["access_key"], made["secret_key"]

    def client_config(self, path: Path) -> None:
        """Write a clearml.conf of the person, whose caches and records stay beside it."""
        access_key, secret_key = self.key_pair()
        content = {
            "api": {
                "api_server": self.api,
                "web_server": self.web,
                "files_server": self.files,
                "credentials": {"access_key": access_key, "secret_key": secret_key},
            },
            "sdk": {"storage": {"cache": {"default_base_dir": str(path.parent / "cache")}}},
        }
        # Without braces around the whole, as clearml-init writes it: others may add sections at the end.
        write_file(path, "\n".join(f"{section} {json.dumps(settings)}" for section, settings in content.items()))

    def environment(self, folder: Path) -> dict[str, str]:
        """Write what clients and tests need of this stack into a folder; return the variables that lead them there."""
        config, saved = folder / "clearml.conf", folder / "stack.json"
        self.client_config(config)
        self.save(saved)
        return {"CLEARML_CONFIG_FILE": str(config), SAVED: str(saved)}

    def save(self, path: Path) -> None:
        """Write down what another program has to know to use this stack."""
        project = {"directory": str(self.project.directory), "settings": self.project.settings}
        write_config(path, {"project": project, "person": self.person, "system": self.system})

    @classmethod
    def load(cls, path: Path) -> Stack:
        """Return the stack that was saved."""
        saved = json.loads(path.read_text())
        project = Project(Path(saved["project"]["directory"]), saved["project"]["settings"])
        return cls(project, tuple(saved["person"]), tuple(saved["system"]))


@contextmanager
def running(name: str, *services: str, username: str = "admin") -> Iterator[Stack]:
    """Start a platform without data, with keys that are known here; remove it with its data, whatever happens.

    `services` and what they depend on are started, or all. What an earlier run left behind goes first.
    """
    with alone(name), tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        stack = _prepare(name, username, Path(folder))
        stack.project.compose("down", "--volumes", "--timeout", "5")
        try:
            stack.project.compose("up", "--detach", "--wait", "--wait-timeout", "300", *services)
            yield stack
        finally:
            stack.project.compose("down", "--volumes", "--timeout", "5")


def _prepare(name: str, username: str, folder: Path) -> Stack:
    """Copy the Compose files, and write the configuration that the server will read."""
    project = Project.copy(folder)
    shutil.copy(KNOWN_CONFIG, project.directory)
    config = folder / "config"
    config.mkdir(mode=0o700)
    stack = Stack(project, (username, random_key(30)), (random_key(30), random_key(60)))
    # One person, and nobody but the official service accounts.
    person = {"username": stack.person[0], "password": stack.person[1], "name": "Admin"}
    fixed_users = {"enabled": True, "pass_hashed": False, "users": [person]}
    write_config(config / "apiserver.conf", {"auth": {"fixed_users": fixed_users}})
    accounts = {"apiserver": stack.system, "fileserver": (random_key(30), random_key(60))}
    credentials = {
        account: dict(zip(("user_key", "user_secret"), pair, strict=True)) for account, pair in accounts.items()
    }
    write_config(config / "secure.conf", {"auth": {"token_secret": random_key(60)}, "credentials": credentials})
    web, api, files = free_ports(3)
    project.write_env(
        COMPOSE_PROJECT_NAME=name,
        COMPOSE_FILE=f"docker-compose.yml:managed-secrets.yml:{KNOWN_CONFIG.name}",
        CLEARML_KNOWN_CONFIG=str(config),
        CLEARML_REGISTRY_PREFIX=REGISTRY_PREFIX,
        CLEARML_WEB_PORT=str(web),
        CLEARML_API_PORT=str(api),
        CLEARML_FILES_PORT=str(files),
        CLEARML_FILES_HOST=f"http://127.0.0.1:{files}",
        # Ready as soon as it answers, and patient on a busy machine.
        CLEARML_HEALTH_INTERVAL="2s",
        CLEARML_HEALTH_RETRIES="100",
    )
    return stack


def write_config(path: Path, content: dict[str, Any]) -> None:
    """Write a configuration file in JSON, which the configuration's format contains."""
    write_file(path, json.dumps(content))


def write_file(path: Path, content: str) -> None:
    """Write a file that nobody else may read."""
    path.touch(mode=0o600)
    path.write_text(f"{content}\n")


def random_key(length: int) -> str:
    """Return upper-case letters and digits, as access keys have them."""
    return "K" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length - 1))


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
