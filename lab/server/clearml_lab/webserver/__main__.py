"""Write the configuration of nginx and of the web application, and become nginx."""

from __future__ import annotations

import json
import os
import sys
from importlib import resources
from pathlib import Path
from string import Template

from .settings import SettingsError, build

ROOT = Path("/usr/share/nginx/html")
EXTERNAL = Path("/mnt/external_files/configs/configuration.json")
NGINX_CONF = Path("/etc/nginx/nginx.conf")


def main() -> None:
    """Prepare the files, then run nginx in this process's place. It looks up its upstreams once, as it starts."""
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
    files = resources.files(__package__)
    ROOT.mkdir(parents=True, exist_ok=True)
    (ROOT / "configuration.json").write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
    (ROOT / "version.json").write_text(json.dumps({"version": version, "standIn": True}), encoding="utf-8")
    page = Template((files / "index.html").read_text(encoding="utf-8"))
    (ROOT / "index.html").write_text(page.substitute(version=version), encoding="utf-8")
    nginx = Template((files / "nginx.conf.template").read_text(encoding="utf-8"))
    NGINX_CONF.write_text(
        nginx.safe_substitute(
            APISERVER=os.environ.get("NGINX_APISERVER_ADDRESS") or "http://apiserver:8008",
            FILESERVER=os.environ.get("NGINX_FILESERVER_ADDRESS") or "http://fileserver:8081",
            LISTEN_IPV6="" if os.environ.get("DISABLE_NGINX_IPV6") == "true" else "listen [::]:80 default_server;",
        ),
        encoding="utf-8",
    )
    os.execvp("nginx", ["nginx", "-g", "daemon off;"])  # noqa: S606


if __name__ == "__main__":
    main()
