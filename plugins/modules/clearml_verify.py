#!/usr/bin/python
"""Ansible module clearml_verify: use a ClearML platform as a client does, and try what must be refused."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import os
import secrets
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.clearml_api import Answer, Service, ServiceError, as_dict, basic, form
from ansible.module_utils.published_keys import COMPANY, KEY_PAIRS, TOKEN_SECRET

DOCUMENTATION = r"""
---
module: clearml_verify
short_description: Check that a ClearML platform works and refuses what it must
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Uses a running platform as a client does. Logs in, makes a project and a task, reports a scalar and reads it back,
    uploads and downloads bytes and compares them, deletes all of it and checks that it is gone.
  - Tries what must be refused. The key pairs and the token secret that ClearML publishes, a login by name alone,
    an upload and a download without a token.
  - A step that fails does not stop the ones that do not need it, so that everything that is down is named.
    What was made is deleted also when a later step fails.
  - Needs nothing but Python's standard library on the host. Proxies of the environment are not used.
options:
  api_url:
    description: URL of the apiserver.
    type: str
    required: true
  web_url:
    description: URL of the web server.
    type: str
    required: true
  files_url:
    description: URL of the fileserver.
    type: str
    required: true
  stored_files_url:
    description:
      - URL of the fileserver as clients store it in artifacts, when it differs from O(files_url).
      - It has to be one of the C(url_prefixes) of C(services.async_urls_delete.fileserver), or files are never deleted.
    type: str
  access_key:
    description: Access key of an account that may make projects.
    type: str
    required: true
  secret_key:
    description: Secret of O(access_key).
    type: str
    required: true
  username:
    description: Name of an account that logs in with a password.
    type: str
  password:
    description: Password of O(username). Without it nobody logs in with a password.
    type: str
  service_accounts:
    description: Further key pairs that must work, C(access_key) and C(secret_key) by the account's name.
    type: dict
    default: {}
  queues:
    description: Names of queues that must exist.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for each answer.
    type: int
    default: 30
  async_delete_timeout:
    description: Seconds that the async-delete service has to delete a deleted task's file; V(0) leaves that step out.
    type: int
    default: 60
  published_keys:
    description: Whether to check that the published key pairs and the published token secret are refused.
    type: bool
    default: true
attributes:
  check_mode:
    description: Steps that write are left out.
    support: full
"""

EXAMPLES = r"""
- name: Use the platform as a client does
  clearml_verify:
    api_url: http://127.0.0.1:8008
    web_url: http://127.0.0.1:8080
    files_url: http://127.0.0.1:8081
    access_key: "{{ credentials.access_key }}"
    secret_key: "{{ credentials.secret_key }}"
    username: "{{ credentials.username }}"
    password: "{{ credentials.password }}"
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
    - {name: log in with the key pair, ok: true, ms: 12, detail: got a token}
msg:
  description: What is wrong, one sentence for each step that failed.
  returned: failure
  type: str
  sample: The fileserver at http://127.0.0.1:8081 refused the connection (Connection refused) while uploading a file.
