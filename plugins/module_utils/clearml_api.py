"""How this repository's modules talk to ClearML's services: one request, one answer, one sentence when none comes."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import base64
import http.client
import json
import secrets
import socket
import ssl
import textwrap
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any


class ServiceError(Exception):
    """One sentence on what is wrong with a service."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    content_type: str
    body: bytes

    def envelope(self) -> dict[str, Any] | None:
        """Return ClearML's envelope, None when this is something else (a web page, say)."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        meta = found.get("meta") if isinstance(found, dict) else None
        return found if isinstance(meta, dict) and "result_code" in meta else None

    def __str__(self) -> str:
        """Return status and reason, as they go into a sentence."""
        envelope = self.envelope()
        reason = envelope["meta"].get("result_msg") if envelope else http.client.responses.get(self.status)
        return f"{self.status} ({textwrap.shorten(str(reason), 200, placeholder=' …')})" if reason else str(self.status)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other. Following it could carry a token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


@dataclass(frozen=True)
class Service:
    """One of the platform's services, reached over HTTP."""

    name: str
    url: str
    timeout: int

    def __str__(self) -> str:
        """Return the beginning of a sentence."""
        return f"The {self.name} at {self.url}"

    def ask(
        self,
        doing: str,
        method: str = "GET",
        path: str = "/",
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        authorization: str | None = None,
    ) -> Answer:
        """Send one request. ``doing`` ends the sentence "… while …" when no answer comes."""
        headers = {"Content-Type": content_type, "Authorization": authorization}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        try:
            request = urllib.request.Request(  # noqa: S310 -- the scheme was checked
                self.url + urllib.parse.quote(path),
                body,
                {name: value for name, value in headers.items() if value},
                method=method,
            )
            with opener.open(request, timeout=self.timeout) as answer:
                return Answer(answer.status, answer.headers.get_content_type(), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers.get_content_type(), error.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ServiceError(f"{self} {self._trouble(error)} while {doing}.") from error

    def post(self, doing: str, endpoint: str, request: object = None, authorization: str | None = None) -> Answer:
        """Send a call and return whatever comes. Some proxies drop the body of a GET, so it is always a POST."""
        if isinstance(request, list):
            body = "\n".join(json.dumps(item) for item in request)
            content_type = "application/json-lines"
        else:
            body, content_type = json.dumps(request or {}), "application/json"
        return self.ask(
            doing, "POST", f"/{endpoint}", body=body.encode(), content_type=content_type, authorization=authorization
        )

    def call(
        self, doing: str, endpoint: str, request: object = None, authorization: str | None = None
    ) -> dict[str, Any]:
        """Call an endpoint of the apiserver, and return the data of a good answer."""
        return self.json(doing, self.post(doing, endpoint, request, authorization))

    def json(self, doing: str, answer: Answer) -> dict[str, Any]:
        """Return the data of a good answer in ClearML's envelope, and refuse every other one."""
        if answer.status != 200:
            raise ServiceError(f"{self} answered {answer} while {doing}.")
        envelope = answer.envelope()
        if envelope is None:
            raise ServiceError(
                f"{self} answered with {answer.content_type} instead of ClearML's JSON while {doing}: "
                "is this really the service's address?"
            )
        return as_dict(envelope.get("data"))

    def _trouble(self, error: Exception) -> str:
        reason = getattr(error, "reason", None) or error
        words = str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
        if isinstance(reason, (TimeoutError, socket.timeout)):
            return f"did not answer within {self.timeout} s"
        if isinstance(reason, ConnectionRefusedError):
            return f"refused the connection ({words})"
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"showed a certificate that this host does not trust ({reason.verify_message})"
        if isinstance(reason, (ConnectionError, http.client.HTTPException)):
            return f"broke off the connection ({words})"
        return f"could not be reached ({words})"


def basic(name: str, secret: str) -> str:
    """Return the header of a login with a key pair or with name and password."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def form(path: str, content: bytes) -> tuple[bytes, str]:
    """Return body and content type of an upload. The fileserver takes the field's name as the path."""
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{path}"; filename="{path}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def as_dict(value: object) -> dict[str, Any]:
    """Return ``value`` when it is a mapping, otherwise an empty one."""
    return value if isinstance(value, dict) else {}
