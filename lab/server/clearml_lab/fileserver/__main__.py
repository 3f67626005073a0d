"""Run the fileserver."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import waitress
from redis import RedisError

from .. import program
from .app import create_app
from .authorization import Authorization, LoginError

log = logging.getLogger("clearml.fileserver")


def main() -> None:
    """Log in at the apiserver, then serve until told to stop."""
    folder = os.environ.get("CLEARML_UPLOAD_FOLDER") or os.environ.get("TRAINS_UPLOAD_FOLDER") or "/mnt/fileserver"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ip", "-i", default="0.0.0.0", help="address (default %(default)s)")  # noqa: S104
    parser.add_argument("--port", "-p", type=int, default=8081, help="port to listen on (default %(default)d)")
    parser.add_argument("--upload-folder", "-u", default=folder, help="where files are kept (default %(default)s)")
    arguments = parser.parse_args()
    config = program.start("fileserver")
    authorization = None
    if config.get("fileserver.auth.enabled", False):
        try:
            authorization = Authorization(config)
            authorization.login()
        except (LoginError, RedisError) as ex:
            log.error("Failed starting the file server: %s", ex)
            program.fail(str(ex))
    log.info("Running on http://%s:%d, files in %s", arguments.ip, arguments.port, arguments.upload_folder)
    waitress.serve(
        create_app(config, Path(arguments.upload_folder), authorization),
        host=arguments.ip,
        port=arguments.port,
        threads=16,
        ident="clearml",
        max_request_body_size=2**40,  # models are large; the limit is fileserver.upload.max_upload_size_mb
    )


if __name__ == "__main__":
    main()
