"""Compare a model with the champion, and promote it when it is better: the fourth stage of the workflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# An agent that runs this from a clone has the package nowhere else.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clearml_platform import command
from clearml_platform.workflow import steps
from clearml_platform.workflow.evaluation import evaluate_model, find_candidate


def evaluate(argv: Sequence[str] | None) -> int:
    """Run the stage."""
    parser = steps.Parser(
        "Compare a registered model with the champion on the test set, and promote it if it is better."
    )
    parser.add_data_options()
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--train-task", metavar="ID", help="the model that this task registered (default: the latest)")
    which.add_argument("--version", type=int, metavar="N", help="the version with this number")
    parser.add_argument("--no-promote", action="store_true", help="compare only")
    with steps.opened(parser, argv, "evaluate_model", "testing") as step:
        options = step.options
        manager = step.registry()
        candidate = find_candidate(step.config, manager, task_id=options.train_task, version=options.version)
        evaluation = evaluate_model(
            step.config, step.data(), candidate, manager, step.tracker, promote=not options.no_promote
        )
        step.show(evaluation.reason, **evaluation.to_dict())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return command.run(evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
