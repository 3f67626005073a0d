"""``data``: prepare and validate a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearml_platform.cli.options import (
    CONFIG,
    Changes,
    ConfigFile,
    DataFolder,
    DataTask,
    Json,
    NoTracking,
    Project,
    working,
)
from clearml_platform.cli.stages import stage
from clearml_platform.command import only_json, print_json
from clearml_platform.names import PROJECT

app = typer.Typer(no_args_is_help=True, help="Tables: prepare and validate.")


@app.command()
def prepare(
    config: ConfigFile = CONFIG,
    changes: Changes = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write train.csv, test.csv and data.json here, too.")
    ] = None,
    no_tracking: NoTracking = False,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Read a CSV file or URL, and split it into a training set and a test set."""
    from clearml_platform.workflow.data import prepare_data

    with (
        only_json(wanted=json),
        working("Preparing"),
        stage(config, changes, project, "prepare_data", "data_processing", record=not no_tracking) as step,
    ):
        data = prepare_data(step.config, step.tracker, output)
    rows = {"train_rows": len(data.train), "test_rows": len(data.test)}
    if json:
        print_json({"task": step.task, "output": output, "source": data.source, "sha256": data.sha256(), **rows})
        return
    print(f"{data.source}: {rows['train_rows']} rows to train with, {rows['test_rows']} to test with.")
    if step.task:
        print(f"Task {step.task}: use it with --data-task {step.task}")


@app.command()
def validate(
    new: Annotated[str | None, typer.Option(metavar="CSV", help="Check this file or URL, not the test set.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report here, too, as an HTML page.")
    ] = None,
    config: ConfigFile = CONFIG,
    changes: Changes = None,
    data_task: DataTask = None,
    data_folder: DataFolder = None,
    no_tracking: NoTracking = False,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Check columns, kinds of values, limits, missing values and drift; exit with 1 when the data is refused."""
    from clearml_platform.workflow.data import load_table
    from clearml_platform.workflow.validation import validate_data

    result = None
    try:
        with (
            only_json(wanted=json),
            working("Validating"),
            stage(config, changes, project, "validate_data", "data_processing", record=not no_tracking) as step,
        ):
            table = load_table(step.config, new) if new else None
            result = validate_data(step.config, step.data(data_task, data_folder), step.tracker, new=table)
            if report:
                result.write(report)
            # Here, so that the task fails with it.
            result.raise_if_refused()
    finally:
        if result and json:
            print_json({"task": step.task, **result.to_dict()})
        elif result:
            print(result.to_text())
