"""A ClearML platform of three small HTTP servers in this process, that can be broken in one way at a time.

It knows what the module clearml_verify asks for and no more. The lab's server is the one to try clients against.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY_PAIR = ("PLATFORMKEY", "platform-secret-marker")
ACCOUNT = ("operator", "operator-password-marker")


class RefusedError(Exception):
    """An error in ClearML's envelope."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Platform:
    """The three services, and what they hold."""

    def __init__(self) -> None:
        self.faults: set[str] = set()
        self.key_pairs = {KEY_PAIR: "user"}
        self.token_secrets = ["a-token-secret-of-its-own"]
        self.projects: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.writes = 0
        self.queues = ["default", "services"]
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self.servers = {name: self._server(answer) for name, answer in self._services().items()}

    def url(self, name: str) -> str:
        """Return the URL of api, web or files."""
        return f"http://127.0.0.1:{self.servers[name].server_address[1]}"

    def stop(self, *names: str) -> None:
        """Take services down, all of them when none is named."""
        for name in names or tuple(self.servers):
            self.servers[name].shutdown()
            self.servers[name].server_close()

    def is_empty(self) -> bool:
        """Tell whether nothing is left of a check."""
        return not (self.projects or self.tasks or self.files)

    # -- HTTP

    def _services(self) -> dict[str, Callable[[BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]]]:
        return {"api": self._api, "web": self._web, "files": self._files}

    def _server(self, answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]]) -> ThreadingHTTPServer:
        class Handler(BaseHTTPRequestHandler):
            def reply(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    status, content_type, content = answer(self, body)
                except ConnectionAbortedError:
                    return  # the client sees the end of the connection
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                if 300 <= status < 400:
                    self.send_header("Location", content.decode())
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = reply

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    # -- the apiserver

    def _api(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        endpoint = request.path.strip("/")
        self.requests.append(endpoint)
        if "api silent" in self.faults:
            time.sleep(3)
        if "api is a web page" in self.faults:
            return 200, "text/html", b"<html></html>"
        if "api redirects" in self.faults:
            return 302, "text/plain", b"http://127.0.0.1:9/elsewhere"
        if f"{endpoint} breaks" in self.faults:
            return self._envelope(500, "General data error (secret platform-secret-marker)")
        if f"{endpoint} cut off" in self.faults:
            raise ConnectionAbortedError
        try:
            if request.headers.get("Content-Type") == "application/json-lines":
                data: Any = [json.loads(line) for line in body.splitlines()]
            else:
                data = json.loads(body or b"{}")
            role = self._role(request.headers.get("Authorization"), endpoint)
            return self._envelope(200, "OK", self._call(endpoint, data, role))
        except RefusedError as error:
            return self._envelope(error.code, str(error))

    @staticmethod
    def _envelope(code: int, message: str, data: object = None) -> tuple[int, str, bytes]:
        body = {"meta": {"result_code": code, "result_msg": message}, "data": data or {}}
        return code, "application/json", json.dumps(body).encode()

    def _role(self, authorization: str | None, endpoint: str) -> str | None:
        if endpoint in ("debug.ping", "login.supported_modes"):
            return None
        kind, _, value = (authorization or "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            if "password refused" in self.faults and name == ACCOUNT[0]:
                raise RefusedError(401, "Unauthorized (invalid credentials) (bad username or password)")
            if (name, secret) == ACCOUNT or ("no passwords" in self.faults and not secret):
                return "user"
            if (name, secret) in self.key_pairs:
                return self.key_pairs[name, secret]
            raise RefusedError(401, "Unauthorized (invalid credentials) (failed to locate provided credentials)")
        if kind == "Bearer":
            return self._role_of_token(value)
        if "no credentials" in self.faults:
            return "user"
        raise RefusedError(401, "Unauthorized (missing credentials)")

    def _role_of_token(self, token: str) -> str:
        content, _, signature = token.rpartition(".")
        for secret in self.token_secrets:
            digest = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == signature:
                claims = content.split(".")[1]
                identity = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["identity"]
                return str(identity["role"])
        raise RefusedError(401, "Invalid token (invalid jwt token): reason=Signature verification failed")

    def _token(self, role: str) -> str:
        parts = [{"typ": "JWT", "alg": "HS256"}, {"identity": {"role": role, "user": str(len(self.tokens))}}]
        content = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
        digest = hmac.new(self.token_secrets[0].encode(), content.encode(), hashlib.sha256).digest()
        token = content + "." + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.tokens.append(token)
        return token

    def _call(self, endpoint: str, data: Any, role: str | None) -> object:
        if endpoint in ("debug.ping", "login.supported_modes", "auth.login", "users.get_all", "server.config"):
            return self._ask(endpoint, role)
        if endpoint == "queues.get_all":
            return {"queues": [{"id": name, "name": name} for name in self.queues]}
        if endpoint == "events.scalar_metrics_iter_histogram":
            return self._histogram(data)
        if endpoint in ("tasks.get_by_id", "projects.get_by_id"):
            kind = endpoint.split(".")[0][:-1]
            store = self.tasks if kind == "task" else self.projects
            if data[kind] not in store and f"{kind} never gone" not in self.faults:
                raise RefusedError(400, f"Invalid {kind} id: id={data[kind]}")
            return {kind: store.get(data[kind])}
        self.writes += 1
        return self._write(endpoint, data)

    def _ask(self, endpoint: str, role: str | None) -> object:
        if endpoint == "debug.ping":
            return {"msg": "ClearML server"}
        if endpoint == "login.supported_modes":
            return {
                "basic": {"enabled": "no fixed users" not in self.faults,
                          "guest": {"enabled": "guests" in self.faults}},
                "server_errors": {"es_connection_error": "es error" in self.faults, "missed_es_upgrade": False},
            }  # fmt: skip
        if endpoint == "auth.login":
            return {} if "no token" in self.faults else {"token": self._token(role or "user")}
        if endpoint == "server.config" and role not in ("root", "system"):
            raise RefusedError(403, f"Forbidden (not allowed for role): role={role}, allowed=(root, system)")
        return {}

    def _histogram(self, data: Any) -> object:
        if "events lost" in self.faults:
            return {}
        # As in the real server, whose search engine keeps single precision.
        wrong = 1.001 if "value changed" in self.faults else 1
        points = [event for event in self.events if event["task"] == data["task"]]
        values = [struct.unpack("f", struct.pack("f", event["value"] * wrong))[0] for event in points]
        return {points[0]["metric"]: {points[0]["variant"]: {"x": [0], "y": values}}} if points else {}

    def _write(self, endpoint: str, data: Any) -> object:
        if endpoint in ("projects.create", "tasks.create"):
            assert len(data["name"]) >= 3
            assert endpoint == "projects.create" or data["project"] in self.projects
            store = self.projects if endpoint == "projects.create" else self.tasks
            identity = f"{endpoint}-{self.writes}"
            store[identity] = data
            return {"id": identity}
        if endpoint == "events.add_batch":
            assert isinstance(data, list)
            if "events not added" in self.faults:
                return {"added": 0, "errors": 1}
            self.events += data
            return {"added": len(data), "errors": 0}
        if endpoint == "tasks.delete":
            if "task not deleted" in self.faults:
                return {"deleted": False}
            if data["task"] not in self.tasks:
                raise RefusedError(400, f"Invalid task id: id={data['task']}")
            task = self.tasks.pop(data["task"])
            if "task deleted, then an error" in self.faults:
                raise RefusedError(500, "General data error")
            artifacts = task.get("execution", {}).get("artifacts", [])
            if data.get("delete_external_artifacts") and "async delete asleep" not in self.faults:
                threading.Thread(target=self._delete_artifacts, args=(artifacts,), daemon=True).start()
            return {"deleted": True}
        if endpoint == "projects.delete":
            self.projects.pop(data["project"])
            return {"deleted": 1}
        raise RefusedError(404, f"Unable to find endpoint for name {endpoint}")

    def _delete_artifacts(self, artifacts: list[dict[str, Any]]) -> None:
        time.sleep(0.1)
        for artifact in artifacts:
            known = artifact["uri"].startswith(("http://files.example.com/", self.url("files")))
            if artifact["mode"] == "output" and known:
                self.files.pop(artifact["uri"].rpartition("/")[2], None)

    # -- the web server

    def _web(self, request: BaseHTTPRequestHandler, _: bytes) -> tuple[int, str, bytes]:
        page = 200, "text/html", b"<!DOCTYPE html><html></html>"
        if "web breaks" in self.faults:
            return 500, "text/html", b"<html></html>"
        if "web is something else" in self.faults and request.path == "/":
            return 200, "application/json", b"{}"
        if request.path.startswith("/api/") and "no forwarding" not in self.faults:
            try:
                direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with direct.open(self.url("api") + request.path.removeprefix("/api"), timeout=5) as answer:
                    return answer.status, answer.headers["Content-Type"], answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers["Content-Type"], error.read()
            except OSError:
                return 502, "text/html", b"<html>Bad Gateway</html>"
        return page  # any other path too, as the real one

    # -- the fileserver

    def _files(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        method, path = request.command, request.path.lstrip("/")
        if f"files {method} breaks" in self.faults:
            return 500, "text/html", b"<html></html>"
        if f"files {method} cut off" in self.faults:
            raise ConnectionAbortedError
        if (method, path) == ("GET", ""):
            return 200, "text/html", b"something else" if "files wrong" in self.faults else b"OK"
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.tokens and f"anonymous {method}" not in self.faults:
            return 401, "text/html", b""
        if method == "POST":
            self.writes += 1
            self.files.update(self._parse(body))
            return 200, "text/html", b"[]"
        if path not in self.files:
            if "file never gone" in self.faults:
                return 200, "application/octet-stream", b""
            return 404, "text/html", b""
        if method == "DELETE":
            self.writes += 1
            del self.files[path]
            return 200, "text/html", b'""'
        return 200, "application/octet-stream", self.files[path]

    def _parse(self, body: bytes) -> dict[str, bytes]:
        # Of one part. Its field's name is the file's path.
        head, _, rest = body.partition(b"\r\n\r\n")
        name = head.partition(b' name="')[2].partition(b'"')[0].decode()
        content = rest.rpartition(b"\r\n--")[0]
        if "bytes changed" in self.faults:
            content = content.replace(b"\n", b"\r\n")
        if "bytes cut" in self.faults:
            content = content.partition(b"\0")[0]
        return {name: content}
