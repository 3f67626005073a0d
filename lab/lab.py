#!/usr/bin/env python3
"""The lab: everything needed to run the platform on a machine that reaches no image registry.

Stand-in images are built from package registries alone, a local registry serves them under the official names, and test
hosts are containers that boot systemd. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "lab" / "images"
RELEASES = ROOT / "compose" / "releases"
CACHE = ROOT / ".cache"

LABEL = "clearml-lab"
NETWORK = "clearml-lab"
REGISTRY = "clearml-lab-registry"
REGISTRY_ADDRESS = "127.0.0.1:15000"  # engines speak plain HTTP to registries on loopback
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
CA_FOLDER = Path("/usr/local/share/ca-certificates")
DEBIAN_MIRROR = "http://deb.debian.org/debian"


class LabError(Exception):
    """Something the lab cannot do; its text is the whole message."""


# -- running commands


def run(*command: str, check: bool = True, **options: object) -> str:
    """Run a command and return its output; a failure shows the command and the end of what it printed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if check and result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-20:])
        raise LabError(f"{' '.join(command)} ended with exit code {result.returncode}:\n{tail}")
    return str(result.stdout).strip()


def succeeds(*command: str) -> bool:
    """Tell whether a command ends with exit code 0."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def wait_for(what: str, condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = str) -> None:
    """Wait until a condition holds, or say after the deadline what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not happen within {seconds:.0f} s. {explain()}".strip())
        time.sleep(0.3)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what a step does, and how long it took."""
    print(f"{title} ...", flush=True)
    start = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - start:.0f} s", flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one lab command at a time change images and containers."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt_install(*packages: str) -> None:
    """Install packages of the distribution on this machine."""
    if shutil.which("apt-get") is None:
        raise LabError(f"This machine has no apt-get: install {' and '.join(packages)} by hand and start again.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {' '.join(packages)} on this machine"):
        run("apt-get", "update", "-qq", env=environment)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, env=environment)


# -- the engine


def engine() -> None:
    """Make sure that a Docker engine answers. One that is there is used as it is."""
    if engine_answers():
        version = run("docker", "version", "--format", "{{.Server.Version}}")
        print(f"Using the Docker engine that is already here ({version}).")
        return
    if os.geteuid() != 0:
        raise LabError("No Docker engine answers: start it, join the group docker, or run this as root.")
    if shutil.which("dockerd") is None:
        print("There is no Docker engine on this machine: installing the distribution's.")
        apt_install("docker.io", "iptables")
        if engine_answers():
            return
    log = Path("/var/log/dockerd.log")
    with step("Starting the Docker engine"):
        if Path("/run/systemd/system").is_dir():
            run("systemctl", "start", "docker")
        elif not (shutil.which("service") and succeeds("service", "docker", "start") and settles(engine_answers, 15)):
            # No init system runs here, as in many containers: the engine runs by itself.
            forget_dead_engine(Path("/var/run/docker.pid"))
            with log.open("ab") as output:
                subprocess.Popen(
                    ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        wait_for("An answer of the Docker engine", engine_answers, 60, lambda: f"Its log ({log}):\n{tail_of(log)}")


def forget_dead_engine(pid_file: Path) -> None:
    """Remove the pid file of an engine that was killed: its number may be another program's by now."""
    if pid_file.exists():
        command = Path("/proc", pid_file.read_text().strip(), "comm")
        if not command.exists() or command.read_text().strip() != "dockerd":
            pid_file.unlink()


def engine_answers() -> bool:
    """Tell whether the client reaches an engine."""
    return shutil.which("docker") is not None and succeeds("docker", "info")


def settles(condition: Callable[[], bool], seconds: float) -> bool:
    """Tell whether a condition comes true in time."""
    try:
        wait_for("", condition, seconds)
    except LabError:
        return False
    return True


def tail_of(log: Path, lines: int = 20) -> str:
    """Return the last lines of a file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


# -- releases


def read_release(path: Path) -> dict[str, str]:
    """Return the variables of a file of compose/releases."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def default_release() -> str:
    """Return the release that .env.example names."""
    return read_release(ROOT / "compose" / ".env.example")["CLEARML_RELEASE"]


def chosen_releases(wanted: str) -> list[str]:
    """Translate the option --release into releases."""
    known = sorted(path.stem for path in RELEASES.glob("*.env"))
    if wanted == "all":
        return known
    if wanted not in known:
        raise LabError(f"--release is {wanted}: it must be one of {', '.join(known)}, or all.")
    return [wanted]


# -- images


