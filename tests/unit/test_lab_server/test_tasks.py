"""Tasks between request and database, as far as no database is needed."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import Headers

from clearml_lab.apiserver import batch, joins, keys, task_document, task_legacy, task_status
from clearml_lab.apiserver.call import Call
from clearml_lab.apiserver.errors import ApiError, error


def call(version: str = "2.23") -> Call:
    """A request of some API version."""
    nothing: Any = None
    return Call(nothing, Headers(), "", requested=version)


NAMES = ["a.b", "$a", "a%b", "%2E", "with space", "__x", "ä"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_stored_without_dots_and_dollars_and_come_back(name: str) -> None:
    assert not set(keys.escape(name)) & {".", "$"}
    assert keys.unescape(keys.escape(name)) == name


def test_empty_names_are_refused() -> None:
    with pytest.raises(ApiError, match="Empty section name is not allowed"):
        task_document.from_request(call(), {"hyperparams": {"": {}}})


def test_a_task_is_stored_and_shown_again() -> None:
    parameters = {"S.1": {"p$": {"section": "S.1", "name": "p$", "value": "1"}}}
    artifacts = [{"key": "b", "type": "x", "uri": "u"}, {"key": "a", "type": "x", "mode": "input"}]
    sent = {
        "name": " named ",
        "tags": ["b", "a"],
        "hyperparams": parameters,
        "container": {"a.b": "c"},
        "script": {"entry_point": " x.py ", "diff": " kept "},
        "execution": {"artifacts": artifacts},
        "unknown": 1,
    }
    stored = task_document.from_request(call(), sent)
    assert (stored["name"], stored["tags"]) == ("named", ["a", "b"])
    assert "unknown" not in stored
    assert stored["script"] == {"entry_point": "x.py", "diff": " kept "}
    assert stored["hyperparams"].keys() == {"S%2E1"}
    shown = task_document.shown(call(), dict(stored))
    assert (shown["hyperparams"], shown["container"]) == (parameters, {"a.b": "c"})
    assert [(item["key"], item["mode"]) for item in shown["execution"]["artifacts"]] == [
        ("a", "input"),
        ("b", "output"),
    ]


def test_an_artifact_is_the_same_by_key_and_mode() -> None:
    one, other = {"key": "k", "type": "x"}, {"key": "k", "type": "y", "mode": "output"}
    assert task_document.artifact_id(one) == task_document.artifact_id(other)
    assert task_document.artifact_id(one) != task_document.artifact_id({**one, "mode": "input"})


def test_old_clients_send_parameters_and_get_them_back() -> None:
    stored = task_document.from_request(call("2.5"), {"execution": {"parameters": {"lr": 0.1, "TF_DEFINE/steps": 3}}})
    assert stored["hyperparams"]["Args"]["lr"]["value"] == "0.1"
    assert stored["hyperparams"]["TF_DEFINE"]["steps"]["value"] == "3"
    shown = task_document.shown(call("2.5"), dict(stored))
    assert shown["execution"]["parameters"] == {"lr": "0.1", "TF_DEFINE/steps": "3"}
    assert "parameters" not in task_document.shown(call(), dict(stored)).get("execution", {})


def test_old_parameters_replace_old_ones_alone() -> None:
    new = {"section": "Args", "name": "kept", "value": "1", "type": "int"}
    old = {"section": "Args", "name": "gone", "value": "1", "type": task_legacy.KIND}
    previous = {"hyperparams": {"Args": {"kept": new, "gone": old}}}
    stored = task_document.from_request(call("2.5"), {"execution": {"parameters": {"a": 1}}}, previous)
    assert stored["hyperparams"]["Args"].keys() == {"kept", "a"}


def test_old_clients_know_one_model_and_a_docker_command() -> None:
    sent = {"execution": {"model": "m1", "docker_cmd": "image -e A=1"}}
    stored = task_document.from_request(call("2.5"), sent)
    assert stored["models"]["input"][0]["model"] == "m1"
    assert stored["container"] == {"image": "image", "arguments": "-e A=1"}
    shown = task_document.shown(call("2.5"), dict(stored))
    assert (shown["execution"]["model"], shown["execution"]["docker_cmd"]) == ("m1", "image -e A=1")


def test_queries_name_what_is_stored() -> None:
    query = {
        "hyperparams.a%2Eb.lr.value": ["1"],
        "only_fields": ["execution.parameters", "name"],
        "order_by": ["-name"],
    }
    assert task_document.escape_query(query) == {
        "hyperparams.a%2Eb.lr.value": ["1"],
        "only_fields": ["hyperparams.Args", "name"],
        "order_by": ["-name"],
    }
    with pytest.raises(ApiError, match="invalid task field"):
        task_document.escape_query({"hyperparams.a.b.c.d": 1})


@pytest.mark.parametrize(
    ("current", "status", "allowed"),
    [
        ("created", "queued", True),
        ("created", "completed", False),
        ("completed", "published", True),
        ("published", "created", False),
    ],
)
def test_which_status_may_follow(current: str, status: str, allowed: bool) -> None:
    if allowed:
        task_status.check(current, status)
        return
    with pytest.raises(ApiError, match=f"current_status={current}, new_status={status}"):
        task_status.check(current, status)


def test_many_objects_fail_one_by_one() -> None:
    def operation(identifier: str) -> dict[str, Any]:
        if identifier == "bad":
            raise error("invalid_task_status", "why", status="x")
        return {"done": True}

    assert batch.run(["good", "bad"], operation) == {
        "succeeded": [{"id": "good", "done": True}],
        "failed": [
            {
                "id": "bad",
                "error": {"codes": [400, 110], "msg": "Invalid task status (why): status=x", "data": {"status": "x"}},
            }
        ],
    }


def test_references_are_found_in_objects_and_in_lists_of_them() -> None:
    task = {"models": {"input": [{"model": "a"}, {"model": "b"}]}, "execution": {"queue": "q"}}
    assert [holder["model"] for holder in joins._holders(task, ["models", "input"])] == ["a", "b"]
    assert [holder["queue"] for holder in joins._holders(task, ["execution"])] == ["q"]
