"""The action check_variables, without Ansible: what it says of a value or a name, and what it keeps for itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def action(load_plugin: Callable[[str], ModuleType]) -> ModuleType:
    return load_plugin("action/check_variables")


@pytest.fixture(scope="module")
def problems(action: ModuleType) -> Callable[..., list[str]]:
    """Return a function that checks a value of the variable v, with a form where one is given."""

    def check(value: object, form: str | None = None, path: str = "v", **option: Any) -> list[str]:
        forms = {path: action.Form(re.compile(form), "RIGHT")} if form else {}
        found: list[str] = action.Checker(forms).problems("v", value, option)
        return found

    return check


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("str", "text"),
        ("str", ""),
        ("str", 8080),
        ("str", 2.4),
        ("int", 8080),
        ("int", "8080"),
        ("float", "1.5"),
        ("bool", False),
        ("bool", "no"),
        ("list", []),
        ("dict", {}),
        ("raw", None),
    ],
)
def test_a_value_of_the_type_is_accepted(problems: Callable[..., list[str]], declared: str, value: object) -> None:
    assert problems(value, type=declared) == []


@pytest.mark.parametrize(
    ("declared", "value", "sentence"),
    [
        ("str", True, "v is true: it must be a string."),
        ("str", None, "v is null: it must be a string."),
        ("str", ["a"], 'v is ["a"]: it must be a string.'),
        ("path", {"a": 1}, 'v is {"a": 1}: it must be a path.'),
        ("int", "abc", "v is abc: it must be a whole number."),
        ("int", 80.5, "v is 80.5: it must be a whole number."),
        ("int", True, "v is true: it must be a whole number."),
        ("int", "", 'v is "": it must be a whole number.'),
        ("bool", "maybe", "v is maybe: it must be true or false."),
        ("list", "a,b", "v is a,b: it must be a list."),
        ("dict", "a=b", "v is a=b: it must be a mapping."),
    ],
)
def test_a_value_of_another_type_is_named(
    problems: Callable[..., list[str]], declared: str, value: object, sentence: str
) -> None:
    assert problems(value, type=declared) == [sentence]


def test_the_form_tells_more_than_the_type(problems: Callable[..., list[str]]) -> None:
    assert problems("abc", form="^[0-9]+$", type="int") == ["v is abc: it must be RIGHT."]
    assert problems(12, form="^[0-9]$", type="int") == ["v is 12: it must be RIGHT."]
    assert problems(1, form="^[0-9]$", type="int") == []


def test_choices_are_listed(problems: Callable[..., list[str]]) -> None:
    assert problems("c", choices=["a", "b"]) == ["v is c: it must be one of a, b."]
    assert problems(["a", "c"], type="list", choices=["a", "b"]) == ["v[1] is c: it must be one of a, b."]


def test_lists_and_mappings_are_looked_into(problems: Callable[..., list[str]]) -> None:
    options = {"path": {"type": "str", "required": True}, "mode": {"type": "str"}}
    declared = {"type": "list", "elements": "dict", "options": options}
    assert problems([{"path": "/a"}, {"path": "/b", "mode": "0755"}], **declared) == []
    assert problems([{"path": "/a"}, {"mode": True}], **declared) == [
        "v[1] has no path: it must have one, a string.",
        "v[1].mode is true: it must be a string.",
    ]
    assert problems([{"path": "/a", "mod": "0755"}], **declared) == ["v[0].mod does not exist: did you mean mode?"]
    assert problems([{"path": "/a", "color": 1}], **declared) == ["v[0].color does not exist: there are path, mode."]
    assert problems(["/a"], **declared) == ["v[0] is /a: it must be a mapping of path, mode."]


@pytest.mark.parametrize(
    ("value", "path", "sentence"),
    [
        ({"a": "x", "b": "1"}, "v.*", "v.a is x: it must be RIGHT."),
        (["1", "x"], "v[]", "v[1] is x: it must be RIGHT."),
        ([{"a": "x"}], "v[].*", "v[0].a is x: it must be RIGHT."),
        ([{"a": "x", "b": "y"}], "v[].b", "v[0].b is y: it must be RIGHT."),
    ],
)
def test_a_form_reaches_what_a_value_holds(
    problems: Callable[..., list[str]], value: object, path: str, sentence: str
) -> None:
    assert problems(value, form="^[0-9]+$", path=path, type="raw") == [sentence]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("shh#secret", "v.token has 10 characters, among them '#': it must be RIGHT."),
        ("12345", "v.token has 5 characters, all of them digits: it must be RIGHT."),
        ("Ünseen", "v.token has 6 characters, among them an unusual one: it must be RIGHT."),
        # A number would do as a string.
        (7654321, "v.token has 7 characters, all of them digits: it must be RIGHT."),
        (True, "v.token is true or false (not shown): it must be RIGHT."),
        (["Hidden"], "v.token is a list (not shown): it must be RIGHT."),
    ],
)
def test_a_secret_is_described_and_not_told(
    action: ModuleType, problems: Callable[..., list[str]], value: object, told: str
) -> None:
    options = {"token": {"type": "str"}}
    form = {"form": "^[a-z]{20}$", "path": "v.token"}
    assert problems({"token": value}, **form, type="dict", options=options) == [told]
    # Where the keys of a mapping are not declared, too.
    assert problems({"token": value}, **form, type="dict") == [told]


def test_no_log_makes_a_secret(problems: Callable[..., list[str]]) -> None:
    assert problems(["Hidden"], type="str", no_log=True) == ["v is a list (not shown): it must be a string."]


def test_a_long_value_is_cut(problems: Callable[..., list[str]]) -> None:
    assert len(problems(["x" * 500], type="str")[0]) < 150


@pytest.fixture
def unknown(action: ModuleType) -> Callable[..., list[str]]:
    """Return a function that looks for names that are meant for the role web, and that it does not know."""

    def look(*names: str, shared_prefix: bool = False) -> list[str]:
        found: list[str] = action.unknown(
            list(names),
            role="web",
            roles=["web", "web_cache", "mail"],
            known={"web_server_port": {}, "web_server_name": {}},
            renamed={"web_port": "web_server_port"},
            shared_prefix=shared_prefix,
        )
        return found

    return look


def test_names_of_others_are_none_of_its_business(unknown: Callable[..., list[str]]) -> None:
    assert unknown("web_server_port", "web_cache_size", "mail_server_port", "website", "ansible_host", "_web_x") == []


def test_a_misspelled_name_finds_the_right_one(unknown: Callable[..., list[str]]) -> None:
    assert unknown("web_server_prot") == [
        "web_server_prot is no variable of the role web: did you mean web_server_port?"
    ]
    assert unknown("wb_server_port") == ["wb_server_port is no variable of the role web: did you mean web_server_port?"]


def test_an_unknown_name_is_refused(unknown: Callable[..., list[str]]) -> None:
    assert unknown("web_color") == [
        "web_color is no variable of the role web: docs/variables.md has all that there are."
    ]


def test_of_a_shared_prefix_only_misspelled_names_are_refused(unknown: Callable[..., list[str]]) -> None:
    assert unknown("web_color", shared_prefix=True) == []
    assert len(unknown("web_server_prt", shared_prefix=True)) == 1


def test_a_renamed_variable_names_the_new_one(unknown: Callable[..., list[str]]) -> None:
    assert unknown("web_port") == ["web_port is no variable of the role web any more: set web_server_port instead."]
