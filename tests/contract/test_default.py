"""The lab server, against what the official server answered to an operator, the SDK, an agent and a pipeline."""

from __future__ import annotations

import pytest

from .__main__ import main
from .known_differences import REASONS


def test_enough_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show", "1000"]) == 0
    shown = capsys.readouterr().out
    missing = [f"{recording}, call {call}" for recording, call in REASONS if f"{recording}, call {call}, " not in shown]
    assert missing == [], "these agree: their reasons can go"
