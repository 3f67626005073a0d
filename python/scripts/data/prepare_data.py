"""Read a table and split it into a training set and a test set: the first stage of the workflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# An agent that runs this from a clone has the package nowhere else.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clearml_platform import command
from clearml_platform.workflow import steps
from clearml_platform.workflow.data import prepare_data


def prepare(argv: Sequence[str] | None) -> int:
    """Run the stage."""
    parser = steps.Parser("Read a CSV file or URL, and split it into a training set and a test set.")
    parser.add_tracking_option()
    parser.add_argument("--output", metavar="DIR", help="write train.csv, test.csv and data.json here, too")
    with steps.opened(parser, argv, "prepare_data", "data_processing") as step:
        folder = Path(step.options.output) if step.options.output else None
        data = prepare_data(step.config, step.tracker, folder)
        rows = {"train_rows": len(data.train), "test_rows": len(data.test)}
        text = f"{data.source}: {rows['train_rows']} rows to train with, {rows['test_rows']} to test with."
        if step.task:
            text += f"\nThe next stages take them with --data-task {step.task}"
        step.show(text, output=folder, source=data.source, sha256=data.sha256(), **rows)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return command.run(prepare, argv)


if __name__ == "__main__":
    sys.exit(main())
