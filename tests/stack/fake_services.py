"""Answers on the ports of the platform's services as a broken one would; runs inside a container.

The argument says how: well; error, a status 500; page, a web page with status 200, as nginx answers unknown paths;
red, as Elasticsearch when data is missing; absent, not at all.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORTS = (80, 8008, 8081, 9200)
PING = b'{"meta": {"result_code": 200, "result_msg": "OK"}, "data": {"msg": "ClearML server"}}'
PAGE = b"<!DOCTYPE html><html></html>"


def answer(how: str, path: str) -> tuple[int, bytes]:
    """Return status and body."""
    if how == "error":
        return 500, b""
    if how == "page":
        return 200, PAGE
    if path.startswith("/_cluster/health"):
        # As Elasticsearch: it answers at once, or waits for a status when asked to, and then says that none came.
        if how == "red":
            return (408 if "wait_for_status" in path else 200), b'{"status": "red"}'
        return 200, b'{"status": "green"}'
    return 200, PING if path.endswith("debug.ping") else b"OK"


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        status, body = answer(sys.argv[1], self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ports = () if sys.argv[1] == "absent" else PORTS
    for server in [ThreadingHTTPServer(("", port), Handler) for port in ports]:
        threading.Thread(target=server.serve_forever).start()
    print("ready", flush=True)
    threading.Event().wait()
