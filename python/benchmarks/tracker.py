"""What the tracker costs: the same metrics by the SDK alone and by the tracker, in the same run.

The SDK alone is given the tracker's settings, among them threads for its reports. Its own default on Linux, a process
beside the training, takes a hundred times as long; comparing with that would flatter the tracker.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from clearml_platform.names import PROJECT


def sdk(project: str, metrics: int) -> tuple[float, float]:
    """Report by the SDK alone; return the seconds of the loop, and those until all of it was sent."""
    from clearml import Task

    Task._report_subprocess_enabled = False
    task = Task.init(
        project,
        "benchmark: SDK",
        reuse_last_task_id=False,
        auto_connect_frameworks=False,
        auto_connect_arg_parser=False,
    )
    logger = task.get_logger()
    began = time.perf_counter()
    for step in range(metrics):
        logger.report_scalar("train", "loss", 1 / (step + 1), step)
    looped = time.perf_counter()
    task.close()
    return looped - began, time.perf_counter() - began


def tracker(project: str, metrics: int) -> tuple[float, float]:
    """Report by the tracker; return the seconds of the loop, and those until all of it was sent."""
    from clearml_platform.tracker import ClearMLTracker

    one = ClearMLTracker(project, "benchmark: tracker")
    began = time.perf_counter()
    for step in range(metrics):
        one.log_metrics({"train/loss": 1 / (step + 1)}, step)
    looped = time.perf_counter()
    one.finish()
    return looped - began, time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of both ways, and what the tracker takes of the SDK's time."""
    parser = argparse.ArgumentParser(description="The tracker beside the SDK alone.")
    parser.add_argument("--project", default=PROJECT, help="where the tasks of the benchmark go (default: %(default)s)")
    parser.add_argument("--metrics", type=int, default=10_000, help="reports of a round (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds, the fastest of which counts (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    ways = {"sdk": sdk, "tracker": tracker}
    # In turns, so that both meet the same machine.
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            seconds[name].append(way(options.project, options.metrics))
    figures: dict[str, object] = {"metrics": options.metrics, "rounds": options.rounds}
    for index, part in enumerate(("loop", "whole")):
        fastest = {name: min(one[index] for one in rows) for name, rows in seconds.items()}
        figures[part] = {
            **{f"{name}_seconds": round(least, 4) for name, least in fastest.items()},
            "ratio": round(fastest["tracker"] / fastest["sdk"], 3),
        }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for part in ("loop", "whole"):
            print(f"{part}: {figures[part]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
