"""Why answers to some recorded calls cannot agree. The rule is that all others do."""

from __future__ import annotations

# By recording and number of the call in it.
REASONS = {
    ("1_bootstrap.jsonl", 23): "lists the user's key pairs: boot.jsonl made more of them, on servers of their own",
    ("1_bootstrap.jsonl", 27): "lists the user's key pairs: boot.jsonl made more of them, on servers of their own",
    ("1_bootstrap.jsonl", 65): "reports for a task that no recording makes",
    ("3_pipeline.jsonl", 532): "shows an artifact of a task that no recording makes; its address holds that task's id",
    ("5_delete.jsonl", 30): "checks a token that the recorded server signed with a secret of its own",
}


def reason(recording: str, call: int) -> str | None:
    """Return why the answer to a recorded call differs, if that is known."""
    return REASONS.get((recording, call))
