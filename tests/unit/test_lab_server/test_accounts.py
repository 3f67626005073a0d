"""Tokens and fixed users."""

from __future__ import annotations

import base64
import time
from dataclasses import asdict
from typing import Any

import bcrypt
import jwt
import pytest

from clearml_lab.apiserver import fixed_users, tokens
from clearml_lab.apiserver.errors import ApiError
from clearml_lab.config import Config, load

SECRET = "a secret of the tests, long enough for HMAC"
IDENTITY = tokens.Identity("U", "C", "user", "clearml", "Ann")
COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"


def refusal(text: str, secret: str = SECRET) -> str:
    with pytest.raises(ApiError) as caught:
        tokens.decode(secret, text)
    assert (caught.value.status, caught.value.subcode) == (401, 30)
    return str(caught.value)


def test_token_comes_back_as_it_went() -> None:
    token = tokens.decode(SECRET, tokens.encode(SECRET, IDENTITY, lifetime=60, feature_set="basic"))
    assert token.identity == IDENTITY
    assert len(token.session_id) == 32
    assert token.expires is not None
    assert token.expires == pytest.approx(time.time() + 60, abs=5)


def test_token_has_the_claims_of_the_official_server() -> None:
    text = tokens.encode(SECRET, IDENTITY, lifetime=60, server_version="9.9.9")
    claims = jwt.decode(text, SECRET, algorithms=["HS256"])
    assert claims.keys() == {"auth_type", "identity", "session_id", "env", "iat", "exp", "server_version"}
    assert claims["auth_type"] == "Bearer"
    assert claims["identity"] == {
        "user": "U",
        "company": "C",
        "role": "user",
        "company_name": "clearml",
        "user_name": "Ann",
    }


def test_token_without_lifetime_has_no_end() -> None:
    assert "exp" not in jwt.decode(tokens.encode(SECRET, IDENTITY, lifetime=None), SECRET, algorithms=["HS256"])


def test_garbage_is_no_token() -> None:
    assert refusal("garbage") == "Invalid token (invalid jwt token): reason=Not enough segments"


def test_token_signed_with_another_secret_is_refused() -> None:
    text = tokens.encode("another secret of the tests, as long as it", IDENTITY, lifetime=60)
    assert "Signature verification failed" in refusal(text)


def test_expired_token_is_refused() -> None:
    assert "expired" in refusal(tokens.encode(SECRET, IDENTITY, lifetime=-1))


@pytest.mark.parametrize("identity", [{}, {"user": "U"}, {"name": "x"}])
def test_token_without_a_whole_identity_is_refused(identity: Any) -> None:
    message = refusal(jwt.encode({"identity": identity}, SECRET, algorithm="HS256"))
    assert message.startswith("Invalid token (failed parsing token): reason=Identity.__init__() missing")


@pytest.mark.parametrize("identity", [None, "root", []])
def test_token_without_an_identity_is_an_error_of_the_server_as_on_the_official_one(identity: Any) -> None:
    with pytest.raises(ApiError, match="tuple index out of range") as caught:
        tokens.decode(SECRET, jwt.encode({"identity": identity}, SECRET, algorithm="HS256"))
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (jwt.encode({"identity": asdict(IDENTITY)}, "", algorithm="none"), "jwt invalid key error"),
        (jwt.encode({"identity": asdict(IDENTITY)}, "x" * 40, algorithm="HS256"), "Signature verification failed"),
        (jwt.encode({"identity": asdict(IDENTITY), "exp": 1}, SECRET, algorithm="HS256"), "Signature has expired"),
        ("a.b.c", "invalid jwt token"),
        ("", "Not enough segments"),
    ],
)
def test_forged_or_expired_token_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


def with_users(*users: dict[str, Any], hashed: bool = False, guest: bool = False) -> Config:
    config = load("apiserver", {})
    config.tree["apiserver"]["auth"]["fixed_users"] = {"enabled": True, "pass_hashed": hashed, "users": list(users)}
    config.tree["services"]["auth"]["fixed_users"]["guest"]["enabled"] = guest
    return config


def test_fixed_users_are_off_by_default() -> None:
    config = load("apiserver", {})
    assert not fixed_users.enabled(config)
    assert fixed_users.find(config, "ann") is None


def test_id_of_a_fixed_user_is_the_same_everywhere() -> None:
    user = fixed_users.find(with_users({"username": "admin", "password": "secret", "name": "Admin"}), "admin")
    assert user is not None
    assert user.id == "98084d9e341946bbd6445bf2d44819d2"  # as recorded from the official server
    assert (user.role, user.company, user.email) == ("user", COMPANY, f"{user.id}@example.com")


def test_password_in_clear() -> None:
    user = fixed_users.FixedUser("ann", "pw", "Ann", COMPANY)
    assert user.accepts("pw", hashed=False)
    assert not user.accepts("pW", hashed=False)


def test_number_as_password_is_never_right() -> None:
    assert not fixed_users.FixedUser("ann", 1234, "Ann", COMPANY).accepts("1234", hashed=False)


def test_hashed_password() -> None:
    stored = base64.b64encode(bcrypt.hashpw(b"pw", bcrypt.gensalt(4))).decode()
    user = fixed_users.FixedUser("ann", stored, "Ann", COMPANY)
    assert user.accepts("pw", hashed=True)
    assert not user.accepts(stored, hashed=True)


def test_entry_without_a_name_is_an_error() -> None:
    with pytest.raises(TypeError, match="name"):
        fixed_users.load(with_users({"username": "ann", "password": "pw"}))


def test_name_that_appears_twice_is_an_error() -> None:
    entry = {"username": "ann", "password": "pw", "name": "Ann"}
    with pytest.raises(fixed_users.FixedUsersError, match="Duplicate"):
        fixed_users.check(fixed_users.load(with_users(entry, entry)))


def test_guest_is_there_only_when_it_is_enabled() -> None:
    assert fixed_users.load(with_users()) == []
    (guest,) = fixed_users.load(with_users(guest=True))
    assert (guest.username, guest.role, guest.is_guest) == ("guest", "guest", True)