"""


# Seconds. The search engine may need a moment until it finds what was just stored.
READ_BACK_TIMEOUT = 5
POLL_INTERVAL = 1


def forged_token(secret: str) -> str:
    """Return a token as the apiserver makes them, for its most powerful role, signed with ``secret``."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    identity = {"user": "__root__", "company": COMPANY, "role": "root", "user_name": "root", "company_name": "clearml"}
    claims = {"auth_type": "Bearer", "identity": identity, "env": "<unknown>", "session_id": secrets.token_hex(16)}
    content = part(b'{"typ":"JWT","alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
    signature = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return (content + b"." + part(signature)).decode()


@dataclass(frozen=True)
class Step:
    """One check. It returns what it saw, or raises ServiceError."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()
    writes: bool = False


@dataclass
class Verifier:
    """The checks, and what they know of the platform so far."""

    api: Service
    web: Service
    files: Service
    stored_files_url: str
    key_pair: tuple[str, str]
    account: tuple[str, str | None] | None
    async_delete_timeout: int
    published_keys: bool
    service_accounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    queues: list[str] = field(default_factory=list)
    check_mode: bool = False
    token: str = ""
    project: str = ""
    task: str = ""
    # What has to be deleted whatever happens: how to call it, how to delete it, and how to see that it is gone.
    made: dict[str, tuple[Callable[[], None], Callable[[], None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Choose names and values that no earlier run had."""
        self.name = f"clearml-verify-{secrets.token_hex(6)}"
        # At the top of the fileserver's directory: it leaves the directories of deleted files behind.
        self.file = f"{self.name}.bin"
        self.artifact = f"{self.name}-artifact.bin"
        self.content = os.urandom(4096) + b"\0\n\r\n--\r\n\xff"
        self.scalar = secrets.randbelow(10**6) / 1000 + 0.2

    # -- how the services are asked

    def call(
        self, doing: str, endpoint: str, request: object = None, *, authorization: str | None = None
    ) -> dict[str, Any]:
        """Call an endpoint of the apiserver, as the account with the key pair unless told otherwise."""
        data: dict[str, Any] = self.api.call(doing, endpoint, request, authorization or f"Bearer {self.token}")
        return data

    def refuse(self, service: Service, answer: Answer, what: str, remedy: str, statuses: tuple[int, ...]) -> None:
        """Raise unless the answer is one of ``statuses``, the ones that refuse."""
        if answer.status in statuses:
            return
        if answer.status < 300:
            raise ServiceError(f"{service} accepted {what}, which it must refuse: {remedy}.")
        wanted = " or ".join(str(status) for status in statuses)
        raise ServiceError(f"{service} answered {answer} to {what}, where a refusal ({wanted}) is expected.")

    def log_in(self, doing: str, authorization: str) -> str:
        """Return a token."""
        data = self.call(doing, "auth.login", {"expiration_sec": 3600}, authorization=authorization)
        token = data.get("token")
        if not isinstance(token, str) or not token:
            raise ServiceError(f"{self.api} answered without a token while {doing}.")
        return token

    def new_id(self, doing: str, endpoint: str, request: dict[str, Any]) -> str:
        """Create something and return its id."""
        found = self.call(doing, endpoint, request).get("id")
        if not isinstance(found, str) or not found:
            raise ServiceError(f"{self.api} answered without an id while {doing}.")
        return found

    def send_file(self, doing: str, path: str) -> None:
        """Upload the content under a path."""
        body, content_type = form(path, self.content)
        bearer = f"Bearer {self.token}"
        answer = self.files.ask(doing, "POST", body=body, content_type=content_type, authorization=bearer)
        if answer.status != 200:
            raise ServiceError(f"{self.files} answered {answer} while {doing}.")
        self.remember_file(path)

    def remember_file(self, path: str) -> None:
        """Have a file deleted in any case."""
        self.made[f"file {path}"] = (partial(self.delete_file, path), partial(self.file_must_be_gone, path))

    def get_file(self, doing: str, path: str, authorization: str | None = None) -> Answer:
        """Ask for a file."""
        return self.files.ask(doing, "GET", f"/{path}", authorization=authorization or f"Bearer {self.token}")

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        answer = self.files.ask("deleting a file", "DELETE", f"/{path}", authorization=f"Bearer {self.token}")
        if answer.status != 200:
            raise ServiceError(f"{self.files} answered {answer} while deleting a file.")
        self.made.pop(f"file {path}", None)

    def file_must_be_gone(self, path: str) -> None:
        """See that the fileserver no longer has a file."""
        answer = self.get_file("looking for a deleted file", path)
        if answer.status != 404:
            raise ServiceError(f"{self.files} answered {answer} instead of 404 when asked for a file that was deleted.")

    def task_must_be_gone(self) -> None:
        """See that the apiserver no longer knows the task."""
        self.must_be_gone("task", self.task)

    def project_must_be_gone(self) -> None:
        """See that the apiserver no longer knows the project."""
        self.must_be_gone("project", self.project)

    def must_be_gone(self, kind: str, identity: str) -> None:
        """See that the apiserver no longer knows something."""
        bearer = f"Bearer {self.token}"
        answer = self.api.post(f"looking for a deleted {kind}", f"{kind}s.get_by_id", {kind: identity}, bearer)
        if answer.status != 400:
            raise ServiceError(f"{self.api} answered {answer} instead of 400 when asked for a {kind} that was deleted.")

    # -- the steps

    def ping_api(self) -> str:
        """Ask the apiserver for a sign of life, which says nothing of its databases."""
        doing = "being asked whether it is there"
        self.api.json(doing, self.api.ask(doing, path="/debug.ping"))
        return "debug.ping answers"

    def ping_files(self) -> str:
        """Ask the fileserver for a sign of life."""
        doing = "being asked whether it is there"
        answer = self.files.ask(doing)
        if answer.status != 200:
            raise ServiceError(f"{self.files} answered {answer} while {doing}.")
        if answer.body.strip() != b"OK":
            raise ServiceError(
                f"{self.files} answered with something else than OK while {doing}: "
                "is this really the service's address?"
            )
        return "answers OK"

    def web_page(self) -> str:
        """Get the page that browsers load first."""
        answer = self.web.ask("being asked for its page")
        if answer.status != 200 or answer.content_type != "text/html" or b"<html" not in answer.body.lower():
            raise ServiceError(
                f"{self.web} answered {answer.status} with {answer.content_type} while being asked for its page: "
                "a web page is expected."
            )
        return f"a page of {len(answer.body)} bytes"

    def web_forwards(self) -> str:
        """Reach the apiserver as that page does."""
        # Unknown paths give the page with status 200, so the content counts.
        doing = "forwarding /api/debug.ping to the apiserver"
        self.web.json(doing, self.web.ask(doing, path="/api/debug.ping"))
        return "debug.ping answers through /api"

    def login_modes(self) -> str:
        """See that nobody gets in without a password."""
        # A configuration that the server did not find leaves it open to everybody, without a word.
        modes = self.call("being asked how one may log in", "login.supported_modes")
        fixed = as_dict(modes.get("basic"))
        if fixed.get("enabled") is not True:
            raise ServiceError(
                f"{self.api} lets everybody in by name alone (login.supported_modes says that fixed users are off): "
                "its configuration directory was not read; check the mount and CLEARML_CONFIG_DIR."
            )
        if as_dict(fixed.get("guest")).get("enabled"):
            raise ServiceError(f"{self.api} lets guests in: set services.auth.fixed_users.guest.enabled to false.")
        errors = sorted(name for name, value in as_dict(modes.get("server_errors")).items() if value)
        if errors:
            raise ServiceError(f"{self.api} reports errors of its own in login.supported_modes: {', '.join(errors)}.")
        return "fixed users are on, guests are off, no server errors"

    def log_in_with_key(self) -> str:
        """Log in as the SDK does."""
        self.token = self.log_in("logging in with the key pair", basic(*self.key_pair))
        return "got a token"

    def log_in_with_password(self, username: str, password: str) -> str:
        """Log in as people do."""
        self.log_in("logging in with name and password", basic(username, password))
        return "got a token"

    def log_in_with_service_accounts(self) -> str:
        """Log in as each agent and the like does."""
        for name, pair in self.service_accounts.items():
            self.log_in(f"logging in as the service account {name}", basic(*pair))
        return ", ".join(self.service_accounts)

    def find_queues(self) -> str:
        """See that agents and people find the queues that they were told of."""
        found = self.call("listing the queues", "queues.get_all", {"only_fields": ["name"]}).get("queues") or []
        names = [str(as_dict(queue).get("name")) for queue in found]
        if missing := [name for name in self.queues if name not in names]:
            raise ServiceError(f"{self.api} has no queue {', '.join(missing)}: run playbooks/deploy.yml.")
        return ", ".join(self.queues)

    def upload(self) -> str:
        """Upload bytes that a careless server would change."""
        self.send_file("uploading a file", self.file)
        return f"{len(self.content)} bytes"

    def download(self) -> str:
        """Get the same bytes back."""
        answer = self.get_file("downloading a file", self.file)
        if answer.status != 200:
            raise ServiceError(f"{self.files} answered {answer} while downloading a file.")
        if answer.body != self.content:
            raise ServiceError(
                f"{self.files} gave back other bytes than were uploaded "
                f"({len(answer.body)} instead of {len(self.content)}, or changed ones)."
            )
        return "the bytes are the same"

    def upload_without_token(self) -> str:
        """Try to upload as nobody."""
        path = f"{self.name}-anonymous.bin"
        body, content_type = form(path, b"must not be stored")
        answer = self.files.ask("being tried with an anonymous upload", "POST", body=body, content_type=content_type)
        if answer.status == 200:
            self.remember_file(path)
        self.refuse(self.files, answer, "an upload without a token", "set fileserver.auth.enabled to true", (401, 403))
        return f"refused with {answer.status}"

    def download_without_token(self) -> str:
        """Try to download as nobody."""
        answer = self.files.ask("being tried with an anonymous download", path=f"/{self.file}")
        self.refuse(self.files, answer, "a download without a token", "set fileserver.auth.enabled to true", (401, 403))
        return f"refused with {answer.status}"

    def remove_file(self) -> str:
        """Delete the file."""
        self.delete_file(self.file)
        self.file_must_be_gone(self.file)
        return "deleted and gone"

    def create_project(self) -> str:
        """Create a project of a name that nobody has."""
        self.project = self.new_id(
            "creating a project", "projects.create", {"name": self.name, "description": "Made by clearml_verify"}
        )
        self.made[f"project {self.name}"] = (self.delete_project, self.project_must_be_gone)
        return self.name

    def create_task(self) -> str:
        """Create a task with an artifact, whose file is uploaded later."""
        artifact = {
            "key": "verify",
            "type": "custom",
            "mode": "output",
            "uri": f"{self.stored_files_url}/{self.artifact}",
        }
        request = {"name": self.name, "type": "testing", "project": self.project}
        if self.async_delete_timeout:
            request["execution"] = {"artifacts": [artifact]}  # type: ignore[assignment]
        self.task = self.new_id("creating a task", "tasks.create", request)
        self.made[f"task {self.name}"] = (self.delete_task, self.task_must_be_gone)
        return self.name

    def report_scalar(self) -> str:
        """Report a scalar as the SDK does."""
        event = {
            "type": "training_stats_scalar",
            "task": self.task,
            "iter": 0,
            "timestamp": int(time.time() * 1000),
            "metric": "verify",
            "variant": "value",
            "value": self.scalar,
        }
        doing = "reporting a scalar"
        data = self.call(doing, "events.add_batch", [event])
        if data.get("added") != 1:
            raise ServiceError(
                f"{self.api} answered that it added {data.get('added')} events instead of 1 while {doing}."
            )
        return f"value {self.scalar}"

    def read_scalar(self) -> str:
        """Read the scalar back as the web page does."""
        doing = "reading a scalar back"
        deadline = time.monotonic() + READ_BACK_TIMEOUT
        while True:
            data = self.call(doing, "events.scalar_metrics_iter_histogram", {"task": self.task, "key": "iter"})
            values = as_dict(as_dict(data.get("verify")).get("value")).get("y")
            if values or time.monotonic() > deadline:
                break
            time.sleep(POLL_INTERVAL)
        # Values pass through Elasticsearch's single-precision float.
        value = values[0] if isinstance(values, list) and len(values) == 1 else None
        if not isinstance(value, float) or not math.isclose(value, self.scalar, rel_tol=1e-6):
            raise ServiceError(f"{self.api} gave back {values} instead of [{self.scalar}] while {doing}.")
        return f"value {value}"

    def store_artifact(self) -> str:
        """Upload the file of the task's artifact."""
        self.send_file("uploading a task's artifact", self.artifact)
        return f"{len(self.content)} bytes"

    def delete_task(self) -> None:
        """Delete the task, and ask for its files to go too."""
        data = self.call(
            "deleting a task",
            "tasks.delete",
            {"task": self.task, "force": True, "delete_external_artifacts": True},
        )
        if not data.get("deleted"):
            raise ServiceError(f"{self.api} answered that nothing was deleted while deleting a task.")
        self.made.pop(f"task {self.name}", None)

    def remove_task(self) -> str:
        """Delete the task and see that it is gone."""
        self.delete_task()
        self.task_must_be_gone()
        return "deleted and gone"

    def artifact_goes_too(self) -> str:
        """Wait until the artifact's file is deleted."""
        path, doing = self.artifact, "looking for a deleted task's artifact"
        deadline = time.monotonic() + self.async_delete_timeout
        while (answer := self.get_file(doing, path)).status == 200:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"clearml-async-delete left a deleted task's file on the fileserver at {self.files.url} "
                    f"for more than {self.async_delete_timeout} s: read its log, and check that "
                    f"services.async_urls_delete.fileserver.url_prefixes has {self.stored_files_url}."
                )
            time.sleep(POLL_INTERVAL)
        if answer.status != 404:
            raise ServiceError(f"{self.files} answered {answer} while {doing}.")
        self.made.pop(f"file {path}", None)
        return "clearml-async-delete deleted it"

    def delete_project(self) -> None:
        """Delete the project."""
        doing = "deleting a project"
        data = self.call(doing, "projects.delete", {"project": self.project, "force": True})
        if not data.get("deleted"):
            raise ServiceError(f"{self.api} answered that nothing was deleted while {doing}.")
        self.made.pop(f"project {self.name}", None)

    def remove_project(self) -> str:
        """Delete the project and see that it is gone."""
        self.delete_project()
        self.project_must_be_gone()
        return "deleted and gone"

    def log_in_by_name(self, name: str) -> str:
        """Try to log in without a password."""
        for authorization in (None, basic(name, "")):
            answer = self.api.post("being tried with a login by name alone", "auth.login", None, authorization)
            self.refuse(self.api, answer, "a login without a password", "turn on auth.fixed_users", (401,))
        return "refused with 401"

    def published_key_pairs(self) -> str:
        """Try to log in with the key pairs that everybody knows."""
        accepted = []
        for name, pair in KEY_PAIRS.items():
            answer = self.api.post("being tried with a published key pair", "auth.login", None, basic(*pair))
            if answer.status == 200:
                accepted.append(name)
            elif answer.status != 401:
                raise ServiceError(
                    f"{self.api} answered {answer} to the published key pair of {name}, "
                    "where a refusal (401) is expected."
                )
        if accepted:
            raise ServiceError(
                f"{self.api} accepted published key pairs, which it must refuse: set user_key and user_secret of "
                f"{', '.join(f'secure.credentials.{name}' for name in accepted)} to values of your own, and restart."
            )
        return f"all {len(KEY_PAIRS)} refused with 401"

    def published_token_secret(self) -> str:
        """Try a token that everybody can make."""
        bearer = f"Bearer {forged_token(TOKEN_SECRET)}"
        for endpoint, request in (("users.get_all", {}), ("server.config", {"path": "hosts"})):
            answer = self.api.post("being tried with a forged token", endpoint, request, bearer)
            remedy = "set secure.auth.token_secret to a value of your own, and restart"
            # 403 would mean that it believed the token.
            self.refuse(self.api, answer, "a token forged with the published token secret", remedy, (401,))
        return "refused with 401"

    def steps(self) -> Iterator[Step]:
        """Return all steps in order."""
        api, files, key = "ping the apiserver", "ping the fileserver", "log in with the key pair"
        yield Step(api, self.ping_api)
        yield Step(files, self.ping_files)
        yield Step("get the web server's page", self.web_page)
        yield Step("reach the apiserver through the web server", self.web_forwards)
        yield Step("see how one may log in", self.login_modes, (api,))
        yield Step(key, self.log_in_with_key, (api,))
        username, password = self.account or (None, None)
        if username and password:
            log_in = partial(self.log_in_with_password, username, password)
            yield Step("log in with name and password", log_in, (api,))
        if self.service_accounts:
            yield Step("log in as each service account", self.log_in_with_service_accounts, (api,))
        if self.queues:
            yield Step("find the queues", self.find_queues, (key,))

        project, task, scalar = "create a project", "create a task", "report a scalar"
        upload, artifact, remove_task = "upload a file", "upload the task's artifact", "delete the task"
        yield Step(project, self.create_project, (key,), writes=True)
        yield Step(task, self.create_task, (project,), writes=True)
        yield Step(scalar, self.report_scalar, (task,), writes=True)
        yield Step("read the scalar back", self.read_scalar, (scalar,), writes=True)
        yield Step(upload, self.upload, (files, key), writes=True)
        yield Step("download the file and compare", self.download, (upload,), writes=True)
        yield Step("be refused a download without a token", self.download_without_token, (upload,), writes=True)
        yield Step("be refused an upload without a token", self.upload_without_token, (files,), writes=True)
        yield Step("delete the file", self.remove_file, (upload,), writes=True)
        if self.async_delete_timeout:
            yield Step(artifact, self.store_artifact, (files, task), writes=True)
        yield Step(remove_task, self.remove_task, (task,), writes=True)
        if self.async_delete_timeout:
            yield Step(
                "see the artifact deleted with the task", self.artifact_goes_too, (artifact, remove_task), writes=True
            )
        yield Step("delete the project", self.remove_project, (project, remove_task), writes=True)

        if username:
            yield Step("be refused a login by name alone", partial(self.log_in_by_name, username), (api,))
        if self.published_keys:
            yield Step("be refused the published key pairs", self.published_key_pairs, (api,))
            yield Step("be refused a token of the published secret", self.published_token_secret, (api,))

    # -- running them

    def run(self) -> list[dict[str, Any]]:
        """Run all steps, then delete what is left, and return what happened."""
        results: list[dict[str, Any]] = []
        try:
            for step in self.steps():
                passed = {result["name"] for result in results if result["ok"]}
                missing = [name for name in step.needs if name not in passed]
                if self.check_mode and step.writes:
                    results.append({"name": step.name, "ok": None, "ms": 0, "detail": "left out in check mode"})
                elif missing:
                    detail = f'left out, since "{missing[0]}" did not pass'
                    results.append({"name": step.name, "ok": None, "ms": 0, "detail": detail})
                else:
                    results.append(self.timed(step))
        finally:
            # Tasks before their projects.
            left = reversed(list(self.made))
            results.extend(self.timed(Step(f"clean up: {name}", partial(self.clean_up, name))) for name in left)
        return results

    def timed(self, step: Step) -> dict[str, Any]:
        """Run one step."""
        began = time.monotonic()
        try:
            ok, detail = True, step.run()
        except ServiceError as problem:
            ok, detail = False, str(problem)
        ms = round((time.monotonic() - began) * 1000)
        return {"name": step.name, "ok": ok, "ms": ms, "detail": self.without_secrets(detail)}

    def clean_up(self, name: str) -> str:
        """Delete what a failed step left. That step may have deleted it before it failed."""
        delete, must_be_gone = self.made[name]
        try:
            delete()
        except ServiceError as error:
            try:
                must_be_gone()
            except ServiceError:
                raise ServiceError(f"The {name} was left behind and has to be deleted by hand: {error}") from error
            return "was gone already"
        return "deleted"

    def without_secrets(self, text: str) -> str:
        """Servers should not repeat secrets in their answers; this makes sure that they go no further."""
        pairs = [self.key_pair, *self.service_accounts.values(), *([self.account] if self.account else [])]
        for secret in (self.token, *(pair[1] for pair in pairs)):
            if secret:
                text = text.replace(secret, "********")
        return text


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "api_url": {"type": "str", "required": True},
            "web_url": {"type": "str", "required": True},
            "files_url": {"type": "str", "required": True},
            "stored_files_url": {"type": "str"},
            "access_key": {"type": "str", "required": True, "no_log": True},
            "secret_key": {"type": "str", "required": True, "no_log": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "service_accounts": {"type": "dict", "default": {}, "no_log": True},
            "queues": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 30},
            "async_delete_timeout": {"type": "int", "default": 60},
            "published_keys": {"type": "bool", "default": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    params["stored_files_url"] = params["stored_files_url"] or params["files_url"]
    for option in ("api_url", "web_url", "files_url", "stored_files_url"):
        parts = urllib.parse.urlsplit(params[option])
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            module.fail_json(msg=f"{option} is {params[option]}: it must be a URL such as http://127.0.0.1:8008.")
        params[option] = params[option].rstrip("/")
    for option, least in (("timeout", 1), ("async_delete_timeout", 0)):
        if params[option] < least:
            module.fail_json(msg=f"{option} is {params[option]}: it must be a number of seconds, {least} or more.")

    steps = Verifier(
        api=Service("apiserver", params["api_url"], params["timeout"]),
        web=Service("web server", params["web_url"], params["timeout"]),
        files=Service("fileserver", params["files_url"], params["timeout"]),
        stored_files_url=params["stored_files_url"],
        key_pair=(params["access_key"], params["secret_key"]),
        account=(params["username"], params["password"]) if params["username"] else None,
        async_delete_timeout=params["async_delete_timeout"],
        published_keys=params["published_keys"],
        service_accounts={
            name: (pair["access_key"], pair["secret_key"]) for name, pair in params["service_accounts"].items()
        },
        queues=params["queues"],
        check_mode=module.check_mode,
    ).run()
    failures = [step["detail"] for step in steps if step["ok"] is False]
    if failures:
        module.fail_json(msg=" ".join(failures), changed=False, steps=steps)
    module.exit_json(changed=False, steps=steps)


if __name__ == "__main__":
    main()
