"""The server under test, as its users reach it: by its API, and by scripts that use the SDK."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from clearml.backend_api import Session

# The clearml.conf of the server under test, as it was given.
CONFIG = os.environ.get("CLEARML_CONFIG_FILE", "")
SECONDS = 420
# A thread of the task sends its reports, instead of a process beside it: it then closes in one second, not in eleven.
THREADS = "sdk.development.report_use_subprocess: false"
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What the API answered: status, codes, message and data."""

    status: int
    code: int
    subcode: int
    message: str
    data: dict[str, Any]


class Api:
    """Plain calls, for what the SDK hides: errors above all."""

    def __init__(self) -> None:
        self._session = Session()
        self.url: str = self._session.get_api_server_host()
        self.files: str = self._session.get_files_server_host()
        self._http = requests.Session()

    @property
    def headers(self) -> dict[str, str]:
        """Return what tells the server who is calling."""
        return {"Authorization": f"Bearer {self._session.token}"}

    def answer(
        self, endpoint: str, version: str = "2.23", headers: dict[str, str] | None = None, **data: Any
    ) -> Answer:
        """Call an endpoint, and return whatever comes back."""
        sent = self.headers if headers is None else headers
        reply = self._http.post(f"{self.url}/v{version}/{endpoint}", json=data, headers=sent, timeout=60)
        content = reply.json()
        meta = content["meta"]
        return Answer(
            reply.status_code, meta["result_code"], meta["result_subcode"], meta["result_msg"], content["data"]
        )

    def call(self, endpoint: str, version: str = "2.23", **data: Any) -> dict[str, Any]:
        """Call an endpoint that has to succeed."""
        answer = self.answer(endpoint, version, **data)
        assert answer.status == 200, f"{endpoint}: {answer}"
        return answer.data

    def project_id(self, name: str) -> str:
        """Return the id of a project."""
        found: str = self.call("projects.get_all", name=f"^{name}$", only_fields=["id"])["projects"][0]["id"]
        return found

    def raw_file(self, method: str, path: str) -> tuple[int, bytes]:
        """Ask for a file by a path as it is, which `requests` would tidy up; return the status and the content."""
        host = urlsplit(self.files)
        connection = (HTTPSConnection if host.scheme == "https" else HTTPConnection)(host.netloc, timeout=60)
        connection.request(method, f"{host.path}/{path}", headers=self.headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def file(self, url: str) -> requests.Response:
        """Ask for a file."""
        return self._http.get(url, headers=self.headers, timeout=60)


@contextmanager
def new_project(api: Api) -> Iterator[str]:
    """A project; it is deleted with everything in it."""
    name = f"acceptance-{uuid.uuid4().hex[:8]}"
    identifier = api.call("projects.create", name=name, description="made by the acceptance tests")["id"]
    try:
        yield name
    finally:
        api.call("projects.delete", project=identifier, force=True, delete_contents=True)


def write_config(folder: Path, more: str = "") -> Path:
    """A clearml.conf for a process of a test: that of the server, its caches in a folder of the test, and more."""
    own = f'sdk.storage.cache.default_base_dir: "{folder}/cache"\n{more}\n'
    path = folder / "clearml.conf"
    path.touch(mode=0o600)
    path.write_text(Path(CONFIG).read_text() + own)
    return path


def run_command(
    folder: Path, *command: str, environment: dict[str, str] | None = None, more: str = THREADS, fails: bool = False
) -> str:
    """Run a program as a user would, and return what it prints."""
    # Unbuffered: when a task goes on elsewhere, the SDK ends the process without writing out what it printed.
    own = {"CLEARML_CONFIG_FILE": str(write_config(folder, more)), "PYTHONUNBUFFERED": "1"}
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **own, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    output = result.stdout + result.stderr
    assert (result.returncode != 0) == fails, f"exit code {result.returncode}:\n{output}"
    return output


def run_script(
    folder: Path, script: str, *, environment: dict[str, str] | None = None, more: str = THREADS, fails: bool = False
) -> str:
    """Run a script as a user would, and return what it prints."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    return run_command(folder, sys.executable, str(path), environment=environment, more=more, fails=fails)


@contextmanager
def running(folder: Path, script: str) -> Iterator[Callable[[], str]]:
    """A script that does not end by itself; the value says what it has printed so far."""
    path, log = folder / "service.py", folder / "service.log"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "CLEARML_CONFIG_FILE": str(write_config(folder, THREADS)), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(path)], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield log.read_text
    except AssertionError:
        print(log.read_text()[-5000:])
        raise
    finally:
        # The SDK takes SIGTERM for a wish: a loop that sleeps goes on.
        process.kill()
        process.wait()


def marked(output: str, mark: str) -> list[str]:
    """Return the words of the line that begins with a mark."""
    return next(line.split()[1:] for line in output.splitlines() if line.startswith(f"{mark} "))


def wait_for(what: str, look: Callable[[], T | None], seconds: float = SECONDS) -> T:
    """Look again and again until there is something to see; say in the end what was missed."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        time.sleep(0.5)
