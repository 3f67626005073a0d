"""Write the configuration of nginx and of the web application, then run nginx and the page behind it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from importlib import resources
from pathlib import Path
from string import Template

from . import supervisor
from .settings import SettingsError, build
from .supervisor import Program

ROOT = Path("/usr/share/nginx/html")
EXTERNAL = Path("/mnt/external_files/configs/configuration.json")
NGINX_CONF = Path("/etc/nginx/nginx.conf")
PAGE_SOCKET = Path("/run/clearml-page.sock")
# Who nginx's workers are, by nginx.conf.template. The page needs no more rights than they have.
USER = "www-data"


def main() -> None:
    """Prepare the files, then run both programs until one of them ends."""
    try:
        base = json.loads(EXTERNAL.read_text(encoding="utf-8")) if EXTERNAL.is_file() else {}
        settings = build(os.environ, base)
    except json.JSONDecodeError as ex:
        print(f"Error parsing JSON file {EXTERNAL}: {ex}", file=sys.stderr)
        sys.exit(1)
    except SettingsError as ex:
        print(ex, file=sys.stderr)
        sys.exit(2)
    version = os.environ.get("CLEARML_SERVER_VERSION", "unknown")
    apiserver = os.environ.get("NGINX_APISERVER_ADDRESS") or "http://apiserver:8008"
    fileserver = os.environ.get("NGINX_FILESERVER_ADDRESS") or "http://fileserver:8081"
    ROOT.mkdir(parents=True, exist_ok=True)
    configuration = ROOT / "configuration.json"
    configuration.write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
    (ROOT / "version.json").write_text(json.dumps({"version": version, "standIn": True}), encoding="utf-8")
    nginx = Template((resources.files(__package__) / "nginx.conf.template").read_text(encoding="utf-8"))
    NGINX_CONF.write_text(
        nginx.safe_substitute(
            APISERVER=apiserver,
            FILESERVER=fileserver,
            PAGE_SOCKET=PAGE_SOCKET,
            LISTEN_IPV6="" if os.environ.get("DISABLE_NGINX_IPV6") == "true" else "listen [::]:80 default_server;",
        ),
        encoding="utf-8",
    )
    with page_socket() as listener:
        page = [sys.executable, "-m", f"{__package__}.page", "--socket", str(listener.fileno())]
        page += ["--apiserver", apiserver, "--version", version, "--configuration", str(configuration)]
        code = supervisor.run(
            Program("The page", page, user=USER, files=[listener.fileno()]),
            # It looks up its upstreams once, as it starts.
            Program("nginx", ["nginx", "-g", "daemon off;"]),
        )
    sys.exit(code)


def page_socket() -> socket.socket:
    """Return the socket that the page answers on. It listens from now on, so nginx need not wait for the page."""
    PAGE_SOCKET.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(PAGE_SOCKET))
    PAGE_SOCKET.chmod(0o600)
    shutil.chown(PAGE_SOCKET, USER, USER)
    listener.listen()
    return listener


if __name__ == "__main__":
    main()
