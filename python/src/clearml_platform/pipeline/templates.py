"""The four stages, and the template tasks that a controller clones to run them on agents.

An agent clones the code from git, so a template names a repository that agents reach, and a commit that is in it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from clearml_platform.errors import InputError
from clearml_platform.server import Server, exactly

GIT_SECONDS = 20
# The folder of the repository that holds scripts/, src/ and config/. The scripts are run from here.
FOLDER = "python"
# What the stages import: the dependencies of pyproject.toml (a test compares them).
PACKAGES = (
    "annotated-types>=0.6",
    "clearml>=2.1.7",
    "croniter>=6",
    "jinja2>=3.1",
    "joblib>=1.4",
    "matplotlib>=3.8",
    "numpy>=1.26",
    "pandas>=2.2",
    "pandera>=0.24",
    "plotly>=6",
    "pydantic>=2.7",
    "pyyaml>=6",
    "requests>=2.31",
    "rich>=13.9",
    "scikit-learn>=1.5",
    "scipy>=1.13",
    "typer>=0.15",
)


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline.

    ``script`` is relative to FOLDER. ``parameters`` are options of that script; ``${...}`` is filled in by the
    controller. A ``cached`` stage does not run again when code and parameters are those of a run that succeeded.
    """

    name: str
    type: str
    script: str
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    cached: bool = True

    @property
    def template(self) -> str:
        """The name of its template task."""
        return f"{self.name}_template"


# Which settings all stages have: a YAML file, and changes for one run.
_SETTINGS = {"config": "${pipeline.config}", "set": "${pipeline.set}"}
STAGES = (
    Stage("prepare_data", "data_processing", "scripts/data/prepare_data.py", (), _SETTINGS),
    Stage(
        "validate_data",
        "data_processing",
        "scripts/data/validate_data.py",
        ("prepare_data",),
        {**_SETTINGS, "data_task": "${prepare_data.id}"},
    ),
    Stage(
        "train_model",
        "training",
        "scripts/clearml/train_with_clearml.py",
        ("validate_data",),
        {**_SETTINGS, "data_task": "${prepare_data.id}", "model_type": "${pipeline.model_type}"},
    ),
    # Compares with the champion of the moment and may promote: another run may well end otherwise.
    Stage(
        "evaluate_model",
        "testing",
        "scripts/models/evaluate_model.py",
        ("train_model",),
        {**_SETTINGS, "data_task": "${prepare_data.id}", "train_task": "${train_model.id}"},
        cached=False,
    ),
)


@dataclass(frozen=True)
class Source:
    """Code that agents can clone. ``notes`` say what they will not see."""

    repository: str
    commit: str
    notes: tuple[str, ...] = ()


def checkout(repository: str | None = None) -> Path:
    """Return the folder that holds the scripts of the stages.

    Args:
        repository: a checkout of the repository; the one that this runs from when None.

    Raises:
        InputError: they are not there, such as beside an installed package.
    """
    start = Path(repository) if repository else Path.cwd()
    beside = () if repository else (Path(__file__).parents[3],)
    folder: Path
    for folder in (*beside, start, start / FOLDER):
        if all((folder / stage.script).is_file() for stage in STAGES):
            return folder.resolve()
    raise InputError(
        f"The scripts of the stages are not in {start}: run this in a checkout of the repository, "
        "or name one with --repository."
    )


def find_source(repository: str | None = None, commit: str | None = None) -> Source:
    """Return the code that agents are to clone.

    Args:
        repository: a git URL, or the folder of a checkout; the checkout that this runs from when None.
        commit: a full commit id; what is checked out when None, or the newest of a URL.

    Raises:
        InputError: there is no remote, it cannot be reached from here, or the commit is not in it.
    """
    if repository and not Path(repository).is_dir():
        return _of_url(repository, commit)
    if repository and _git(Path(repository), "rev-parse", "--is-bare-repository") == "true":
        return _of_url(Path(repository).resolve().as_uri(), commit)
    folder = checkout(repository)
    if _git(folder, "rev-parse", "--show-toplevel") is None:
        raise InputError(
            f"{folder} is no git checkout, and agents clone the code: name a --repository URL, or run with --local."
        )
    remotes = (_git(folder, "remote") or "").split()
    if not remotes:
        raise InputError(
            f"The checkout {folder} has no git remote, and agents clone the code from one: "
            "add and push to a remote that they reach, or run with --local."
        )
    remote = "origin" if "origin" in remotes else remotes[0]
    url = _git(folder, "remote", "get-url", remote) or ""
    if Path(url).is_dir():
        url = Path(url).resolve().as_uri()
    tips = set(_listed(url).values())
    wanted = _git(folder, "rev-parse", "--verify", f"{commit or 'HEAD'}^{{commit}}")
    if wanted is None:
        raise InputError(f"--commit: there is no commit {commit!r} in {folder}.")
    if not _contains(folder, tips, remote, wanted):
        raise InputError(
            f"The commit {wanted[:12]} is not in the remote {_public(url)}, from which agents clone: push it first."
        )
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    notes = ("Changes that are not committed are not part of what agents run.",) if changed and not commit else ()
    return Source(_public(url), wanted, notes)


