#!/usr/bin/env python3
"""List experiments, or compare them side by side: parameters, metrics, run time, tags, code and packages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clearml_platform import command, compare
from clearml_platform.names import PROJECT

EXAMPLES = """\
examples:
  compare_experiments.py --list
  compare_experiments.py --list --filter 'test_r2>0.8 and status=completed' --top 10 --metric test_r2
  compare_experiments.py --compare ID ID --all
  compare_experiments.py --compare --project 'Wine' --tag baseline --export comparison.html
  compare_experiments.py --compare ID --export experiment.html     (its own page: curves, artifacts, log)

filters: NAME OPERATOR VALUE with = != < <= > >= ~ (contains), joined by and, or, not and parentheses. A name is that of
a metric (its last value; NAME.min and NAME.max are the extremes), of a parameter, or id, name, project, runtime (in
seconds), started (a date), status, tag, type, user. Put what has spaces in quotes: 'name~"my model"'.

exit codes: 0 done, 2 wrong input, 3 the server does not answer or refuses."""


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="list the experiments of the project")
    what.add_argument(
        "--compare",
        nargs="*",
        metavar="ID",
        help="compare these: ids, or names that one experiment of the project has; without any, all of the project",
    )
    options.add_argument("--project", help=f"the project, with the projects in it (default: {PROJECT!r})")
    options.add_argument(
        "--tag", action="append", default=[], help="only experiments with this tag; may be given again for more tags"
    )
    options.add_argument(
        "--filter", default="", metavar="EXPR", help="only experiments that match, such as 'test_r2>0.8'"
    )
    options.add_argument("--top", type=int, metavar="N", help="only the best N by --metric")
    options.add_argument("--metric", help="rank by this metric, the best first (least for loss, error, rmse, mae, mse)")
    options.add_argument(
        "--export", type=Path, metavar="FILE", help="write to FILE: .json, .csv, .md or .html (with plots)"
    )
    options.add_argument("--all", action="store_true", help="also what is the same, and the metrics of the machine")
    options.add_argument("--json", action="store_true", help="print JSON, for machines")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    given = parser().parse_args(arguments)
    return compare.compare(
        given.compare or (),
        project=given.project,
        tags=given.tag,
        where=given.filter,
        top=given.top,
        metric=given.metric,
        export=given.export,
        everything=given.all,
        as_list=given.list,
        as_json=given.json,
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
