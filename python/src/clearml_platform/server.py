"""Calls to the server's API that the SDK offers only one object at a time, or not at all.

The SDK's own objects fetch each task by itself, and its queries lose their filter after the first page. Here a call is
one request with just the fields that are needed, a list comes in pages of 500 (the server's limit), and an error is one
sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from clearml_platform.errors import InputError, ServerError

# Rows in a page; the server returns no more (services._mongo.max_page_size).
PAGE = 500
# The newest calls that are used here: events' metric filters are of 2.28.
VERSION = "2.30"
# The SDK's own are 240 with growing pauses, which is an hour of silence.
RETRIES = {
    "total": 3,
    "connect": 2,
    "read": 2,
    "redirect": 3,
    "status": 2,
    "backoff_factor": 0.3,
    "backoff_max": 2.0,
}
# Result codes of unknown ids (code, subcode).
UNKNOWN_ID = {(400, 101), (400, 201), (400, 401), (400, 501), (400, 701)}


class _Answer(Protocol):
    """What comes back of a request."""

    status_code: int

    def json(self) -> Any: ...


class AbsentError(ServerError):
    """A server that does not answer."""


class RefusedError(ServerError):
    """The server answered, and refused. ``codes`` are the result code and subcode of its answer."""

    def __init__(self, message: str, codes: tuple[int, int]) -> None:
        super().__init__(message)
        self.codes = codes


def login() -> Any:
    """Return a session of the SDK, with a token.

    Raises:
        AbsentError: the server does not answer.
        ServerError: it does not know the key, or there is no configuration.
    """
    from clearml.backend_api import Session
    from clearml.backend_api.session.session import LoginError

    try:
        return Session(http_retries_config=dict(RETRIES), verbose=False)
    except (LoginError, ValueError, OSError) as error:
        host = Session.get_api_server_host()
        # The SDK makes all of them the same error; what it was made of tells them apart.
        kind = AbsentError if isinstance(error.__context__ or error, OSError) else ServerError
        raise kind(_why_no_login(str(error), host)) from error


class Server:
    """A server, and the account of the ``clearml.conf`` or the environment that is in force.

    ``requests`` counts the requests that were sent.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.requests = 0

    @classmethod
    def connect(cls) -> Server:
        """Log in with what the SDK would use.

        Raises:
            ServerError: the server does not answer, does not know the key, or there is no configuration.
        """
        return cls(login())

    @property
    def api_host(self) -> str:
        """The address of the API."""
        return str(self._session.get_api_server_host())

    @property
    def web_host(self) -> str:
        """The address of the web application."""
        return str(self._session.get_app_server_host())

    @property
    def files_host(self) -> str:
        """The address of the fileserver."""
        return str(self._session.get_files_server_host())

    def file_headers(self, url: str) -> dict[str, str]:
        """Return what lets a request in at the fileserver; nobody else's server gets to see the token."""
        if not url.startswith(self.files_host.rstrip("/") + "/"):
            return {}
        headers: dict[str, str] = self._session.add_auth_headers({})
        return headers

    def call(self, endpoint: str, *, version: str = VERSION, **data: Any) -> dict[str, Any]:
        """Send one request, such as ``call("tasks.get_all", page=0)``; return the answer's data.

        Raises:
            RefusedError: the server refused it.
            ServerError: the server did not answer.
        """
        service, _, action = endpoint.partition(".")
        self.requests += 1
        try:
            answer: _Answer = self._session.send_request(
                service, action, version=version, method="post", json=_plain(data)
            )
            content = answer.json()
        except (OSError, ValueError) as error:
            raise ServerError(f"The server {self.api_host} did not answer {endpoint} ({_short(error)}).") from error
        meta = content.get("meta") or {}
        if answer.status_code != 200:
            codes = (int(meta.get("result_code", 0)), int(meta.get("result_subcode", 0)))
            said = str(meta.get("result_msg", answer.status_code)).rstrip(".")
            raise RefusedError(f"The server {self.api_host} refused {endpoint}: {said}.", codes)
        return cast("dict[str, Any]", content.get("data") or {})

    def pages(self, endpoint: str, key: str, *, size: int = PAGE, **data: Any) -> Iterator[dict[str, Any]]:
        """Yield all rows of a list, such as ``pages("tasks.get_all", "tasks", only_fields=["id"])``.

        Rows are in the order of their ids unless ``order_by`` says otherwise, so that a row that changes meanwhile is
        neither lost nor seen twice.
        """
        data.setdefault("order_by", ["id"])
        page = 0
        while True:
            rows = self.call(endpoint, page=page, page_size=size, **data).get(key) or []
            yield from rows
            if len(rows) < size:
                return
            page += 1

    def project_id(self, name: str) -> str | None:
        """Return the id of a project, None when there is none of this name."""
        found = self.call("projects.get_all", name=exactly(name), only_fields=["id", "name"], search_hidden=True)
        return next((str(one["id"]) for one in found.get("projects") or [] if one["name"] == name), None)

    def existing_project(self, name: str) -> str:
        """Return the id of a project.

        Raises:
            InputError: there is none of this name.
        """
        found = self.project_id(name)
        if found is None:
            raise InputError(f"There is no project {name!r} on {self.api_host}.")
        return found

    def made_project(self, name: str) -> str:
        """Return the id of a project, which is made when it is missing."""
        found = self.project_id(name)
        if found:
            return found
        try:
            return str(self.call("projects.create", name=name, description="")["id"])
        except RefusedError:
            # Somebody else may have made it meanwhile.
            found = self.project_id(name)
            if found:
                return found
            raise

    def task_page(self, task: str, project: str | None = None) -> str:
        """Return the address of a task's page in the web application."""
        return f"{self.web_host}/projects/{project or '*'}/experiments/{task}/output/execution"


def exactly(name: str) -> str:
    """Return the pattern that finds one name alone, where the server takes names for patterns."""
    signs = "\\^$.|?*+()[]{}"
    return "^" + "".join("\\" + sign if sign in signs else sign for sign in name) + "$"


def _plain(value: Any) -> Any:
    """Return a request without what is None."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return value


def _short(error: Exception) -> str:
    """Return the end of a chain of errors, which says what happened."""
    text = str(error)
    for known in ("Connection refused", "timed out", "Name or service not known", "certificate verify failed"):
        if known in text:
            return known.lower() if known != "Connection refused" else "connection refused"
    return text[-200:].strip() or type(error).__name__


def _why_no_login(said: str, host: str) -> str:
    if "401" in said or "nauthorized" in said:
        return (
            f"The server {host} does not know this access key: make one in the web application, or ask your operators."
        )
    if "Missing key and secret" in said or "key_pair" in said or "no credentials" in said.lower():
        return "There is no clearml.conf with a key, and no CLEARML_API_ACCESS_KEY: run `clearml-platform init`."
    return f"The server {host} cannot be used ({_short(Exception(said))}): `clearml-platform init --check` tells more."
