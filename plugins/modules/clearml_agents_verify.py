#!/usr/bin/python
"""Ansible module clearml_agents_verify: see that agents listen to their queues, and run a task through each."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import hashlib
import secrets
import signal
import textwrap
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.clearml_api import Service, ServiceError, as_dict, basic

DOCUMENTATION = r"""
---
module: clearml_agents_verify
short_description: Check that agents take tasks from their queues and run them
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Waits until each worker is registered and listens to its queues, to no more and no fewer. Their order is not
    compared, since the server does not tell it.
  - Warns of queues that no worker listens to.
  - Puts a small task at the front of each queue of these workers, waits until all have run, reads their consoles, and
    compares them with what only running the tasks can print. The tasks need no package and no repository.
    Any worker that listens to the queue may run its task.
  - A queue whose workers are all busy with other tasks until the time is over is not tried; that is a warning.
  - What was made is deleted also when something fails.
  - Needs nothing but Python's standard library on the host. Proxies of the environment are not used.
options:
  api_url:
    description: URL of the apiserver.
    type: str
    required: true
  access_key:
    description: Access key of an account that may make projects and tasks.
    type: str
    required: true
  secret_key:
    description: Secret of O(access_key).
    type: str
    required: true
  workers:
    description: The workers that must be there.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The worker's id. Children of a worker have longer ones and are not meant.
        type: str
        required: true
      queues:
        description: Names of the queues that it takes tasks from.
        type: list
        elements: str
        required: true
      name:
        description: Instance of the unit C(clearml-agent@) that runs it, for messages.
        type: str
        default: "*"
  run_tasks:
    description: Whether to run tasks.
    type: bool
    default: true
  task_timeout:
    description: Seconds that the tasks may take, the environments that agents build for them included.
    type: int
    default: 300
  register_timeout:
    description: Seconds that the workers have to be registered.
    type: int
    default: 60
  timeout:
    description: Seconds to wait for each answer.
    type: int
    default: 30
attributes:
  check_mode:
    description: No tasks are run.
    support: full
"""

EXAMPLES = r"""
- name: Let the agents work
  clearml_agents_verify:
    api_url: http://127.0.0.1:8008
    access_key: "{{ key.access_key }}"
    secret_key: "{{ key.secret_key }}"
    workers:
      - {id: "worker-1:gpu0", name: gpu0, queues: [gpu, default]}
"""

RETURN = r"""
steps:
  description: What was checked, in order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
    ok:
      description: Whether it went well; null when it was left out.
      type: bool
    ms:
      description: How long it took, in milliseconds.
      type: int
    detail:
      description: What was seen; of a failed step what went wrong, of one that was left out why.
      type: str
  sample:
    - {name: find the workers, ok: true, ms: 8, detail: worker-1:gpu0}
queues:
  description: Of each queue whose task ran, the worker that ran it, and the seconds until it was seen to have ended.
  returned: always
  type: dict
  sample: {gpu: {worker: "worker-1:gpu0", seconds: 11.2}}
msg:
  description: What is wrong, a sentence for each problem.
  returned: failure
  type: str
  sample: >-
    The apiserver at http://127.0.0.1:8008 knows no worker worker-1:gpu0:
    see `journalctl --unit 'clearml-agent@gpu0'` on its host.
"""

# Seconds. The search engine may need a moment until it finds the last lines of a console.
READ_BACK_TIMEOUT = 10
POLL_INTERVAL = 1
UNFINISHED = ("queued", "in_progress")
LAST_LINES, LONGEST_LINE = 5, 200

# A digest of something that stands here, rather than the thing itself: an agent that shows the code has not run it.
SCRIPT = """\
# Made by clearml_agents_verify.
import hashlib

