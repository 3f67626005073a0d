"""What counts as the same answer, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.comparison import compare
from tests.contract.translation import Translation

ID, OTHER, THIRD = (
    "98084d9e341946bbd6445bf2d44819d2",
    "b811f028897b4846b951acd065174fab",
    "2c03d542fb92491a99fdee584ea279e6",
)
TOKEN, OTHER_TOKEN = "eyJh.eyJi.abc", "eyJx.eyJy.xyz"


def wrong(recorded: Any, actual: Any, translation: Translation | None = None) -> list[str]:
    """The paths of the values that do not agree."""
    fields = compare(recorded, actual, translation or Translation(), "data")
    return [field.path for field in fields if not field.agrees]


@pytest.mark.parametrize(
    "value",
    [{"status": "created", "n": 5, "ok": True, "none": None, "list": [1, "a", {"b": []}], "empty": {}}, [], "", 0],
)
def test_the_same_agrees(value: Any) -> None:
    assert wrong(value, value) == []


@pytest.mark.parametrize(
    ("recorded", "actual", "paths"),
    [
        ({"status": "created"}, {"status": "queued"}, ["data.status"]),
        ({"a": 1}, {}, ["data.a"]),
        ({}, {"a": 1}, ["data.a"]),
        ({"a": 1}, {"a": 2}, ["data.a"]),
        ({"a": 1}, {"a": "1"}, ["data.a"]),
        ({"a": 5}, {"a": True}, ["data.a"]),
        ({"a": None}, {"a": ""}, ["data.a"]),
        ({"a": {"b": 1}}, {"a": []}, ["data.a"]),
        ({"a": [1]}, {"a": {}}, ["data.a#"]),
        ([1, 2], [1], ["data#"]),
        ([1, 2], [2, 1], ["data[0]", "data[1]"]),
        ("Invalid queue id", "Invalid task id", ["data"]),
        (0.2, 0.21, ["data"]),
    ],
)
def test_a_difference_is_seen(recorded: Any, actual: Any, paths: list[str]) -> None:
    assert wrong(recorded, actual) == paths


@pytest.mark.parametrize(
    ("recorded", "actual"),
    [
        ({"id": ID}, {"id": OTHER}),
        ({"token": TOKEN}, {"token": OTHER_TOKEN}),
        ({"when": "2026-11-23T08:20:56.395000+00:00"}, {"when": "2027-01-01T00:00:00"}),
        ({"url": "http://127.0.0.1:18081/x/y"}, {"url": "https://files.example.com/x/y"}),
        ({"text": "took 5 ms"}, {"text": "took 12 ms"}),
        ({"value": 0.2}, {"value": 0.20000000298}),
        ({"created": "2026-11-23"}, {"created": "whenever"}),
        ({"last_used_from": "127.0.0.1"}, {"last_used_from": "172.17.0.1"}),
    ],
)
def test_what_differs_from_run_to_run_is_forgiven(recorded: Any, actual: Any) -> None:
    assert wrong(recorded, actual) == []


def test_a_time_must_be_there_and_be_a_text() -> None:
    assert wrong({"created": "2026-11-23"}, {"created": None}) == ["data.created"]


def test_an_id_that_was_told_must_stay_the_same() -> None:
    translation = Translation()
    translation.learn({"id": ID}, {"id": OTHER})
    told = {"project": ID, "message": f"Invalid project id: id={ID}", ID: 1}
    assert wrong(told, {"project": OTHER, "message": f"Invalid project id: id={OTHER}", OTHER: 1}, translation) == []
    assert wrong(told, {"project": THIRD, "message": f"Invalid project id: id={THIRD}", THIRD: 1}, translation) == [
        "data.project",
        "data.message",
        f"data.{ID}",
        f"data.{THIRD}",
    ]


def test_objects_are_found_by_their_ids_whatever_the_order() -> None:
    translation = Translation()
    translation.learn([{"id": ID}], [{"id": OTHER}])
    recorded = [{"id": ID, "name": "a"}, {"id": "new", "name": "b"}]
    assert wrong(recorded, [{"id": "new", "name": "b"}, {"id": OTHER, "name": "a"}], translation) == []
    assert wrong(recorded, [{"id": "new", "name": "a"}, {"id": OTHER, "name": "b"}], translation) == [
        "data[0].name",
        "data[1].name",
    ]
