"""Lists within lists go into the database and come back."""

from __future__ import annotations

from typing import Any

import pytest

from clearml_lab.nested_lists import unwrap, wrap


def has_nested_lists(value: Any, inside: bool = False) -> bool:
    if isinstance(value, dict):
        return any(has_nested_lists(item) for item in value.values())
    if isinstance(value, list):
        return inside or any(has_nested_lists(item, inside=True) for item in value)
    return False


@pytest.mark.parametrize(
    "value", [1, "a", None, [], {}, [1, 2], [[]], [[1], [2, [3]]], {"a": [{"b": [[1, "x"], []]}]}, [{"a": [1]}]]
)
def test_values_come_back_and_nothing_nested_is_stored(value: Any) -> None:
    stored = wrap(value)
    assert not has_nested_lists(stored)
    assert unwrap(stored) == value


def test_what_holds_no_nested_lists_is_stored_as_it_is() -> None:
    document = {"a": [1, {"b": [2]}], "c": {"d": []}}
    assert wrap(document) == document
