"""The lab's images: which there are, and building those whose content changed."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lab.commands import releases
from lab.commands.shell import CACHE, ROOT, LabError, apt_install, run, step, succeeds, tail

LAB = ROOT / "lab"
RECIPES = LAB / "images"
HASH_LABEL = "clearml-lab.hash"
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
DEBIAN_MIRROR = "http://deb.debian.org/debian"
# Certificate authorities that this machine trusts beside the usual ones, such as a company proxy's.
AUTHORITIES = Path("/usr/local/share/ca-certificates")
STAND_INS = {
    # The slowest to build comes first.
    "CLEARML_MONGO_IMAGE": "mongo",
    "CLEARML_SERVER_IMAGE": "server",
    "CLEARML_ELASTIC_IMAGE": "elasticsearch",
    "CLEARML_REDIS_IMAGE": "redis",
}
PARALLEL = 2
# Builds that are under way.
running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Image:
    """One image of the lab: a recipe, its build arguments, and the official name that it stands for."""

    recipe: str  # a folder of lab/images
    tag: str
    system: str = "debian13"
    arguments: dict[str, str] = field(default_factory=dict)
    stands_for: str = ""

    @property
    def name(self) -> str:
        """Its name on this machine's engine."""
        return f"clearml-lab/{self.recipe}:{self.tag}"

    @property
    def context(self) -> Path:
        """The folder that its recipe copies from."""
        return LAB if self.recipe == "server" else RECIPES / self.recipe

    @property
    def sources(self) -> list[Path]:
        """Everything in this repository that decides its content."""
        folders = [RECIPES / self.recipe]
        return [*folders, LAB / "server", LAB / ".dockerignore"] if self.recipe == "server" else folders


REGISTRY = Image("registry", "debian13")
COMPOSE = Image("compose", "debian13")
HOSTS = {
    # What the role docker installs later, downloaded in advance. Debian 12 has no Compose v2.
    "debian13": Image("host", "debian13", "debian13", {"LATER": "docker.io docker-cli docker-compose"}),
    "debian12": Image("host", "debian12", "debian12", {"LATER": "docker.io"}),
}
# What can be built without the rest. These are built in no other way: the browser, which few tests need, and Python, to
# try agents in Docker mode by hand.
ALONE = {
    "host": HOSTS["debian13"],
    "browser": Image("browser", "debian13"),
    "python": Image("python", "3.13", stands_for="python:3.13"),  # the Python of Debian 13
}


def stand_ins(release: str) -> list[Image]:
    """The stand-ins of a release's images."""
    official = releases.images(release)
    missing = sorted(STAND_INS.keys() - official.keys())
    if missing:
        raise LabError(f"The release {release} names no {' and no '.join(missing)}.")
    return [
        Image(recipe, tag, arguments={"RELEASE": tag}, stands_for=official[variable])
        for variable, recipe in STAND_INS.items()
        for tag in [official[variable].rpartition(":")[2]]
    ]


# -- what an image was built from


