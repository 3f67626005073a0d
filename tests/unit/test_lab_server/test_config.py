"""The configuration's layers and the traps in its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clearml_lab import config


def value_of(text: str) -> Any:
    return config.load("apiserver", {"CLEARML__some__key": text}).get("some.key")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("off", "off"),
        ("null", None),
        ("123", 123),
        ("0123", 123),
        ("1e5", 100000.0),
        ("abc#x", "abc"),
        ("", ""),
        ('"ab#+="', "ab#+="),
        ("[http://h:8081,https://f]", ["http://h:8081", "https://f"]),
    ],
)
def test_value_of_a_variable_is_hocon(text: str, value: Any) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_value_with_a_unit_is_a_duration() -> None:
    assert value_of("10s").seconds == 10


@pytest.mark.parametrize("character", "@$=,{}+!&")
def test_special_character_without_quotes_is_an_error_that_keeps_the_value_to_itself(character: str) -> None:
    with pytest.raises(config.ConfigurationError) as caught:
        value_of(f"hush{character}hush")
    assert "CLEARML__some__key" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_key_of_a_variable_becomes_lower_case() -> None:
    assert config.load("apiserver", {"CLEARML__Some__KEY": "1"}).get("some.key") == 1


def test_layers_in_their_order(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "apiserver.conf").write_text(f'listen.port: 1\nmark {{ {name}: "{name}" }}')
    (tmp_path / "second" / "apiserver.conf").write_text("listen.port: 2\nmark { second: 2 }")
    environ = {
        "CLEARML_CONFIG_DIR": f"{tmp_path}/first:{tmp_path}/second",
        "TRAINS__apiserver__listen__port": "3",
        "CLEARML__apiserver__listen__port": "4",
    }
    loaded = config.load("apiserver", environ)
    assert loaded.get("apiserver.listen.port") == 4
    assert loaded.get("apiserver.listen.ip") == "0.0.0.0"
    assert loaded.get("apiserver.mark") == {"first": "first", "second": 2}
    del environ["CLEARML__apiserver__listen__port"]
    assert config.load("apiserver", environ).get("apiserver.listen.port") == 3
    del environ["TRAINS__apiserver__listen__port"]
    assert config.load("apiserver", environ).get("apiserver.listen.port") == 2


def test_path_of_a_file_is_the_prefix_of_its_keys(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "tasks.conf").write_text("max_last_metrics: 7")
    loaded = config.load("apiserver", {"CLEARML_CONFIG_DIR": str(tmp_path)})
    assert loaded.get("services.tasks.max_last_metrics") == 7
    assert loaded.get("services.tasks.multi_task_histogram_limit") == 100


def test_dash_before_a_key_replaces_instead_of_merging(tmp_path: Path) -> None:
    (tmp_path / "secure.conf").write_text('-credentials { only { role: user, user_key: "K", user_secret: "S" } }')
    loaded = config.load("apiserver", {"CLEARML_CONFIG_DIR": str(tmp_path)})
    assert list(loaded.get("secure.credentials")) == ["only"]


def test_missing_directory_is_only_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = config.load("apiserver", {"CLEARML_CONFIG_DIR": "/does/not/exist"})
    assert loaded.get("secure.credentials.apiserver.role") == "system"
    assert "WARNING" in capsys.readouterr().out


def test_file_that_does_not_parse_is_named(tmp_path: Path) -> None:
    (tmp_path / "secure.conf").write_text('auth { token_secret: "hush')
    with pytest.raises(config.ConfigurationError, match=r"secure\.conf") as caught:
        config.load("apiserver", {"CLEARML_CONFIG_DIR": str(tmp_path)})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("program", ["apiserver", "fileserver"])
def test_published_keys_are_live_when_nothing_is_configured(program: str) -> None:
    credentials = config.load(program, {}).get("secure.credentials")
    accounts = {name: settings["role"] for name, settings in credentials.items()}
    assert accounts == {
        "apiserver": "system",
        "fileserver": "system",
        "webserver": "system",
        "services_agent": "admin",
        "tests": "user",
    }
    with_key = {name for name, settings in credentials.items() if settings["user_key"]}
    assert with_key == accounts.keys() - {"services_agent"}


def test_missing_key_without_default_is_an_error() -> None:
    loaded = config.load("apiserver", {})
    assert loaded.get("no.such.key", 5) == 5
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        loaded.get("no.such.key")
