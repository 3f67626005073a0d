"""Many clients at once lose nothing. `make bench` has the long form, and the figures."""

from __future__ import annotations

from tests.lab.load import measure


def test_nothing_is_lost() -> None:
    load = measure(clients=5, rate=100, seconds=5)
    assert load.sent >= 5 * 100 * 4, "the clients did not keep up: nothing was at stake"
    assert load.found == load.sent
