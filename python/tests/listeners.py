"""Servers of a few lines, for what a real one does not do when it is asked to: answer wrongly."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@dataclass
class Reply:
    """What a listener answers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[str, str, dict[str, str], bytes], Reply]
Change = Callable[[str, Reply], Reply]


@contextmanager
def listening(answer: Answer, *, certificate: Path | None = None) -> Iterator[str]:
    """Answer every request of ``method, path, headers, body``, with a certificate over TLS; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            reply = answer(self.command, self.path, dict(self.headers), self.rfile.read(length))
            self.send_response_only(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: clients break off, which is what some tests are about."""

    server = Listener(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def html(*_: object) -> Reply:
    """Answer as a web server of something else."""
    return Reply(200, b"<html><title>Welcome to nginx!</title></html>", {"Content-Type": "text/html"})


def forwarded(target: str, change: Change | None = None) -> Answer:
    """Answer as a reverse proxy before a server, and change its answers."""

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        kept = {name: value for name, value in headers.items() if name.lower() in ("authorization", "content-type")}
        request = Request(target + path, data=body or None, headers=kept, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=30) as got:  # noqa: S310
                reply = Reply(got.status, got.read(), {name: got.headers[name] for name in ("Content-Type", "Date")})
        except HTTPError as error:
            reply = Reply(error.code, error.read(), {name: error.headers[name] for name in ("Content-Type", "Date")})
        return change(path, reply) if change else reply

    return answer


def dated(seconds: float) -> Change:
    """Change the clock of a server."""

    def change(_: str, reply: Reply) -> Reply:
        reply.headers["Date"] = formatdate(time.time() + seconds, usegmt=True)
        return reply

    return change


def envelope(status: int = 200, code: tuple[int, int] = (200, 0), message: str = "OK", **data: object) -> Reply:
    """Answer as the API does."""
    meta = {"endpoint": {"name": "x"}, "result_code": code[0], "result_subcode": code[1], "result_msg": message}
    return Reply(status, json.dumps({"meta": meta, "data": data}).encode(), {"Content-Type": "application/json"})


def make_certificate(path: Path, name: str = "IP:127.0.0.1", days: int = 2) -> Path:
    """Make a certificate that signs itself, with its key in the same file; with -1 days it expired yesterday."""
    key, wish = path.with_suffix(".key"), path.with_suffix(".csr")
    asked = [
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=test",
        "-addext",
        f"subjectAltName={name}",
    ]
    subprocess.run([*asked, "-keyout", str(key), "-out", str(wish)], check=True, capture_output=True)
    signed = ["openssl", "x509", "-req", "-in", str(wish), "-signkey", str(key), "-copy_extensions", "copy"]
    subprocess.run([*signed, "-days", str(days), "-out", str(path)], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
