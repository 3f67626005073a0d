"""The published keys that verify tries are the ones that the lab's server accepts when nothing replaces them."""

from __future__ import annotations

from pathlib import Path

import pyhocon
from ansible.module_utils.published_keys import KEY_PAIRS, SESSION_SECRET, TOKEN_SECRET

DEFAULTS = Path(__file__).resolve().parents[2] / "lab" / "server" / "clearml_lab" / "defaults" / "secure.conf"


def test_lab_and_verify_know_the_same_keys() -> None:
    config = pyhocon.ConfigFactory.parse_file(str(DEFAULTS))
    assert config.get("auth.token_secret") == TOKEN_SECRET
    assert config.get("http.session_secret.apiserver") == SESSION_SECRET
    lab = {name: (pair["user_key"], pair["user_secret"]) for name, pair in config.get("credentials").items()}
    # Only releases before 1.16 had a pair for the agent.
    assert lab.pop("services_agent") == ("", "")
    assert lab == {name: pair for name, pair in KEY_PAIRS.items() if name != "services_agent"}
