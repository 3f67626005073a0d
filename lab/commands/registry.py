"""The lab's registry: what test hosts pull from, as from a company's mirror of Docker Hub."""

from __future__ import annotations

import concurrent.futures
import http.client

from lab.commands import images
from lab.commands.images import Image
from lab.commands.shell import LabError, alone, run, step, succeeds, wait_for

LABEL = "clearml-lab"
NETWORK = "clearml-lab"
NAME = "clearml-lab-registry"
ADDRESS = "127.0.0.1"
PORT = 15000  # engines speak plain HTTP to registries on the loopback address
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


def network() -> None:
    """Make the network of test hosts and registry."""
    if not succeeds("docker", "network", "inspect", NETWORK):
        run("docker", "network", "create", "--label", LABEL, NETWORK)


def state_of(container: str) -> str:
    """A container's state (running, exited ...); empty when there is none."""
    return run("docker", "inspect", "--type", "container", "--format", "{{.State.Status}}", container, check=False)


def start() -> None:
    """Start the registry; one of an older image is replaced, and its content stays."""
    if not images.exists(images.REGISTRY):
        raise LabError(f"There is no image {images.REGISTRY.name} yet: run `lab/lab.py images` first.")
    with alone("registry"):
        network()
        current = run("docker", "inspect", "--type", "container", "--format", "{{.Image}}", NAME, check=False)
        if current and current != images.inspect("{{.Id}}", images.REGISTRY.name):
            run("docker", "rm", "--force", NAME)
        if not state_of(NAME):
            run("docker", "volume", "create", "--label", LABEL, NAME)
            run(
                *["docker", "run", "--detach", "--name", NAME, "--hostname", NAME, "--label", LABEL],
                *["--network", NETWORK, "--publish", f"{ADDRESS}:{PORT}:5000", "--restart", "unless-stopped"],
                *["--volume", f"{NAME}:/var/lib/registry", images.REGISTRY.name],
            )
        elif state_of(NAME) != "running":
            run("docker", "start", NAME)
        wait_for("An answer of the lab's registry", answers, 30, lambda: run("docker", "logs", "--tail", "20", NAME))


def answers() -> bool:
    """Whether the registry serves requests."""
    try:
        return ask("GET", "/v2/").status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def ask(method: str, path: str) -> http.client.HTTPResponse:
    """Ask the registry. It is on this machine, so a proxy of this machine's is not meant."""
    connection = http.client.HTTPConnection(ADDRESS, PORT, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": ", ".join(MANIFESTS)})
        return connection.getresponse()
    finally:
        connection.close()


def names_of(official: str) -> list[str]:
    """The names under which an image is asked for: by a registry prefix, and by an engine that uses a mirror."""
    return [official] if "/" in official else [official, f"library/{official}"]


def push_all(wanted: list[Image]) -> None:
    """Put stand-ins into the registry, a few at a time."""
    with concurrent.futures.ThreadPoolExecutor(images.PARALLEL) as pool:
        list(pool.map(push, wanted))


def push(image: Image) -> None:
    """Put a stand-in into the registry, unless it is there."""
    missing = [name for name in names_of(image.stands_for) if not holds(name, image)]
    if not missing:
        return
    with step(f"Pushing {image.stands_for}"):
        for name in missing:
            target = f"{ADDRESS}:{PORT}/{name}"
            run("docker", "tag", image.name, target)
            run("docker", "push", "--quiet", target)


def holds(name: str, image: Image) -> bool:
    """Whether the registry has this very image under a name."""
    target = f"{ADDRESS}:{PORT}/{name}"
    if images.inspect("{{.Id}}", target) != images.inspect("{{.Id}}", image.name):
        return False
    digest = digest_of(name)
    return bool(digest) and f"{target.rpartition(':')[0]}@{digest}" in images.inspect("{{.RepoDigests}}", target)


def digest_of(name: str) -> str:
    """The digest of what the registry has under a name; empty when it has nothing."""
    repository, _, tag = name.rpartition(":")
    response = ask("HEAD", f"/v2/{repository}/manifests/{tag}")
    return response.getheader("Docker-Content-Digest", "") if response.status == http.HTTPStatus.OK else ""
