"""Train a model, record it as an experiment, and register it: the third stage of the workflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# An agent that runs this from a clone has the package nowhere else.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clearml_platform import command
from clearml_platform.workflow import steps
from clearml_platform.workflow.config import MODEL_TYPES, known_model_type
from clearml_platform.workflow.training import train_and_register


def train(argv: Sequence[str] | None) -> int:
    """Run the stage."""
    parser = steps.Parser("Train a model, record parameters, metrics, plots and artifacts, and register the model.")
    parser.add_tracking_option()
    parser.add_data_options()
    parser.add_argument(
        "--model-type", type=known_model_type, default="ridge", metavar="TYPE", help=f"one of {', '.join(MODEL_TYPES)}"
    )
    parser.add_argument("--experiment-name", default="train_model", metavar="NAME", help="the name of the experiment")
    parser.add_argument(
        "--output", metavar="DIR", help="write model.joblib, metrics.json and predictions.csv here, too"
    )
    with steps.opened(parser, argv, "train_model", "training") as step:
        options = step.options
        output = Path(options.output) if options.output else None
        trained, version = train_and_register(
            step.config, options.model_type, step.tracker, data=step.data(), output=output, project=step.project
        )
        text = "\n".join(f"{name:12} {value:.4f}" for name, value in trained.metrics.items())
        registered = None
        if version:
            text += f"\nRegistered {version.name} version {version.version} of task {step.task}."
            registered = {"id": version.id, "name": version.name, "version": version.version}
        step.show(text, model=registered, metrics=trained.metrics, output=output)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return command.run(train, argv)


if __name__ == "__main__":
    sys.exit(main())
