"""Queues, as far as no database is needed: metadata and figures over time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from clearml_lab.apiserver import metadata, queue_metrics
from clearml_lab.apiserver.errors import ApiError

ITEM = {"key": "a.b$c%2E", "type": "str", "value": "v"}


def test_metadata_is_stored_under_names_that_mongo_accepts_and_shown_under_its_own() -> None:
    stored = metadata.stored([ITEM])
    (name,) = stored
    assert not set(name) & {".", "$"}
    assert metadata.shown({"metadata": stored}, old_client=False) == {"metadata": {ITEM["key"]: ITEM}}


def test_old_clients_get_an_empty_list_of_metadata() -> None:
    assert metadata.shown({"metadata": metadata.stored([ITEM])}, old_client=True) == {"metadata": []}
    assert metadata.shown({"name": "x"}, old_client=True) == {"name": "x"}


def test_query_names_metadata_as_it_is_stored() -> None:
    query = {"metadata.a%2Eb.value": ["v"], "only_fields": ["name", "metadata.k"], "order_by": ["-metadata.x$"]}
    assert metadata.escape_query(query) == {
        "metadata.a%2Eb.value": ["v"],
        "only_fields": ["name", "metadata.k"],
        "order_by": ["-metadata.x%24"],
    }
    with pytest.raises(ApiError, match="invalid field"):
        metadata.escape_query({"metadata.a.b.c": 1})


def figures(length: int, wait: float) -> queue_metrics.Figures:
    return {"queue_length": length, "avg_waiting_time": wait}


def histograms(monkeypatch: pytest.MonkeyPatch, found: Any, each: bool) -> Any:
    """What is made of moments that were found; the chart begins at second 100."""
    monkeypatch.setattr(queue_metrics, "_search", lambda *_: found)
    call: Any = SimpleNamespace(config={})
    return queue_metrics.histograms(call, ["a", "b"], start=110, end=200, interval=10, each=each)


MOMENTS = [
    (90_000, {"a": figures(3, 10)}),
    (100_000, {"b": figures(1, 50)}),
    (110_000, {"a": figures(0, 0), "b": figures(2, 20)}),
]


def test_figures_of_each_queue_begin_with_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert histograms(monkeypatch, MOMENTS, each=True) == {
        "a": [(110_000, figures(0, 0))],
        "b": [(100_000, figures(1, 50)), (110_000, figures(2, 20))],
    }


def test_a_queue_without_news_counts_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert histograms(monkeypatch, MOMENTS, each=False) == {
        "total": [(100_000, figures(4, (3 * 10 + 1 * 50) / 4)), (110_000, figures(2, 20))]
    }


def test_nothing_was_ever_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert histograms(monkeypatch, None, each=False) == {}
    assert histograms(monkeypatch, [], each=False) == {"total": []}
