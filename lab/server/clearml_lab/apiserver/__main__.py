"""Run the apiserver."""

from __future__ import annotations

import logging
import os

import waitress

from .. import program
from . import registry, watchdog
from .app import create_app
from .boot import boot

log = logging.getLogger("clearml.apiserver")


def main() -> None:
    """Boot, then serve until told to stop. One process, many threads: the stores' locks are in this process."""
    config = program.start("apiserver")
    try:
        server = boot(config)
    except Exception as ex:
        log.exception("Failed starting the API server")
        program.fail(str(ex))
    watchdog.start(config, server.mongo)
    listen = config.get("apiserver.listen")
    host, port = listen["ip"], listen["port"]
    if os.environ.get("CLEARML_USE_GUNICORN"):
        log.info("CLEARML_USE_GUNICORN is set: the lab server stays one process")
        host, _, port = os.environ.get("CLEARML_GUNICORN_BIND", "0.0.0.0:8008").rpartition(":")
    log.info("Exposed Services: %s", " ".join(registry.implemented_names()))
    log.info("Running on http://%s:%s", host, port)
    waitress.serve(create_app(server), host=host, port=port, threads=16, ident="clearml")


if __name__ == "__main__":
    main()
