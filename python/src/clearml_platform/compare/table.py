"""A comparison as tables: what they say, and how a terminal shows it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clearml_platform.compare.experiment import DETAILED, MACHINE, Comparison, Experiment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# More experiments than these are no longer columns beside each other, but lines below each other.
BESIDE = 8
NOTHING = "-"
# Width of the column of an experiment, and of one that names things, in characters.
COLUMN, NAMES = 24, 28
# Between two columns, and at the edge, in characters.
PADDING = 3
SHORT_ID, COMMIT = 8, 12


@dataclass(frozen=True)
class Cell:
    """What one experiment has. ``delta`` is the difference to the first, ``changed`` says that there is one."""

    text: str
    delta: str = ""
    best: bool = False
    changed: bool = False

    def __str__(self) -> str:
        return f"{self.text}{f' ({self.delta})' if self.delta else ''}{' *' if self.best else ''}"


@dataclass(frozen=True)
class Row:
    """One thing, of all experiments."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether the experiments differ in it."""
        return len({cell.text for cell in self.cells}) > 1


@dataclass(frozen=True)
class Section:
    """Rows that belong together; ``same`` others are left out, because all experiments agree in them."""

    title: str
    rows: tuple[Row, ...]
    same: int = 0


def sections(comparison: Comparison, *, everything: bool = False) -> list[Section]:
    """Return what there is to say of the experiments: by default, of parameters, code and packages what differs.

    A section without rows is left out, unless something was left out of it.
    """
    tasks = comparison.tasks
    every = everything or len(tasks) == 1
    parameters = [_named(tasks, name, lambda task: task.parameters) for name in comparison.parameters]
    code = [_row(tasks, name, get) for name, get in _CODE.items()]
    made = [
        _about(comparison),
        Section("Metrics", tuple(_metric(comparison, name) for name in shown_metrics(comparison, everything))),
        _section("Parameters", parameters, every),
        _section("Code", [row for row in code if any(cell.text != NOTHING for cell in row.cells)], every),
    ]
    if len(tasks) <= DETAILED:
        names = sorted({name for task in tasks for name in task.packages})
        rows = [_named(tasks, name, lambda task: task.packages) for name in names]
        made.append(_section("Packages", rows, every))
    return [section for section in made if section.rows or section.same]


def shown_metrics(comparison: Comparison, everything: bool = False) -> list[str]:
    """Return the metrics to show: without those of the machine, unless everything is asked for."""
    return [name for name in comparison.metrics if everything or not name.startswith(MACHINE)]


def titles(comparison: Comparison) -> list[str]:
    """Return what names each experiment: its name, and the beginning of its id where another has the same name."""
    names = [task.name for task in comparison.tasks]
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    return [
        f"{task.name} ({task.id[:SHORT_ID]})" if task.name in twice else task.name or task.id[:SHORT_ID]
        for task in comparison.tasks
    ]


def show(comparison: Comparison, console: Console, *, everything: bool = False, beside: bool | None = None) -> None:
    """Print a comparison to a terminal, as narrow as it may be; without colours where it has none.

    Args:
        comparison: What to print.
        console: Where to.
        everything: All parameters, code, packages and metrics of the machine, not only what differs.
        beside: Experiments beside each other, or below each other; by default, as their number allows.
    """
    parts = sections(comparison, everything=everything)
    if beside if beside is not None else len(comparison.tasks) <= BESIDE:
        _show_beside(comparison, parts, console)
    else:
        _show_below(comparison, parts, console)
    if len(comparison.tasks) > 1:
        console.print("* best; in parentheses: the difference to the first", style="dim", highlight=False)


