"""The script of the one-shot service clearml-secrets: keys of its own, made once, that nobody else may read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyhocon
import pytest
from lab.commands.shell import ROOT

from helpers.published import KEY_PAIRS, TOKEN_SECRETS

SCRIPT = ROOT / "compose" / "scripts" / "make-secrets.sh"
# Every account that has a published key until another replaces it.
PUBLISHED = {"apiserver", "fileserver", "webserver", "tests"}


def make(folder: Path) -> str:
    """Run the script and return what it printed."""
    done = subprocess.run(["sh", SCRIPT, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def secrets_of(folder: Path) -> dict[str, str]:
    """All secrets that the files hold, by where they stand."""
    secure = pyhocon.ConfigFactory.parse_file(str(folder / "secure.conf"))
    (account,) = pyhocon.ConfigFactory.parse_file(str(folder / "apiserver.conf"))["auth.fixed_users.users"]
    found = {f"{name}.{part}": pair[part] for name, pair in secure["credentials"].items() for part in pair}
    found = {name: value for name, value in found.items() if name.endswith(("user_key", "user_secret"))}
    return found | {
        "token_secret": secure.get("auth.token_secret", ""),
        "session_secret": secure.get("http.session_secret.apiserver", ""),
        "password": account["password"],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory in which the script ran."""
    make(tmp_path)
    return tmp_path


def test_every_published_key_is_replaced(folder: Path) -> None:
    found = secrets_of(folder)
    wanted = {f"{name}.{part}" for name in PUBLISHED for part in ("user_key", "user_secret")}
    assert wanted <= found.keys()
    assert found["token_secret"]
    assert found["session_secret"]
    public = {value for pair in KEY_PAIRS.values() for value in pair} | set(TOKEN_SECRETS.values())
    assert not public & set(found.values())


def test_every_secret_is_its_own(folder: Path) -> None:
    values = list(secrets_of(folder).values())
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 30
    # Nothing takes one for a number.
    assert all(value[0].isalpha() for value in values)


def test_two_stacks_have_different_secrets(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    make(other)
    assert not set(secrets_of(folder).values()) & set(secrets_of(other).values())


@pytest.mark.parametrize("name", ["secure.conf", "apiserver.conf"])
def test_nobody_else_may_read_them(folder: Path, name: str) -> None:
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_kept(folder: Path) -> None:
    before = {path.name: path.read_text() for path in folder.iterdir()}
    make(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_no_secret_is_printed(tmp_path: Path) -> None:
    printed = make(tmp_path)
    assert printed
    assert [name for name, value in secrets_of(tmp_path).items() if value in printed] == []
