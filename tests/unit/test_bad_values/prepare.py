"""What the inventories point to: directories, certificates, ports, a registry, and hosts' answers about Docker."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
# An engine and a Compose plugin that are new enough, and no volumes.
DOCKER = {"server": "26.1.5", "compose": "2.26.1", "bound": ""}
DOCKER_CLIENT = """#!/bin/sh
case "$*" in
    version*) echo '{"Client": {"Version": "26.1.5"}, "Server": {"Version": "'"$SERVER"'"}}' ;;
    "compose version"*) echo "$COMPOSE" ;;
    "volume inspect"*) echo "$BOUND" ;;
esac
"""


@dataclass(frozen=True)
class Case:
    """A wrong inventory, and what is wanted of the sentence that refuses it."""

    name: str
    variables: dict[str, Any]
    says: list[str]
    hides: list[str]
    docker: dict[str, str] = field(default_factory=dict)
    # Whether it is refused with --check as well.
    check: bool = True
    # What this machine must not have.
    absent: str = ""

    @property
    def host(self) -> str:
        """The name of the host that has these variables."""
        return "".join(sign if sign.isalnum() else "-" for sign in self.name)


def read_cases(table: str) -> list[Case]:
    """Read a table of wrong inventories."""
    return [
        Case(
            row["case"],
            row.get("set", {}),
            [str(word) for word in row["says"]],
            row.get("hides", []),
            row.get("docker", {}),
            row.get("check", True),
            row.get("absent", ""),
        )
        for row in yaml.safe_load((HERE / table).read_text(encoding="utf-8"))
    ]


def read_good(table: str) -> dict[str, Any]:
    """Read what all hosts have in common, and the hosts that must pass."""
    good: dict[str, Any] = yaml.safe_load((HERE / table).read_text(encoding="utf-8"))
    return good


def fill_in(value: Any, places: dict[str, Any]) -> Any:
    """Put the test's directory and ports in place of their names, in everything that a value holds."""
    if isinstance(value, dict):
        return {key: fill_in(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, places) for item in value]
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(f"{{{name}}}", str(place))
    return value


class Registry(http.server.BaseHTTPRequestHandler):
    """Answers as an image registry does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the standard library
        """Keep the test's output clean."""


@contextlib.contextmanager
def ports() -> Iterator[dict[str, int]]:
    """Listen on a port and as a registry, and name a port that nobody listens on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.socket() as closed,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as registry,
    ):
        # Bound, and so nobody else's, but nobody listens.
        closed.bind(("127.0.0.1", 0))
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        yield {
            "taken": taken.getsockname()[1],
            "closed": closed.getsockname()[1],
            "registry": registry.server_address[1],
        }
        registry.shutdown()


@contextlib.contextmanager
def untrusted(folder: Path) -> Iterator[int]:
    """Listen on a port with a certificate that nobody signed."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=clearml", "-days", "1"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake is made where the answer is, not where connections are taken.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def make_server(data_root: Path, addresses: dict[str, str], accounts: dict[str, dict[str, str]]) -> None:
    """Make what a server's host has for other roles."""
    client = data_root / "client"
    client.mkdir(parents=True)
    (client / "addresses.json").write_text(json.dumps(addresses))
    (client / "service_accounts.json").write_text(json.dumps(accounts))


def make_folder(folder: Path, release: str) -> None:
    """Make the directories and files that inventories point to."""
    (folder / "empty").mkdir()
    for name, written_by in (("other-release", "1.17.1"), ("same-release", release), ("unknown-release", None)):
        database = folder / name / "data" / "mongo_4" / "db"
        database.mkdir(parents=True)
        (database / "WiredTiger").touch()
        if written_by:
            (folder / name / "release").write_text(f"{written_by}\n")
    config = folder / "with-ana" / "config"
    config.mkdir(parents=True)
    people = [{"username": username, "password": "", "name": username} for username in ("operator", "ana")]
    (config / "apiserver.conf").write_text(json.dumps({"auth": {"fixed_users": {"enabled": True, "users": people}}}))
    (config / "secure.conf").write_text(json.dumps({"credentials": {"platform": {"role": "user"}}}))
    bundle = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt").read_text()
    end = "-----END CERTIFICATE-----\n"
    (folder / "certificate.crt").write_text(bundle[bundle.index("-----BEGIN") : bundle.index(end)] + end)
    (folder / "not-a-certificate.crt").write_text("localhost\n")
    (folder / "private-key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    make_docker(folder)


def make_docker(folder: Path) -> None:
    """Make the program that answers as Docker."""
    executable(folder / "bin" / "docker", DOCKER_CLIENT)


def make_shell(folder: Path, host: str, docker: dict[str, str]) -> Path:
    """Make the shell that runs a host's commands: all hosts are this machine, and yet each has a Docker of its own."""
    settings = "".join(f"export {name.upper()}={version!r}\n" for name, version in (DOCKER | docker).items())
    path = f"{folder / 'bin'}{os.pathsep}$PATH"
    return executable(folder / "shells" / host, f'#!/bin/sh\n{settings}PATH="{path}" exec /bin/sh "$@"\n')


def executable(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
