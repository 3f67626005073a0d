"""The module clearml_verify, against a platform that is broken in one way at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.clearml_api import Service
from ansible.module_utils.published_keys import KEY_PAIRS, TOKEN_SECRET

from .fake_platform import ACCOUNT, KEY_PAIR, Platform

Load = Callable[[str], ModuleType]
Steps = list[dict[str, Any]]


@pytest.fixture
def platform() -> Iterator[Platform]:
    running = Platform()
    yield running
    running.stop()


@pytest.fixture
def verify(load_plugin: Load, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    """Return a function that runs all checks against the platform."""
    module = load_plugin("modules/clearml_verify")
    monkeypatch.setattr(module, "READ_BACK_TIMEOUT", 0)
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.05)

    def run(**changes: object) -> Steps:
        settings: dict[str, Any] = {
            "api": Service("apiserver", platform.url("api"), 1),
            "web": Service("web server", platform.url("web"), 5),
            "files": Service("fileserver", platform.url("files"), 1),
            "stored_files_url": "http://files.example.com",
            "key_pair": KEY_PAIR,
            "account": ACCOUNT,
            "async_delete_timeout": 2,
            "published_keys": True,
            "service_accounts": {"platform": KEY_PAIR},
            "queues": ["default"],
        }
        steps: Steps = module.Verifier(**{**settings, **changes}).run()
        return steps

    return run


Verify = Callable[..., Steps]


def failures(steps: Steps) -> list[str]:
    return [step["detail"] for step in steps if step["ok"] is False]


def left_out(steps: Steps) -> list[str]:
    return [step["name"] for step in steps if step["ok"] is None]


def names(steps: Steps) -> list[str]:
    return [step["name"] for step in steps]


def test_good_platform(verify: Verify, platform: Platform) -> None:
    steps = verify()
    assert failures(steps) == []
    assert left_out(steps) == []
    assert len(steps) == 25
    assert len(set(names(steps))) == len(steps)
    assert all(isinstance(step["ms"], int) and step["detail"] for step in steps)
    assert platform.is_empty()
    assert platform.events  # it really reported something


def test_a_service_account_that_is_refused_is_named(verify: Verify) -> None:
    pairs = {"platform": KEY_PAIR, "robot": ("ROBOTKEY", "robot-secret-marker")}
    (sentence,) = failures(verify(service_accounts=pairs))
    assert "while logging in as the service account robot" in sentence
    assert "robot-secret-marker" not in sentence


def test_a_queue_that_is_missing_is_named(verify: Verify) -> None:
    (sentence,) = failures(verify(queues=["default", "gpu"]))
    assert "has no queue gpu" in sentence


def test_what_is_not_known_is_not_tried(verify: Verify) -> None:
    steps = verify(account=None, service_accounts={}, queues=[])
    assert failures(steps) == []
    assert len(steps) == 21
    # Of a person whose password is not known, only that the name alone is not enough.
    assert len(verify(account=(ACCOUNT[0], None))) == 24


def test_two_runs_do_not_meet(verify: Verify, platform: Platform) -> None:
    verify()
    verify()
    assert len({event["value"] for event in platform.events}) == 2


def test_check_mode_writes_nothing(verify: Verify, platform: Platform) -> None:
    steps = verify(check_mode=True)
    assert failures(steps) == []
    assert platform.writes == 0
    assert {step["detail"] for step in steps if step["ok"] is None} == {"left out in check mode"}
    assert [step["name"] for step in steps if step["ok"]][:7] == names(steps)[:7]


def test_options_leave_steps_out(verify: Verify, platform: Platform) -> None:
    steps = verify(async_delete_timeout=0, published_keys=False)
    assert failures(steps) == []
    assert not [name for name in names(steps) if "published" in name or "artifact" in name]
    assert platform.is_empty()


PING = "being asked whether it is there"
NOT_JSON = "answered with text/html instead of ClearML's JSON"
WRONG_ADDRESS = r"is this really the service's address\?"
BROKEN = r"500 \(General data error \(secret \*{8}\)\)"

# What is broken, and the sentences that must come, in which API, WEB and FILES stand for "the … at its URL".
FAULTS: dict[str, list[str]] = {
    # The apiserver.
    "api silent": [f"API did not answer within 1 s while {PING}."],
    "api is a web page": [
        rf"API {NOT_JSON} while {PING}: {WRONG_ADDRESS}",
        rf"WEB {NOT_JSON} while forwarding /api/debug\.ping to the apiserver: {WRONG_ADDRESS}",
    ],
    "debug.ping breaks": [
        f"API answered {BROKEN} while {PING}.",
        f"WEB answered {BROKEN} while forwarding /api/debug.ping to the apiserver.",
    ],
    "no fixed users": [r"API lets everybody in by name alone .* CLEARML_CONFIG_DIR\."],
    "guests": [r"API lets guests in: set services\.auth\.fixed_users\.guest\.enabled to false\."],
    "es error": [r"API reports errors of its own in login\.supported_modes: es_connection_error\."],
    "login.supported_modes breaks": [f"API answered {BROKEN} while being asked how one may log in."],
    "password refused": [
        r"API answered 401 \(.* \(bad username or password\)\) while logging in with name and password\."
    ],
    "no token": [
        "API answered without a token while logging in with the key pair.",
        "API answered without a token while logging in with name and password.",
        "API answered without a token while logging in as the service account platform.",
    ],
    "projects.create breaks": [f"API answered {BROKEN} while creating a project."],
    "tasks.create breaks": [f"API answered {BROKEN} while creating a task."],
    "tasks.create cut off": [r"API broke off the connection \(.*\) while creating a task\."],
    "events.add_batch breaks": [f"API answered {BROKEN} while reporting a scalar."],
    "events not added": ["API answered that it added 0 events instead of 1 while reporting a scalar."],
    "events.scalar_metrics_iter_histogram breaks": [f"API answered {BROKEN} while reading a scalar back."],
    "events lost": [r"API gave back None instead of \[[0-9.]+\] while reading a scalar back\."],
    "value changed": [r"API gave back \[[0-9.]+\] instead of \[[0-9.]+\] while reading a scalar back\."],
    "task never gone": ["API answered 200 .OK. instead of 400 when asked for a task that was deleted."],
    "project never gone": ["API answered 200 .OK. instead of 400 when asked for a project that was deleted."],
    "no passwords": [r"API accepted a login without a password, which it must refuse: turn on auth\.fixed_users\."],
    "no credentials": [r"API accepted a login without a password, which it must refuse: turn on auth\.fixed_users\."],
    # The web server.
    "web breaks": [
        "WEB answered 500 with text/html while being asked for its page: a web page is expected.",
        r"WEB answered 500 \(Internal Server Error\) while forwarding /api/debug\.ping to the apiserver\.",
    ],
    "web is something else": [
        "WEB answered 200 with application/json while being asked for its page: a web page is expected."
    ],
    "no forwarding": [rf"WEB {NOT_JSON} while forwarding /api/debug\.ping to the apiserver: {WRONG_ADDRESS}"],
    # The fileserver, and what deletes its files.
    "files wrong": [rf"FILES answered with something else than OK while {PING}: {WRONG_ADDRESS}"],
    "files POST breaks": [
        r"FILES answered 500 \(Internal Server Error\) while uploading a file\.",
        r"FILES answered 500 \(Internal Server Error\) to an upload without a token, .* \(401 or 403\) is expected\.",
        r"FILES answered 500 \(Internal Server Error\) while uploading a task's artifact\.",
    ],
    "files POST cut off": [
        r"FILES broke off the connection \(.*\) while uploading a file\.",
        r"FILES broke off the connection \(.*\) while being tried with an anonymous upload\.",
        r"FILES broke off the connection \(.*\) while uploading a task's artifact\.",
    ],
    "bytes changed": [r"FILES gave back other bytes than were uploaded \(\d+ instead of 4105, or changed ones\)\."],
    "bytes cut": [r"FILES gave back other bytes than were uploaded \(\d+ instead of 4105, or changed ones\)\."],
    "anonymous POST": [
        r"FILES accepted an upload without a token, which it must refuse: set fileserver\.auth\.enabled to true\."
    ],
    "anonymous GET": [
        r"FILES accepted a download without a token, which it must refuse: set fileserver\.auth\.enabled to true\."
    ],
    "async delete asleep": [
        r"clearml-async-delete left a deleted task's file on .* 2 s: .*url_prefixes has http://files\.example\.com\."
    ],
}


def sentences(patterns: list[str], platform: Platform) -> list[re.Pattern[str]]:
    found = []
    for pattern in patterns:
        for word, name, key in (
            ("API", "apiserver", "api"),
            ("WEB", "web server", "web"),
            ("FILES", "fileserver", "files"),
        ):
            pattern = re.sub(rf"^{word}\b", f"The {name} at {re.escape(platform.url(key))}", pattern)
        found.append(re.compile(pattern))
    return found


def assert_sentences(steps: Steps, patterns: list[str], platform: Platform) -> None:
    got = failures(steps)
    assert len(got) == len(patterns), got
    for pattern, sentence in zip(sentences(patterns, platform), got, strict=True):
        assert pattern.fullmatch(sentence), sentence


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence(verify: Verify, platform: Platform, fault: str) -> None:
    platform.faults.add(fault)
    steps = verify()
    assert_sentences(steps, FAULTS[fault], platform)
    assert platform.is_empty()
    assert_no_secret(json.dumps(steps), platform)


def assert_no_secret(text: str, platform: Platform) -> None:
    for secret in (KEY_PAIR[1], ACCOUNT[1], TOKEN_SECRET, *platform.tokens, *(pair[1] for pair in KEY_PAIRS.values())):
        assert secret not in text


# What cannot be deleted is named, and everything else is deleted all the same.
STUCK = {
    "task not deleted": [
        "API answered that nothing was deleted while deleting a task.",
        r"The task clearml-verify-\w+ was left behind and has to be deleted by hand: API .*\.",
    ],
    "tasks.delete breaks": [
        f"API answered {BROKEN} while deleting a task.",
        r"The task clearml-verify-\w+ was left behind and has to be deleted by hand: .*500.*\.",
    ],
    "projects.delete breaks": [
        f"API answered {BROKEN} while deleting a project.",
        r"The project clearml-verify-\w+ was left behind and has to be deleted by hand: .*500.*\.",
    ],
    "files DELETE breaks": [
        r"FILES answered 500 \(Internal Server Error\) while deleting a file\.",
        r"The file clearml-verify-\w+\.bin was left behind and has to be deleted by hand: .*500.*\.",
    ],
    "file never gone": [r"FILES answered 200 \(OK\) instead of 404 when asked for a file that was deleted\."],
}


def test_what_was_deleted_in_spite_of_an_error_is_not_called_left_behind(verify: Verify, platform: Platform) -> None:
    platform.faults.add("task deleted, then an error")
    steps = verify(async_delete_timeout=0)
    assert_sentences(steps, [r"API answered 500 \(General data error\) while deleting a task\."], platform)
    assert [step["detail"] for step in steps if step["name"].startswith("clean up")] == ["was gone already", "deleted"]
    assert platform.is_empty()


@pytest.mark.parametrize("fault", STUCK)
def test_what_cannot_be_deleted_is_named(verify: Verify, platform: Platform, fault: str) -> None:
    platform.faults.add(fault)
    steps = verify(async_delete_timeout=0)
    patterns = [pattern.replace(": API", r": The apiserver at \S+") for pattern in STUCK[fault]]
    assert_sentences(steps, patterns, platform)
    left = len(platform.tasks) + len(platform.projects) + len(platform.files)
    assert left == (0 if fault == "file never gone" else 1)


@pytest.mark.parametrize("name", KEY_PAIRS)
def test_published_key_pair(verify: Verify, platform: Platform, name: str) -> None:
    platform.key_pairs[KEY_PAIRS[name]] = "system"
    pattern = (
        r"API accepted published key pairs, which it must refuse: "
        rf"set user_key and user_secret of secure\.credentials\.{name} to values of your own, and restart\."
    )
    assert_sentences(verify(), [pattern], platform)


def test_all_published_key_pairs_are_named_at_once(verify: Verify, platform: Platform) -> None:
    platform.key_pairs |= dict.fromkeys(KEY_PAIRS.values(), "system")
    listed = ", ".join(f"secure.credentials.{name}" for name in KEY_PAIRS)
    assert_sentences(verify(), [rf"API accepted published key pairs, .* of {re.escape(listed)} to values .*"], platform)


def test_published_token_secret(verify: Verify, platform: Platform) -> None:
    """The fake server checks the signature, so a token that is not forged well would not be accepted here."""
    platform.token_secrets.append(TOKEN_SECRET)
    pattern = (
        r"API accepted a token forged with the published token secret, which it must refuse: "
        r"set secure\.auth\.token_secret to a value of your own, and restart\."
    )
    assert_sentences(verify(), [pattern], platform)
    assert "users.get_all" in platform.requests


# The services that are down, and what is said of them. What needs them is left out, not reported once more.
REFUSED = rf"refused the connection \(Connection refused\) while {PING}\."
DOWN = {
    ("api",): [
        f"API {REFUSED}",
        r"WEB answered 502 \(Bad Gateway\) while forwarding /api/debug\.ping to the apiserver\.",
    ],
    ("files",): [f"FILES {REFUSED}"],
    ("web",): [
        r"WEB refused the connection \(Connection refused\) while being asked for its page\.",
        r"WEB refused the connection \(Connection refused\) while forwarding /api/debug\.ping to the apiserver\.",
    ],
    ("api", "files", "web"): [
        f"API {REFUSED}",
        f"FILES {REFUSED}",
        r"WEB refused the connection \(Connection refused\) while being asked for its page\.",
        r"WEB refused the connection \(Connection refused\) while forwarding /api/debug\.ping to the apiserver\.",
    ],
}


@pytest.mark.parametrize("services", DOWN, ids="+".join)
def test_services_that_are_down(verify: Verify, platform: Platform, services: tuple[str, ...]) -> None:
    platform.stop(*services)
    steps = verify()
    assert_sentences(steps, DOWN[services], platform)
    assert platform.is_empty()
    if services == ("files",):
        assert {"upload a file", "be refused an upload without a token"} < set(left_out(steps))
        assert "delete the project" not in left_out(steps)
    if "api" in services:
        detail = next(step["detail"] for step in steps if step["name"] == "create a project")
        assert detail == 'left out, since "log in with the key pair" did not pass'


def test_redirect_is_not_followed(verify: Verify, platform: Platform) -> None:
    platform.faults.add("api redirects")
    assert (
        failures(verify(published_keys=False))[0]
        == f"The apiserver at {platform.url('api')} answered 302 (Found) while {PING}."
    )


def test_name_that_does_not_resolve(verify: Verify) -> None:
    got = failures(verify(files=Service("fileserver", "http://files.invalid:8081", 2)))
    assert len(got) == 1
    assert re.fullmatch(
        rf"The fileserver at http://files\.invalid:8081 could not be reached \(.+\) while {PING}\.", got[0]
    )


def test_proxy_of_the_environment_is_not_used(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert failures(verify()) == []


# -- as Ansible runs it


def arguments(platform: Platform, **changes: object) -> str:
    return json.dumps(
        {
            "api_url": platform.url("api") + "/",
            "web_url": platform.url("web"),
            "files_url": platform.url("files"),
            "access_key": KEY_PAIR[0],
            "secret_key": KEY_PAIR[1],
            "username": ACCOUNT[0],
            "password": ACCOUNT[1],
            "timeout": 5,
            **changes,
        }
    )


RunAnsible = Callable[..., str]
COMMAND = ("ansible", "localhost", "-m", "clearml_verify", "-a")


def result(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output[output.index("{") :])
    return found


def test_as_a_module(run_ansible: RunAnsible, platform: Platform) -> None:
    output = run_ansible(*COMMAND, arguments(platform))
    found = result(output)
    assert found["changed"] is False
    assert all(step["ok"] for step in found["steps"])
    assert platform.is_empty()
    assert_no_secret(run_ansible(*COMMAND, arguments(platform), "-vvv"), platform)


def test_as_a_module_in_check_mode(run_ansible: RunAnsible, platform: Platform) -> None:
    found = result(run_ansible(*COMMAND, arguments(platform), "--check"))
    assert "left out in check mode" in {step["detail"] for step in found["steps"]}
    assert platform.writes == 0


def test_as_a_module_that_fails(run_ansible: RunAnsible, platform: Platform) -> None:
    platform.faults |= {"projects.create breaks", "anonymous POST"}
    output = run_ansible(*COMMAND, arguments(platform), "-vvv", rc=2)
    assert_no_secret(output, platform)
    found = result(output[output.index("FAILED!") :])
    assert found["msg"].count("The apiserver at ") == 1
    assert found["msg"].count("The fileserver at ") == 1
    assert len([step for step in found["steps"] if step["ok"] is False]) == 2
    assert platform.is_empty()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"api_url": "127.0.0.1:8008"}, "api_url is 127.0.0.1:8008: it must be a URL such as http://127.0.0.1:8008."),
        ({"files_url": "ftp://x"}, "files_url is ftp://x: it must be a URL"),
        ({"web_url": "http://"}, "web_url is http://: it must be a URL"),
        ({"timeout": 0}, "timeout is 0: it must be a number of seconds, 1 or more."),
        ({"async_delete_timeout": -1}, "async_delete_timeout is -1: it must be a number of seconds, 0 or more."),
    ],
)
def test_bad_arguments(run_ansible: RunAnsible, platform: Platform, changes: dict[str, object], message: str) -> None:
    assert message in run_ansible(*COMMAND, arguments(platform, **changes), rc=2)
    assert platform.requests == []


def test_module_is_documented(run_ansible: RunAnsible, load_plugin: Load) -> None:
    documented = json.loads(run_ansible("ansible-doc", "-t", "module", "--json", "clearml_verify"))["clearml_verify"]
    assert documented["examples"]
    assert set(documented["return"]) == {"steps", "msg"}
    source = load_plugin("modules/clearml_verify").__file__
    assert source is not None
    spec = re.findall(r'^            "(\w+)": \{"type"', Path(source).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(documented["doc"]["options"]) == set(spec)