print("{nonce} became", hashlib.sha256(b"{nonce}").hexdigest())
"""

Item = TypeVar("Item")


def complaint(check: Callable[[Item], None], item: Item) -> str | None:
    """Check an item, and return what is wrong with it."""
    try:
        check(item)
    except ServiceError as problem:
        return str(problem)
    return None


def each(items: Iterable[Item], check: Callable[[Item], None]) -> None:
    """Check all items, and raise one error that tells of all that are not well."""
    problems = [problem for item in items if (problem := complaint(check, item))]
    if problems:
        # The same sentence comes many times when the server is down.
        raise ServiceError(" ".join(dict.fromkeys(problems)))


def names_of(worker: dict[str, Any]) -> dict[str, str]:
    """Return the queues that a worker listens to, ids by names. One that was deleted has an id alone."""
    queues = worker.get("queues") or []
    return {queue.get("name") or f"{queue.get('id')} (deleted)": str(queue.get("id")) for queue in queues}


@dataclass(frozen=True)
class Worker:
    """A worker that must be there."""

    id: str
    queues: list[str]
    name: str = "*"

    def __str__(self) -> str:
        """Return where to look when something is wrong with it."""
        return f"see `journalctl --unit 'clearml-agent@{self.name}'` on its host"


@dataclass
class Trial:
    """A task that is run through a queue."""

    queue: str
    queue_id: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    task: str = ""
    # What the server last said of it.
    state: dict[str, Any] = field(default_factory=dict)
    enqueued: float = 0
    ended: float | None = None

    @property
    def digest(self) -> str:
        """Return what the task prints."""
        return hashlib.sha256(self.nonce.encode()).hexdigest()

    @property
    def gone(self) -> bool:
        """Whether somebody else has deleted the task."""
        return self.ended is not None and not self.state

    @property
    def where(self) -> str:
        """Return which worker has it."""
        return f"worker {self.state.get('last_worker') or '(unknown)'}"


@dataclass
class Verifier:
    """The checks, and what they know so far."""

    api: Service
    key_pair: tuple[str, str]
    workers: list[Worker]
    run_tasks: bool = True
    task_timeout: float = 300
    register_timeout: float = 60
    check_mode: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = ""
    project: str = ""
    trials: list[Trial] = field(default_factory=list)
    # The server's workers as it shows them.
    registered: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose a name that no earlier run had, and that no run on another host has now."""
        self.name = f"clearml-agents-verify-{secrets.token_hex(6)}"

    def call(self, doing: str, endpoint: str, request: object) -> dict[str, Any]:
        """Call an endpoint of the apiserver."""
        data: dict[str, Any] = self.api.call(doing, endpoint, request, f"Bearer {self.token}")
        return data

    def new_id(self, doing: str, endpoint: str, request: dict[str, Any]) -> str:
        """Create something and return its id."""
        found = self.call(doing, endpoint, request).get("id")
        if not isinstance(found, str) or not found:
            raise ServiceError(f"{self.api} answered without an id while {doing}.")
        return found

    # -- the steps

    def log_in(self) -> str:
        """Get a token."""
        doing = "logging in with the key pair"
        token = self.api.call(doing, "auth.login", {"expiration_sec": 3600}, basic(*self.key_pair)).get("token")
        if not isinstance(token, str) or not token:
            raise ServiceError(f"{self.api} answered without a token while {doing}.")
        self.token = token
        return "got a token"

    def find_workers(self) -> str:
        """Wait until all workers listen to their queues."""
        deadline = time.monotonic() + self.register_timeout
        while True:
            self.registered = self.call("listing the workers", "workers.get_all", {}).get("workers") or []
            try:
                each(self.workers, self.check_worker)
            except ServiceError:
                if time.monotonic() > deadline:
                    raise
            else:
                return ", ".join(worker.id for worker in self.workers)
            time.sleep(POLL_INTERVAL)

    def check_worker(self, worker: Worker) -> None:
        """Compare a worker with what the server knows of it."""
        shown = next((found for found in self.registered if found.get("id") == worker.id), None)
        if shown is None:
            raise ServiceError(f"{self.api} knows no worker {worker.id}: {worker}.")
        found = names_of(shown)
        if set(found) != set(worker.queues):
            raise ServiceError(
                f"The worker {worker.id} listens to {', '.join(sorted(found)) or 'no queue'} "
                f"instead of {', '.join(sorted(worker.queues))}: {worker}."
            )

    def listeners(self, queue: str) -> list[dict[str, Any]]:
        """Return the workers that listen to a queue."""
        return [worker for worker in self.registered if queue in names_of(worker)]

    def served(self) -> dict[str, str]:
        """Return the queues that have a worker, ids by names."""
        return {name: queue for worker in self.registered for name, queue in names_of(worker).items()}

    def find_queues_without_worker(self) -> str:
        """Tell of queues that nobody listens to. Those of missing workers have been told of already."""
        found = self.call("listing the queues", "queues.get_all", {"only_fields": ["id", "name"]}).get("queues") or []
        lonely = {
            str(queue.get("name")): queue.get("id") for queue in found if queue.get("id") not in self.served().values()
        }
        each([(name, queue) for name, queue in lonely.items() if name not in self.wanted()], self.warn_of_queue)
        return f"none for {', '.join(sorted(lonely))}" if lonely else f"{len(found)} queues have one"

    def wanted(self) -> list[str]:
        """Return the names of the queues that the workers must listen to."""
        return list(dict.fromkeys(queue for worker in self.workers for queue in worker.queues))

    def warn_of_queue(self, queue: tuple[str, str]) -> None:
        """Tell how many tasks wait in a queue for ever."""
        name, identity = queue
        doing = f"counting the tasks in the queue {name}"
        waiting = self.call(doing, "queues.get_num_entries", {"queue": identity}).get("num")
        self.warnings.append(f"No worker listens to the queue {name}: tasks in it wait for ever ({waiting} now).")

    def enqueue_all(self) -> str:
        """Put a task on each queue that has a worker."""
        self.project = self.new_id(
            "creating a project", "projects.create", {"name": self.name, "description": "Made by clearml_agents_verify"}
        )
        served = self.served()
        self.trials = [Trial(name, served[name]) for name in self.wanted() if name in served]
        each(self.trials, self.enqueue)
        return ", ".join(trial.queue for trial in self.trials)

    def enqueue(self, trial: Trial) -> None:
        """Put a task at the front of a queue."""
        script = {
            "diff": SCRIPT.format(nonce=trial.nonce),
            "entry_point": "verify.py",
            "working_dir": ".",
            "binary": "python3",
            # Nothing, instead of what an agent installs when nothing is said.
            "requirements": {"pip": ""},
        }
        request = {"name": self.name, "type": "testing", "project": self.project, "script": script}
        trial.task = self.new_id("creating a task", "tasks.create", request)
        place = {"queue": trial.queue_id, "task": trial.task}
        self.call(f"putting a task on the queue {trial.queue}", "tasks.enqueue", place)
        trial.enqueued = time.monotonic()
        doing = f"moving a task to the front of the queue {trial.queue}"
        answer = self.api.post(doing, "queues.move_task_to_front", place, f"Bearer {self.token}")
        # An agent that was quicker has taken it off.
        if answer.status != 400:
            self.api.json(doing, answer)

    def read_results(self) -> str:
        """Wait for all tasks together, then look at each."""
        waiting = [trial for trial in self.trials if trial.enqueued]
        self.wait(waiting)
        each(waiting, self.judge)
        return ", ".join(f"{name} by {ran['worker']} in {ran['seconds']} s" for name, ran in self.queues.items())

    def wait(self, trials: list[Trial]) -> None:
        """Wait until all tasks have ended, or the time is over."""
        deadline = time.monotonic() + self.task_timeout
        while running := [trial for trial in trials if trial.ended is None]:
            request = {
                "id": [trial.task for trial in running],
                "only_fields": ["id", "status", "status_reason", "status_message", "last_worker"],
            }
            found = self.call("waiting for tasks", "tasks.get_all", request).get("tasks") or []
            states = {task.get("id"): task for task in found}
            for trial in running:
                trial.state = states.get(trial.task, {})
                if trial.state.get("status") not in UNFINISHED:
                    trial.ended = time.monotonic()
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_INTERVAL)

    def judge(self, trial: Trial) -> None:
        """Say what became of a task."""
        status = trial.state.get("status")
        if trial.gone:
            raise ServiceError(f"The task on the queue {trial.queue} is gone: somebody else deleted it.")
        if status == "queued":
            self.explain_waiting(trial)
        elif status == "in_progress":
            raise ServiceError(
                f"The {trial.where} took the task on the queue {trial.queue}, but did not end it within "
                f"{self.task_timeout} s{self.last_lines(trial)}"
            )
        elif status != "completed":
            why = "; ".join(filter(None, (trial.state.get("status_reason"), trial.state.get("status_message"))))
            raise ServiceError(
                f"The {trial.where} ran the task on the queue {trial.queue}, which ended as {status}"
                f"{f' ({why})' if why else ''}{self.last_lines(trial)}"
            )
        else:
            self.compare(trial)

    def explain_waiting(self, trial: Trial) -> None:
        """Tell a queue whose workers have other things to do from one whose workers do nothing."""
        self.registered = self.call("listing the workers", "workers.get_all", {}).get("workers") or []
        busy, idle = [], []
        for worker in self.listeners(trial.queue):
            other = as_dict(worker.get("task")).get("id")
            if other and other != trial.task:
                busy.append(f"{worker.get('id')} with task {other}")
            else:
                idle.append(str(worker.get("id")))
        if busy and not idle:
            self.warnings.append(
                f"The queue {trial.queue} was not tried, since its workers were busy for {self.task_timeout} s: "
                f"{', '.join(busy)}."
            )
            return
        free = f"{', '.join(idle)} could have" if idle else "its workers are gone"
        raise ServiceError(
            f"No worker took the task on the queue {trial.queue} within {self.task_timeout} s, but {free}: "
            "see `journalctl --unit 'clearml-agent@*'` on the workers' hosts."
        )

    def compare(self, trial: Trial) -> None:
        """Look for what the task printed."""
        deadline = time.monotonic() + READ_BACK_TIMEOUT
        while trial.digest not in self.console(trial):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"The {trial.where} ran the task on the queue {trial.queue}, but what it prints is missing in the "
                    f"console that the server shows{self.last_lines(trial)}"
                )
            time.sleep(POLL_INTERVAL)
        seconds = round((trial.ended or 0) - trial.enqueued, 1)
        self.queues[trial.queue] = {"worker": trial.state.get("last_worker"), "seconds": seconds}

    def console(self, trial: Trial) -> str:
        """Return the end of a task's console."""
        request = {"task": trial.task, "batch_size": 500, "order": "asc"}
        events = self.call("reading a task's console", "events.get_task_log", request).get("events") or []
        return "\n".join(str(event.get("msg") or "") for event in events)

    def last_lines(self, trial: Trial) -> str:
        """Return the end of a sentence: the last lines of a task's console, if they can be had."""
        try:
            lines = [line.strip() for line in self.console(trial).splitlines() if line.strip()]
        except ServiceError:
            lines = []
        shortened = [textwrap.shorten(line, LONGEST_LINE, placeholder=" …") for line in lines[-LAST_LINES:]]
        return f"; its last lines: {' | '.join(shortened)}." if lines else "; its console is empty."

    def delete_tasks(self) -> str:
        """Delete the tasks."""
        # The server takes a task that waits off its queue; an agent stops one that is gone.
        each([trial for trial in self.trials if trial.task and not trial.gone], self.delete_task)
        return "deleted"

    def delete_task(self, trial: Trial) -> None:
        """Delete a task."""
        doing = f"deleting the task {trial.task}"
        if not self.call(doing, "tasks.delete", {"task": trial.task, "force": True}).get("deleted"):
            raise ServiceError(f"{self.api} answered that nothing was deleted while {doing}.")

    def delete_project(self) -> str:
        """Delete the project, with tasks that could not be deleted or whose creation was not answered."""
        doing = f"deleting the project {self.name}, which has to be deleted by hand"
        request = {"project": self.project, "force": True, "delete_contents": True}
        if not self.call(doing, "projects.delete", request).get("deleted"):
            raise ServiceError(f"{self.api} answered that nothing was deleted while {doing}.")
        return "deleted"

    # -- running them

    def run(self) -> None:
        """Run all steps, and delete what was made."""
        if not self.step("log in with the key pair", self.log_in):
            return
        self.step("find the workers", self.find_workers)
        self.step("find a worker for each queue", self.find_queues_without_worker)
        enqueue, read = "put a task on each queue", "read what each task printed"
        if not self.run_tasks:
            return
        if self.check_mode:
            self.steps += [
                {"name": name, "ok": None, "ms": 0, "detail": "left out in check mode"} for name in (enqueue, read)
            ]
            return
        try:
            self.step(enqueue, self.enqueue_all)
            self.step(read, self.read_results)
        finally:
            if self.project:
                self.step("delete the tasks", self.delete_tasks)
                self.step("delete their project", self.delete_project)

    def step(self, name: str, run: Callable[[], str]) -> bool:
        """Run one step, and note what happened."""
        began = time.monotonic()
        try:
            ok, detail = True, run()
        except ServiceError as problem:
            ok, detail = False, str(problem)
        # Servers and tasks should not repeat secrets; this makes sure that they go no further.
        for secret in (self.token, self.key_pair[1]):
            detail = detail.replace(secret, "********") if secret else detail
        ms = round((time.monotonic() - began) * 1000)
        self.steps.append({"name": name, "ok": ok, "ms": ms, "detail": detail})
        return ok


