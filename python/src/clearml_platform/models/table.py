"""Models in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clearml_platform.models.versions import ModelVersion

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"production": "green", "staging": "yellow", "archived": "dim"}


def show_models(models: Sequence[ModelVersion], console: Console) -> None:
    """Print one line a version."""
    from rich.markup import escape
    from rich.table import Column, Table

    if not models:
        console.print("No models are registered here.")
        return
    table = Table("name", "version", "stage", "tags", "created", Column("id", no_wrap=True))
    for model in models:
        cells = (model.name, _version(model), model.stage or "", ", ".join(model.tags), model.created[:10], model.id)
        table.add_row(*map(escape, cells), style=STYLES.get(model.stage or "", "default"))
    console.print(table)


def show_comparison(comparison: Mapping[str, Any], console: Console) -> None:
    """Print models side by side: parameters that differ, metrics with their distance from the first, the best green."""
    from rich.markup import escape
    from rich.table import Table

    models = comparison["models"]
    table = Table("", *(escape(f"{model['name']} {model['version']}") for model in models))
    for key in ("id", "stage", "framework", "tags", "created"):
        values = (model[key] for model in models)
        table.add_row(key, *(escape(", ".join(value) if key == "tags" else str(value or "")) for value in values))
    for name, values in comparison["parameters"].items():
        table.add_row(escape(name), *(escape("" if value is None else str(value)) for value in values))
    for name, metric in comparison["metrics"].items():
        pairs = zip(metric["values"], metric["deltas"], strict=True)
        table.add_row(
            escape(name),
            *(_measured(value, delta, best=place == metric["best"]) for place, (value, delta) in enumerate(pairs)),
        )
    console.print(table)


def _version(model: ModelVersion) -> str:
    return f"{model.version} ({model.version_label})" if model.version_label else str(model.version)


def _measured(value: float | None, delta: float | None, *, best: bool) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" + (f" ({delta:+.3g})" if delta else "")
    return f"[bold green]{text}[/]" if best else text