@dataclass(frozen=True)
class Image:
    """One image of the lab: a recipe, its build arguments, and the official name that it stands for."""

    name: str  # folder of lab/images
    tag: str
    arguments: dict[str, str] = field(default_factory=dict)
    stands_for: str = ""

    @property
    def local(self) -> str:
        return f"clearml-lab/{self.name}:{self.tag}"

    @property
    def context(self) -> Path:
        # The server's recipe also copies lab/server.
        return ROOT / "lab" if self.name == "server" else IMAGES / self.name

    @property
    def sources(self) -> list[Path]:
        return [IMAGES / self.name, ROOT / "lab" / "server"] if self.name == "server" else [IMAGES / self.name]


def stand_ins(release: str) -> list[Image]:
    """Return the stand-ins of a release's images."""
    folders = {"CLEARML_MONGO_IMAGE": "mongo", "CLEARML_ELASTIC_IMAGE": "elasticsearch"}
    folders |= {"CLEARML_SERVER_IMAGE": "server", "CLEARML_REDIS_IMAGE": "redis"}
    images = read_release(RELEASES / f"{release}.env")
    return [
        Image(folder, official.rpartition(":")[2], {"RELEASE": official.rpartition(":")[2]}, official)
        for variable, folder in folders.items()
        for official in [images[variable]]
    ]


