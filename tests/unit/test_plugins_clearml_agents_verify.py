"""The module clearml_agents_verify, against a platform whose agents are broken in one way at a time."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.clearml_api import Service

from .fake_agents import BUSY, Fleet
from .fake_platform import KEY_PAIR

Load = Callable[[str], ModuleType]
WORKERS = [
    {"id": "host:default", "name": "default", "queues": ["default"]},
    {"id": "host:gpu", "name": "gpu", "queues": ["gpu", "default"]},
]
STEPS = [
    "log in with the key pair",
    "find the workers",
    "find a worker for each queue",
    "put a task on each queue",
    "read what each task printed",
    "delete the tasks",
    "delete their project",
]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    running = Fleet()
    yield running
    running.stop()


@pytest.fixture
def module(load_plugin: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = load_plugin("modules/clearml_agents_verify")
    monkeypatch.setattr(found, "READ_BACK_TIMEOUT", 0)
    monkeypatch.setattr(found, "POLL_INTERVAL", 0.02)
    return found


@pytest.fixture
def verify(module: ModuleType, fleet: Fleet) -> Callable[..., Any]:
    """Return a function that runs all checks against the fleet, and returns the verifier."""

    def run(workers: list[dict[str, Any]] = WORKERS, **changes: object) -> Any:
        settings: dict[str, Any] = {"task_timeout": 1, "register_timeout": 0, **changes}
        verifier = module.Verifier(
            api=Service("apiserver", fleet.url("api"), 1),
            key_pair=KEY_PAIR,
            workers=[module.Worker(**worker) for worker in workers],
            **settings,
        )
        verifier.run()
        return verifier

    return run


Verify = Callable[..., Any]


def failures(verifier: Any) -> list[str]:
    return [step["detail"] for step in verifier.steps if step["ok"] is False]


def assert_failures(verifier: Any, patterns: list[str], fleet: Fleet) -> None:
    got = failures(verifier)
    assert len(got) == len(patterns), got
    for pattern, sentence in zip(patterns, got, strict=True):
        whole = pattern.replace("API", f"The apiserver at {re.escape(fleet.url('api'))}")
        assert re.fullmatch(whole, sentence), sentence


def test_good_fleet(verify: Verify, fleet: Fleet) -> None:
    verifier = verify()
    assert failures(verifier) == []
    assert [step["name"] for step in verifier.steps] == STEPS
    assert all(step["ok"] and step["detail"] and isinstance(step["ms"], int) for step in verifier.steps)
    assert {name: ran["worker"] for name, ran in verifier.queues.items()} == {
        "default": "host:default",
        "gpu": "host:gpu",
    }
    assert all(ran["seconds"] >= 0 for ran in verifier.queues.values())
    assert len(fleet.consoles) == 2
    assert fleet.is_empty()


def test_each_queue_is_tried_once(verify: Verify, fleet: Fleet) -> None:
    fleet.add_worker("host:other", "gpu")
    assert failures(verify([*WORKERS, {"id": "host:other", "queues": ["gpu"]}])) == []
    assert fleet.requests.count("tasks.create") == 2


def test_two_hosts_at_the_same_time(verify: Verify, fleet: Fleet) -> None:
    found: list[Any] = []
    hosts = [threading.Thread(target=lambda: found.append(verify(task_timeout=5))) for _ in range(4)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert [failures(verifier) for verifier in found] == [[]] * 4
    assert all(len(verifier.queues) == 2 for verifier in found)
    assert fleet.is_empty()


# -- workers and queues


def test_a_worker_that_is_missing_is_named_and_the_others_are_tried(verify: Verify, fleet: Fleet) -> None:
    del fleet.workers["host:gpu"]
    verifier = verify()
    pattern = r"API knows no worker host:gpu: see `journalctl --unit 'clearml-agent@gpu'` on its host\."
    assert_failures(verifier, [pattern], fleet)
    assert list(verifier.queues) == ["default"]


def test_a_child_is_not_its_parent(verify: Verify, fleet: Fleet) -> None:
    del fleet.workers["host:default"]
    (sentence,) = failures(verify())
    assert "knows no worker host:default:" in sentence


def test_a_worker_that_comes_late_is_waited_for(verify: Verify, fleet: Fleet) -> None:
    del fleet.workers["host:gpu"]
    threading.Timer(0.3, fleet.add_worker, ("host:gpu", "gpu", "default")).start()
    assert failures(verify(register_timeout=10)) == []


@pytest.mark.parametrize(
    ("queues", "listed"),
    [
        (["gpu"], "gpu"),
        (["gpu", "default", "services"], "default, gpu, services"),
        ([], "no queue"),
    ],
)
def test_a_worker_of_other_queues_is_named(verify: Verify, fleet: Fleet, queues: list[str], listed: str) -> None:
    fleet.add_worker("host:gpu", *queues)
    pattern = (
        rf"The worker host:gpu listens to {listed} instead of default, gpu: "
        r"see `journalctl --unit 'clearml-agent@gpu'` on its host\."
    )
    assert_failures(verify(), [pattern], fleet)


def test_the_order_of_queues_is_not_compared(verify: Verify, fleet: Fleet) -> None:
    """The real server keeps them in a set."""
    fleet.add_worker("host:gpu", "default", "gpu")
    assert failures(verify()) == []


def test_a_queue_that_was_deleted_is_told_by_its_id(verify: Verify, fleet: Fleet) -> None:
    del fleet.workers["host:gpu"]["queues"][0]["name"]
    (sentence,) = failures(verify())
    assert "host:gpu listens to default, id of gpu (deleted) instead of default, gpu" in sentence


def test_all_workers_are_named_at_once(verify: Verify, fleet: Fleet) -> None:
    fleet.workers.clear()
    verifier = verify()
    (sentence,) = failures(verifier)
    assert "host:default" in sentence
    assert "host:gpu" in sentence
    # Not once more for their queues.
    assert ["services" in warning for warning in verifier.warnings] == [True]
    # Nobody would take them.
    assert "tasks.create" not in fleet.requests
    assert fleet.is_empty()


def test_a_queue_without_worker_is_a_warning(verify: Verify, fleet: Fleet) -> None:
    fleet.entries["services"] = ["one", "two"]
    verifier = verify()
    assert failures(verifier) == []
    assert verifier.warnings == ["No worker listens to the queue services: tasks in it wait for ever (2 now)."]


def test_queues_with_workers_are_no_warning(verify: Verify, fleet: Fleet) -> None:
    fleet.add_worker("elsewhere:services", "services")
    assert verify().warnings == []


# -- tasks


def test_tasks_overtake_others(verify: Verify, fleet: Fleet) -> None:
    fleet.entries["gpu"] = ["of somebody"]
    assert failures(verify()) == []
    assert fleet.entries["gpu"] == ["of somebody"]


def test_an_agent_that_takes_the_task_at_once_is_fine(verify: Verify, fleet: Fleet) -> None:
    fleet.faults.add("taken at once")
    assert failures(verify()) == []


BROKEN = r"API answered 500 \(General data error \(secret \*{8}\)\) while"
GPU = r"the task on the queue gpu"
FAULTS: dict[str, list[str]] = {
    "workers.get_all breaks": [f"{BROKEN} listing the workers."],
    "queues.get_all breaks": [f"{BROKEN} listing the queues."],
    "queues.get_num_entries breaks": [f"{BROKEN} counting the tasks in the queue services."],
    "projects.create breaks": [f"{BROKEN} creating a project."],
    "tasks.create breaks": [f"{BROKEN} creating a task."],
    "tasks.enqueue breaks": [
        f"{BROKEN} putting a task on the queue default. {BROKEN} putting a task on the queue gpu."
    ],
    "queues.move_task_to_front breaks": [
        f"{BROKEN} moving a task to the front of the queue default. "
        f"{BROKEN} moving a task to the front of the queue gpu."
    ],
    "tasks.get_all breaks": [f"{BROKEN} waiting for tasks."],
    "tasks.get_all cut off": [r"API broke off the connection \(.*\) while waiting for tasks\."],
    "events.get_task_log breaks": [f"{BROKEN} reading a task's console."],
    "tasks.delete breaks": [rf"{BROKEN} deleting the task \S+\. {BROKEN} deleting the task \S+\."],
    "task not deleted": [r"(API answered that nothing was deleted while deleting the task \S+\. ?){2}"],
    "task fails": [
        r"The worker host:default ran the task on the queue default, which ended as failed \(worker execution exit "
        r"code 1\); its last lines: ERROR: no matching distribution for \*{8} \| Exited with 1\. "
        rf"The worker host:gpu ran {GPU}, which ended as failed .*\."
    ],
    "never ends": [
        r"The worker host:default took .* but did not end it within 1 s; its last lines: Collecting pip\. "
        rf"The worker host:gpu took {GPU}, but did not end it within 1 s; its last lines: Collecting pip\."
    ],
    "task vanishes": [
        r"The task on the queue default is gone: somebody else deleted it\. "
        r"The task on the queue gpu is gone: somebody else deleted it\."
    ],
    "shows the code": [
        r"The worker host:default ran the task on the queue default, but what it prints is missing .*"
        rf"The worker host:gpu ran {GPU}, but what it prints is missing in the console that the server shows; "
        r"its last lines: .*\."
    ],
    "console lost": [rf".* The worker host:gpu ran {GPU}, .* shows; its console is empty\."],
    "asleep": [
        r"No worker took the task on the queue default within 1 s, but host:default, host:gpu could have: see "
        r"`journalctl --unit 'clearml-agent@\*'` on the workers' hosts\. "
        r"No worker took the task on the queue gpu within 1 s, but host:gpu could have: .*"
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence(verify: Verify, fleet: Fleet, fault: str) -> None:
    fleet.faults.add(fault)
    verifier = verify()
    assert_failures(verifier, FAULTS[fault], fleet)
    assert fleet.is_empty()
    assert KEY_PAIR[1] not in json.dumps(verifier.steps)


def test_a_project_that_cannot_be_deleted_is_named(verify: Verify, fleet: Fleet) -> None:
    fleet.faults.add("projects.delete breaks")
    verifier = verify()
    assert_failures(verifier, [f"{BROKEN} deleting the project {verifier.name}, which has to be .* by hand."], fleet)
    assert not fleet.tasks


def test_busy_workers_are_a_warning(verify: Verify, fleet: Fleet) -> None:
    fleet.make_busy("host:gpu")
    verifier = verify()
    assert failures(verifier) == []
    assert list(verifier.queues) == ["default"]
    assert verifier.warnings[1:] == [
        f"The queue gpu was not tried, since its workers were busy for 1 s: host:gpu with task {BUSY['id']}."
    ]
    assert fleet.is_empty()


def test_a_worker_that_is_free_and_takes_nothing_is_told_from_busy_ones(verify: Verify, fleet: Fleet) -> None:
    fleet.faults.add("asleep")
    fleet.make_busy("host:gpu")
    verifier = verify()
    (sentence,) = failures(verifier)
    assert "on the queue default within 1 s, but host:default could have" in sentence
    assert "gpu" not in sentence
    assert len(verifier.warnings) == 2


def test_workers_that_leave_meanwhile_are_told_of(verify: Verify, fleet: Fleet) -> None:
    fleet.faults.add("asleep")
    threading.Timer(0.5, fleet.workers.clear).start()
    (sentence,) = failures(verify())
    assert sentence.count("but its workers are gone: see") == 2


def test_the_time_is_shared(verify: Verify, fleet: Fleet) -> None:
    fleet.faults.add("asleep")
    began = time.monotonic()
    verify()
    assert time.monotonic() - began < 1.9


def test_check_mode_runs_no_tasks(verify: Verify, fleet: Fleet) -> None:
    verifier = verify(check_mode=True)
    assert failures(verifier) == []
    assert fleet.writes == 0
    assert [step["ok"] for step in verifier.steps] == [True, True, True, None, None]
    assert verifier.warnings
    fleet.workers.clear()
    assert len(failures(verify(check_mode=True))) == 1


def test_tasks_can_be_left_out(verify: Verify, fleet: Fleet) -> None:
    verifier = verify(run_tasks=False)
    assert [step["name"] for step in verifier.steps] == STEPS[:3]
    assert fleet.writes == 0


def test_no_api(verify: Verify, fleet: Fleet) -> None:
    fleet.stop("api")
    verifier = verify()
    assert_failures(verifier, [r"API refused the connection \(.*\) while logging in with the key pair\."], fleet)
    assert len(verifier.steps) == 1


# -- as Ansible runs it

COMMAND = ("ansible", "localhost", "-m", "clearml_agents_verify", "-a")
RunAnsible = Callable[..., str]


def arguments(fleet: Fleet, **changes: object) -> str:
    settings = {
        "api_url": fleet.url("api") + "/",
        "access_key": KEY_PAIR[0],
        "secret_key": KEY_PAIR[1],
        "workers": WORKERS,
        "timeout": 5,
        "task_timeout": 20,
        "register_timeout": 0,
    }
    return json.dumps({**settings, **changes})


def result(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output[output.index("=> ") + 3 :])[0]
    return found


def test_as_a_module(run_ansible: RunAnsible, fleet: Fleet) -> None:
    output = run_ansible(*COMMAND, arguments(fleet), "-vvv")
    assert KEY_PAIR[1] not in output
    assert not any(token in output for token in fleet.tokens)
    found = result(output)
    assert found["changed"] is False
    assert [step["name"] for step in found["steps"]] == STEPS
    assert found["queues"]["gpu"]["worker"] == "host:gpu"
    assert fleet.is_empty()


def test_as_a_module_in_check_mode(run_ansible: RunAnsible, fleet: Fleet) -> None:
    found = result(run_ansible(*COMMAND, arguments(fleet), "--check"))
    assert found["queues"] == {}
    assert fleet.writes == 0


def test_as_a_module_that_fails(run_ansible: RunAnsible, fleet: Fleet) -> None:
    fleet.faults.add("task fails")
    del fleet.workers["host:default"]
    output = run_ansible(*COMMAND, arguments(fleet), "-vvv", rc=2)
    assert KEY_PAIR[1] not in output
    found = result(output[output.index("FAILED!") :])
    assert "knows no worker host:default" in found["msg"]
    assert "on the queue gpu, which ended as failed" in found["msg"]
    assert fleet.is_empty()


def processes(folder: Path) -> list[int]:
    """Return the processes of Python that run a module whose files are in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"python" in words[0] and any(word.startswith(os.fsencode(folder)) for word in words[1:]):
            found.append(int(path.parent.name))
    return found


