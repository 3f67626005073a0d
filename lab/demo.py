#!/usr/bin/env python3
"""Boot one throw-away host, deploy the platform on it, verify it, and say what to try next (`make demo`)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.commands import engine, hosts, registry
from lab.commands.shell import ROOT, LabError

LAB = [sys.executable, str(ROOT / "lab" / "lab.py")]
DEMO_DIR = ROOT / ".demo"
HOST = "clearml-demo"
PORTS = (8080, 8008, 8081)
REGISTRY = "https://registry-1.docker.io/v2/"


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what a long step does, and how long it took."""
    print(f"\n==> {title}", flush=True)
    start = time.monotonic()
    yield
    print(f"==> done in {time.monotonic() - start:.0f} s", flush=True)


def run(*command: str) -> None:
    """Run a command of ours with its output shown; it has said itself what went wrong when it fails."""
    result = subprocess.run(command, cwd=ROOT, check=False)
    if result.returncode:
        raise SystemExit(result.returncode)


def registry_answers() -> bool:
    """Whether the registry of the official images can be reached from this machine."""
    try:
        urllib.request.urlopen(REGISTRY, timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401  # "log in first" is the answer of a registry that works
    except OSError:
        return False
    return True


def choose_images(wanted: str) -> str:
    """Decide between official and lab images, and say which and why."""
    made_for = hosts.kind_of(HOST)
    if made_for and wanted in ("auto", made_for):
        print(f"Using the {made_for} images, as the demo host {HOST} does already.")
        return made_for
    if made_for:
        raise LabError(
            f"IMAGES is {wanted}, but the demo host {HOST} was made with {made_for} images, and their data differ: "
            "remove it first with `make clean`."
        )
    if wanted == "lab":
        print("Using the lab's stand-ins, as asked for.")
        return "lab"
    answers = registry_answers()
    if wanted == "official" and not answers:
        raise LabError("IMAGES is official, but registry-1.docker.io does not answer from here: use IMAGES=lab.")
    if answers:
        print("Using the official images: their registry answers.")
        return "official"
    print("Using the lab's stand-ins for the images: the official registry does not answer from here.")
    return "lab"


def demo(wanted: str) -> None:
    """Everything from an empty machine to a verified platform."""
    if wanted not in ("auto", "official", "lab"):
        raise LabError(f"IMAGES is {wanted}: it must be official or lab, or left away to let the demo decide.")
    start = time.monotonic()
    with step("Looking for a Docker engine"):
        run(*LAB, "engine")
    images = choose_images(wanted)
    with step(f"Building the {'stand-in images' if images == 'lab' else 'demo host'} (seconds when already built)"):
        run(*LAB, "images", *([] if images == "lab" else ["--only", "host"]))
    DEMO_DIR.mkdir(mode=0o700, exist_ok=True)
    with step(f"Booting the demo host {HOST}"):
        publish = [word for port in PORTS for word in ("--publish", f"127.0.0.1:{port}:{port}")]
        run(*LAB, "host", "up", HOST, *publish, "--images", images)
    with step("Deploying: ansible-playbook -i inventory/demo playbooks/deploy.yml"):
        run("ansible-playbook", "-i", "inventory/demo", "playbooks/deploy.yml")
    with step("Verifying: ansible-playbook -i inventory/demo playbooks/verify.yml"):
        run("ansible-playbook", "-i", "inventory/demo", "playbooks/verify.yml")
    print_summary(images, time.monotonic() - start)


def print_summary(images: str, seconds: float) -> None:
    """Say the three addresses, where the credentials are, and what to try next."""
    credentials = json.loads((DEMO_DIR / "credentials.json").read_text())
    attempts = {
        "make verify": "use it as a client does",
        'make deploy ARGS="-e clearml_server_webserver_memory=600m"': "change one thing; only that restarts",
        f"docker exec -it {HOST} docker ps": "look inside",
        "make clean": "remove it all",
    }
    if images == "official":
        experiment = "CLEARML_CONFIG_FILE=$PWD/.demo/clearml.conf python your_experiment.py"
        attempts = {experiment: "track one (after pip install clearml)", **attempts}
    width = max(map(len, attempts))
    print(f"\nClearML is up, after {seconds:.0f} s, with {images} images.\n")
    for name, key in {"Web": "web_host", "API": "api_host", "Files": "files_host"}.items():
        print(f"  {name:6} {credentials[key]}")
    print("\n  Name and password   .demo/credentials.json  (username, password)")
    print("  Client and its key  .demo/clearml.conf      (both mode 0600)\n\nTry next:")
    for command, purpose in attempts.items():
        print(f"  {command:{width}}  {purpose}")
    if images == "lab":
        print(
            "\nThe lab server works with the official SDK and agent, to try things. Its web page only shows what is"
            "\nthere: the web application and the rest of the API come with the official images (docs/architecture.md)."
        )


def remove() -> None:
    """Remove the demo host, what belongs to the lab, and the credentials of a host that is gone."""
    run(*LAB, "clean")
    if DEMO_DIR.exists():
        shutil.rmtree(DEMO_DIR)


def check_host() -> None:
    """Refuse to go on without a demo host."""
    if not engine.answers() or registry.state_of(HOST) != "running":
        raise LabError(f"The demo host {HOST} is not running: start it with `make demo`.")


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images", default="auto", help="official, lab or auto (default: official when their registry answers)"
    )
    parser.add_argument("--check-host", action="store_true", help="only say whether there is a demo host")
    parser.add_argument("--remove", action="store_true", help="remove the demo host and everything of the lab")
    arguments = parser.parse_args()
    try:
        if arguments.check_host:
            check_host()
        elif arguments.remove:
            remove()
        else:
            demo(arguments.images)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is lost: run `make demo` again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_FORCE_COLOR", "1" if sys.stdout.isatty() else "0")
    sys.exit(main())
