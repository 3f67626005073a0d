"""The lab server, against what the official server answered when it was set up."""

from __future__ import annotations

from .__main__ import main


def test_enough_agrees() -> None:
    assert main([]) == 0
