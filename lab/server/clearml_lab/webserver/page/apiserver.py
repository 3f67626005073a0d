"""The apiserver as one visitor sees it."""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import HTTPBasicAuth

VERSION = "2.23"
SECONDS = 30
NO_CREDENTIALS = 20


class NotLoggedIn(Exception):
    """The visitor has no session, or it has `ended`."""

    def __init__(self, ended: bool) -> None:
        super().__init__("not logged in")
        self.ended = ended


class Refused(Exception):
    """The apiserver answered with an error."""


class Unreachable(Exception):
    """The apiserver does not answer, or something else answers in its place."""


class Apiserver:
    """Calls with the cookies that the visitor's browser sent, so the answers are what the visitor may see."""

    def __init__(self, address: str, cookies: str, host: str) -> None:
        self._address = address.rstrip("/")
        # The apiserver chooses the domain of its cookie by the name that the visitor's browser uses for this server.
        self._headers = {"Host": host, **({"Cookie": cookies} if cookies else {})}
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def call(self, endpoint: str, **data: Any) -> dict[str, Any]:
        """Call an endpoint and return its data."""
        _, content = self._ask(endpoint, data)
        return content

    def login(self, name: str, password: str) -> list[str]:
        """Return the cookies that begin a session, as the apiserver sets them."""
        # As clients send them. What Latin-1 lacks becomes something that is nobody's name or password.
        pair = HTTPBasicAuth(*(text.encode("latin-1", "xmlcharrefreplace") for text in (name, password)))
        self._headers.pop("Cookie", None)
        answer, _ = self._ask("auth.login", {}, pair)
        return answer.raw.headers.getlist("Set-Cookie")

    def logout(self) -> list[str]:
        """End the session; return the cookies that say so."""
        answer, _ = self._ask("login.logout", {})
        return answer.raw.headers.getlist("Set-Cookie")

    def _ask(
        self, endpoint: str, data: dict[str, Any], pair: HTTPBasicAuth | None = None
    ) -> tuple[requests.Response, dict[str, Any]]:
        url = f"{self._address}/v{VERSION}/{endpoint}"
        try:
            answer = self._http.post(url, json=data, headers=self._headers, auth=pair, timeout=SECONDS)
            content = answer.json()
            meta, found = content["meta"], content["data"] or {}
        except (requests.RequestException, ValueError, KeyError, TypeError) as ex:
            raise Unreachable(f"{type(ex).__name__} while calling {endpoint}") from ex
        if answer.status_code == 401:
            raise NotLoggedIn(ended=meta["result_subcode"] != NO_CREDENTIALS)
        if answer.status_code != 200:
            raise Refused(f"{endpoint}: {meta['result_msg']}")
        return answer, found
