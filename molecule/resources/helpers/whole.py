"""Whether every file that a run writes on the host is whole, whenever the run was killed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyhocon
import testinfra.host
import yaml
from pyparsing import ParseBaseException

from helpers.expected import ROOT
from helpers.inside import run_python
from helpers.variables import Variables

# Gives the mode and the content of each file of a folder and of some others, data and logs left out.
READ = """
import base64, json, os, sys
folder, others = json.loads(sys.stdin.readline())
paths = [path for path in others if os.path.exists(path)]
for place, folders, names in os.walk(folder):
    if place == folder:
        folders[:] = [name for name in folders if name not in ("data", "logs")]
    paths += [os.path.join(place, name) for name in names]
found = {}
for path in paths:
    try:
        with open(path, "rb") as file:
            found[path] = [os.fstat(file.fileno()).st_mode & 0o777, base64.b64encode(file.read()).decode()]
    except FileNotFoundError:
        continue  # a task that outlived its run has just renamed it
print(json.dumps(found))
"""
DAEMON = "/etc/docker/daemon.json"
SYSCTLS = "/etc/sysctl.d/99-clearml.conf"


@dataclass(frozen=True)
class Written:
    """A file on the host."""

    path: PurePosixPath
    mode: int
    content: str


def written_files(host: testinfra.host.Host, variables: Variables) -> list[Written]:
    """All files that a run writes, as they are now."""
    found = run_python(host.backend.name, READ, [variables["clearml_server_data_root"], [DAEMON, SYSCTLS]])
    return [
        Written(PurePosixPath(path), mode, base64.b64decode(content).decode())
        for path, (mode, content) in found.items()
    ]


def unfinished(files: list[Written], variables: Variables) -> list[str]:
    """Files that no finished run leaves."""
    root = PurePosixPath(variables["clearml_server_data_root"])
    return [str(file.path) for file in files if check_for(file.path, root) is None]


def half_written(files: list[Written], variables: Variables) -> list[str]:
    """What is wrong with files; those of no known name are the unfinished ones of a killed run."""
    root = PurePosixPath(variables["clearml_server_data_root"])
    problems = []
    for file in files:
        secret = file.path.is_relative_to(root / "config") or file.path.is_relative_to(root / "client")
        check = check_for(file.path, root)
        if (check is None or secret or file.path.name == "secrets.yml") and file.mode & 0o077:
            problems.append(f"{file.path} has mode {file.mode:o}")
        try:
            if check and not check(file.content):
                problems.append(f"{file.path} is not whole")
        except (ValueError, yaml.YAMLError, pyhocon.exceptions.ConfigException, ParseBaseException) as error:
            # The error itself may show a secret.
            problems.append(f"{file.path} cannot be parsed ({type(error).__name__})")
    return problems


def check_for(path: PurePosixPath, root: PurePosixPath) -> Callable[[str], bool] | None:
    """How to tell that a file is whole; None for one that no finished run leaves."""
    if path.is_relative_to(root / "compose") and path.name != ".env":
        original = ROOT / "compose" / path.relative_to(root / "compose")
        return (lambda text: text == original.read_text()) if original.exists() else None
    return {
        ".env": is_whole_env,
        "secrets.yml": lambda text: bool(yaml.safe_load(text)) and text.endswith("\n"),
        "release": lambda text: text.endswith("\n"),
        "99-clearml.conf": lambda text: text.endswith("\n"),
        "daemon.json": lambda text: bool(json.loads(text)),
        "clearml.conf": is_whole_hocon,
        "secure.conf": is_whole_hocon,
        "apiserver.conf": is_whole_hocon,
        "services.conf": is_whole_hocon,
        "credentials.json": lambda text: bool(json.loads(text)),
        "service_accounts.json": lambda text: bool(json.loads(text)),
        "addresses.json": lambda text: bool(json.loads(text)),
    }.get(path.name)


def is_whole_hocon(text: str) -> bool:
    """Whether a configuration file parses and holds something."""
    return len(pyhocon.ConfigFactory.parse_string(text)) > 0


def is_whole_env(text: str) -> bool:
    """Whether the last line is the template's."""
    template = (ROOT / "roles" / "clearml_server" / "templates" / "env.j2").read_text()
    return text.endswith("\n") and text.splitlines()[-1].startswith(template.splitlines()[-1].partition("=")[0] + "=")
