"""What became of a fault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How it ended."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    # A test or a run stumbled, as it might over anything, so nothing was shown.
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Verdict:
    """The outcome, and who or what brought it about."""

    outcome: Outcome
    by: str = ""
    # What a person wants to read when it was not caught.
    detail: str = ""


def last_lines(text: str, count: int = 30) -> str:
    """The end of a long text."""
    return "\n".join(text.strip().splitlines()[-count:])
