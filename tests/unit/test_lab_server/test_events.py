"""Events: their ids, and the summary that a task keeps of its scalars."""

from __future__ import annotations

from typing import Any

from clearml_lab.apiserver.event_store import event_id, index_name
from clearml_lab.apiserver.metric_summaries import merge_summary


def scalar(iteration: int, value: float, timestamp: int = 0) -> dict[str, Any]:
    return {"metric": "loss", "variant": "train", "iter": iteration, "value": value, "timestamp": timestamp}


def test_same_point_has_the_same_id() -> None:
    first = {"task": "t", "iter": 1, "metric": "m", "variant": "v", "value": 1.0}
    assert event_id(first) == event_id({**first, "value": 2.0, "timestamp": 5})
    assert event_id(first) != event_id({**first, "iter": 2})


def test_index_is_of_type_and_company() -> None:
    assert index_name("ABC", "training_stats_scalar") == "events-training_stats_scalar-abc"


def test_summary_as_recorded_from_the_official_server() -> None:
    assert merge_summary({}, [scalar(i, 1.0 / (i + 1)) for i in range(5)]) == {
        "metric": "loss",
        "variant": "train",
        "value": 0.2,
        "min_value": 0.2,
        "min_value_iteration": 4,
        "max_value": 1.0,
        "max_value_iteration": 0,
        "first_value": 1.0,
        "first_value_iteration": 0,
        "count": 5,
        "mean_value": 0.46,
    }


def test_summary_goes_on_from_what_is_known() -> None:
    known = merge_summary({}, [scalar(0, 4.0), scalar(1, 2.0)])
    merged = merge_summary(known, [scalar(2, 3.0)])
    assert (merged["value"], merged["first_value"], merged["min_value"], merged["max_value"]) == (3.0, 4.0, 2.0, 4.0)
    assert (merged["count"], merged["mean_value"]) == (3, 3.0)


def test_last_value_is_that_of_the_last_iteration() -> None:
    assert merge_summary({}, [scalar(5, 1.0), scalar(3, 2.0)])["value"] == 1.0
    assert merge_summary({}, [scalar(5, 1.0, timestamp=2), scalar(5, 2.0, timestamp=1)])["value"] == 1.0
