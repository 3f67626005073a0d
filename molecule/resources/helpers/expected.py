"""What a deployed platform must look like, read from the role's defaults and from the release's list of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Service:
    """One service of the stack: the name of its container, and which of the role's variables it follows."""

    name: str
    image: str
    memory: str
    port: str | None = None
    health_check: bool = True


SERVICES = (
    Service("clearml-mongo", "CLEARML_MONGO_IMAGE", "clearml_server_mongo_memory"),
    Service("clearml-elastic", "CLEARML_ELASTIC_IMAGE", "clearml_server_elastic_memory"),
    Service("clearml-redis", "CLEARML_REDIS_IMAGE", "clearml_server_redis_memory"),
    Service("clearml-server", "CLEARML_SERVER_IMAGE", "clearml_server_apiserver_memory", "clearml_server_api_port"),
    Service(
        "clearml-fileserver", "CLEARML_SERVER_IMAGE", "clearml_server_fileserver_memory", "clearml_server_files_port"
    ),
    Service("clearml-webserver", "CLEARML_SERVER_IMAGE", "clearml_server_webserver_memory", "clearml_server_web_port"),
    Service(
        "clearml-async-delete",
        "CLEARML_SERVER_IMAGE",
        "clearml_server_async_delete_memory",
        health_check=False,
    ),
)
NAMES = tuple(service.name for service in SERVICES)
DATABASE_PORTS = {"clearml-mongo": (27017,), "clearml-elastic": (9200, 9300), "clearml-redis": (6379,)}
DATABASES = tuple(DATABASE_PORTS)


def role_defaults(role: str) -> dict[str, Any]:
    """The defaults of a role, as they stand in its file."""
    defaults: dict[str, Any] = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    return defaults


def release_images(release: str) -> dict[str, str]:
    """The images of a release, by the name of their setting."""
    lines = (ROOT / "compose" / "releases" / f"{release}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def in_bytes(size: str) -> int:
    """Bytes of a size in Docker's form (512m) or in Elasticsearch's (5gb)."""
    size = size.removesuffix("b")
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30, "t": 40}[size[-1]]


def in_nanoseconds(time: str) -> int:
    """Nanoseconds, in which the engine counts, of a time such as 10s or 2m."""
    return int(time[:-1]) * {"s": 1, "m": 60, "h": 3600}[time[-1]] * 10**9
