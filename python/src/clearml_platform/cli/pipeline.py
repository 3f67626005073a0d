"""``pipeline``: run, watch, and make the template tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from clearml_platform.cli.options import Json, ModelType, Project, console, working
from clearml_platform.command import assigned, only_json, print_json
from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT

app = typer.Typer(no_args_is_help=True, help="Pipelines: run, watch, and make the template tasks.")
Repository = Annotated[
    str | None, typer.Option(metavar="URL", help="What agents clone (default: the remote of this checkout).")
]
Commit = Annotated[
    str | None, typer.Option(metavar="ID", help="What they check out (default: what is checked out here).")
]
Graph = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the stages: .svg, or Mermaid text (.mmd).")]


@app.command()
def run(
    model_type: ModelType = "rf",
    queue: Annotated[
        str | None, typer.Option(metavar="QUEUE", help="Run the stages on the agents of this queue.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Run everything here: no agent and no git remote.")] = False,
    schedule: Annotated[
        str | None, typer.Option(metavar="CRON", help="Start a run at these times (UTC), such as '0 3 * * *'.")
    ] = None,
    watch: Annotated[bool, typer.Option("--monitor", help="Watch the run until it ends.")] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the pipeline.")] = "wine_quality_pipeline",
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The YAML file of the stages (default: config/train_params.yaml)."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Change a parameter of this run.")
    ] = None,
    retries: Annotated[int, typer.Option(metavar="N", min=0, help="Runs a stage that failed again.")] = 1,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run stages that succeeded before with the same input, too.")
    ] = False,
    controller_queue: Annotated[str, typer.Option(metavar="QUEUE", help="Where the controller runs.")] = "services",
    repository: Repository = None,
    commit: Commit = None,
    graph: Graph = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Run prepare_data, validate_data, train_model and evaluate_model."""
    if local and (queue or schedule):
        raise InputError("--local runs everything here, now: leave out --queue and --schedule, or leave out --local.")
    if not local and not queue:
        raise InputError("Name the queue of the agents that run the stages with --queue, or run here with --local.")
    parameters = assigned(param or [], "--param")
    from clearml_platform.pipeline import create_clearml_pipeline
    from clearml_platform.pipeline.schedule import run_forever
    from clearml_platform.server import Server

    with only_json(wanted=json):
        pipeline = create_clearml_pipeline(
            name,
            project,
            model_type=model_type,
            queue=queue,
            controller_queue=controller_queue,
            config=config,
            repository=repository,
            commit=commit,
            parameters=parameters,
            retries=retries,
            cache=not no_cache,
        )
        server = Server.connect()
        if schedule:
            run_forever(server, pipeline, schedule, lambda text: print(text, flush=True))
        run_id = pipeline.start_locally() if local else pipeline.start()
    for note in pipeline.notes:
        print(f"note: {note}", file=sys.stderr)
    if local or watch or graph:
        raise typer.Exit(_watch(run_id, project, once=local, graph=graph, as_json=json))
    if json:
        print_json({"id": run_id, "page": server.task_page(run_id)})
    else:
        print(f"Started {run_id}: {server.task_page(run_id)}")


@app.command()
def monitor(
    run_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of the run (default: the newest).")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show the state of now, do not wait.")] = False,
    graph: Graph = None,
    project: Project = PROJECT,
    json: Json = False,
) -> None:
    """Watch a run until it ends; exit with 1 when it failed."""
    raise typer.Exit(_watch(run_id, project, once=once, graph=graph, as_json=json))


@app.command()
def templates(
    repository: Repository = None, commit: Commit = None, project: Project = PROJECT, json: Json = False
) -> None:
    """Make the four template tasks, or bring them to this commit."""
    from clearml_platform.pipeline import create_templates
    from clearml_platform.pipeline.templates import find_source

    with only_json(wanted=json), working("Making the template tasks"):
        source = find_source(repository, commit)
        made = create_templates(project, source.repository, source.commit)
    for note in source.notes:
        print(f"note: {note}", file=sys.stderr)
    if json:
        print_json(made)
    else:
        print("\n".join(f"{name}  {identifier}" for name, identifier in made.items()))


def _watch(run_id: str | None, project: str, *, once: bool, graph: Path | None, as_json: bool) -> int:
    """Show a run until it ends; draw it, or print it for a machine."""
    from clearml_platform.pipeline.graph import mermaid, svg
    from clearml_platform.pipeline.monitor import monitor as show
    from clearml_platform.pipeline.run import latest, read
    from clearml_platform.server import Server

    with only_json(wanted=as_json):
        server = Server.connect()
        identifier = run_id or latest(server, project)
        code = show(server, identifier, console(as_json=as_json), once=once)
        state = read(server, identifier, lines=3)
    if graph:
        graph.write_text(svg(state) if graph.suffix == ".svg" else mermaid(state), encoding="utf-8")
    if as_json:
        print_json(state.to_json())
    return code
