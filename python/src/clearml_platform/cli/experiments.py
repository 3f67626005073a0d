"""``compare``, ``train`` and ``evaluate``: experiments."""

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
    ModelType,
    NoTracking,
    Project,
    working,
)
from clearml_platform.cli.stages import stage
from clearml_platform.command import only_json, print_json
from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT


def compare(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or names of the project; all of it without any.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"The project, with the projects in it (default: {PROJECT}).")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Those with this tag; may be given more than once.")
    ] = None,
    where: Annotated[str, typer.Option("--filter", metavar="EXPR", help="Those that match: 'test_r2>0.8'.")] = "",
    top: Annotated[int | None, typer.Option(metavar="N", help="The best N by --metric.")] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="Rank by this, the best first.")] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write .json, .csv, .md, or a page with plots: .html.")
    ] = None,
    as_list: Annotated[bool, typer.Option("--list", help="A line for each, not side by side.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is the same, and the metrics of the machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare experiments: parameters that differ, metrics, run time, tags, code and packages."""
    from clearml_platform.compare import compare as comparing

    code = comparing(
        ids or (),
        project=project,
        tags=tag or (),
        where=where,
        top=top,
        metric=metric,
        export=export,
        everything=everything,
        as_list=as_list,
        as_json=json,
    )
    raise typer.Exit(code)


def train(
    model_type: ModelType = "ridge",
    experiment_name: Annotated[str, typer.Option(metavar="NAME", help="The name of the experiment.")] = "train_model",
    config: ConfigFile = CONFIG,
    changes: Changes = None,
    data_task: DataTask = None,
    data_folder: DataFolder = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the model, metrics and predictions here, too.")
    ] = None,
    no_tracking: NoTracking = False,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Train a model, record it as an experiment, and register it."""
    from clearml_platform.workflow.training import train_and_register

    with (
        only_json(wanted=json),
        working(f"Training {model_type}"),
        stage(config, changes, project, experiment_name, "training", record=not no_tracking) as step,
    ):
        trained, version = train_and_register(
            step.config,
            model_type,
            step.tracker,
            data=step.data(data_task, data_folder),
            project=project,
            output=output,
        )
    if json:
        named = {"id": version.id, "name": version.name, "version": version.version} if version else None
        print_json({"task": step.task, "model": named, "metrics": trained.metrics, "output": output})
        return
    for name, value in trained.metrics.items():
        print(f"{name:12} {value:.4f}")
    if version:
        print(f"Task {step.task}: registered {version.name} version {version.version} ({version.id}).")


def evaluate(
    train_task: Annotated[
        str | None, typer.Option(metavar="ID", help="The model that this task registered (default: the latest).")
    ] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The version with this number.")] = None,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="Compare only.")] = False,
    config: ConfigFile = CONFIG,
    changes: Changes = None,
    data_task: DataTask = None,
    data_folder: DataFolder = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Compare a registered model with the champion on the test set, and promote it if it is better."""
    if train_task and version is not None:
        raise InputError("--version: --train-task says which model it is; leave out one of the two.")
    from clearml_platform.models import ClearMLModelManager
    from clearml_platform.workflow.evaluation import evaluate_model, find_candidate

    with (
        only_json(wanted=json),
        working("Evaluating"),
        stage(config, changes, project, "evaluate_model", "testing") as step,
    ):
        manager = ClearMLModelManager(project)
        candidate = find_candidate(step.config, manager, task_id=train_task, version=version)
        data = step.data(data_task, data_folder)
        evaluation = evaluate_model(step.config, data, candidate, manager, step.tracker, promote=not no_promote)
    if json:
        print_json({"task": step.task, **evaluation.to_dict()})
    else:
        print(evaluation.reason)
