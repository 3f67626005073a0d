"""Serve the page on a socket that is open already."""

from __future__ import annotations

import argparse
import json
import logging
import socket
from pathlib import Path

import waitress

from .app import create_app
from .files import FileLinks


def main() -> None:
    """Serve until the process is ended; there is nothing to lose by that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="number of the listening socket's file descriptor")
    parser.add_argument("--apiserver", required=True, help="address of the apiserver")
    parser.add_argument("--version", required=True, help="which release this server stands in for")
    parser.add_argument("--configuration", type=Path, required=True, help="the web application's configuration.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="[%(asctime)s] [%(levelname)s] [%(name)s] %(message)s")
    settings = json.loads(arguments.configuration.read_text(encoding="utf-8"))
    app = create_app(arguments.apiserver, arguments.version, FileLinks.from_settings(settings))
    waitress.serve(app, sockets=[socket.socket(fileno=arguments.socket)], threads=8, ident=None)


if __name__ == "__main__":
    main()
