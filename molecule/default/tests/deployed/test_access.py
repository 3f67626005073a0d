"""Who gets in: the generated accounts, and nobody with what is published."""

from __future__ import annotations

import pytest

from helpers.platform import Platform
from helpers.published import KEY_PAIRS, TOKEN_SECRETS, forge_token
from helpers.variables import Variables


def test_the_operator_logs_in(platform: Platform, credentials: dict[str, str], variables: Variables) -> None:
    answer = platform.login(credentials["username"], credentials["password"])
    me = platform.call("users.get_current_user", answer.data["token"]).data["user"]
    assert me["name"] == variables["clearml_access_users"][0]["name"]
    assert me["role"] == "user"


def test_the_service_account_logs_in(platform: Platform, credentials: dict[str, str]) -> None:
    answer = platform.login(credentials["access_key"], credentials["secret_key"])
    assert platform.call("users.get_current_user", answer.data["token"]).data["user"]["role"] == "user"


def test_a_wrong_password_is_refused(platform: Platform, credentials: dict[str, str]) -> None:
    assert platform.login(credentials["username"], credentials["password"] + "x").status == 401
    assert platform.login(credentials["access_key"], credentials["secret_key"] + "x").status == 401


@pytest.mark.parametrize("pair", KEY_PAIRS.values(), ids=KEY_PAIRS)
def test_a_published_key_is_refused(platform: Platform, pair: tuple[str, str]) -> None:
    assert platform.login(*pair).status == 401


@pytest.mark.parametrize("secret", TOKEN_SECRETS.values(), ids=TOKEN_SECRETS)
def test_a_forged_token_is_refused(platform: Platform, secret: str) -> None:
    assert platform.call("users.get_all", forge_token(secret)).status == 401


def test_the_same_token_with_the_real_secret_is_accepted(platform: Platform, secrets: dict[str, str]) -> None:
    """So the forged ones were refused for their signature, and for nothing else."""
    assert platform.call("users.get_all", forge_token(secrets["token_secret"])).status == 200


def test_nobody_gets_in_by_name_alone(platform: Platform, credentials: dict[str, str]) -> None:
    assert platform.call("users.get_all").status == 401
    assert platform.login(credentials["username"], "").status == 401
    modes = platform.call("login.supported_modes").data
    assert modes["basic"]["enabled"] is True
    assert not modes["basic"].get("guest", {}).get("enabled", False)


def test_an_anonymous_upload_is_refused(platform: Platform, token: str) -> None:
    assert platform.upload("anonymous/file.bin", b"\0\n").status == 401
    assert platform.download("anonymous/file.bin", token).status == 404


def test_an_anonymous_download_is_refused(platform: Platform, token: str) -> None:
    assert platform.upload("tests/private.bin", b"\0\n\xff", token).status == 200
    assert platform.download("tests/private.bin").status == 401
    assert platform.download("tests/private.bin", token).body == b"\0\n\xff"


def test_every_secret_is_its_own(secrets: dict[str, str]) -> None:
    """Long enough, all different, and none of them published."""
    values = list(secrets.values())
    assert len(values) >= 14
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 20
    public = {value for pair in KEY_PAIRS.values() for value in pair} | set(TOKEN_SECRETS.values())
    assert not public & set(values)


def test_the_web_server_leads_to_the_apiserver(platform: Platform) -> None:
    answer = platform.ask("GET", f"{platform.web}/api/debug.ping")
    assert answer.data == {"msg": "ClearML server"}
