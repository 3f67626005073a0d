"""The server under test, as its users reach it: by its API, and by scripts that use the SDK."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from clearml.backend_api import Session

SECONDS = 420
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

    def file(self, url: str) -> requests.Response:
        """Ask for a file."""
        return self._http.get(url, headers=self.headers, timeout=60)


def run_script(folder: Path, script: str, *, environment: dict[str, str] | None = None, fails: bool = False) -> str:
    """Run a script as a user would, and return what it prints."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    result = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    output = result.stdout + result.stderr
    assert (result.returncode != 0) == fails, f"exit code {result.returncode}:\n{output}"
    return output


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
