"""The query language of the get_all endpoints, as far as it is about conditions and projections."""

from __future__ import annotations

from typing import Any

import pytest

from clearml_lab.apiserver.errors import ApiError
from clearml_lab.apiserver.query import list_condition, project, public_form


@pytest.mark.parametrize(
    ("values", "condition"),
    [
        (["a"], {"$and": [{"tags": {"$in": ["a"]}}]}),
        ("a", {"$and": [{"tags": {"$in": ["a"]}}]}),
        (["b", "a"], {"$and": [{"tags": {"$in": ["a", "b"]}}]}),
        (["-a"], {"$and": [{"tags": {"$nin": ["a"]}}]}),
        (["a", "-b"], {"$and": [{"tags": {"$in": ["a"]}}, {"tags": {"$nin": ["b"]}}]}),
        (["__$not", "a"], {"$and": [{"tags": {"$nin": ["a"]}}]}),
        (["__$all", "a", "b"], {"$and": [{"tags": "a"}, {"tags": "b"}]}),
        (["__$all", "-a"], {"$and": [{"tags": "-a"}]}),
        (["__$any", "a", "__$not", "b"], {"$or": [{"tags": {"$in": ["a"]}}, {"tags": {"$nin": ["b"]}}]}),
        ([None], {"$or": [{"tags": {"$exists": False}}, {"tags": []}, {"tags": None}]}),
        ([], {}),
    ],
)
def test_list_condition(values: Any, condition: dict[str, Any]) -> None:
    assert list_condition("tags", values) == condition


def test_list_condition_on_the_id() -> None:
    assert list_condition("id", ["x"]) == {"$and": [{"_id": {"$in": ["x"]}}]}


@pytest.mark.parametrize("values", [[5], ["__$nonsense", "a"]])
def test_wrong_list_condition(values: Any) -> None:
    with pytest.raises(ApiError) as caught:
        list_condition("tags", values)
    assert (caught.value.status, caught.value.subcode) == (400, 16)


def test_public_form() -> None:
    assert public_form({"_id": "x", "name": "n", "parent": None, "tags": []}) == {"id": "x", "name": "n", "tags": []}


def test_projection_shows_only_what_was_asked_for() -> None:
    item = {"id": "x", "execution": {"queue": "q", "parameters": {}}, "name": "n"}
    assert project(item, ["name", "execution.queue", "missing"]) == {"name": "n", "execution": {"queue": "q"}}


def test_projection_leaves_out() -> None:
    item = {"id": "x", "execution": {"queue": "q", "parameters": {}}, "path": []}
    assert project(item, [], ["path", "execution.parameters", "no.such"]) == {"id": "x", "execution": {"queue": "q"}}


def test_projection_below_a_list() -> None:
    item = {"entries": [{"task": "a", "added": 1}, {"task": "b", "added": 2}], "none": []}
    assert project(item, ["entries.task", "none.x"]) == {"entries": [{"task": "a"}, {"task": "b"}], "none": []}