def wait_for(what: Callable[[], object]) -> Any:
    deadline = time.monotonic() + 30
    while not (seen := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return seen


def test_a_module_that_is_ended_deletes_what_it_made(
    run_ansible: RunAnsible, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.faults.add("asleep")
    monkeypatch.setenv("ANSIBLE_REMOTE_TMP", str(tmp_path / "remote"))
    ansible = threading.Thread(target=run_ansible, args=(*COMMAND, arguments(fleet)), kwargs={"rc": 2})
    ansible.start()
    wait_for(lambda: "tasks.get_all" in fleet.requests)
    assert not fleet.is_empty()
    (process,) = processes(tmp_path / "remote")
    os.kill(process, signal.SIGTERM)
    ansible.join()
    assert fleet.is_empty()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"api_url": "127.0.0.1:8008"}, "api_url is 127.0.0.1:8008: it must be a URL such as http://127.0.0.1:8008."),
        ({"timeout": 0}, "timeout is 0: it must be a number of seconds, 1 or more."),
        ({"task_timeout": 0}, "task_timeout is 0: it must be a number of seconds, 1 or more."),
        ({"register_timeout": -1}, "register_timeout is -1: it must be a number of seconds, 0 or more."),
        ({"workers": [{"id": "host:default"}]}, "missing required arguments: queues found in workers"),
    ],
)
def test_bad_arguments(run_ansible: RunAnsible, fleet: Fleet, changes: dict[str, object], message: str) -> None:
    assert message in run_ansible(*COMMAND, arguments(fleet, **changes), rc=2)
    assert fleet.requests == []


def test_module_is_documented(run_ansible: RunAnsible, load_plugin: Load) -> None:
    name = "clearml_agents_verify"
    documented = json.loads(run_ansible("ansible-doc", "-t", "module", "--json", name))[name]
    assert documented["examples"]
    assert set(documented["return"]) == {"steps", "queues", "msg"}
    source = load_plugin(f"modules/{name}").__file__
    assert source is not None
    spec = re.findall(r'^            "(\w+)": \{(?:"type"|$)', Path(source).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(documented["doc"]["options"]) == set(spec)
