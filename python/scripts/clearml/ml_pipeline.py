"""Run, schedule and watch the pipeline prepare_data -> validate_data -> train_model -> evaluate_model.

  ml_pipeline.py --model-type rf --local                     here: no agent and no git remote are needed
  ml_pipeline.py --model-type rf --queue default             on agents; --monitor watches it until it ends
  ml_pipeline.py --model-type rf --queue default --schedule '0 3 * * *'    every night at 3 (UTC), until stopped
  ml_pipeline.py --monitor                                   watch the newest run of the project
  ml_pipeline.py --create-templates                          only make the template tasks

Exit codes: 0 done, 1 the pipeline failed, 2 wrong input, 3 the server's fault, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# From a checkout it runs without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clearml_platform.command import assigned, only_json, print_json, run
from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT
from clearml_platform.pipeline import Pipeline, create_clearml_pipeline, create_templates
from clearml_platform.pipeline.graph import mermaid, svg
from clearml_platform.pipeline.monitor import monitor
from clearml_platform.pipeline.run import latest, read
from clearml_platform.pipeline.schedule import run_forever
from clearml_platform.pipeline.templates import find_source
from clearml_platform.server import Server
from clearml_platform.workflow.config import MODEL_TYPES

NEWEST = "newest"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    return run(_command, arguments)


def _command(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.create_templates:
        source = find_source(options.repository, options.commit)
        made = create_templates(options.project, source.repository, source.commit)
        for note in source.notes:
            print(f"note: {note}", file=sys.stderr)
        if options.json:
            print_json(made)
        else:
            print("\n".join(f"{name}  {identifier}" for name, identifier in made.items()))
        return 0
    if options.local and (options.queue or options.schedule):
        raise InputError("--local runs everything here, now: leave out --queue and --schedule, or leave out --local.")
    if not (options.local or options.queue or options.schedule):
        if options.monitor is None:
            parser.error("say what to do: --local, --queue QUEUE, --monitor [ID] or --create-templates")
        server = Server.connect()
        return _watch(
            server, latest(server, options.project) if options.monitor == NEWEST else options.monitor, options
        )
    if options.monitor not in (None, NEWEST):
        raise InputError("--monitor ID watches a run that is there, and starts none: leave out the other options.")
    return _start(_pipeline(options), options)


def _start(pipeline: Pipeline, options: argparse.Namespace) -> int:
    server = Server.connect()
    if options.schedule:
        run_forever(server, pipeline, options.schedule, lambda text: print(text, flush=True))
    if options.local:
        with only_json(wanted=options.json):
            identifier = pipeline.start_locally()
        options.once = True
        return _watch(server, identifier, options)
    identifier = pipeline.start()
    for note in pipeline.notes:
        print(f"note: {note}", file=sys.stderr)
    if options.monitor or options.graph:
        return _watch(server, identifier, options)
    if options.json:
        print_json({"id": identifier, "page": server.task_page(identifier)})
    else:
        print(f"Started {identifier}: {server.task_page(identifier)}")
    return 0


def _watch(server: Server, identifier: str, options: argparse.Namespace) -> int:
    """Show a run until it ends, or as JSON; draw its graph."""
    from rich.console import Console

    code = monitor(server, identifier, Console(stderr=options.json), once=options.once)
    if options.json or options.graph:
        state = read(server, identifier, lines=3)
        if options.json:
            print_json(state.to_json())
        if options.graph:
            Path(options.graph).write_text(svg(state) if options.graph.endswith(".svg") else mermaid(state), "utf-8")
    return code


def _pipeline(options: argparse.Namespace) -> Pipeline:
    return create_clearml_pipeline(
        options.name,
        options.project,
        model_type=options.model_type,
        queue=options.queue,
        controller_queue=options.controller_queue,
        config=options.config,
        repository=options.repository,
        commit=options.commit,
        parameters=assigned(options.param, "--param"),
        retries=options.retries,
        cache=not options.no_cache,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what to do")
    what.add_argument("--local", action="store_true", help="run the controller and the stages here")
    what.add_argument("--queue", metavar="QUEUE", help="run the stages on the agents of this queue")
    what.add_argument("--schedule", metavar="CRON", help="start a run at these times (UTC), such as '0 3 * * *'")
    what.add_argument(
        "--monitor", nargs="?", const=NEWEST, metavar="ID", help="watch a run until it ends: that of ID, or the newest"
    )
    what.add_argument("--create-templates", action="store_true", help="make or update the four template tasks, no more")
    how = parser.add_argument_group("how it is run")
    how.add_argument("--model-type", default="rf", metavar="TYPE", help=f"{', '.join(MODEL_TYPES)} (default: rf)")
    how.add_argument("--config", metavar="FILE", help="the YAML file of the stages (default: config/train_params.yaml)")
    how.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting (data.test_size=0.3), or an option of a stage (evaluate_model.no_promote=True)",
    )
    how.add_argument("--retries", type=int, default=1, metavar="N", help="runs again a stage that failed (default: 1)")
    how.add_argument(
        "--no-cache", action="store_true", help="run stages that succeeded before with the same input, too"
    )
    how.add_argument("--controller-queue", default="services", metavar="QUEUE", help="(default: services)")
    how.add_argument("--repository", metavar="URL", help="what agents clone (default: the remote of this checkout)")
    how.add_argument("--commit", metavar="ID", help="what they check out (default: what is checked out here)")
    parser.add_argument("--name", default="wine_quality_pipeline", help="of the pipeline (default: %(default)s)")
    parser.add_argument("--project", default=PROJECT, help="(default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="with --monitor: show the state of now, do not wait")
    parser.add_argument("--graph", metavar="FILE", help="draw the stages: .svg, or Mermaid text (.mmd)")
    parser.add_argument("--json", action="store_true", help="print the run as JSON; everything else goes to stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
