"""Collecting experiments: whole pages of tasks with just the fields that are compared, whatever their number."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from clearml_platform.compare import filters
from clearml_platform.compare.experiment import DETAILED, Artifact, Comparison, Curve, Experiment, Metric, Script
from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT
from clearml_platform.server import PAGE, Server, exactly

FIELDS = (
    "name type status tags project.name user.name started completed last_update active_duration hyperparams"
    " last_metrics script.repository script.branch script.version_num script.entry_point script.working_dir"
).split()
# These may be large, and are no use for filters.
DETAILS = ["script.diff", "script.requirements", "execution.artifacts"]
ID = re.compile(r"[0-9a-f]{32}")
# What the SDK calls the single values of a task.
SINGLE = "Summary"
# Points of a curve: of a few experiments, and of many.
FINE, COARSE, FEW = 1000, 200, 10
LOG_LINES = 200
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*(?:===?\s*|(?=[<>~!@]))(?P<version>[^;#\s][^;#]*)")


class Version(Protocol):
    """A version of a model, as `clearml_platform.models` knows it."""

    id: str
    name: str
    version: int
    stage: str
    tags: Sequence[str]
    framework: str
    project: str
    metrics: Mapping[str, Any]
    parameters: Mapping[str, Any]
    created: str


def collect(
    server: Server,
    *,
    ids: Sequence[str] = (),
    project: str | None = None,
    tags: Sequence[str] = (),
    where: str = "",
    top: int | None = None,
    metric: str | None = None,
    curves: bool = False,
) -> Comparison:
    """Collect experiments, in at most 4 requests for 1,000 of them, and one more for curves.

    Of more than 100, neither the packages nor what was not committed is collected.

    Args:
        server: Where they are.
        ids: Ids of experiments, or names in the project that one experiment alone has; they keep this order. Without
            any, all experiments of the project and of the projects in it, the oldest first; those that are archived
            are left out.
        project: The project; by default, that of the platform for names and where there are no ids.
        tags: What each experiment has to be tagged with, all of them.
        where: An expression such as ``test_r2>0.8 and status=completed``, see `clearml_platform.compare.filters`.
        top: Keep so many, the best by ``metric``.
        metric: A metric to rank by, the best first: its last value, or the extreme of all of its values when the name
            ends in ``.min`` or ``.max``. Experiments without it come last.
        curves: Whether to collect the curves of the first 100, and the log of an experiment that is alone.

    Raises:
        InputError: An id, a name, a project or a metric that there is not, an expression that cannot be read, or no
            experiment left.
        ServerError: The server does not answer, or refuses.
    """
    if top is not None and (top < 1 or metric is None):
        raise InputError(
            "The number of the best has to be 1 or more." if metric else "The best (--top) need a --metric to rank by."
        )
    wanted = filters.parse(where) if where.strip() else None
    found = _fetch(server, list(dict.fromkeys(ids)), project, tags)
    tasks = _experiments(server, found)
    tasks = [task for task in tasks if set(tags) <= set(task.tags)]
    tasks = wanted.matching(tasks) if wanted else tasks
    name = None
    if metric is not None and tasks:
        tasks, name = filters.ranked(tasks, metric, top)
    if not tasks:
        raise InputError(f"No experiment {_selection(ids, project, tags, where)}.")
    if len(tasks) <= DETAILED:
        tasks = _detailed(server, tasks, found)
    comparison = Comparison(tasks, metric=name)
    if curves:
        log = _log(server, tasks[0]) if len(tasks) == 1 else ()
        comparison = dataclasses.replace(comparison, curves=_curves(server, tasks[:DETAILED]), log=log)
    return comparison


def of_models(versions: Iterable[Version]) -> Comparison:
    """Return versions of models side by side: their stages in the place of a status."""
    tasks = [
        Experiment(
            id=one.id,
            name=f"{one.name} {one.version}",
            project=one.project,
            status=one.stage,
            tags=tuple(one.tags),
            type=one.framework,
            started=one.created,
            parameters={name: str(value) for name, value in one.parameters.items()},
            metrics={
                name: Metric(number, number, number)
                for name, value in one.metrics.items()
                if (number := filters.number(value)) is not None
            },
        )
        for one in versions
    ]
    if not tasks:
        raise InputError("There is no model to compare.")
    return Comparison(tasks, kind="model")


def _fetch(server: Server, ids: list[str], project: str | None, tags: Sequence[str]) -> list[dict[str, Any]]:
    names = [one for one in ids if not ID.fullmatch(one)]
    place = server.existing_project(project or PROJECT) if project or names or not ids else None
    where: dict[str, Any] = {"project": [place], "include_subprojects": True} if place else {}
    if not ids:
        wanted = {**where, "system_tags": ["-archived"], "tags": ["__$all", *tags] if tags else None}
        return list(_tasks(server, order_by=["created", "id"], **wanted))
    found: dict[str, dict[str, Any]] = {}
    known = [one for one in ids if ID.fullmatch(one)]
    inside = where if project else {}
    for start in range(0, len(known), PAGE):
        # As many ids as fit into a page: there is no other one to ask for.
        page: dict[str, Any] = {"id": known[start : start + PAGE], "page": 0, "page_size": PAGE, "search_hidden": True}
        fields = _fields(whole=len(ids) <= DETAILED)
        answer = server.call("tasks.get_all_ex", only_fields=fields, **page, **inside)
        found |= {task["id"]: task for task in answer.get("tasks") or []}
    for name in names:
        named = list(_tasks(server, name=exactly(name), system_tags=["-archived"], **where))
        if len(named) > 1:
            shown = ", ".join(task["id"] for task in named[:5])
            raise InputError(
                f"{len(named)} experiments of {project or PROJECT!r} are named {name!r}, give an id: {shown}."
            )
        found |= {name: named[0]} if named else {}
    missing = next((one for one in ids if one not in found), None)
    if missing is not None:
        raise InputError(_unknown(server, missing, project))
    # A task that is given by its id and by its name is one task.
    return list({found[one]["id"]: found[one] for one in ids}.values())


def _unknown(server: Server, reference: str, project: str | None) -> str:
    place = f"in {project or PROJECT!r} on {server.api_host}"
    if ID.fullmatch(reference):
        return f"There is no experiment with the id {reference} {place if project else f'on {server.api_host}'}."
    return f"There is no experiment named {reference!r} {place}, and an id has 32 digits of 0-9 and a-f."


def _fields(*, whole: bool) -> list[str]:
    return ["id", *FIELDS, *(DETAILS if whole else [])]


def _tasks(server: Server, **wanted: Any) -> Iterator[dict[str, Any]]:
    return server.pages("tasks.get_all_ex", "tasks", only_fields=_fields(whole=False), **wanted)


def _experiments(server: Server, tasks: Sequence[dict[str, Any]]) -> list[Experiment]:
    reported = [
        [value for variants in (task.get("last_metrics") or {}).values() for value in variants.values()]
        for task in tasks
    ]
    curves = {_title(value) for values in reported for value in values if value.get("metric") != SINGLE}
    return [
        Experiment(
            id=task["id"],
            name=task.get("name") or "",
            project=(task.get("project") or {}).get("name") or "",
            status=task.get("status") or "",
            tags=tuple(sorted(task.get("tags") or ())),
            type=task.get("type") or "",
            user=(task.get("user") or {}).get("name") or "",
            started=task.get("started") or "",
            runtime_seconds=_runtime(task),
            parameters={
                f"{section}/{name}": str(item.get("value") or "")
                for section, items in (task.get("hyperparams") or {}).items()
                for name, item in items.items()
            },
            metrics=_metrics(values, curves),
            script=_script(task.get("script") or {}),
            page=server.task_page(task["id"], (task.get("project") or {}).get("id")),
        )
        for task, values in zip(tasks, reported, strict=True)
    ]


def _title(value: Mapping[str, Any]) -> str:
    metric, variant = value.get("metric") or "", value.get("variant") or ""
    return metric if metric == variant else f"{metric}/{variant}"


def _metrics(values: Iterable[Mapping[str, Any]], curves: set[str]) -> dict[str, Metric]:
    """Name single values by their own names, unless there is a curve of that name in any of the experiments."""
    metrics = {}
    for value in values:
        variant = value.get("variant") or ""
        name = variant if value.get("metric") == SINGLE and variant not in curves else _title(value)
        last = filters.number(value.get("value"))
        if last is not None:
            low, high = filters.number(value.get("min_value")), filters.number(value.get("max_value"))
            metrics[name] = Metric(last, last if low is None else low, last if high is None else high)
    return metrics


def _runtime(task: Mapping[str, Any]) -> float | None:
    if task.get("active_duration") is not None:
        return float(task["active_duration"])
    begin, end = task.get("started"), task.get("completed") or task.get("last_update")
    if not begin or not end:
        return None
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def _script(script: Mapping[str, Any]) -> Script:
    return Script(
        repository=script.get("repository") or "",
        branch=script.get("branch") or "",
        commit=script.get("version_num") or "",
        entry_point=script.get("entry_point") or "",
        working_dir=script.get("working_dir") or "",
    )


def _detailed(server: Server, tasks: Sequence[Experiment], found: Sequence[Mapping[str, Any]]) -> list[Experiment]:
    """Return few experiments with their details, which may have been found with them."""
    rows = {row["id"]: row for row in found if "execution" in row}
    missing = [task.id for task in tasks if task.id not in rows]
    if missing:
        answer = server.call(
            "tasks.get_all_ex", id=missing, page=0, page_size=PAGE, search_hidden=True, only_fields=["id", *DETAILS]
        )
        rows |= {row["id"]: row for row in answer.get("tasks") or []}
    return [_with_details(task, rows.get(task.id, {})) for task in tasks]


def _with_details(task: Experiment, row: Mapping[str, Any]) -> Experiment:
    script = row.get("script") or {}
    artifacts = (row.get("execution") or {}).get("artifacts") or []
    return dataclasses.replace(
        task,
        script=dataclasses.replace(task.script, changes=script.get("diff") or ""),
        packages=packages((script.get("requirements") or {}).get("pip") or ""),
        artifacts=tuple(
            Artifact(one["key"], one.get("type") or "", one.get("uri") or "", one.get("content_size"))
            for one in artifacts
        ),
    )


def packages(requirements: str | Sequence[str]) -> dict[str, str]:
    """Return the versions in the lines of a requirements.txt; a package without one is left out."""
    lines = requirements.splitlines() if isinstance(requirements, str) else requirements
    found = (PACKAGE.match(line.strip()) for line in lines)
    return {match["name"].lower().replace("_", "-"): "".join(match["version"].split()) for match in found if match}


def _curves(server: Server, tasks: Sequence[Experiment]) -> dict[str, dict[str, Curve]]:
    samples = FINE if len(tasks) <= FEW else COARSE
    answer = server.call(
        "events.multi_task_scalar_metrics_iter_histogram", tasks=[task.id for task in tasks], samples=samples
    )
    curves: dict[str, dict[str, Curve]] = {}
    for metric, variants in sorted((answer.get("metrics") or {}).items()):
        for variant, lines in sorted(variants.items()):
            title = _title({"metric": metric, "variant": variant})
            curves[title] = {task: Curve(*_finite(line["x"], line["y"])) for task, line in lines.items()}
    return curves


def _finite(iterations: Sequence[float], values: Sequence[Any]) -> tuple[list[float], list[float]]:
    pairs = [(x, y) for x, y in zip(iterations, values, strict=True) if y is not None and math.isfinite(y)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _log(server: Server, task: Experiment) -> tuple[str, ...]:
    answer = server.call("events.get_task_log", task=task.id, batch_size=LOG_LINES, order="asc")
    text = "\n".join(str(event.get("msg") or "").rstrip("\n") for event in answer.get("events") or [])
    # What was written over in the terminal, such as a progress bar, is not part of the log.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in COLOURS.sub("", text).split("\n")] if text else []
    return tuple(lines[-LOG_LINES:])


def _selection(ids: Sequence[str], project: str | None, tags: Sequence[str], where: str) -> str:
    parts = [] if ids else [f"in {project or PROJECT!r}"]
    parts += [f"tagged {', '.join(tags)}"] if tags else []
    parts += [f"that matches {where!r}"] if where.strip() else []
    return " ".join(["is", *parts]) if parts else "was found"