def create_templates(
    project: str, repository: str, commit: str, *, server: Server | None = None, stages: tuple[Stage, ...] = STAGES
) -> dict[str, str]:
    """Make the template tasks of a project, or bring those that are there to this repository and commit.

    Args:
        project: the name of the project; it is made when it is missing.
        repository: the git URL that agents clone.
        commit: the full commit id.
        server: the server; the configured one when None.
        stages: the stages.

    Returns:
        The ids of the template tasks, by name.
    """
    server = server or Server.connect()
    identifier = server.made_project(project)
    return {stage.template: _template(server, project, identifier, repository, commit, stage) for stage in stages}


def _template(server: Server, project: str, identifier: str, repository: str, commit: str, stage: Stage) -> str:
    wanted = {
        "repository": repository,
        "version_num": commit,
        "working_dir": FOLDER,
        "entry_point": stage.script,
        "requirements": {"pip": "\n".join(PACKAGES)},
    }
    # A template that somebody ran is an experiment from then on, and another one takes its place.
    found = server.call(
        "tasks.get_all",
        project=[identifier],
        name=exactly(stage.template),
        type=[stage.type],
        status=["created"],
        system_tags=["-archived"],
        order_by=["created", "id"],
        only_fields=["id", "script"],
    )["tasks"]
    if found:
        task, script = str(found[0]["id"]), found[0].get("script") or {}
        if any(script.get(key) != value for key, value in wanted.items()):
            server.call("tasks.edit", task=task, script={**script, **wanted})
        return task
    from clearml import Task

    made: Any = Task.create(
        project_name=project,
        task_name=stage.template,
        task_type=stage.type,
        repo=repository,
        commit=commit,
        script=stage.script,
        working_directory=FOLDER,
        packages=list(PACKAGES),
        # The scripts do it themselves.
        add_task_init_call=False,
    )
    return str(made.id)


def _of_url(url: str, commit: str | None) -> Source:
    heads = _listed(url)
    if commit is None and "HEAD" not in heads:
        raise InputError(f"--repository: {_public(url)} is empty; agents would find no code in it.")
    if commit is not None and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise InputError(f"--commit: {commit!r} is no full commit id (40 hexadecimal digits), which a URL needs.")
    return Source(_public(url), commit or heads["HEAD"])


def _listed(url: str) -> dict[str, str]:
    """Return what a remote's references point at, asked without ever waiting for a password."""
    # A URL that begins with a dash would be an option.
    command = ["git", "ls-remote", "--", url]
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh")
        + f" -oBatchMode=yes -oConnectTimeout={GIT_SECONDS}",
        "LC_ALL": "C",
    }
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **quiet},
        )
    except subprocess.TimeoutExpired:
        why = f"no answer within {GIT_SECONDS} s"
    except FileNotFoundError:
        raise InputError("There is no git here, which is needed to see whether agents can clone the code.") from None
    else:
        if answer.returncode == 0:
            lines = (line.split("\t", 1) for line in answer.stdout.splitlines())
            return {name: commit for commit, name in lines}
        said = [line for line in answer.stderr.replace(url, _public(url)).splitlines() if line.strip()]
        why = said[0].removeprefix("fatal: ").rstrip(".") if said else f"git ended with {answer.returncode}"
    raise InputError(
        f"The git remote {_public(url)} cannot be reached from here ({why}), and agents clone the code from it: "
        "name another --repository, or run with --local."
    )


def _contains(folder: Path, tips: set[str], remote: str, commit: str) -> bool:
    """Whether a remote has a commit: it is one of its tips, or comes before one that is known here."""
    if commit in tips:
        return True
    before = any(_git(folder, "merge-base", "--is-ancestor", commit, tip) is not None for tip in tips)
    # Others may have pushed since: what was fetched from the remote is in it, too.
    return before or bool(_git(folder, "branch", "-r", "--list", f"{remote}/*", "--contains", commit))


def _public(url: str) -> str:
    """Return a URL without name and password: tasks can be read by everybody, and agents have their own."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints in a folder, None when it fails."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
