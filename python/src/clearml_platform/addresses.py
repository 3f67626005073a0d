"""The addresses of the three services of a server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from clearml_platform.errors import InputError

ADDRESSES = ("api_host", "web_host", "files_host")
# What stands in an address for each service: the label of its host name, and its port.
LABELS = {"api_host": "api", "web_host": "app", "files_host": "files"}
PORTS = {"api_host": 8008, "web_host": 8080, "files_host": 8081}
SERVICES = {"api_host": "the API", "web_host": "the web application", "files_host": "the fileserver"}
# The SDK takes these for files, too.
STORAGE = ("s3", "gs", "azure", "file")
# The source of what is given by options.
OPTIONS = "the options"


def address(value: str, name: str, source: str = OPTIONS) -> str:
    """Return an address as it is stored, without a slash at the end.

    Raises:
        InputError: this is no address.
    """
    where = place(name, source)
    text = value.strip().rstrip("/")
    if name == "files_host" and urlsplit(text).scheme in STORAGE:
        return text
    example = f"such as http://clearml.example.com:{PORTS[name]}"
    if "@" in text:
        raise InputError(
            f"{where}: an address has no user and password in it: give one {example}.", reason="bad_address"
        )
    if not re.match(r"https?://", text, re.IGNORECASE):
        raise InputError(
            f"{where}: {value!r} does not begin with http:// or https://: give the whole address, {example}.",
            reason="bad_address",
        )
    try:
        parts = urlsplit(text)
        wrong = not parts.hostname or parts.port == 0 or parts.query or parts.fragment
    except ValueError:
        raise InputError(f"{where}: {value!r} is no address: give one {example}.", reason="bad_address") from None
    if wrong or re.search(r"[\s\"'\\<>${}]|[^\x20-\x7e]", text):
        raise InputError(f"{where}: {value!r} is no address: give one {example}.", reason="bad_address")
    return parts._replace(scheme=parts.scheme.lower()).geturl()


def neighbour(url: str, of: str, wanted: str) -> str | None:
    """Return where a service usually is when another is at this address."""
    parts = urlsplit(url)
    label, _, domain = (parts.hostname or "").partition(".")
    if parts.port == PORTS[of]:
        return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{PORTS[wanted]}").geturl()
    if label == LABELS[of] and domain:
        return parts._replace(netloc=parts.netloc.replace(label, LABELS[wanted], 1)).geturl()
    path = {"api_host": "/api", "web_host": "", "files_host": "/files"}
    if parts.path == path[of] and parts.path:
        return parts._replace(path=path[wanted]).geturl()
    return None


def option(name: str) -> str:
    """Return the option that gives a value."""
    return f"--{name.replace('_', '-')}"


def words(name: str) -> str:
    """Return what a value is called in a sentence."""
    return {"api_host": "address of the API", "access_key": "access key", "secret_key": "secret key"}.get(
        name, f"address of {SERVICES.get(name, name)}"
    )


def place(name: str, source: str | None) -> str:
    """Return where a user corrects a value: an option, or the place that it came from."""
    if source is None:
        return f"{option(name)} (not given)"
    return option(name) if source == OPTIONS else f"The {words(name)} in {source}"
