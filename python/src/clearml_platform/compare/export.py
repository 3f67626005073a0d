"""A comparison in a file: for machines, for spreadsheets, for a merge request, and for a browser."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clearml_platform.compare import page
from clearml_platform.compare.experiment import Comparison, smaller_is_better
from clearml_platform.compare.table import BESIDE, Section, listed, same_text, sections, shown_metrics, titles
from clearml_platform.errors import InputError

SEPARATOR = " | "


def write(comparison: Comparison, path: Path, *, everything: bool = False) -> None:
    """Write a comparison in the format that the file's suffix names; a file that is there is replaced.

    Args:
        comparison: What to write.
        path: A file that ends in .json, .csv, .md or .html.
        everything: All parameters, code and packages, not only what differs. A .json or .csv has them always.

    Raises:
        InputError: The suffix is none of these, or the file cannot be written.
    """
    check(path)
    text = _FORMATS[path.suffix.lower()](comparison, everything)
    try:
        # Whoever has the page open sees the old one or the new one, and no half of it.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".compare-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, str(error.strerror)) from error


def check(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is collected.

    Raises:
        InputError: The suffix is unknown, or the folder is not there or not writable.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"The export {str(path)!r} has to end in one of {', '.join(_FORMATS)}.")
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if not path.parent.is_dir():
        raise _unwritable(path, f"there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _unwritable(path, f"the folder {str(path.parent)!r} is not writable")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return all that is known of the experiments, as JSON has it; without curves and log."""
    parts = {section.title: section for section in sections(comparison)}
    tasks = []
    for task in comparison.tasks:
        row = {name: value for name, value in vars(task).items() if name not in ("metrics", "script", "artifacts")}
        row["tags"] = list(task.tags)
        row["metrics"] = {name: vars(value) for name, value in task.metrics.items()}
        row["script"] = vars(task.script)
        row["artifacts"] = [vars(one) for one in task.artifacts]
        tasks.append(row)
    metrics = {}
    for name in comparison.metrics:
        first, best = comparison.tasks[0].metrics.get(name), comparison.best(name)
        having = [task for task in comparison.tasks if name in task.metrics]
        metrics[name] = {
            "better": "smaller" if smaller_is_better(name) else "larger",
            "best": [task.id for task in having if task.metrics[name].last == best],
            "delta": {task.id: task.metrics[name].last - first.last for task in having} if first else {},
        }
    differing = {
        title.lower(): [row.name for row in parts[title].rows] if title in parts and len(tasks) > 1 else []
        for title in ("Parameters", "Code", "Packages")
    }
    return {"ranked_by": comparison.metric, f"{comparison.kind}s": tasks, "metrics": metrics, "differing": differing}


def _json(comparison: Comparison, everything: bool) -> str:  # noqa: ARG001  # all formats are called alike
    return json.dumps(as_json(comparison), indent=2, ensure_ascii=False) + "\n"


def _csv(comparison: Comparison, everything: bool) -> str:  # noqa: ARG001
    """A line for each experiment; numbers in full, and the difference to the first beside each metric."""
    output = io.StringIO()
    first = comparison.tasks[0]
    metrics, parameters = comparison.metrics, comparison.parameters
    packages = sorted({name for task in comparison.tasks for name in task.packages})
    head = "id name project status tags type user started runtime_seconds".split()
    code = "repository branch commit entry_point".split()
    columns = [column for name in metrics for column in (f"metric:{name}", f"delta:{name}")]
    writer = csv.writer(output)
    writer.writerow(
        [*head, *columns, *(f"parameter:{one}" for one in parameters), *code, *(f"package:{one}" for one in packages)]
    )
    for task in comparison.tasks:
        values: list[object] = []
        for name in metrics:
            mine, its = task.metrics.get(name), first.metrics.get(name)
            values += ["" if mine is None else mine.last, "" if mine is None or its is None else mine.last - its.last]
        about = {**vars(task), "tags": ";".join(task.tags)}
        writer.writerow(
            [
                *(about[name] for name in head),
                *values,
                *(task.parameters.get(name, "") for name in parameters),
                *(vars(task.script)[name] for name in code),
                *(task.packages.get(name, "") for name in packages),
            ]
        )
    return output.getvalue()


def _markdown(comparison: Comparison, everything: bool) -> str:
    parts = sections(comparison, everything=everything)
    names = titles(comparison)
    lines = [f"# {len(names)} {comparison.kind}s" if len(names) > 1 else f"# {_escaped(names[0])}", ""]
    if len(names) <= BESIDE:
        for section in parts:
            lines += [f"## {_escaped(section.title)}{same_text(section)}", ""]
            lines += _grid(["", *names], _lines(section)) if section.rows else []
    else:
        rows = listed(parts)
        content = [[name, *(str(row.cells[index]) for row in rows)] for index, name in enumerate(names)]
        lines += _grid(["name", *(row.name for row in rows)], content)
    if len(names) > 1:
        lines += ["`*` best; in parentheses: the difference to the first.", ""]
    return "\n".join(lines)


def _lines(section: Section) -> list[list[str]]:
    return [[row.name, *(str(cell) for cell in row.cells)] for row in section.rows]


def _grid(head: list[str], rows: list[list[str]]) -> list[str]:
    written = [head, ["---"] * len(head), *rows]
    marks = [[cell if line is written[1] else _escaped(cell) for cell in line] for line in written]
    return [*(f"| {SEPARATOR.join(line)} |" for line in marks), ""]


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _html(comparison: Comparison, everything: bool) -> str:
    return page.html(
        comparison,
        sections(comparison, everything=everything),
        titles(comparison),
        shown_metrics(comparison, everything),
    )


def _unwritable(path: Path, why: str) -> InputError:
    return InputError(f"The export {str(path)!r} cannot be written: {why}.")


_FORMATS: dict[str, Callable[[Comparison, bool], str]] = {
    ".json": _json,
    ".csv": _csv,
    ".md": _markdown,
    ".html": _html,
}
