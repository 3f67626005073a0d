"""Refuse data that is not as it has to be: the second stage of the workflow. Exit code 1 means refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# An agent that runs this from a clone has the package nowhere else.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clearml_platform import command
from clearml_platform.workflow import steps
from clearml_platform.workflow.data import load_table
from clearml_platform.workflow.validation import validate_data


def validate(argv: Sequence[str] | None) -> int:
    """Run the stage."""
    parser = steps.Parser(
        "Check columns, kinds of values, limits, missing values and drift; exit with 1 when the data is refused."
    )
    parser.add_tracking_option()
    parser.add_data_options()
    parser.add_argument(
        "--new", metavar="CSV", help="check this file or URL against the training set, not the test set"
    )
    parser.add_argument("--report", metavar="FILE", help="write the report here, too, as an HTML page")
    with steps.opened(parser, argv, "validate_data", "data_processing") as step:
        options = step.options
        new = load_table(step.config, options.new) if options.new else None
        report = validate_data(step.config, step.data(), step.tracker, new=new)
        if options.report:
            report.write(Path(options.report))
        step.show(report.to_text(), **report.to_dict())
        report.raise_if_refused()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return command.run(validate, argv)


if __name__ == "__main__":
    sys.exit(main())
