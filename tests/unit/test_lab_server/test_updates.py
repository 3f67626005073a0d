"""Changes of stored documents that the lab's database would lose are made here instead."""

from __future__ import annotations

from typing import Any

import pytest

from clearml_lab.updates import apply, needs_replacing


@pytest.mark.parametrize(
    ("value", "expected"), [(1, False), ("a", False), ([1, 2], False), ({}, True), ({"a": 1}, True), ([{"a": 1}], True)]
)
def test_objects_have_to_be_replaced_and_nothing_else(value: Any, expected: bool) -> None:
    assert needs_replacing({"$set": {"field": value}}) is expected


def test_other_operators_are_left_to_the_database() -> None:
    assert not needs_replacing({"$set": {"field": {}}, "$inc": {"count": 1}})


def test_fields_are_set_and_removed_at_any_depth() -> None:
    document = {"_id": "x", "a": {"b": {"c": 1, "d": 2}}, "e": 1}
    change = {"$set": {"a.b.c": {"new": 1}, "f.g": 2, "h": [3]}, "$unset": {"a.b.d": 1, "e": 1, "no.where": 1}}
    assert apply(document, change) == {"_id": "x", "a": {"b": {"c": {"new": 1}}}, "f": {"g": 2}, "h": [3]}


def test_the_document_that_was_read_stays_as_it_was() -> None:
    document = {"a": {"b": {"c": 1}}}
    apply(document, {"$set": {"a.b.c": 2}, "$unset": {"a.b": 1}})
    assert document == {"a": {"b": {"c": 1}}}


def test_what_is_no_object_makes_way_for_one() -> None:
    assert apply({"a": 1, "b": None}, {"$set": {"a.x": 1, "b.y": 2}}) == {"a": {"x": 1}, "b": {"y": 2}}
