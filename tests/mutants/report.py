"""What a person, or a program, gets to read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.mutants.table import Mutant
from tests.mutants.verdict import Outcome, Verdict

STYLES = {Outcome.CAUGHT: "green", Outcome.SURVIVED: "bold red", Outcome.UNCLEAR: "yellow"}


@dataclass(frozen=True)
class Result:
    """What became of one fault."""

    mutant: Mutant
    verdict: Verdict
    seconds: float


def console(*, stderr: bool = False) -> Console:
    """Where to write. A file or a pipe has no width that lines would have to fit into."""
    chosen = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not chosen.is_terminal:
        chosen.width = 240
    return chosen


def progress(output: Console, number: int, count: int, result: Result) -> None:
    """One line for a fault that was tried, and more when nobody caught it."""
    outcome = result.verdict.outcome
    output.print(
        f"{number:3}/{count} [{STYLES[outcome]}]{outcome:8}[/] {result.seconds:4.0f} s  {result.mutant.name}"
        f"  {escape(result.verdict.by)}"
    )
    if outcome is not Outcome.CAUGHT:
        output.print(f"        {escape(result.mutant.fault)} ({result.mutant.file})")
        output.print(escape("\n".join(f"        {line}" for line in result.verdict.detail.splitlines()[-30:])))


def listing(output: Console, mutants: list[Mutant]) -> None:
    """Which faults there are."""
    table = _table("layer", "name", "fault", "file")
    for mutant in mutants:
        table.add_row(mutant.layer, mutant.name, escape(mutant.fault), mutant.file)
    output.print(table)


def summary(output: Console, results: list[Result]) -> None:
    """Which test catches which fault."""
    table = _table("fault", "layer", "", "caught by", "s")
    table.columns[-1].justify = "right"
    for result in results:
        outcome = result.verdict.outcome
        table.add_row(
            f"{result.mutant.name}: {escape(result.mutant.fault)}",
            result.mutant.layer,
            f"[{STYLES[outcome]}]{outcome}[/]",
            escape(result.verdict.by),
            f"{result.seconds:.0f}",
        )
    output.print(table)
    counts = {outcome: sum(result.verdict.outcome is outcome for result in results) for outcome in Outcome}
    output.print(f"{counts[Outcome.CAUGHT]} of {len(results)} faults are caught.")
    for outcome in (Outcome.SURVIVED, Outcome.UNCLEAR):
        names = [result.mutant.name for result in results if result.verdict.outcome is outcome]
        if names:
            output.print(f"[{STYLES[outcome]}]{outcome}: {', '.join(names)}[/]")


def _table(*titles: str) -> Table:
    table = Table(*titles, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
    return table


def as_json(results: list[Result], seed: int | None) -> str:
    """The same for programs."""
    found = [
        {
            **{
                name: value
                for name, value in dataclasses.asdict(result.mutant).items()
                if name not in ("replace", "into")
            },
            "outcome": result.verdict.outcome,
            "by": result.verdict.by,
            "seconds": round(result.seconds, 1),
        }
        for result in results
    ]
    return json.dumps({"seed": seed, "mutants": found}, indent=2)