def _show_beside(comparison: Comparison, parts: Sequence[Section], console: Console) -> None:
    """Show as many experiments beside each other as fit, with the first among them, and then the next ones."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names, number = titles(comparison), len(comparison.tasks)
    labels = [section.title + same_text(section) for section in parts]
    labels += [row.name for section in parts for row in section.rows]
    named = min(NAMES, console.width // 3, max(map(len, labels)))
    others = (console.width - named) // COLUMN - 1
    if others >= number - 1:
        blocks = [list(range(number))]
    elif others > 0:
        blocks = [[0, *range(start, min(start + others, number))] for start in range(1, number, others)]
    else:
        blocks = [[index] for index in range(number)]
    for block in blocks:
        table = Table(box=box.SIMPLE_HEAD if console.encoding.startswith("utf") else box.ASCII2, pad_edge=False)
        table.add_column("", overflow="fold", width=named)
        for index in block:
            table.add_column(Text(names[index]), overflow="fold")
        for section in parts:
            table.add_row(Text(section.title + same_text(section), style="bold"), end_section=not section.rows)
            for row in section.rows:
                table.add_row(Text(row.name), *(_text(row.cells[index]) for index in block))
            table.add_section()
        console.print(table)


def _show_below(comparison: Comparison, parts: Sequence[Section], console: Console) -> None:
    """Show a line for each experiment, of as many columns as fit; the others are named below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = listed(parts)
    names = titles(comparison)
    wide = {row.name: max(len(row.name), *(len(str(cell)) for cell in row.cells)) + PADDING for row in columns}
    # An id is to be copied: it is never cut.
    first = next(row for row in columns if row.name == "id")
    named = min(NAMES, max(map(len, names)), console.width // 3)
    left = console.width - wide["id"] - named - PADDING
    chosen = []
    for row in columns:
        if row is not first and wide[row.name] <= left:
            chosen.append(row)
            left -= wide[row.name]
    table = Table(box=box.SIMPLE_HEAD if console.encoding.startswith("utf") else box.ASCII2, pad_edge=False)
    table.add_column("id", no_wrap=console.width >= 40, overflow="fold")
    table.add_column("name", overflow="fold", min_width=named)
    for row in chosen:
        table.add_column(Text(row.name), no_wrap=True)
    for index, name in enumerate(names):
        table.add_row(first.cells[index].text, Text(name), *(_text(row.cells[index]) for row in chosen))
    console.print(table)
    hidden = [row.name for row in columns if row is not first and row not in chosen]
    if hidden:
        text = f"Too narrow for {', '.join(hidden[:8])}{' …' if len(hidden) > 8 else ''}: --export writes all."
        console.print(Text(text, style="dim"))


def listed(parts: Sequence[Section]) -> list[Row]:
    """Return all rows in the order in which a list is most useful: what it is, how good it is, what differs."""
    about = {row.name: row for row in parts[0].rows}
    rows = {part.title: part.rows for part in parts[1:]}
    metrics = rows.pop("Metrics", ())
    first = [about.pop("id"), *metrics[:1], about.pop("status"), *metrics[1:]]
    first += [about.pop("run time"), about.pop("tags")]
    return [*first, *(row for part in rows.values() for row in part), *about.values()]


def same_text(section: Section) -> str:
    """Return how many rows a section leaves out."""
    return f" ({section.same} the same)" if section.same else ""


def _text(cell: Cell) -> Text:
    from rich.text import Text

    style = "bold green" if cell.best else "yellow" if cell.changed and not cell.delta else ""
    return Text(str(cell), style=style)


def _about(comparison: Comparison) -> Section:
    tasks = comparison.tasks
    mixed = len({task.project for task in tasks}) > 1 or len(tasks) == 1
    return Section(
        comparison.kind.capitalize() + ("s" if len(tasks) > 1 else "")
        if mixed
        else f"{comparison.kind.capitalize()}s of {tasks[0].project}",
        tuple(_row(tasks, name, get, marked=False) for name, get in _ABOUT.items() if mixed or name != "project"),
    )


def _section(title: str, rows: Sequence[Row], everything: bool) -> Section:
    kept = tuple(row for row in rows if everything or row.differs)
    return Section(title, kept, len(rows) - len(kept))


def _row(
    tasks: Sequence[Experiment], name: str, get: Callable[[Experiment], str | None], *, marked: bool = True
) -> Row:
    texts = [get(task) or NOTHING for task in tasks]
    return Row(name, tuple(Cell(text, changed=marked and text != texts[0]) for text in texts))


def _named(tasks: Sequence[Experiment], name: str, of: Callable[[Experiment], Mapping[str, str]]) -> Row:
    return _row(tasks, name, lambda task: of(task).get(name))


def _metric(comparison: Comparison, name: str) -> Row:
    values = [task.metrics[name].last if name in task.metrics else None for task in comparison.tasks]
    first, best = values[0], comparison.best(name)
    cells = []
    for index, value in enumerate(values):
        if value is None:
            cells.append(Cell(NOTHING, changed=first is not None))
            continue
        delta = f"{value - first:+.3g}" if index and first is not None and value != first else ""
        cells.append(Cell(f"{value:.6g}", delta, best=value == best, changed=value != first))
    return Row(name, tuple(cells))


def duration(seconds: float | None) -> str | None:
    """Return a time that a person can read."""
    return None if seconds is None else str(timedelta(seconds=round(seconds)))


def _date(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M") if text else ""


def _changes(task: Experiment) -> str:
    if not task.script.changes:
        return ""
    lines = len(task.script.changes.splitlines())
    counted = "1 line" if lines == 1 else f"{lines} lines"
    # Two experiments with as many lines need not have the same ones.
    return f"{counted}, {hashlib.sha256(task.script.changes.encode()).hexdigest()[:6]}"


_ABOUT: dict[str, Callable[[Experiment], str | None]] = {
    "id": lambda task: task.id,
    "project": lambda task: task.project,
    "status": lambda task: task.status,
    "run time": lambda task: duration(task.runtime_seconds),
    "tags": lambda task: ", ".join(task.tags),
    "type": lambda task: task.type,
    "user": lambda task: task.user,
    "started": lambda task: _date(task.started),
}
_CODE: dict[str, Callable[[Experiment], str | None]] = {
    "repository": lambda task: task.script.repository,
    "branch": lambda task: task.script.branch,
    "commit": lambda task: task.script.commit[:COMMIT],
    "entry point": lambda task: task.script.entry_point,
    "folder": lambda task: task.script.working_dir,
    "not committed": _changes,
}