def content_hash(paths: list[Path], *more: str) -> str:
    """A digest of files (names, executable bits, contents) and of whatever else decides a build."""
    digest = hashlib.sha256(repr(more).encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(path.parent)
                digest.update(f"\0{name}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def inspect(form: str, image: str) -> str:
    """One fact about an image; empty when there is no such image."""
    return run("docker", "image", "inspect", "--format", form, image, check=False)


def hash_of(image: str) -> str:
    """The digest of what an image was built from; empty when there is no such image."""
    return inspect(f'{{{{index .Config.Labels "{HASH_LABEL}"}}}}', image)


def exists(image: Image) -> bool:
    """Whether an image was built, no matter from what."""
    return bool(inspect("{{.Id}}", image.name))


# -- building


def base_name(system: str) -> str:
    """The name of the image that others start from."""
    return f"clearml-lab/base:{system}"


def base_hash(system: str) -> str:
    """The digest of what the base image is made from."""
    authorities = sorted(AUTHORITIES.rglob("*.crt")) if AUTHORITIES.is_dir() else []
    return content_hash([RECIPES / "base", *authorities], SUITES[system], DEBIAN_MIRROR)


def build_base(system: str) -> None:
    """Make a minimal Debian that trusts what this machine trusts."""
    wanted = base_hash(system)
    if hash_of(base_name(system)) == wanted:
        return
    hooks = [f"upload {RECIPES}/base/apt.conf /etc/apt/apt.conf.d/clearml-lab", 'rm -f "$1"/var/cache/apt/*.bin']
    if AUTHORITIES.is_dir():
        hooks += [f"copy-in {AUTHORITIES} {AUTHORITIES.parent}", 'chroot "$1" update-ca-certificates']
    with step(f"Building {base_name(system)}"), tempfile.TemporaryDirectory(prefix="clearml-lab-") as folder:
        archive = Path(folder) / "base.tar"
        log_or_fail(
            base_name(system),
            *["mmdebstrap", "--variant=minbase", "--include=ca-certificates"],
            *[f"--dpkgopt={RECIPES}/base/dpkg.cfg", *(f"--customize-hook={hook}" for hook in hooks)],
            *[SUITES[system], str(archive), DEBIAN_MIRROR],
        )
        labels = ["--change", f"LABEL {HASH_LABEL}={wanted}"]
        run("docker", "import", *labels, "--change", 'CMD ["bash"]', str(archive), base_name(system))


def build(image: Image) -> str:
    """Build an image unless there is one of the same content; return the id of the image that it replaced."""
    arguments = {"BASE": base_name(image.system), **image.arguments}
    wanted = content_hash(image.sources, base_hash(image.system), json.dumps(arguments, sort_keys=True))
    if hash_of(image.name) == wanted:
        return ""
    replaced = inspect("{{.Id}}", image.name)
    command = ["docker", "build", "--force-rm", "--tag", image.name, "--file", f"{RECIPES}/{image.recipe}/Dockerfile"]
    command += ["--label", f"{HASH_LABEL}={wanted}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    # A proxy of this machine's is meant for builds, too, and is not kept in the image.
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        command += ["--build-arg", name] if name in os.environ else []
    with step(f"Building {image.name}"):
        log_or_fail(image.name, *command, str(image.context))
    return replaced


def log_or_fail(image: str, *command: str) -> None:
    """Run a build whose output goes to a log, and show the end of that when the build fails."""
    log = CACHE / f"build-{re.sub('[^a-z0-9.]+', '-', image)}.log"
    CACHE.mkdir(exist_ok=True)
    # The engine's own builder, which knows the images of this machine, whatever builder was chosen for other work.
    environment = {**os.environ, "BUILDX_BUILDER": "default", "LC_ALL": "C.UTF-8"}
    with log.open("w") as output:
        # In a session of its own, so that Ctrl-C reaches this program alone: mmdebstrap would pass it on to its group.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    running.add(process)
    code = process.wait()
    running.discard(process)
    if code:
        raise LabError(f"Building {image} failed (exit code {code}, log {log}):\n{tail(log)}")


def build_all(wanted: list[Image]) -> list[str]:
    """Build images and what they start from, a few at a time; return the ids of the images that were replaced."""
    systems = sorted({image.system for image in wanted}, reverse=True)
    stale = [system for system in systems if hash_of(base_name(system)) != base_hash(system)]
    if stale and shutil.which("mmdebstrap") is None:
        apt_install("mmdebstrap", "debian-archive-keyring")
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        try:
            bases = {system: pool.submit(build_base, system) for system in systems}

            def build_on_base(image: Image) -> str:
                bases[image.system].result()
                return build(image)

            jobs = [pool.submit(build_on_base, image) for image in wanted]
            return [job.result() for job in concurrent.futures.as_completed(jobs)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise


def forget(replaced: list[str]) -> None:
    """Remove images that were replaced, where nothing uses them any more."""
    for image in filter(None, replaced):
        succeeds("docker", "rmi", image)
