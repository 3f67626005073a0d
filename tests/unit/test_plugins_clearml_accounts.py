"""The filters of the role clearml_access: what they refuse, and what the server and its clients get."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import ModuleType
from typing import Any

import bcrypt
import pytest
from ansible.errors import AnsibleFilterError


@pytest.fixture
def accounts(load_plugin: Callable[[str], ModuleType]) -> ModuleType:
    return load_plugin("filter/clearml_accounts")


ANNA = {"username": "anna", "name": "Anna Example"}
CI = {"name": "ci", "display_name": "CI"}
HASH = bcrypt.hashpw(b"of-a-person", bcrypt.gensalt(4)).decode()
KEY, SECRET = "KEY1KEY1KEY1KEY1KEY1", "secret-of-at-least_16"


def problems(accounts: ModuleType, **changes: Any) -> list[str]:
    good = {
        "users": [ANNA],
        "service_accounts": [CI],
        "client_account": "ci",
        "queues": ["default"],
        "removed_accounts": [],
    }
    found: list[str] = accounts.account_problems(**{**good, **changes})
    return found


def the_problem(accounts: ModuleType, **changes: Any) -> str:
    """Return the sentence; there must be one."""
    found = problems(accounts, **changes)
    assert len(found) == 1, found
    return found[0]


GOOD: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "hash": {"users": [ANNA | {"password_hash": HASH}]},
    "hash in base64": {"users": [ANNA | {"password_hash": base64.b64encode(HASH.encode()).decode()}]},
    "password with signs": {"users": [ANNA | {"password": "p%a:s=s{w}o@rd!"}]},
    "password of digits": {"users": [ANNA | {"password": "12345678"}]},
    "other alphabet in a name": {"users": [ANNA | {"name": "Анна Example"}]},
    "address as a name": {"users": [ANNA | {"username": "anna.b@example.com"}]},
    "keys": {"service_accounts": [CI | {"access_key": KEY, "secret_key": SECRET}]},
    "account named as a person": {"users": [ANNA | {"username": "ci"}]},
    "agreed removal": {"removed_accounts": ["somebody"]},
    "no queue": {"queues": []},
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD)
def test_good_accounts_have_no_problem(accounts: ModuleType, changes: dict[str, Any]) -> None:
    assert problems(accounts, **changes) == []


# What the sentence must have in it: the variable, the value, what is right.
BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "users no list": ({"users": {"anna": {}}}, ("clearml_access_users", "dict", "a list")),
    "users a string": ({"users": "anna"}, ("clearml_access_users", "str", "a list")),
    "user a string": ({"users": ["anna"]}, ("clearml_access_users[0]", "anna", "a mapping")),
    "nobody": ({"users": []}, ("clearml_access_users", "empty", "one person")),
    "unknown key": ({"users": [ANNA | {"pasword": "x"}]}, ("clearml_access_users[0]", "pasword", "password")),
    "no username": ({"users": [{"name": "Anna"}]}, ("clearml_access_users[0].username", "None", "letters")),
    "blank in a username": ({"users": [ANNA | {"username": "an na"}]}, ("users[0].username", "an na", "letters")),
    "number as username": ({"users": [ANNA | {"username": 7}]}, ("users[0].username", "7", "a string")),
    "no name": ({"users": [{"username": "anna"}]}, ("clearml_access_users[0].name", "None", "anna")),
    "duplicate": ({"users": [ANNA, ANNA]}, ("clearml_access_users", "anna", "unique")),
    "password and hash": (
        {"users": [ANNA | {"password": "good-enough", "password_hash": HASH}]},
        ("clearml_access_users[0]", "anna", "one of them"),
    ),
    "hash of another kind": (
        {"users": [ANNA | {"password_hash": "$6$salt$hash"}]},
        ("clearml_access_users[0].password_hash", "anna", "$2b$12$"),
    ),
    "account no list": ({"service_accounts": "ci"}, ("clearml_access_service_accounts", "str", "a list")),
    "capitals": (
        {"service_accounts": [CI | {"name": "CI"}], "client_account": "CI"},
        ("service_accounts[0].name", "CI", "lower-case"),
    ),
    "the server's own": (
        {"service_accounts": [CI | {"name": "fileserver"}], "client_account": "fileserver"},
        ("service_accounts[0].name", "fileserver", "use none of"),
    ),
    "duplicate account": ({"service_accounts": [CI, CI]}, ("clearml_access_service_accounts", "ci", "unique")),
    "half a pair": ({"service_accounts": [CI | {"access_key": KEY}]}, ("service_accounts[0]", "ci", "both or neither")),
    "unknown client account": (
        {"client_account": "platform"},
        ("clearml_access_client_account", "platform", "one of clearml_access_service_accounts", "ci"),
    ),
    "queues a string": ({"queues": "default"}, ("clearml_access_queues", "default", "a list")),
    "queue too short": ({"queues": ["q1"]}, ("clearml_access_queues[0]", "q1", "3 characters")),
    "removed and there": ({"removed_accounts": ["anna"]}, ("clearml_access_removed_accounts", "anna", "take it out")),
}


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_one_sentence(accounts: ModuleType, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    sentence = the_problem(accounts, **changes)
    for word in words:
        assert word in sentence


BAD_SECRETS: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"password": 1234567890123456}, "of type int"),
    "hash sign": ({"password": "hunter2-#-hunter2"}, "has # in it"),
    "dollar": ({"password": "hunter2-$-hunter2"}, "has $ in it"),
    "quote": ({"password": 'hunter2-"-hunter2'}, 'has " in it'),
    "blank": ({"password": "hunter2 hunter2"}, "a blank"),
    "umlaut": ({"password": "hünter2-hunter2"}, "no ASCII"),
    "short": ({"password": "hunter2"}, "has 7 characters"),
    "long": ({"password": "hunter2-" * 10}, "has 80 characters"),
}
BAD_KEYS: dict[str, tuple[object, str]] = {
    "digits": ("1234567890123456789", "digits alone"),
    "number": (1234567890123456789, "of type int"),
    "hash sign": ("hunter2-hunter2-#-hunter2", "has # in it"),
    "dollar": ("hunter2-hunter2-$-hunter2", "has $ in it"),
    "short": ("hunter2-hunter2", "has 15 characters"),
}


@pytest.mark.parametrize(("entry", "words"), BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_bad_password_is_not_shown(accounts: ModuleType, entry: dict[str, Any], words: str) -> None:
    sentence = the_problem(accounts, users=[ANNA, {"username": "ben", "name": "Ben", **entry}])
    assert "clearml_access_users[1].password (ben)" in sentence
    assert words in sentence
    assert str(entry["password"]) not in sentence


@pytest.mark.parametrize(("value", "words"), BAD_KEYS.values(), ids=BAD_KEYS)
@pytest.mark.parametrize("part", ["access_key", "secret_key"])
def test_a_bad_key_is_not_shown(accounts: ModuleType, part: str, value: object, words: str) -> None:
    pair = {"access_key": KEY, "secret_key": SECRET, part: value}
    sentence = the_problem(accounts, service_accounts=[CI, {"name": "robot", **pair}])
    assert f"clearml_access_service_accounts[1].{part} (robot)" in sentence
    assert words in sentence
    assert str(value) not in sentence


def test_two_accounts_with_one_key_are_named(accounts: ModuleType) -> None:
    pair = {"access_key": KEY, "secret_key": SECRET}
    sentence = the_problem(accounts, service_accounts=[CI | pair, {"name": "robot"} | pair])
    assert "ci and robot" in sentence
    assert KEY not in sentence


def test_only_missing_secrets_are_made(accounts: ModuleType) -> None:
    users = [
        ANNA,
        {"username": "ben", "name": "Ben", "password": "good-enough"},
        {"username": "eve", "name": "Eve", "password_hash": HASH},
    ]
    machines = [CI, {"name": "robot", "access_key": KEY, "secret_key": SECRET}]
    assert accounts.account_secrets(users, machines) == {
        "anna_password": 24,
        "anna_salt": 22,
        "ben_salt": 22,
        "ci_key": 30,
        "ci_secret": 60,
    }


def test_what_server_and_clients_get(accounts: ModuleType) -> None:
    users = [
        ANNA,
        {"username": "ben", "name": "Ben", "password": "good-enough"},
        {"username": "eve", "name": "Eve", "password_hash": HASH},
    ]
    machines = [CI, {"name": "robot", "access_key": KEY, "secret_key": SECRET}]
    kept = {"anna_password": "MADE", "anna_salt": "A" * 22, "ben_salt": "B" * 22, "ci_key": "K", "ci_secret": "S"}
    config = accounts.account_config(users, machines, kept)
    assert [(user["username"], user["name"]) for user in config["fixed_users"]] == [
        ("anna", "Anna Example"),
        ("ben", "Ben"),
        ("eve", "Eve"),
    ]
    for user, password in zip(config["fixed_users"], (b"MADE", b"good-enough", b"of-a-person"), strict=True):
        assert bcrypt.checkpw(password, base64.b64decode(user["password"], validate=True))
    assert config["credentials"] == {
        "ci": {"role": "user", "display_name": "CI", "user_key": "K", "user_secret": "S"},
        "robot": {"role": "user", "display_name": "robot", "user_key": KEY, "user_secret": SECRET},
    }
    assert config["keys"]["ci"] == {"access_key": "K", "secret_key": "S"}
    assert config["operator"] == {"username": "anna", "password": "MADE"}
    assert accounts.account_config(users, machines, kept) == config
    # Of the first person nothing but a hash is known: no password can be handed over.
    assert accounts.account_config([users[2]], machines, kept)["operator"] == {"username": "eve"}


# -- bcrypt


SALTS = ["abcdefghijklmnopqrstuv", "A" * 22, "." * 22, "/" * 22, "9" * 22, "ABCDEFGHIJ0123456789.z"]


@pytest.mark.parametrize("salt", SALTS)
@pytest.mark.parametrize("password", ["secret", "12345678", "pässwörd", "a#b$c {{ d }}", "x" * 72])
def test_hash_is_stable_and_right(accounts: ModuleType, password: str, salt: str) -> None:
    hashed = accounts.bcrypt_hash(password, salt, 4)
    assert hashed == accounts.bcrypt_hash(password, salt, rounds=4)
    decoded = base64.b64decode(hashed, validate=True)
    assert decoded.startswith(b"$2b$04$" + salt[:21].encode())
    assert bcrypt.checkpw(password.encode(), decoded)
    assert not bcrypt.checkpw(b"wrong", decoded)


def test_every_last_letter_is_normalized_as_bcrypt_does(accounts: ModuleType) -> None:
    digits = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    last = "".join(chr(base64.b64decode(accounts.bcrypt_hash("x", "a" * 21 + digit, 4))[28]) for digit in digits)
    assert last == "." * 16 + "O" * 16 + "e" * 16 + "u" * 16


def test_default_cost_is_12(accounts: ModuleType) -> None:
    assert base64.b64decode(accounts.bcrypt_hash("x", "a" * 22)).startswith(b"$2b$12$")


HASH_REFUSED = {
    "short salt": (("x", "abc"), "salt must be 22"),
    "bad letter": (("x", "a" * 21 + "$"), "salt must be 22"),
    "no string": ((12345678, "a" * 22), "type int"),
    "too long": (("é" * 37, "a" * 22), "1 to 72 bytes"),
    "empty": (("", "a" * 22), "1 to 72 bytes"),
    "nul": (("a\0b", "a" * 22), "no NUL"),
    "rounds": (("x", "a" * 22, 3), "rounds is 3"),
}


@pytest.mark.parametrize(("arguments", "message"), HASH_REFUSED.values(), ids=HASH_REFUSED.keys())
def test_bad_passwords_are_refused(accounts: ModuleType, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        accounts.bcrypt_hash(*arguments)
