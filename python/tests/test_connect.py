"""init: every failure against a real listener, and the file that comes out of it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listeners import (
    Reply,
    closed_port,
    dated,
    envelope,
    forwarded,
    html,
    listening,
    make_certificate,
)

from clearml_platform import conf, connect
from clearml_platform.addresses import ADDRESSES
from clearml_platform.errors import InputError, PlatformError, ServerError
from clearml_platform.probe import Client
from clearml_platform.server import Server

VALUES = {
    "api_host": "http://clearml.example.com:8008",
    "web_host": "http://clearml.example.com:8080",
    "files_host": "http://clearml.example.com:8081",
    "access_key": "NEWKEY",
    "secret_key": "new-secret",
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def real() -> dict[str, str]:
    """The values of the server under test."""
    return conf.values(conf.read(Path(os.environ["CLEARML_CONFIG_FILE"])))


@pytest.fixture(scope="session")
def person() -> tuple[str, str]:
    """Name and password of a person of the lab stack."""
    return _saved("person")


@pytest.fixture(scope="session")
def service_account() -> tuple[str, str]:
    """The key of a service account of the lab stack."""
    return _saved("system")


def _saved(what: str) -> tuple[str, str]:
    path = os.environ.get("CLEARML_LAB_STACK")
    if not path:
        pytest.skip("CLEARML_LAB_STACK is not set: nobody's password is known here.")
    name, secret = json.loads(Path(path).read_text())[what]
    return name, secret


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without clearml.conf, an environment without values, and no server's host."""
    for name in [*connect.VARIABLES.values(), "CLEARML_CONFIG_FILE", connect.PASSWORD, "REQUESTS_CA_BUNDLE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(connect, "LEFT_BY_ANSIBLE", tmp_path / "nothing-left")
    return tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the script; return its exit code and what it printed."""
    import importlib.util

    path = Path(__file__).parents[1] / "scripts" / "clearml" / "init_clearml.py"
    spec = importlib.util.spec_from_file_location("init_clearml", path)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def call(*arguments: str, **values: str) -> tuple[int, str, str]:
        options = [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", value)]
        capfd.readouterr()
        code = script.main([*arguments, *options])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def proxy(real: dict[str, str]) -> Callable[..., Any]:
    """Listeners before the real API."""

    def start(change: Any = None, **more: Any) -> Any:
        return listening(forwarded(real["api_host"], change), **more)

    return start


def one_sentence(printed: str) -> str:
    """Return the error, which has to be one line and one sentence."""
    lines = printed.splitlines()
    assert len(lines) == 1, printed
    assert lines[0].startswith("error: ") and lines[0].endswith("."), printed
    return lines[0]


# -- what is written


def test_writes_a_file_that_the_sdk_logs_in_with(run: Run, real: dict[str, str], home: Path) -> None:
    code, out, err = run(**real)
    assert (code, err) == (0, "")
    path = home / "clearml.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert conf.values(conf.read(path)) == real
    assert "Logged in to" in out and str(path) in out
    assert real["secret_key"] not in out and real["access_key"] not in out
    assert not list(home.glob("*.backup")) and not list(home.glob(".clearml*"))


def test_the_sdk_reads_what_was_written(run: Run, real: dict[str, str], tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "other.conf"
    assert run("--output", str(path), **real)[0] == 0
    code = "from clearml_platform.server import Server; print(Server.connect().call('users.get_current_user')['user'])"
    environment = {**os.environ, "CLEARML_CONFIG_FILE": str(path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_other_output_says_how_to_use_it(run: Run, real: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "other.conf"
    _, _, err = run("--output", str(path), **real)
    assert f"CLEARML_CONFIG_FILE={path}" in err


def test_keeps_other_settings_and_a_backup(run: Run, real: dict[str, str], home: Path) -> None:
    path = home / "clearml.conf"
    old = "# mine\napi {\n  verify_certificate: true # why\n  api_server: http://old:8008\n}\nsdk.x: 1 # one\n"
    path.write_text(old)
    path.chmod(0o644)
    code, out, _ = run(**real)
    assert code == 0
    text = path.read_text()
    assert "# mine" in text and "verify_certificate: true # why" in text and "sdk.x: 1 # one" in text
    assert "http://old" not in text
    (backup,) = home.glob("clearml.conf.*.backup")
    assert backup.read_text() == old and str(backup) in out
    assert stat.S_IMODE(backup.stat().st_mode) == stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_again_changes_nothing(run: Run, real: dict[str, str], home: Path) -> None:
    run(**real)
    before = (home / "clearml.conf").stat()
    assert run(**real)[0] == 0
    after = (home / "clearml.conf").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not list(home.glob("*.backup"))


def test_a_link_stays_a_link(run: Run, real: dict[str, str], home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "clearml.conf").symlink_to(home / "dotfiles" / "clearml.conf")
    assert run(**real)[0] == 0
    assert (home / "clearml.conf").is_symlink() and (home / "dotfiles" / "clearml.conf").is_file()


def test_json_is_all_that_is_printed(run: Run, real: dict[str, str], home: Path) -> None:
    code, out, err = run("--json", **real)
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["ok"] and report["file"] == str(home / "clearml.conf") and report["backup"] is None
    assert report["user"] and report["sources"]["api_host"] == "the options"
    assert real["secret_key"] not in out and real["access_key"] not in out


@pytest.mark.parametrize(
    "old",
    [
        "",
        "# only a comment\n",
        'api { web_server: http://a:1\n api_server: http://b:2, files_server = "http://c:3"\n'
        ' credentials { "access_key" = "OLD", "secret_key" = "OLD" } }\nsdk { a: [1, 2] }\n',
        'api.api_server: "http://b"\napi.credentials.access_key: OLD\napi.credentials.secret_key: OLD\nsdk.a: 1\n',
        '{"api": {"api_server": "http://b", "credentials": {"access_key": "OLD"}, "h": {"x": 1}}, "sdk": {"a": "}"}}',
        '# head\n{\n  "sdk": {"a": 1} // tail\n}\n# foot\n',
        'sdk { development { default_output_uri: "s3://b/{x}" } }\nnote = """\napi { web_server: no }\n"""\n',
        "api {\n  http { retries { total: 3 } }\n}\n"
        'agent { git_user: "a#b", x = ${HOME}/y }\napi { web_server: "http://z" }\n',
        "api: {\n    # Credentials are generated using the webapp\n    credentials: {access_key: OLD}\n}\n",
        'api { x: 1, web_server: "http://a", y: 2 }\n',
        "api { credentials.access_key: OLD\n credentials.secret_key: OLD\n z: 1 }",
        "api {}\nsdk {}\n",
        'sdk { a: 1 }, api { web_server: "http://a" }',
        'sdk { a: "q\\"{" }\r\napi {\r\n  api_server: http://b:8008\r\n}\r\n',
    ],
)
def test_replaces_ours_and_nothing_else(old: str, tmp_path: Path) -> None:
    path = tmp_path / "clearml.conf"
    result = conf.merged(old, VALUES, path)
    settings = conf.parse(result, path)
    assert conf.values(settings) == VALUES
    assert "OLD" not in result
    # verified against everything else inside of merged(); again is the same
    assert conf.merged(result, VALUES, path) == result


@pytest.mark.parametrize("secret", ["a b#c", "a,b=c+d", "${HOME}", "ключ", "12345678", "true", "a//b", "{[", "a\\b"])
@pytest.mark.parametrize("old", ["", "sdk.a: 1\n"])
def test_any_secret_is_read_back_as_it_is(secret: str, old: str, tmp_path: Path) -> None:
    path = tmp_path / "clearml.conf"
    result = conf.merged(old, {**VALUES, "secret_key": secret}, path)
    assert conf.parse(result, path)["api"]["credentials"]["secret_key"] == secret


def test_comments_and_order_stay(tmp_path: Path) -> None:
    old = "# a\nsdk {\n  # b\n  x: 1\n}\napi {\n  # c\n  api_server: http://old:8008\n  z: 1  # d\n}\n# e\n"
    result = conf.merged(old, VALUES, tmp_path)
    assert result.replace("\n", " ").split("api {")[0].split() == old.split("api {")[0].split()
    assert [line.strip() for line in result.splitlines() if "#" in line] == ["# a", "# b", "# c", "z: 1  # d", "# e"]


@pytest.mark.parametrize(
    "old", ["api = ${other}\nother { x: 1 }\n", "api: 3\n", "api { credentials: OLD, x: ${api.credentials} }\n"]
)
def test_refuses_to_change_what_it_does_not_understand(old: str, tmp_path: Path) -> None:
    path = tmp_path / "clearml.conf"
    with pytest.raises(InputError, match=r"cannot be changed safely|can read"):
        conf.merged(old, VALUES, path)


def test_a_broken_file_is_left_alone(run: Run, real: dict[str, str], home: Path) -> None:
    path = home / "clearml.conf"
    path.write_text('api { credentials { secret_key: "TOPSECRET"\n')
    code, out, err = run(**real)
    assert code == 2 and "clearml.conf" in one_sentence(err)
    assert "TOPSECRET" not in out + err
    assert path.read_text() == 'api { credentials { secret_key: "TOPSECRET"\n'
    assert sorted(one.name for one in home.iterdir()) == ["clearml.conf"]


def test_a_file_that_is_no_text_is_left_alone(run: Run, real: dict[str, str], home: Path) -> None:
    (home / "clearml.conf").write_bytes(b"api { x: \xff\xfe }")
    code, _, err = run(**real)
    assert code == 2 and "UTF-8" in one_sentence(err)


@pytest.mark.parametrize(("output", "said"), [("missing/clearml.conf", "no folder"), (".", "is a folder")])
def test_an_output_that_cannot_be(run: Run, real: dict[str, str], home: Path, output: str, said: str) -> None:
    code, _, err = run("--output", str(home / output), **real)
    assert code == 2 and said in one_sentence(err)


def test_a_failed_write_leaves_the_old_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "clearml.conf"
    path.write_text("sdk.a: 1\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlatformError, match="No space left"):
        conf.write(path, "sdk.a: 2\n")
    assert path.read_text() == "sdk.a: 1\n"
    assert [one.name for one in home.iterdir()] == ["clearml.conf"]


# -- where values come from


def test_values_of_the_environment(run: Run, real: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable in connect.VARIABLES.items():
        monkeypatch.setenv(variable, real[name])
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)["sources"].values()) == {"the environment"}


def test_the_environment_that_wins_over_the_file_is_named(
    run: Run, real: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", "http://elsewhere:8008")
    code, _, err = run(**real)
    assert code == 0 and "CLEARML_API_HOST" in err and "wins" in err


@pytest.mark.parametrize("form", ["credentials.json", "clearml.conf", "folder"])
def test_the_file_that_ansible_left(run: Run, real: dict[str, str], tmp_path: Path, form: str) -> None:
    left = tmp_path / "client"
    left.mkdir()
    if form == "clearml.conf":
        (left / form).write_text(conf.merged("", real, left))
    else:
        (left / "credentials.json").write_text(json.dumps({**real, "username": "operator", "password": "x"}))
    code, out, err = run("--json", "--from", str(left if form == "folder" else left / form))
    assert (code, err) == (0, "")
    assert json.loads(out)["sources"]["secret_key"].startswith(str(left))


def test_the_default_place_of_that_file(
    run: Run, real: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LEFT_BY_ANSIBLE", tmp_path)
    (tmp_path / "credentials.json").write_text(json.dumps(real))
    assert run()[0] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no credentials.json"), ("nonsense", "not the credentials.json"), ("[1]", "not the credentials.json")],
)
def test_a_file_of_ansible_that_is_none(run: Run, tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "credentials.json"
    if content is not None:
        path.write_text(content)
    code, _, err = run("--from", str(path))
    assert code == 2 and said in one_sentence(err)


def test_a_file_that_is_named_goes_before_the_environment(
    run: Run, real: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "credentials.json"
    left.write_text(json.dumps(real))
    for name in ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"):
        monkeypatch.setenv(name, "http://elsewhere:8008")
    code, _, err = run("--from", str(left))
    assert code == 0 and err.count("wins over the file") == 3


def test_the_key_of_a_file_nobody_named_goes_to_its_own_server_alone(
    run: Run, real: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "LEFT_BY_ANSIBLE", tmp_path)
    (tmp_path / "credentials.json").write_text(json.dumps(real))
    code, _, err = run(api_host="http://elsewhere.example.com:8008")
    assert code == 2 and "There is no key for http://elsewhere.example.com:8008" in one_sentence(err)
    assert run(api_host=real["api_host"], web_host=real["web_host"], files_host=real["files_host"])[0] == 0


def test_addresses_of_the_former_file(run: Run, real: dict[str, str], home: Path) -> None:
    run(**real)
    assert run("--access-key", real["access_key"], "--secret-key", real["secret_key"])[0] == 0


def test_addresses_of_another_server_are_not_mixed(home: Path) -> None:
    existing = {name: f"http://old.example.com:{port}" for name, port in zip(VALUES, (1, 2, 3), strict=False)}
    given = {"api_host": "http://new.example.com:8008", "access_key": "A", "secret_key": "B"}
    found = connect.gather(given, existing, home)
    assert (found.web_host, found.files_host) == ("http://new.example.com:8080", "http://new.example.com:8081")


@pytest.mark.parametrize(
    ("api", "web", "files"),
    [
        ("http://c.example.com:8008", "http://c.example.com:8080", "http://c.example.com:8081"),
        ("https://api.c.example.com/", "https://app.c.example.com", "https://files.c.example.com"),
        ("http://[::1]:8008", "http://[::1]:8080", "http://[::1]:8081"),
        ("https://c.example.com/api", "https://c.example.com", "https://c.example.com/files"),
    ],
)
def test_usual_addresses_follow_from_the_api(home: Path, api: str, web: str, files: str) -> None:
    found = connect.gather({"api_host": api, "access_key": "A", "secret_key": "B"}, {}, home)
    assert (found.web_host, found.files_host) == (web, files)


def test_an_unusual_address_needs_all_three(run: Run) -> None:
    code, _, err = run(api_host="http://c.example.com:9", access_key="A", secret_key="B")
    assert code == 2 and "--web-host" in err


def test_half_a_key(run: Run) -> None:
    code, _, err = run(api_host="http://c.example.com:8008", access_key="A")
    assert code == 2 and "--secret-key" in err


def test_a_key_is_not_put_together_from_two_places(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "B")
    code, _, err = run(api_host="http://c.example.com:8008", access_key="A")
    assert code == 2 and "the options lacks" in err


def test_without_values_it_says_how_to_get_them(run: Run, home: Path) -> None:
    code, out, err = run()
    assert code == 2 and "Create new credentials" in out and "--username" in out and "/opt/clearml/client" in out
    one_sentence(err)
    assert not (home / "clearml.conf").exists()
    code, out, _ = run("--json")
    assert code == 2 and json.loads(out)["reason"] == "no_values" and "Create new" in json.loads(out)["how"]


@pytest.mark.parametrize(
    "api",
    [
        "clearml.example.com:8008",
        "ftp://clearml.example.com",
        "http://",
        "http://a:b@clearml.example.com",
        "http://clearml.example.com:99999",
        "http://clearml.example.com:0",
        "http://clearml.example.com/?a=1",
        'http://clear"ml',
        "http://a b",
        "http://a${x}",
        "http://[::1",
    ],
)
def test_what_is_no_address(run: Run, api: str) -> None:
    code, out, err = run("--json", api_host=api, access_key="A", secret_key="B")
    assert code == 2 and json.loads(out)["reason"] == "bad_address"
    assert "--api-host" in one_sentence(err) and "http://clearml.example.com:8008" in err
    assert "a:b" not in err


def test_a_store_may_take_the_place_of_the_fileserver(run: Run, real: dict[str, str]) -> None:
    assert run(**{**real, "files_host": "s3://minio.example.com:9000/clearml"})[0] == 0


# -- what goes wrong between here and the server


def failed(run: Run, home: Path, **values: str) -> tuple[int, str, str]:
    """Return exit code, reason and sentence of an init that has to fail; nothing may be written."""
    code, out, err = run("--json", **values)
    report = json.loads(out)
    assert not report["ok"] and f"error: {report['message']}\n" == err
    one_sentence(err)
    assert not list(home.glob("clearml.conf*"))
    for name in ("access_key", "secret_key"):
        assert values.get(name, "none") not in out + err
    return code, report["reason"], report["message"]


def test_server_down(run: Run, home: Path, real: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (3, "unreachable") and "Nothing listens" in said and url in said


def test_fileserver_down(run: Run, home: Path, real: dict[str, str]) -> None:
    code, reason, _ = failed(run, home, **{**real, "files_host": f"http://127.0.0.1:{closed_port()}"})
    assert (code, reason) == (3, "unreachable")


def test_unknown_name(run: Run, home: Path, real: dict[str, str]) -> None:
    code, reason, said = failed(run, home, **{**real, "api_host": "http://no-such-host.invalid:8008"})
    assert (code, reason) == (3, "unreachable") and "no-such-host.invalid is not known" in said


def test_no_answer(real: dict[str, str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerError, match="does not answer: ") as caught:
            Client(patience=0.5).check_services({**real, "api_host": url}, {})
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_its_server(run: Run, home: Path, real: dict[str, str], status: int) -> None:
    with listening(lambda *_: Reply(status, b"<html>Bad Gateway</html>")) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (3, "not_ready") and str(status) in said


def test_wrong_key(run: Run, home: Path, real: dict[str, str]) -> None:
    code, reason, said = failed(run, home, **{**real, "secret_key": "wrong-secret"})
    assert (code, reason) == (3, "wrong_key") and real["api_host"] in said


def test_unknown_key(run: Run, home: Path, real: dict[str, str]) -> None:
    assert failed(run, home, **{**real, "access_key": "NOBODYS"})[:2] == (3, "wrong_key")


def test_https_where_http_is_spoken(run: Run, home: Path, real: dict[str, str]) -> None:
    right = real["api_host"]
    code, reason, said = failed(run, home, **{**real, "api_host": right.replace("http:", "https:")})
    assert (code, reason) == (2, "wrong_scheme") and f"give {right} instead" in said


def test_https_before_a_server_that_waits(run: Run, home: Path, real: dict[str, str]) -> None:
    """Python's server waits for the end of the line that it takes the handshake for."""
    with listening(html) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url.replace("http:", "https:")})
    assert (code, reason) == (2, "wrong_scheme") and f"give {url} instead" in said


