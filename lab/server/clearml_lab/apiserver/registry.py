"""Which endpoints there are: those implemented here, and those that ClearML 2.3 has and the lab server has not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ApiError, error
from .fields import Field

if TYPE_CHECKING:
    from .call import Call, Download

MAX_VERSION = "2.34"
WORD = r"[^\W\d]\w+"
PATH = re.compile(rf"/?(?:v(?P<version>\d+\.?\d+)/)?(?P<name>{WORD}\.{WORD})/?\n?", re.ASCII)
SYSTEM_ROLES = ("system", "root")

Handler = Callable[["Call"], "dict[str, Any] | Download | None"]
Decorated = TypeVar("Decorated", bound=Handler)


@dataclass(frozen=True)
class Endpoint:
    """One version of an endpoint. `authorize` None means: identify the caller when possible, let everybody in."""

    name: str
    version: str
    handler: Handler
    fields: Sequence[Field]
    roles: Sequence[str]
    authorize: bool | None


_endpoints: dict[str, list[Endpoint]] = {}


def endpoint(
    name: str,
    *fields: Field,
    version: str = "1.0",
    roles: Sequence[str] = (),
    authorize: bool | None = True,
) -> Callable[[Decorated], Decorated]:
    """Register the decorated function as an endpoint. It takes the Call and returns the answer's data, or a file."""

    def register(handler: Decorated) -> Decorated:
        versions = _endpoints.setdefault(name, [])
        versions.append(Endpoint(name, version, handler, fields, roles, authorize))
        versions.sort(key=lambda item: version_key(item.version), reverse=True)
        return handler

    return register


def find(name: str, version: str) -> Endpoint:
    """Return the newest endpoint that is not newer than the requested version."""
    for candidate in _endpoints.get(name, ()):
        if version_key(candidate.version) <= version_key(version):
            return candidate
    if name in official_names() and name not in _endpoints:
        raise ApiError(501, f"Endpoint {name} exists in ClearML 2.3 but is not implemented by the lab server")
    raise ApiError(404, f"Unable to find endpoint for name {name} and version {version}")


def parse_path(path: str, check_max_version: bool = False) -> tuple[str, str]:
    """Split a request path into the endpoint's name and the requested API version."""
    match = PATH.fullmatch(path)
    if not match:
        raise ApiError(400, f"Invalid request path {path}")
    version = match["version"] or MAX_VERSION
    for part, digits in zip(("major", "minor"), version.split("."), strict=False):
        if digits.startswith("0") and digits != "0":
            reason = f"Invalid leading zero in {part}: '{version}'"
            raise error("request_path_has_invalid_version", version=version, reason=reason)
    if check_max_version and version_key(version) > version_key(MAX_VERSION):
        raise ApiError(400, f"Invalid API version (max. supported version is {MAX_VERSION})")
    return match["name"], version


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by: 2.9 comes before 2.34."""
    return tuple(int(part) for part in version.split("."))


def implemented_names() -> list[str]:
    """Return the names of all endpoints that are implemented."""
    return sorted(_endpoints)


def official_names() -> frozenset[str]:
    """Return the names of all endpoints of ClearML 2.3."""
    text = (resources.files(__package__) / "official_endpoints.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
