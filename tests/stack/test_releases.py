"""A data store refuses the data of a newer or a skipped release, as the real ones do.

So nothing that tests how the platform deals with releases is fooled by stand-ins.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from lab.commands.shell import ROOT
from lab.stack import REGISTRY_PREFIX, docker

OLDER, NEWER = sorted(path.stem for path in (ROOT / "compose" / "releases").glob("*.env"))[-2:]
MESSAGES = {
    "MONGO": (62, "featureCompatibilityVersion"),
    "REDIS": (1, "Can't handle RDB format version"),
    "ELASTIC": (None, "cannot downgrade a node from version"),
}
DATA = {"MONGO": "/data/db", "REDIS": "/data", "ELASTIC": "/usr/share/elasticsearch/data"}
PROBE = {
    "MONGO": ["mongosh", "--quiet", "--norc", "--eval", "quit(db.adminCommand({ping: 1}).ok ? 0 : 1)"],
    "REDIS": ["sh", "-c", "redis-cli ping | grep -qx PONG"],
    "ELASTIC": ["curl", "-fsS", "http://localhost:9200/_cluster/health?wait_for_status=yellow&timeout=5s"],
}


def image(store: str, release: str) -> str:
    """The image of a data store in a release."""
    for line in (ROOT / "compose" / "releases" / f"{release}.env").read_text().splitlines():
        if line.startswith(f"CLEARML_{store}_IMAGE="):
            return REGISTRY_PREFIX + line.partition("=")[2]
    raise AssertionError(f"{release} has no image for {store}")


@pytest.fixture
def volume() -> Iterator[str]:
    """A data volume that lives for one test."""
    name = f"clearml-stack-test-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", "--label", "clearml-lab", name)
    yield name
    docker("volume", "rm", "--force", name)


def start(store: str, release: str, volume: str) -> str:
    """Start a data store on the volume, with the settings that compose/ uses."""
    options = ["--detach", "--memory", "1g", "--volume", f"{volume}:{DATA[store]}"]
    if store == "ELASTIC":
        options += ["--env", "discovery.type=single-node", "--env", "xpack.security.enabled=false"]
    return docker("run", *options, image(store, release)).strip()


def wait(container: str, condition: Callable[[], bool], seconds: int = 90) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, docker("logs", "--tail", "20", container)
        time.sleep(0.5)


def run_and_stop(store: str, release: str, volume: str) -> None:
    """Let a release write its data."""
    container = start(store, release, volume)
    try:
        probe = ["docker", "exec", container, *PROBE[store]]
        wait(container, lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0)
        docker("stop", "--time", "30", container)
    finally:
        docker("rm", "--force", "--volumes", container)


def refusal(store: str, release: str, volume: str) -> tuple[int, str]:
    """Exit code and output of a data store that does not start."""
    container = start(store, release, volume)
    try:
        wait(container, lambda: docker("inspect", "--format", "{{.State.Running}}", container).strip() == "false")
        code = int(docker("inspect", "--format", "{{.State.ExitCode}}", container))
        logs = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
        return code, logs.stdout + logs.stderr
    finally:
        docker("rm", "--force", "--volumes", container)


def check_refused(store: str, release: str, volume: str) -> None:
    code, output = refusal(store, release, volume)
    wanted, message = MESSAGES[store]
    assert message in output
    assert code == wanted if wanted is not None else code != 0


@pytest.mark.parametrize(
    ("store", "note", "noted"),
    [("MONGO", "lab-release", "99.0"), ("MONGO", "lab-release", "5.0"), ("REDIS", ".release", "99.0")],
    ids=["mongo-newer", "mongo-skipped", "redis-newer"],
)
def test_the_noted_release_counts(volume: str, store: str, note: str, noted: str) -> None:
    """The short form: the note in the data directory is changed by hand (Redis reads data of every older release)."""
    run_and_stop(store, OLDER, volume)
    mounted = ["--rm", "--volume", f"{volume}:{DATA[store]}", "--entrypoint", "sh"]
    docker("run", *mounted, image(store, OLDER), "-c", f"echo {noted} > {DATA[store]}/{note}")
    check_refused(store, OLDER, volume)


@pytest.mark.slow
@pytest.mark.parametrize("store", MESSAGES)
def test_an_older_release_refuses_the_data_of_a_newer(volume: str, store: str) -> None:
    run_and_stop(store, NEWER, volume)
    check_refused(store, OLDER, volume)


@pytest.mark.slow
@pytest.mark.parametrize("store", MESSAGES)
def test_the_next_release_takes_the_data_over(volume: str, store: str) -> None:
    run_and_stop(store, OLDER, volume)
    run_and_stop(store, NEWER, volume)