def test_http_where_tls_is_spoken(run: Run, home: Path, real: dict[str, str], proxy: Any, tmp_path: Path) -> None:
    with proxy(certificate=make_certificate(tmp_path / "tls.pem")) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url.replace("https:", "http:")})
    assert (code, reason) == (2, "wrong_scheme") and f"give {url} instead" in said


def test_http_that_redirects_to_https(run: Run, home: Path, real: dict[str, str]) -> None:
    def redirect(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        return Reply(301, b"", {"Location": f"https://127.0.0.1{path}"})

    with listening(redirect) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (2, "wrong_scheme") and "give https://127.0.0.1 instead" in said


def test_a_login_page_before_the_api(run: Run, home: Path, real: dict[str, str]) -> None:
    with listening(lambda *_: Reply(302, b"", {"Location": "https://sso.example.com/login"})) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
        assert (code, reason) == (2, "not_clearml") and "sso.example.com" in said
        assert run(**{**real, "web_host": url})[0] == 0


def test_self_signed_certificate(run: Run, home: Path, real: dict[str, str], proxy: Any, tmp_path: Path) -> None:
    with proxy(certificate=make_certificate(tmp_path / "tls.pem")) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (3, "certificate") and "self-signed" in said and "REQUESTS_CA_BUNDLE" in said


def test_trusted_certificate(
    run: Run, real: dict[str, str], proxy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path / "tls.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with proxy(certificate=certificate) as url:
        assert run(**{**real, "api_host": url})[0] == 0


@pytest.mark.parametrize(("wanted", "code"), [("false", 0), ("true", 3)])
def test_verification_as_the_file_says(
    run: Run, home: Path, real: dict[str, str], proxy: Any, tmp_path: Path, wanted: str, code: int
) -> None:
    (home / "clearml.conf").write_text(f"api.verify_certificate: {wanted}\n")
    with proxy(certificate=make_certificate(tmp_path / "tls.pem")) as url:
        assert run(**{**real, "api_host": url})[0] == code


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [("IP:127.0.0.1", -1, "expired"), ("DNS:other.example.com", 2, "another name than 127.0.0.1")],
)
def test_certificates_of_another_day_or_name(
    run: Run,
    home: Path,
    real: dict[str, str],
    proxy: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    days: int,
    said: str,
) -> None:
    certificate = make_certificate(tmp_path / "tls.pem", name, days)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with proxy(certificate=certificate) as url:
        code, reason, sentence = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (3, "certificate") and said in sentence


def test_a_bundle_that_is_not_there(
    run: Run, home: Path, real: dict[str, str], proxy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with proxy(certificate=make_certificate(tmp_path / "tls.pem")) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (2, "certificate") and "none.pem" in said


@pytest.mark.parametrize(("seconds", "said"), [(-3600, "60 minutes ahead of"), (3 * 86400, "3 days behind")])
def test_clock_skew(run: Run, home: Path, real: dict[str, str], proxy: Any, seconds: int, said: str) -> None:
    with proxy(dated(seconds)) as url:
        code, reason, sentence = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (1, "clock") and said in sentence


def test_a_minute_is_no_skew(run: Run, real: dict[str, str], proxy: Any) -> None:
    with proxy(dated(60)) as url:
        assert run(**{**real, "api_host": url})[0] == 0


@pytest.mark.parametrize(
    ("name", "other", "service"),
    [
        ("api_host", "web_host", "is the web application, not the API"),
        ("api_host", "files_host", "is the fileserver, not the API"),
        ("files_host", "api_host", "is the API, not the fileserver"),
        ("files_host", "web_host", "is the web application, not the fileserver"),
        ("web_host", "api_host", "is the API, not the web application"),
        ("web_host", "files_host", "is the fileserver, not the web application"),
    ],
)
def test_addresses_of_another_service(
    run: Run, home: Path, real: dict[str, str], name: str, other: str, service: str
) -> None:
    code, reason, said = failed(run, home, **{**real, name: real[other]})
    assert (code, reason) == (2, "wrong_service")
    assert f"--{name.replace('_', '-')}: {real[other]} {service}" in said


def test_it_names_the_api_behind_the_web_application(run: Run, home: Path, real: dict[str, str]) -> None:
    assert f"that is {real['web_host']}/api." in failed(run, home, **{**real, "api_host": real["web_host"]})[2]


@pytest.mark.parametrize("name", ["api_host", "files_host"])
def test_a_web_server_of_something_else(run: Run, home: Path, real: dict[str, str], name: str) -> None:
    with listening(html) as url:
        code, reason, said = failed(run, home, **{**real, name: url})
    assert (code, reason) == (2, "not_clearml") and url in said


def test_a_server_that_breaks_off(run: Run, home: Path, real: dict[str, str]) -> None:
    def refused(path: str, reply: Reply) -> Reply:
        if path == "/auth.login":
            return envelope(500, (500, 100), "General data error")
        return reply

    with listening(forwarded(real["api_host"], refused)) as url:
        code, reason, said = failed(run, home, **{**real, "api_host": url})
    assert (code, reason) == (3, "refused") and "General data error" in said


# -- a key of one's own


def keys(server: Server) -> set[str]:
    """Return the keys of the person."""
    return {one["access_key"] for one in server.call("auth.get_credentials", version="2.23")["credentials"]}


def test_username_makes_a_key(
    run: Run,
    home: Path,
    real: dict[str, str],
    person: tuple[str, str],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(connect.PASSWORD, person[1])
    before = keys(server)
    addresses = {name: real[name] for name in ADDRESSES}
    code, out, err = run(username=person[0], **addresses)
    assert (code, err) == (0, "")
    written = conf.values(conf.read(home / "clearml.conf"))
    assert keys(server) - before == {written["access_key"]}
    text = (home / "clearml.conf").read_text()
    assert person[1] not in text + out and written["secret_key"] not in out and written["access_key"] not in out
    server.call("auth.revoke_credentials", version="2.23", access_key=written["access_key"])


@pytest.mark.parametrize("end", [PlatformError("no space"), KeyboardInterrupt()])
def test_a_key_made_in_vain_is_taken_back(
    end: BaseException,
    home: Path,
    real: dict[str, str],
    person: tuple[str, str],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = keys(server)

    def full(*_: object) -> None:
        raise end

    monkeypatch.setattr(conf, "write", full)
    addresses = {name: real[name] for name in ADDRESSES}
    with pytest.raises(type(end)):
        connect.init(addresses, username=person[0], password=person[1])
    assert keys(server) == before


def test_the_password_is_asked_for(
    run: Run, home: Path, real: dict[str, str], person: tuple[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal, which does not show it."""
    import pty
    import subprocess
    import sys

    addresses = [word for name in ADDRESSES for word in (f"--{name.replace('_', '-')}", real[name])]
    script = Path(__file__).parents[1] / "scripts" / "clearml" / "init_clearml.py"
    command = [sys.executable, str(script), "--username", person[0], "--json", *addresses]
    leader, follower = pty.openpty()
    with subprocess.Popen(
        command, stdin=follower, stdout=subprocess.PIPE, stderr=follower, start_new_session=True, text=True
    ) as process:
        os.close(follower)
        shown = b""
        while b"Password of" not in shown:
            shown += os.read(leader, 1000)
        os.write(leader, person[1].encode() + b"\n")
        out = process.communicate(timeout=60)[0]
    os.close(leader)
    assert process.returncode == 0 and json.loads(out)["ok"]
    assert person[1].encode() not in shown
    made = conf.values(conf.read(home / "clearml.conf"))["access_key"]
    server.call("auth.revoke_credentials", version="2.23", access_key=made)


def test_no_terminal_and_no_password(run: Run, home: Path, real: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123
    code, _, said = failed(run, home, username="anna", api_host=real["api_host"])
    assert code == 2 and connect.PASSWORD in said


def test_wrong_password(run: Run, home: Path, real: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connect.PASSWORD, "Пароль-wrong")
    addresses = {name: real[name] for name in ADDRESSES}
    code, reason, said = failed(run, home, username="anna", **addresses)
    assert (code, reason) == (3, "wrong_password") and "'anna'" in said


def test_protected_identity(
    run: Run, home: Path, real: dict[str, str], service_account: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(connect.PASSWORD, service_account[1])
    addresses = {name: real[name] for name in ADDRESSES}
    code, reason, said = failed(run, home, username=service_account[0], **addresses)
    assert (code, reason) == (3, "protected_identity") and "service account (protected identity)" in said


def test_a_server_without_passwords(run: Run, home: Path, real: dict[str, str], monkeypatch: Any) -> None:
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == "/auth.login":
            return envelope(401, (401, 22), "Unauthorized")
        return envelope(basic={"enabled": False})

    monkeypatch.setenv(connect.PASSWORD, "x")
    with listening(answer) as url:
        addresses = {**{name: real[name] for name in ADDRESSES}, "api_host": url}
        code, reason, _ = failed(run, home, username="anna", **addresses)
    assert (code, reason) == (3, "no_passwords")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--username", "a:b", "--api-host", "API"], "colon"),
        (["--username", "a", "--access-key", "K"], "leave out --access-key"),
        (["--check", "--username", "a"], "--check tests what is in force"),
        (["--check", "--output", "x"], "--check tests what is in force"),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, home: Path, real: dict[str, str], monkeypatch: Any, options: list[str], said: str
) -> None:
    monkeypatch.setenv(connect.PASSWORD, "x")
    rest = ["--web-host", real["web_host"], "--files-host", real["files_host"]] if "API" in options else []
    code, _, err = run(*[real["api_host"] if one == "API" else one for one in options], *rest)
    assert code == 2 and said in one_sentence(err)


# -- what is in force


def test_check_of_a_file(run: Run, real: dict[str, str], home: Path) -> None:
    run(**real)
    before = (home / "clearml.conf").read_bytes()
    code, out, err = run("--check")
    assert (code, err) == (0, "") and real["api_host"] in out and real["secret_key"] not in out
    assert (home / "clearml.conf").read_bytes() == before and len(list(home.iterdir())) == 1


def test_check_of_the_environment(run: Run, real: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable in connect.VARIABLES.items():
        monkeypatch.setenv(variable, real[name])
    assert run("--check")[0] == 0
    assert not list(home.iterdir())


def test_check_says_which_place_is_wrong(run: Run, real: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(**real)
    monkeypatch.setenv("CLEARML_API_HOST", real["web_host"])
    code, _, err = run("--check")
    assert code == 2 and "The address of the API in CLEARML_API_HOST" in one_sentence(err)


def test_check_of_a_revoked_key(run: Run, real: dict[str, str], home: Path) -> None:
    (home / "clearml.conf").write_text(conf.merged("", {**real, "secret_key": "revoked"}, home))
    code, _, err = run("--check")
    assert code == 3 and "does not know this access key" in one_sentence(err)


def test_check_without_anything(run: Run, home: Path) -> None:
    code, out, err = run("--check")
    assert code == 2 and "clearml-platform init" in one_sentence(err) and out == ""


@pytest.mark.parametrize("missing", ["api_host", "access_key", "secret_key"])
def test_check_of_half_a_file(run: Run, real: dict[str, str], monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, variable in connect.VARIABLES.items():
        if name != missing:
            monkeypatch.setenv(variable, real[name])
    code, _, err = run("--check")
    assert code == 2 and connect.VARIABLES[missing] in one_sentence(err)


def test_secrets_do_not_show_in_tracebacks(real: dict[str, str], home: Path) -> None:
    connection = connect.gather(real, {}, home)
    account = Client().login(real["api_host"], real["access_key"], real["secret_key"])
    assert real["secret_key"] not in repr(connection) and account.token not in repr(account)
