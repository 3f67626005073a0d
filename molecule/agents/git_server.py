"""A git server that wants a token: git's own http-backend, behind TLS. It runs on the scenario's server host.

    git_server.py FOLDER CERTIFICATE KEY PAIR

FOLDER holds the repositories, the file PAIR a user and a token, with a colon in between.
"""

from __future__ import annotations

import base64
import email
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class GitServer(BaseHTTPRequestHandler):
    """Hands requests to git, as the common gateway interface says."""

    folder = ""
    authorization = ""

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer those who know the token."""
        if self.headers.get("Authorization") != self.authorization:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "GIT_PROJECT_ROOT": self.folder,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            env={**os.environ, **environment},
            input=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
            stdout=subprocess.PIPE,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = email.message_from_bytes(head)
        self.send_response(int(headers.get("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        # Without it content would end with the connection, which Python closes before TLS is.
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(folder: str, certificate: str, key: str, pair: str) -> None:
    """Serve until somebody stops it."""
    GitServer.folder = folder
    GitServer.authorization = "Basic " + base64.b64encode(Path(pair).read_bytes()).decode()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("", 443), GitServer) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
