"""A client of the platform that speaks from where its ports listen: inside a test host, or here."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers.inside import run_python

# Runs where the services listen.
ASK = """
import base64, json, sys, urllib.error, urllib.request
ask = json.loads(sys.stdin.readline())
request = urllib.request.Request(
    ask["url"], data=base64.b64decode(ask["body"]) if ask["body"] is not None else None,
    headers=ask["headers"], method=ask["method"])
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.status, "body": base64.b64encode(answer.read()).decode()}))
"""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    @property
    def data(self) -> Any:
        """The data part of an answer of the apiserver."""
        assert self.status == 200, f"{self.status}: {self.body[:500]!r}"
        return json.loads(self.body)["data"]


@dataclass(frozen=True)
class Platform:
    """The three services of the platform on one host; no host means this machine."""

    host: str | None
    api: str
    web: str
    files: str

    def ask(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Send one request."""
        encoded = base64.b64encode(body).decode() if body is not None else None
        asked = {"method": method, "url": url, "headers": headers or {}, "body": encoded}
        answer = run_python(self.host, ASK, asked)
        return Answer(answer["status"], base64.b64decode(answer["body"]))

    def call(self, endpoint: str, token: str | None = None, **data: Any) -> Answer:
        """Call an endpoint of the apiserver, with a token if there is one."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.ask("POST", f"{self.api}/{endpoint}", headers, json.dumps(data).encode())

    def report(self, token: str, **event: Any) -> Answer:
        """Report an event. Events come in batches, a line of JSON each; this is a batch of one."""
        headers = {"Content-Type": "application/json-lines", "Authorization": f"Bearer {token}"}
        return self.ask("POST", f"{self.api}/events.add_batch", headers, json.dumps(event).encode())

    def login(self, name: str, password: str) -> Answer:
        """Log in with a name and a password, or with a key pair."""
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        return self.ask("POST", f"{self.api}/auth.login", {"Authorization": f"Basic {pair}"})

    def upload(self, path: str, content: bytes, token: str | None = None) -> Answer:
        """Upload a file as the SDK does: a form whose field is named as the path."""
        boundary = "boundary-of-the-test"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{path}"; filename="{path}"\r\n\r\n'
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.ask("POST", f"{self.files}/", headers, head.encode() + content + f"\r\n--{boundary}--\r\n".encode())

    def download(self, path: str, token: str | None = None) -> Answer:
        """Download a file."""
        return self.ask("GET", f"{self.files}/{path}", {"Authorization": f"Bearer {token}"} if token else {})

    @staticmethod
    def wait_until(condition: Callable[[], bool], seconds: int = 60) -> bool:
        """Wait for what the platform does by itself; whether it happened."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True
