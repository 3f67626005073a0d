"""Where secrets must not be: what processes show, what is logged, what the engine tells, what others may read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import testinfra.host

from helpers.inside import python_meanwhile, run_python
from helpers.variables import Variables

Secrets = Mapping[str, str]

# Keeps what the arguments and the environment of each process are, until its standard input ends. Run on a host, it
# sees the processes of its containers as well.
WATCH = """
import glob, json, select, sys
sys.stdin.readline()
shown, looks = set(), 0
while not select.select([sys.stdin], [], [], 0.1)[0]:
    looks += 1
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            shown.add(open(path, "rb").read().decode(errors="replace").replace(chr(0), " "))
        except OSError:
            continue
print(json.dumps({"looks": looks, "shown": sorted(shown)}))
"""

# Reads every file that it may, and says in which of them a secret is.
READ_ALL = """
import json, os, stat, sys
roots, secrets = json.loads(sys.stdin.readline())
read, found = 0, []
for root in roots:
    for folder, _, names in os.walk(root):
        for path in (os.path.join(folder, name) for name in names):
            try:
                content = open(path, "rb").read(1 << 20) if stat.S_ISREG(os.stat(path).st_mode) else b""
            except OSError:
                continue
            read += 1
            found += [path + " holds " + name for name, value in secrets.items() if value.encode() in content]
print(json.dumps({"read": read, "secrets": found}))
"""
# All of the host but what the kernel makes up and the packages bring.
READABLE = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")


def given_secrets(variables: Variables) -> dict[str, str]:
    """What the inventory itself keeps secret."""
    given = {f"the inventory's {name}": value for name, value in variables["clearml_server_secrets"].items()}
    for entry in variables["clearml_access_users"] + variables["clearml_access_service_accounts"]:
        owner = entry.get("username") or entry["name"]
        for kind in entry.keys() & {"password", "password_hash", "access_key", "secret_key"}:
            given[f"{kind} of {owner}"] = entry[kind]
    if "ansible_become_password" in variables:
        given["the password for sudo"] = variables["ansible_become_password"]
    return given


def agent_secrets(variables: Variables) -> dict[str, str]:
    """What the inventory gives agents and their tasks to keep secret."""
    given = {"the git token": variables["clearml_agent_git_token"]}
    for number, entry in enumerate(variables["clearml_agent_s3_credentials"]):
        given |= {f"{kind} of storage {number}": entry[kind] for kind in ("key", "secret")}
    return given | {
        name: value for name, value in variables["clearml_agent_environment"].items() if name.endswith("_PASSWORD")
    }


def held_by(text: str, secrets: Secrets) -> list[str]:
    """The names of the secrets that a text holds, as they are or as JSON writes them."""
    return [name for name, value in secrets.items() if value in text or json.dumps(value)[1:-1] in text]


@dataclass
class Watched:
    """What lists of processes showed."""

    looks: int = 0
    shown: list[str] = field(default_factory=list)

    def holding(self, secrets: Secrets) -> list[str]:
        """What held a secret: the secret's name and the program."""
        return [f"{name} in {text[:60]}" for text in self.shown for name in held_by(text, secrets)]


@contextmanager
def watched_processes(host: str | None, user: str = "root") -> Iterator[Watched]:
    """Look at the processes of a host, or of this machine, while the block runs: at what a user may see of them."""
    watched = Watched()
    with python_meanwhile(host, WATCH, None, user) as printed:
        yield watched
    watched.looks, watched.shown = printed["looks"], printed["shown"]


def readable_by_others(host: str, secrets: Secrets, roots: tuple[str, ...] = READABLE) -> list[str]:
    """Files with a secret that somebody without rights can read, so that directories on the way count as well."""
    found = run_python(host, READ_ALL, [roots, dict(secrets)], user="nobody")
    assert found["read"] > 100, "too few files were read to prove anything"
    return [str(path) for path in found["secrets"]]


def journal(host: testinfra.host.Host) -> str:
    """The host's journal, in which Ansible's modules write their arguments."""
    text: str = host.check_output("journalctl --no-pager --quiet --all")
    assert "Invoked with" in text, "the journal does not hold what Ansible's modules write"
    return text


def container_logs(host: testinfra.host.Host) -> str:
    """What all containers wrote, and the files that their logs are in."""
    names = host.check_output("docker ps --all --format '{{.Names}}'").split()
    assert names
    return "".join(log.stdout + log.stderr for log in (host.run("docker logs %s", name) for name in names))


def told_by_the_engine(host: testinfra.host.Host) -> str:
    """Everything that can be inspected."""
    everything = (
        "docker inspect $(docker ps --all --quiet) && docker image inspect $(docker images --quiet)"
        " && docker volume inspect $(docker volume ls --quiet) && docker network inspect $(docker network ls --quiet)"
        " && docker image ls --no-trunc && docker info"
    )
    text: str = host.check_output(everything)
    assert "CLEARML_CONFIG_DIR" in text
    return text
