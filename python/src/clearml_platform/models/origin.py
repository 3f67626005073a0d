"""Where a model comes from: its task, and that task's code and data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from clearml_platform.errors import InputError
from clearml_platform.models.versions import COMMIT, METRICS, PARAMETERS, REPOSITORY
from clearml_platform.server import Server

FIELDS = "id name project status type user parent script hyperparams last_metrics execution.artifacts models".split()
# Longer values are cut in the metadata, whole in the task.
LONGEST = 1000
# Metric of values that were reported without a step.
SINGLE_VALUES = "Summary"
# Metrics that the SDK reports of the machine.
MACHINE = ":monitor:"
# Section in which the SDK notes the data sets that a task took.
DATASETS = "Datasets"
DATA_WORDS = {"artifact", "csv", "data", "dataset", "datasets", "file", "path", "source", "target", "url", "uri"}


def existing_task(server: Server, identifier: str) -> dict[str, Any]:
    """Return what is needed of a task.

    Raises:
        InputError: there is none with this id.
    """
    task = find_task(server, identifier)
    if task is None:
        raise InputError(f"There is no task {identifier!r} on {server.api_host}: task_id takes the id of a task.")
    return task


def find_task(server: Server, identifier: str) -> dict[str, Any] | None:
    """Return what is needed of a task, None when it is no longer there."""
    found = server.call("tasks.get_all", id=[identifier], only_fields=FIELDS, search_hidden=True)["tasks"]
    return dict(found[0]) if found else None


def notes(task: Mapping[str, Any]) -> dict[str, str]:
    """Return what a model's metadata keeps of its task: parameters, last metrics, code."""
    script = task.get("script") or {}
    code = {REPOSITORY: script.get("repository"), COMMIT: script.get("version_num")}
    return {
        **{PARAMETERS + name: _cut(value) for name, value in _parameters(task)},
        **{METRICS + name: repr(value) for name, value in _metrics(task)},
        **{key: str(value) for key, value in code.items() if value},
    }


def of_task(server: Server, task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a model's lineage that its task tells."""
    script = task.get("script") or {}
    artifacts = (task.get("execution") or {}).get("artifacts") or []
    parameters = dict(_parameters(task))
    return {
        "task": {
            **{key: task.get(key) for key in ("id", "name", "status", "type", "user", "parent")},
            "page": server.task_page(str(task["id"]), task.get("project")),
        },
        "commit": script.get("version_num") or None,
        "repository": script.get("repository") or None,
        "branch": script.get("branch") or None,
        "entry_point": script.get("entry_point") or None,
        "uncommitted_changes": bool(script.get("diff")),
        "data": {
            "datasets": {
                name.partition("/")[2]: value for name, value in parameters.items() if name.startswith(f"{DATASETS}/")
            },
            "artifacts": [
                {"name": item.get("key"), **{key: item.get(key) for key in ("mode", "uri", "hash")}}
                for item in artifacts
            ],
            "models": [item.get("model") for item in (task.get("models") or {}).get("input") or []],
            "parameters": {
                name: value
                for name, value in parameters.items()
                if DATA_WORDS & set(re.split(r"[^a-z0-9]+", name.lower())) and not name.startswith(f"{DATASETS}/")
            },
        },
    }


def _parameters(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, items in sorted((task.get("hyperparams") or {}).items()):
        for name, item in sorted(items.items()):
            yield f"{section}/{name}", str(item.get("value") or "")


def _metrics(task: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for variants in (task.get("last_metrics") or {}).values():
        for item in variants.values():
            title, series = item["metric"], item["variant"]
            if not title.startswith(MACHINE) and item.get("value") is not None:
                name = series if title in (SINGLE_VALUES, series) else f"{title}/{series}"
                yield name, float(item["value"])


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters, whole in the task)"
