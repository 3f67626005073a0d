"""`make contract`: replay recordings against a lab server of its own, and say how far the answers agree."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.commands.shell import LabError, exit_with

from .recording import RecordingError, read
from .replay import Replay, Score, total
from .server import empty_server

TRANSCRIPTS = Path(__file__).with_name("transcripts")
# A first story.
DEFAULT = [
    TRANSCRIPTS / f"{name}.jsonl"
    for name in ("boot", "1_bootstrap", "2_sdk", "3_pipeline", "4_monitor", "5_delete", "6_service_accounts")
]
# A second story, on another server.
DETAILED = [
    TRANSCRIPTS / f"{name}.jsonl"
    for name in (
        "accounts",
        "bad_input",
        "field_types",
        "worker_statistics",
        "samples",
        "downloads",
        "reports",
        "storage",
        "workers",
        "queues",
        "tasks",
        "task_changes",
        "models",
        "projects",
        "events",
    )
]
LEAST = 97.0  # per cent


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when enough agrees, 1 when too little does, and 2 when nothing could be compared."""
    parser = argparse.ArgumentParser(prog="make contract", description=__doc__)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print the first N differences")
    parser.add_argument("--from", dest="folders", action="append", type=Path, help="where relative FILES may begin")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILES", help="recordings, in order")
    options = parser.parse_args(arguments)
    try:
        folders = options.folders or [Path()]
        recordings = [read(_locate(path, folders)) for path in options.files or DEFAULT]
        with empty_server() as server:
            replay = Replay(server)
            scores = [_report(replay.score(recording)) for recording in recordings]
    except (RecordingError, LabError) as ex:
        print(ex, file=sys.stderr)
        return 2
    together = _report(total(scores))
    unexplained = [difference for difference in together.differences if not difference.reason]
    if together.differences:
        print(f"{len(together.differences)} fields differ, {len(unexplained)} of them for no known reason.")
    for difference in together.differences[: options.show]:
        print(difference)
    if together.per_cent < LEAST:
        print(f"Only {together.per_cent:.1f} % of the fields agree; {LEAST:.0f} % have to.", file=sys.stderr)
        return 1
    if unexplained and not options.files:
        print(f"{unexplained[0]}: known_differences.py gives no reason.", file=sys.stderr)
        return 1
    return 0


def _locate(path: Path, folders: Sequence[Path]) -> Path:
    """Return a file in the first of the folders that has it."""
    found = [folder / path for folder in folders if (folder / path).exists()]
    return found[0] if found else folders[-1] / path


def _report(score: Score) -> Score:
    print(score, flush=True)
    return score


if __name__ == "__main__":
    exit_with(main)
