"""``models``: the versions of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clearml_platform.cli.options import Json, Project, console, working
from clearml_platform.command import assigned, only_json, print_json
from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT

if TYPE_CHECKING:
    from clearml_platform.models import ClearMLModelManager, ModelVersion

STAGES = ("staging", "production", "archived")
app = typer.Typer(no_args_is_help=True, help="Models: list, compare, register, promote, archive, download, lineage.")


def stages(incomplete: str) -> list[str]:
    """Complete the name of a stage."""
    return [name for name in STAGES if name.startswith(incomplete)]


Model = Annotated[str, typer.Argument(metavar="MODEL", help="The name of a model, or the id of a version.")]
Version = Annotated[str | None, typer.Argument(metavar="[VERSION]", help="With a name, the number of the version.")]
Stage = Annotated[str | None, typer.Option(help=", ".join(STAGES), metavar="STAGE", autocompletion=stages)]


@app.command("list")
def list_models(
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only the versions of this model.")] = None,
    stage: Stage = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """List the versions of a project's models."""
    from clearml_platform.models import ClearMLModelManager
    from clearml_platform.models.table import show_models

    with only_json(wanted=json), working("Asking the server"):
        found = ClearMLModelManager(project).list_models(name, stage)
    if json:
        print_json([one.to_json() for one in found])
    else:
        show_models(found, console())


@app.command()
def compare(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of two or more versions.")],
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write .json, .csv, .md, or a page with plots: .html.")
    ] = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Compare versions: parameters that differ, metrics, tags."""
    from clearml_platform.compare import of_models, write
    from clearml_platform.models import ClearMLModelManager
    from clearml_platform.models.table import show_comparison

    with only_json(wanted=json), working("Asking the server"):
        manager = ClearMLModelManager(project)
        comparison = manager.compare(ids)
        if export:
            found: list[Any] = [manager.find(one) for one in ids]
            write(of_models(found), export)
    if json:
        print_json(comparison)
    else:
        show_comparison(comparison, console())


@app.command()
def register(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file of the model.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its name; this is its next version.")],
    task_id: Annotated[str | None, typer.Option(metavar="ID", help="The task that trained it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="May be given more than once.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be given more than once.")
    ] = None,
    framework: Annotated[str | None, typer.Option(metavar="NAME", help="Such as scikit-learn.")] = None,
    label: Annotated[str | None, typer.Option(metavar="TEXT", help="Your own name of the version.")] = None,
    stage: Stage = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Register a file as the next version of a model."""
    known = assigned(metadata or [], "--metadata")
    from clearml_platform.models import ClearMLModelManager

    with only_json(wanted=json), working(f"Registering {path}"):
        version = ClearMLModelManager(project).register_model(
            path,
            name,
            task_id=task_id,
            metadata=known,
            tags=tag or (),
            framework=framework,
            stage=stage,
            version=label,
        )
    _show(version, as_json=json)


@app.command()
def promote(
    model: Model,
    version: Version = None,
    stage: Annotated[str, typer.Option(help=", ".join(STAGES), metavar="STAGE", autocompletion=stages)] = "production",
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Put a version into a stage. The one in production is the champion."""
    from clearml_platform.models import ClearMLModelManager

    with only_json(wanted=json), working("Promoting"):
        manager = ClearMLModelManager(project)
        found = _one(manager, model, version)
        promoted = manager.promote(found.name, found.version, stage)
    _show(promoted, as_json=json)


@app.command()
def archive(model: Model, version: Version = None, project: Project = PROJECT, json: Json = False) -> None:
    """Put a version away; its file stays."""
    from clearml_platform.models import ClearMLModelManager

    with only_json(wanted=json), working("Archiving"):
        manager = ClearMLModelManager(project)
        found = _one(manager, model, version)
        archived = manager.archive(found.name, found.version)
    _show(archived, as_json=json)


@app.command()
def download(
    model: Model,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="With a name (default: the champion, or the latest).")
    ] = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where it goes.")] = Path(),
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Download the file of a version, and check its hash."""
    from clearml_platform.models import ClearMLModelManager

    with only_json(wanted=json), working(f"Downloading {model}"):
        path = ClearMLModelManager(project).download(model, output, version=version)
    if json:
        print_json({"path": path})
    else:
        print(path)


@app.command()
def lineage(
    model: Annotated[str, typer.Argument(metavar="ID", help="The id of a version.")], project: Project = PROJECT
) -> None:
    """Print the task, the code and the data that a version comes from, as JSON."""
    from clearml_platform.models import ClearMLModelManager

    with only_json(wanted=True):
        found = ClearMLModelManager(project).lineage(model)
    print_json(found)


def _one(manager: ClearMLModelManager, model: str, version: str | None) -> ModelVersion:
    """Return the version that is meant; a name alone means none."""
    found = manager.find(model, version)
    if version is None and found.id != model:
        raise InputError(f"Which version of {model!r}? Give its number too, such as {found.version}.")
    return found


def _show(version: ModelVersion, *, as_json: bool) -> None:
    if as_json:
        print_json(version.to_json())
        return
    from clearml_platform.models.table import show_models

    show_models([version], console())
