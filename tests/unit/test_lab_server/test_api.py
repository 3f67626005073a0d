"""Paths, versions, envelope, errors and request fields of the API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from clearml_lab.apiserver import registry, services
from clearml_lab.apiserver.envelope import envelope, to_json
from clearml_lab.apiserver.errors import CATALOG, ApiError, error
from clearml_lab.apiserver.fields import Field, Structure, validate


def refusal(name: str, version: str = registry.MAX_VERSION) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        registry.find(name, version)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("/debug.ping", "debug.ping", "2.34"),
        ("/v2.23/tasks.get_all", "tasks.get_all", "2.23"),
        ("/v99.0/debug.ping", "debug.ping", "99.0"),
        ("/debug.ping/", "debug.ping", "2.34"),
    ],
)
def test_path_names_endpoint_and_version(path: str, name: str, version: str) -> None:
    assert registry.parse_path(path) == (name, version)


@pytest.mark.parametrize("path", ["/", "/api/debug.ping", "/v2/debug.ping", "/debug", "/a.b.c", "/../debug.ping"])
def test_other_path_is_invalid(path: str) -> None:
    with pytest.raises(ApiError) as caught:
        registry.parse_path(path)
    assert (caught.value.status, str(caught.value)) == (400, f"Invalid request path {path}")


def test_version_above_the_newest_is_refused_only_on_demand() -> None:
    assert registry.parse_path("/v99.0/debug.ping", check_max_version=False)[1] == "99.0"
    with pytest.raises(ApiError, match=r"max\. supported version is 2\.34"):
        registry.parse_path("/v99.0/debug.ping", check_max_version=True)


@pytest.mark.parametrize(
    ("asked", "got"), [("2.1", "1.0"), ("2.8", "2.8"), ("2.9", "2.8"), ("2.12", "2.12"), ("2.34", "2.12")]
)
def test_newest_endpoint_that_is_old_enough_answers(asked: str, got: str) -> None:
    assert services
    assert registry.find("server.info", asked).version == got


def test_endpoint_younger_than_the_requested_version_is_not_found() -> None:
    assert refusal("queues.get_all", "2.1") == (
        404,
        "Unable to find endpoint for name queues.get_all and version 2.1",
    )


def test_endpoint_that_nobody_has_is_not_found() -> None:
    assert refusal("nope.nope") == (404, "Unable to find endpoint for name nope.nope and version 2.34")


def test_endpoint_that_only_the_official_server_has_says_so() -> None:
    missing = sorted(registry.official_names() - set(registry.implemented_names()))
    assert missing, "when nothing is missing any more, the code 501 can go"
    status, message = refusal(missing[0])
    assert status == 501
    assert missing[0] in message


def test_every_endpoint_exists_on_the_official_server() -> None:
    assert set(registry.implemented_names()) <= registry.official_names()


def test_envelope_of_a_success() -> None:
    answer = envelope("ID", name="debug.ping", requested="2.34", actual="1.0", data={"msg": "hello"})
    assert answer == {
        "meta": {
            "id": "ID",
            "trx": "ID",
            "endpoint": {"name": "debug.ping", "requested_version": "2.34", "actual_version": "1.0"},
            "result_code": 200,
            "result_subcode": 0,
            "result_msg": "OK",
            "error_stack": None,
            "error_data": {},
        },
        "data": {"msg": "hello"},
    }


def test_envelope_gives_old_clients_numbers_as_versions() -> None:
    meta = envelope("ID", name="debug.ping", requested="2.0", actual="1.0")["meta"]
    assert meta["endpoint"]["requested_version"] == 2.0
    assert isinstance(meta["endpoint"]["actual_version"], float)
    assert envelope("ID", name="", requested="1.0", actual=None)["meta"]["endpoint"]["actual_version"] is None


def test_times_are_iso_8601() -> None:
    when = datetime(2026, 11, 23, 8, 20, 56, 393000, tzinfo=UTC)
    assert json.loads(to_json({"when": when})) == {"when": "2026-11-23T08:20:56.393000+00:00"}


@pytest.mark.parametrize(
    ("raised", "status", "subcode", "message"),
    [
        (error("no_credentials"), 401, 20, "Unauthorized (missing credentials)"),
        (
            error("invalid_credentials", "bad username or password"),
            401,
            22,
            "Unauthorized (invalid credentials) (bad username or password)",
        ),
        (
            error("role_not_allowed", role="user", allowed=("root", "system")),
            403,
            20,
            "Forbidden (not allowed for role): role=user, allowed=(root, system)",
        ),
        (error("invalid_queue_id", id="default", company="c"), 400, 701, "Invalid queue id: id=default, company=c"),
        (
            error("data_validation_error", name="String value is too short"),
            400,
            800,
            "Data validation error: name=String value is too short",
        ),
    ],
)
def test_error_messages(raised: ApiError, status: int, subcode: int, message: str) -> None:
    assert (raised.status, raised.subcode, str(raised)) == (status, subcode, message)


def test_error_codes_differ() -> None:
    codes = [entry[:2] for name, entry in CATALOG.items() if name != "lookup_error"]
    assert len(codes) == len(set(codes))


def problem(field: Field, data: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        validate([field], data)
    assert (caught.value.status, caught.value.subcode) == (400, 12)
    return str(caught.value)


TAGS = Field("x", "list", of="str")
ITEM = Structure("MetadataItem", (Field("key", required=True), Field("value", required=True)))
ITEMS = Field("x", "list", of=ITEM, shortest=1)
STATS = Field("x", shape=Structure("MachineStats", (Field("cpu", "list"), Field("memory", "float"))))
WRONG_TYPE = "value is wrong, expected type"


@pytest.mark.parametrize(
    ("field", "data", "message"),
    [
        # Not sent, and sent as nothing: the official server tells them apart.
        (Field("x", required=True), {}, "error for field 'x'. field is required!"),
        (Field("x", required=True), {"x": None}, "error for field 'x': field is required!."),
        (
            Field("x", "list", required=True, shortest=1),
            {"x": None},
            "error for field 'x': value '[]' length is lower than allowed minimum '1'..",
        ),
        (Field("x", "whole"), {"x": "five"}, f"error for field 'x': ('{WRONG_TYPE} \"int\"', 'five')."),
        (Field("x", "int", least=1), {"x": None}, "'<' not supported between instances of 'NoneType' and 'int'"),
        (Field("x", choices=("a",), enum="Kind"), {"x": 5}, f"error for field 'x': ('{WRONG_TYPE} \"kind\"', 5)."),
        (
            Field("x", "list", of="int, float"),
            {"x": ["y"]},
            "error for field 'x': cannot decide which type to choose from \"int, float\"..",
        ),
        (Field("x"), {"x": 5}, f"error for field 'x': ('{WRONG_TYPE} \"str\"', 5)."),
        (Field("x"), {"x": ["A"]}, f"error for field 'x': ('{WRONG_TYPE} \"str\"', ['a'])."),
        (Field("x", "int"), {"x": "five"}, "invalid literal for int() with base 10: 'five'"),
        (Field("x", "int", most=10), {"x": 11}, "error for field 'x': '11' is bigger than maximum ('10').."),
        (Field("x", "int", least=1), {"x": 0}, "error for field 'x': '0' is lower than minimum ('1').."),
        (Field("x", "float"), {"x": "y"}, f"error for field 'x': ('{WRONG_TYPE} \"float, int\"', 'y')."),
        (Field("x", "dict"), {"x": []}, f"error for field 'x': ('{WRONG_TYPE} \"dict\"', [])."),
        (Field("x", choices=("a", "b")), {"x": "c"}, "error for field 'x': value 'c' is not a valid choice.."),
        (TAGS, {"x": "a"}, f"error for field 'x': ('{WRONG_TYPE} \"list\"', 'a')."),
        (TAGS, {"x": [5]}, 'error for field \'x\': all items must be instances of "str", and not "int"..'),
        (ITEMS, {}, "error for field 'x'. value '[]' length is lower than allowed minimum '1'."),
        (ITEMS, {"x": []}, "error for field 'x': value '[]' length is lower than allowed minimum '1'.."),
        (ITEMS, {"x": ["y"]}, 'error for field \'x\': all items must be instances of "metadataitem", and not "str"..'),
        (
            ITEMS,
            {"x": [{"key": "y"}]},
            "error for field 'x': (\"error for field 'value'.\", validationerror('field is required!')).",
        ),
        (
            ITEMS,
            {"x": [{"key": "y", "value": 5}]},
            f"error for field 'x': error for field 'value': ('{WRONG_TYPE} \"str\"', 5)..",
        ),
        (STATS, {"x": 5}, f"error for field 'x': ('{WRONG_TYPE} \"machinestats\"', 5)."),
        (STATS, {"x": {"cpu": 5}}, f"error for field 'x': error for field 'cpu': ('{WRONG_TYPE} \"list\"', 5).."),
    ],
)
def test_wrong_field(field: Field, data: dict[str, Any], message: str) -> None:
    assert problem(field, data) == f"Validation error ({message})"


def test_what_was_sent_is_looked_at_before_what_is_missing() -> None:
    fields = [Field("a", required=True), Field("z", "int")]
    with pytest.raises(ApiError, match="invalid literal"):
        validate(fields, {"z": "y"})


def test_missing_fields_are_named_in_alphabetical_order() -> None:
    with pytest.raises(ApiError, match="'company'"):
        validate([Field("name", required=True), Field("company", required=True)], {})


def test_good_fields_are_kept_and_missing_ones_defaulted() -> None:
    fields = [Field("n", "int", default=5), Field("force", "bool", default=False), Field("m", "int"), TAGS, STATS]
    assert validate(fields[:3], {"m": "7", "other": [1]}) == {"n": 5, "force": False, "m": 7, "other": [1]}
    assert validate([fields[1]], {"force": "yes"}) == {"force": True}
    assert validate([TAGS], {"x": ["a"]}) == {"x": ["a"]}
    assert validate([TAGS], {"x": {}}) == validate([TAGS], {"x": ""}) == {"x": []}
    assert validate([TAGS], {"x": [{}]}) == {"x": [""]}
    assert validate([STATS], {"x": {"cpu": [1], "unknown": 2}}) == {"x": {"cpu": [1]}}
