"""Types of what is stored, and what is said about wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from clearml_lab.apiserver import document_types, task_types
from clearml_lab.apiserver.errors import ApiError

TEXT = "StringField only accepts string values"
WRONG = f"ValidationError({TEXT},)"
MISSING = "ValidationError(Field is required,)"
OBJECT = "Only dictionaries may be used in a DictField"
OPERATOR = 'Invalid dictionary key name - keys may not startswith "$" characters'
NUMBER = "ValidationError(bad could not be converted to int,)"
MODE = "ValidationError(Value must be one of ['input', 'output'],)"


def artifact(**fields: Any) -> dict[str, Any]:
    return {"execution": {"artifacts": {"a": {"key": "a", "type": "x", **fields}}}}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"comment": 5}, f"comment={TEXT}"),
        ({"runtime": []}, f"runtime={OBJECT}"),
        ({"runtime": {"a": {"$b": 1}}}, f"runtime={OPERATOR}"),
        ({"script": {"branch": 5, "tag": 6}}, f"script={{'tag': {WRONG}, 'branch': {WRONG}}}"),
        ({"container": {"image": []}}, f"container={{'image': {WRONG}}}"),
        ({"configuration": {"a": {"value": "x"}}}, f"configuration={{'a': {{'name': {MISSING}}}}}"),
        (
            {"execution": {"model_labels": {"a": "x"}}},
            "execution={'model_labels': {'a': ValidationError(Expected int or NoneType, got str: x,)}}",
        ),
        (artifact(mode="bad"), f"execution={{'artifacts': {{'a': {{'mode': {MODE}}}}}}}"),
        (artifact(timestamp="bad"), f"execution={{'artifacts': {{'a': {{'timestamp': {NUMBER}}}}}}}"),
    ],
)
def test_wrong_value(task: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        document_types.validate(task_types.TASK, task)
    assert (caught.value.status, caught.value.subcode) == (400, 800)
    assert str(caught.value) == f"Data validation error: {message}"


def test_field_that_a_part_does_not_have() -> None:
    with pytest.raises(ApiError, match="Validation error: document=Script, field=nope") as caught:
        document_types.validate(task_types.TASK, {"script": {"nope": 5}})
    assert (caught.value.status, caught.value.subcode) == (400, 12)
    document_types.validate(task_types.TASK, {"execution": {"nope": 5}})


def test_good_values_pass() -> None:
    document_types.validate(
        task_types.TASK,
        {
            "comment": None,
            "script": {"diff": "", "requirements": {"pip": ["a"]}},
            "container": {"image": None},
            "hyperparams": {"Args": {"a": {"section": "Args", "name": "a", "value": "1"}}},
            **artifact(content_size=5, display_data=[["a", 1]]),
        },
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"tags": 5}, "(expecting list): field=tags"), ({"runtime": 5}, "(expecting dict): field=runtime")],
)
def test_value_that_cannot_even_be_made_a_list_or_an_object(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        document_types.check_casts(fields, lists=["tags"], objects=["runtime"])
    assert (caught.value.subcode, str(caught.value)) == (16, f"Invalid value for fields {message}")
    document_types.check_casts({"tags": ["a"], "runtime": None}, lists=["tags"], objects=["runtime"])