def end(*_: object) -> None:
    """End as after a Ctrl-C, so that what was made is deleted."""
    raise SystemExit(1)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "api_url": {"type": "str", "required": True},
            "access_key": {"type": "str", "required": True, "no_log": True},
            "secret_key": {"type": "str", "required": True, "no_log": True},
            "workers": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "id": {"type": "str", "required": True},
                    "queues": {"type": "list", "elements": "str", "required": True},
                    "name": {"type": "str", "default": "*"},
                },
            },
            "run_tasks": {"type": "bool", "default": True},
            "task_timeout": {"type": "int", "default": 300},
            "register_timeout": {"type": "int", "default": 60},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    parts = urllib.parse.urlsplit(params["api_url"])
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        module.fail_json(msg=f"api_url is {params['api_url']}: it must be a URL such as http://127.0.0.1:8008.")
    for option, least in (("timeout", 1), ("task_timeout", 1), ("register_timeout", 0)):
        if params[option] < least:
            module.fail_json(msg=f"{option} is {params[option]}: it must be a number of seconds, {least} or more.")

    verifier = Verifier(
        api=Service("apiserver", params["api_url"].rstrip("/"), params["timeout"]),
        key_pair=(params["access_key"], params["secret_key"]),
        workers=[Worker(**worker) for worker in params["workers"]],
        run_tasks=params["run_tasks"],
        task_timeout=params["task_timeout"],
        register_timeout=params["register_timeout"],
        check_mode=module.check_mode,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    verifier.run()
    for warning in verifier.warnings:
        module.warn(warning)
    result = {"changed": False, "steps": verifier.steps, "queues": verifier.queues}
    failures = [step["detail"] for step in verifier.steps if step["ok"] is False]
    if failures:
        module.fail_json(msg=" ".join(failures), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
