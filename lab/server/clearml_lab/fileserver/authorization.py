"""Whether a token is good: the apiserver says so, and Redis remembers it for a while."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from typing import Any

import redis
import requests
from flask import Request, Response, abort

from ..config import Config
from ..stores import connect_redis

log = logging.getLogger("clearml.fileserver")


class LoginError(Exception):
    """The apiserver does not answer, or does not accept the fileserver's own key pair."""


class Authorization:
    """Checks the callers' tokens with the fileserver's own account."""

    def __init__(self, config: Config) -> None:
        self.api = config.get("hosts.api_server").rstrip("/")
        pair = config.get("secure.credentials.fileserver")
        self.pair = (str(pair["user_key"]), str(pair["user_secret"]))
        self.cookies = config.get("fileserver.auth.cookie_names", [])
        self.remember = config.get("fileserver.auth.tokens_cache_threshold_sec", 43200)
        self.redis: redis.Redis = connect_redis(config, "fileserver")
        self.session = requests.Session()
        self.session.trust_env = False
        self._lock = threading.Lock()
        self._token = ""

    def login(self, patience: float = 15) -> None:
        """Get a token of our own. Give the apiserver some time to answer, but take its no at once."""
        self.redis.ping()
        deadline = time.monotonic() + patience
        while True:
            try:
                answer = self.session.get(f"{self.api}/auth.login", auth=self.pair, timeout=30)
                break
            except requests.RequestException as ex:
                if time.monotonic() > deadline:
                    raise LoginError(f"Could not reach the apiserver at {self.api}: {ex}") from None
                time.sleep(1)
        if answer.status_code != 200:
            reason = _message(answer)
            raise LoginError(f"Failed getting token (error {answer.status_code} from {self.api}): {reason}")
        self._token = answer.json()["data"]["token"]

    def check(self, request: Request) -> None:
        """Abort the request unless it carries a good token."""
        token = self.token_of(request)
        if not token:
            log.error("Error getting token")
            abort(401)
        key = "token_" + (hashlib.sha256(token.encode()).hexdigest() if len(token) > 256 else token)
        if self.redis.get(key):
            return
        owner = self._validate(token)
        self.redis.setex(key, self.remember, json.dumps(owner))

    def token_of(self, request: Request) -> str | None:
        """Return the token of a request: from its header, or else from a cookie."""
        header = request.headers.get("Authorization")
        if header:
            if not header.startswith("Bearer "):
                log.error("Only bearer token authorization is supported")
                abort(Response("Only bearer token authorization is supported", 401))
            return header.partition(" ")[2]
        return next((value for name in self.cookies if (value := request.cookies.get(name))), None)

    def _validate(self, token: str) -> dict[str, Any]:
        answer = self._ask(token)
        if answer.status_code == 401:  # our own token has expired or was signed with an earlier secret
            with self._lock:
                self.login()
            answer = self._ask(token)
        if answer.status_code != 200:
            log.error("Error validating token")
            abort(Response(f"Internal error (status={answer.status_code})", 500))
        data = answer.json()["data"]
        if not data["valid"]:
            if "msg" not in data:  # a token that was logged out: the official fileserver answers 500 here
                raise KeyError("msg")
            log.error("Error validating token: %s", data["msg"])
            abort(Response(data["msg"], 401))
        return {"company": data.get("company", "unknown"), "user": data.get("user")}

    def _ask(self, token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self.session.post(f"{self.api}/auth.validate_token", json={"token": token}, headers=headers, timeout=30)


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["meta"]["result_msg"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
