"""A health check fails on a bad answer: each runs as it stands in the Compose files, against services that are broken.

The one of MongoDB is not among them: nothing but a real server answers the real mongosh.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.stack import REGISTRY_PREFIX, Project, docker

Services = dict[str, dict[str, Any]]
Start = Callable[[str], str]

FAKE = Path(__file__).with_name("fake_services.py")
# Which answers each check must take for bad; fake_services.py explains them.
BAD_ANSWERS = [
    ("clearml-elastic", "error"),
    ("clearml-elastic", "red"),
    ("clearml-server", "error"),
    ("clearml-fileserver", "error"),
    ("clearml-webserver", "error"),
    ("clearml-webserver", "page"),
    *((name, "absent") for name in ("clearml-elastic", "clearml-server", "clearml-fileserver", "clearml-webserver")),
]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """The services as Compose understands them."""
    project = Project.copy(tmp_path_factory.mktemp("health"))
    project.write_env(CLEARML_REGISTRY_PREFIX=REGISTRY_PREFIX)
    found: Services = project.config()["services"]
    return found


def command(services: Services, name: str) -> list[str]:
    """A service's health check, as words for `docker exec`."""
    kind, *words = [word.replace("$$", "$") for word in services[name]["healthcheck"]["test"]]
    return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


@pytest.fixture(scope="module")
def start(services: Services) -> Iterator[Start]:
    """Return a function that starts a container whose ports answer in one way; it has the tools of the checks."""
    started: dict[str, str] = {}

    def once(how: str) -> str:
        if how not in started:
            options = ["--detach", "--network", "none", "--volume", f"{FAKE}:/fake_services.py:ro"]
            image = services["clearml-server"]["image"]
            started[how] = docker("run", *options, "--entrypoint", "python3", image, "/fake_services.py", how).strip()
            deadline = time.monotonic() + 20
            while "ready" not in docker("logs", started[how]):
                assert time.monotonic() < deadline, docker("logs", started[how])
                time.sleep(0.1)
        return started[how]

    yield once
    if started:
        docker("rm", "--force", "--volumes", *started.values())


def passes(container: str, words: list[str]) -> bool:
    """Whether a check says that all is well."""
    return subprocess.run(["docker", "exec", container, *words], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", ["clearml-elastic", "clearml-server", "clearml-fileserver", "clearml-webserver"])
def test_a_good_answer_passes(services: Services, start: Start, name: str) -> None:
    assert passes(start("well"), command(services, name))


@pytest.mark.parametrize(("name", "how"), BAD_ANSWERS, ids=map("-".join, BAD_ANSWERS))
def test_a_bad_answer_fails(services: Services, start: Start, name: str, how: str) -> None:
    assert not passes(start(how), command(services, name))


@pytest.mark.parametrize(
    ("answer", "passed"),
    [("PONG", True), ("LOADING Redis is loading the dataset in memory", False), ("NOAUTH", False), ("", False)],
    ids=["pong", "loading", "password", "nothing"],
)
def test_redis_must_answer_with_pong(services: Services, start: Start, answer: str, passed: bool) -> None:
    """Its client ends with code 0 on an error, too. In place of the client, a script gives the answer."""
    put = "printf '#!/bin/sh\\necho \"$ANSWER\"\\n' >/usr/local/bin/redis-cli && chmod +x /usr/local/bin/redis-cli"
    check = ["env", f"ANSWER={answer}", *command(services, "clearml-redis")]
    assert passes(start("well"), ["sh", "-c", put])
    assert passes(start("well"), check) is passed