def content_hash(paths: list[Path], *more: str) -> str:
    """Return a digest of files (names, modes, contents) and of whatever else decides a build."""
    digest = hashlib.sha256(repr(more).encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(path.parent)
                digest.update(f"\0{name}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def image_hash(reference: str) -> str:
    """Return the content hash that an image was built from, nothing when there is no such image."""
    form = f'{{{{index .Config.Labels "{LABEL}.hash"}}}}'
    return run("docker", "image", "inspect", "--format", form, reference, check=False)


def extra_authorities() -> list[Path]:
    """Return the certificate authorities that this machine trusts beside the usual ones, such as a company proxy's."""
    return sorted(CA_FOLDER.rglob("*.crt")) if CA_FOLDER.is_dir() else []


def build_base(system: str) -> str:
    """Build the minimal Debian that all other images start from; return its content hash."""
    reference = f"clearml-lab/base:{system}"
    wanted = content_hash([IMAGES / "base", *extra_authorities()], SUITES[system], DEBIAN_MIRROR)
    if image_hash(reference) == wanted:
        return wanted
    if shutil.which("mmdebstrap") is None:
        apt_install("mmdebstrap", "debian-archive-keyring")
    with step(f"Building {reference}"), tempfile.TemporaryDirectory() as folder:
        archive, context = Path(folder) / "rootfs.tar", Path(folder) / "context"
        run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", SUITES[system], str(archive), DEBIAN_MIRROR)
        rootfs = f"clearml-lab/rootfs:{system}"
        run("docker", "import", str(archive), rootfs)
        shutil.copytree(IMAGES / "base", context)
        (context / "ca").mkdir()
        for certificate in extra_authorities():
            shutil.copy(certificate, context / "ca")
        docker_build(reference, context, context / "Dockerfile", {"ROOTFS": rootfs}, wanted)
    return wanted


def docker_build(reference: str, context: Path, recipe: Path, arguments: dict[str, str], digest: str) -> None:
    """Build an image; its output goes to a log that is shown when the build fails."""
    log = CACHE / f"build-{re.sub('[^a-z0-9.]+', '-', reference)}.log"
    command = ["docker", "build", "-t", reference, "-f", str(recipe), "--label", f"{LABEL}.hash={digest}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    with log.open("w") as output:
        result = subprocess.run([*command, str(context)], stdout=output, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        raise LabError(f"Building {reference} failed ({log}):\n{tail_of(log)}")


def build(image: Image, base_system: str, base_hash: str) -> None:
    """Build an image unless it was built from the same content before."""
    base = f"clearml-lab/base:{base_system}"
    arguments = {"BASE": base, **image.arguments}
    wanted = content_hash(image.sources, base_hash, json.dumps(arguments, sort_keys=True))
    if image_hash(image.local) != wanted:
        with step(f"Building {image.local}"):
            docker_build(image.local, image.context, IMAGES / image.name / "Dockerfile", arguments, wanted)


def push(image: Image) -> None:
    """Put a stand-in into the lab's registry, under the names that a mirror and a registry prefix are asked for."""
    official = image.stands_for
    for name in {official, official if "/" in official else f"library/{official}"}:
        target = f"{REGISTRY_ADDRESS}/{name}"
        run("docker", "tag", image.local, target)
        run("docker", "push", "--quiet", target)


def images(releases: list[str], only: str | None) -> None:
    """Build what is not built yet, start the registry, and push the stand-ins."""
    start = time.monotonic()
    everything = [(Image("host", "debian13"), "debian13")]
    if only != "host":
        everything = [(image, "debian13") for release in releases for image in stand_ins(release)] + everything
        everything += [(Image("registry", "debian13"), "debian13"), (Image("compose", "debian13"), "debian13")]
        everything += [(Image("host", "debian12"), "debian12")]
    with alone():
        bases = {system: build_base(system) for system in sorted({system for _, system in everything}, reverse=True)}
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            jobs = [pool.submit(build, image, system, bases[system]) for image, system in everything]
            for job in concurrent.futures.as_completed(jobs):
                job.result()
        if only != "host":
            registry()
            for image, _ in everything:
                if image.stands_for:
                    push(image)
    print(f"The lab's images are ready ({time.monotonic() - start:.0f} s).")


# -- the registry and the test hosts


def network() -> None:
    """Make the network of test hosts and registry."""
    if not succeeds("docker", "network", "inspect", NETWORK):
        run("docker", "network", "create", "--label", LABEL, NETWORK)


def state_of(container: str) -> str:
    """Return a container's state (running, exited ...), nothing when it does not exist."""
    return run("docker", "inspect", "--type", "container", "--format", "{{.State.Status}}", container, check=False)


def registry() -> None:
    """Start the registry."""
    network()
    image = Image("registry", "debian13").local
    current = run("docker", "inspect", "--format", "{{.Image}}", REGISTRY, check=False)
    if current and current != run("docker", "image", "inspect", "--format", "{{.Id}}", image):
        run("docker", "rm", "--force", REGISTRY)
    if not state_of(REGISTRY):
        run(
            *["docker", "run", "--detach", "--name", REGISTRY, "--hostname", REGISTRY, "--label", LABEL],
            *["--network", NETWORK, "--publish", f"{REGISTRY_ADDRESS}:5000", "--restart", "unless-stopped"],
            *["--volume", f"{REGISTRY}:/var/lib/registry", image],
        )
    elif state_of(REGISTRY) != "running":
        run("docker", "start", REGISTRY)
    address, _, port = REGISTRY_ADDRESS.partition(":")
    wait_for("An answer of the lab's registry", lambda: listens(address, int(port)), 30)


def listens(address: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def systemd_options(cgroup_version: str) -> tuple[list[str], list[str]]:
    """Return the options of `docker run`, and the arguments of init, with which systemd boots in a container."""
    tmpfs = ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]  # noqa: S108
    if cgroup_version == "2":
        return ["--privileged", "--cgroupns", "private", *tmpfs], []
    # On cgroup v1 the host's tree is shared. All of --privileged but CAP_SYS_RESOURCE, which not every machine has.
    confined = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
    options = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
    options += [word for value in confined for word in ("--security-opt", value)]
    options += ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"]
    return [*options, *tmpfs], ["/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]


def busy(publish: str) -> str:
    """Return the address of a --publish value when something on this machine has taken it."""
    address, port, _ = publish.split(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, int(port)))
        except OSError:
            return f"{address}:{port}"
    return ""


def host_up(name: str, system: str, publish: list[str], kind: str) -> None:
    """Boot a test host, or start the one that is there."""
    if state_of(name) == "running":
        print(f"The host {name} is running.")
        return
    with step(f"Booting the host {name}"):
        if state_of(name):
            run("docker", "start", name)
        else:
            taken = [address for address in map(busy, publish) if address]
            if taken:
                raise LabError(f"Port {' and '.join(taken)} of this machine is taken: free it, then start again.")
            network()
            options, init = systemd_options(run("docker", "info", "--format", "{{.CgroupVersion}}"))
            for value in publish:
                options += ["--publish", value]
            run(
                *["docker", "run", "--detach", "--name", name, "--hostname", name, "--network", NETWORK],
                *["--label", LABEL, "--label", f"{LABEL}.images={kind}"],
                *["--volume", "/var/lib/docker", *options, Image("host", system).local, *init],
            )
        wait_for(f"The start of systemd in {name}", lambda: booted(name), 90, lambda: run("docker", "logs", name))
        if kind == "lab":
            # As a company's hosts come with their mirror configured: the docker role has to merge with it.
            mirror = json.dumps({"registry-mirrors": [f"http://{REGISTRY}:5000"]})
            script = 'test -e $0 || { mkdir -p /etc/docker && echo "$1" > $0; }'
            run("docker", "exec", name, "sh", "-c", script, "/etc/docker/daemon.json", mirror)


def booted(name: str) -> bool:
    """Tell whether a host's services have started."""
    return run("docker", "exec", name, "systemctl", "is-system-running", check=False) in ("running", "degraded")


def host_down(name: str) -> None:
    """Remove a test host and its anonymous volumes; only one of the lab's."""
    if not state_of(name):
        print(f"There is no host {name}.")
        return
    form = f'{{{{index .Config.Labels "{LABEL}.images"}}}}'
    if not run("docker", "inspect", "--format", form, name):
        raise LabError(f"The container {name} is not a host of the lab: it is left alone.")
    run("docker", "rm", "--force", "--volumes", name)
    print(f"Removed the host {name}.")


# -- Compose and cleaning


def compose(folder: Path, arguments: list[str], variables: list[str]) -> int:
    """Run Compose v2 against this machine's engine, from a container when its own Docker has no Compose."""
    if succeeds("docker", "compose", "version"):
        environment = os.environ | dict(variable.split("=", 1) for variable in variables)
        return subprocess.run(["docker", "compose", *arguments], cwd=folder, env=environment, check=False).returncode
    command = ["docker", "run", "--rm", "--volume", "/var/run/docker.sock:/var/run/docker.sock"]
    command += ["--volume", f"{folder}:{folder}", "--workdir", str(folder)]
    for variable in variables:
        command += ["--env", variable]
    return subprocess.run(
        [*command, Image("compose", "debian13").local, "docker", "compose", *arguments], check=False
    ).returncode


def clean(with_images: bool) -> None:
    """Remove the lab's containers, volumes and network, and its images when asked to."""
    if not engine_answers():
        print("No Docker engine answers, so there is nothing to remove.")
        return
    for container in run("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}").split():
        run("docker", "rm", "--force", "--volumes", container)
    run("docker", "volume", "rm", "--force", REGISTRY)
    if succeeds("docker", "network", "inspect", NETWORK):
        run("docker", "network", "rm", NETWORK)
    if with_images:
        references = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
        ours = [name for name in references if name.startswith(("clearml-lab/", f"{REGISTRY_ADDRESS}/"))]
        if ours:
            run("docker", "rmi", "--force", *ours)
    print("Removed the lab's containers, volumes and network" + (", and its images." if with_images else "."))


def parse(words: list[str]) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser(
        "engine", help="make sure that a Docker engine answers; install the distribution's where there is none"
    )
    verb = verbs.add_parser(
        "images", help="build the images that are not built yet, and push the stand-ins to the registry"
    )
    verb.add_argument(
        "--release", default=default_release(), help="a file of compose/releases, or all (default: %(default)s)"
    )
    verb.add_argument("--only", choices=["host"], help="only the test host, which the official images need too")
    verbs.add_parser("registry", help="start the registry")
    host = verbs.add_parser("host", help="boot or remove a test host").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    up = host.add_parser("up", help="boot a test host, or start the one that is there")
    up.add_argument("name")
    up.add_argument(
        "--image", default="debian13", choices=sorted(SUITES), help="operating system (default: %(default)s)"
    )
    up.add_argument(
        "--publish", action="append", default=[], metavar="ADDRESS:PORT:PORT", help="port of this machine, repeatable"
    )
    up.add_argument(
        "--images",
        default="lab",
        choices=["lab", "official"],
        help="whether the host pulls from the lab (default: %(default)s)",
    )
    down = host.add_parser("down", help="remove a test host")
    down.add_argument("name")
    verb = verbs.add_parser("compose", help="run Compose v2 against this machine's own engine")
    verb.add_argument("--project-directory", type=Path, default=ROOT / "compose", help="(default: compose/)")
    verb.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable, repeatable"
    )
    verb.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS", help="arguments of docker compose")
    verb = verbs.add_parser("clean", help="remove the lab's containers, volumes and network")
    verb.add_argument("--images", action="store_true", help="and its images")
    return parser.parse_args(words)


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parse(sys.argv[1:])
    try:
        match options.verb:
            case "engine":
                engine()
            case "images":
                images(chosen_releases(options.release), options.only)
            case "registry":
                registry()
            case "host" if options.action == "up":
                host_up(options.name, options.image, options.publish, options.images)
            case "host":
                host_down(options.name)
            case "compose":
                arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
                return compose(options.project_directory.resolve(), arguments, options.env)
            case "clean":
                clean(options.images)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: run it again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
