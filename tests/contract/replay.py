"""Sending recorded calls again, in order, and counting how far the answers agree."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from . import known_differences
from .callers import Callers, Server
from .comparison import Field, compare
from .recording import Call, Recording
from .translation import Translation

SECONDS = 120


@dataclass(frozen=True)
class Difference:
    """A value of an answer that is not as recorded."""

    recording: str
    number: int
    path: str
    item: Field

    @property
    def reason(self) -> str | None:
        """Return why it differs, if that is known."""
        return known_differences.reason(self.recording, self.number)

    def __str__(self) -> str:
        recorded, actual = (json.dumps(value, default=str)[:140] for value in (self.item.recorded, self.item.actual))
        text = f"{self.recording}, call {self.number}, {self.path} {self.item.path}: recorded {recorded}, got {actual}"
        return f"{text} ({self.reason})" if self.reason else text


@dataclass
class Score:
    """What was counted: calls, those whose answer agrees whole, their values, and those of them that agree."""

    name: str
    calls: int = 0
    whole: int = 0
    fields: int = 0
    agreeing: int = 0
    left_out: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def per_cent(self) -> float:
        """Return how many of the values agree."""
        return 100 * self.agreeing / self.fields if self.fields else 0.0

    def __str__(self) -> str:
        return (
            f"{self.name:28} calls {self.whole}/{self.calls}  fields {self.agreeing}/{self.fields}"
            f"  {self.per_cent:.1f} %  left out {self.left_out}"
        )


def total(scores: list[Score]) -> Score:
    """Return the sum of scores."""
    result = Score("together")
    for name in ("calls", "whole", "fields", "agreeing", "left_out"):
        setattr(result, name, sum(getattr(score, name) for score in scores))
    result.differences = [difference for score in scores for difference in score.differences]
    return result


class Replay:
    """One server under test; what later recordings refer to, earlier ones have made on it."""

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy between here and the server
        self._translation = Translation()
        self._callers = Callers(server, self._http, self._translation)

    def score(self, recording: Recording) -> Score:
        """Replay a recording."""
        score = Score(recording.name)
        for number, call in enumerate(recording.calls, 1):
            fields = self._replay(call)
            if fields is None:
                score.left_out += 1
                continue
            wrong = [item for item in fields if not item.agrees]
            score.calls += 1
            score.whole += not wrong
            score.fields += len(fields)
            score.agreeing += len(fields) - len(wrong)
            score.differences += [Difference(recording.name, number, call.path, item) for item in wrong]
        return score

    def _replay(self, call: Call) -> list[Field] | None:
        answer = self._send(call)
        if answer is None:
            return None
        status = Field("status", answer.status_code == call.status, call.status, answer.status_code)
        try:
            actual = answer.json()
        except ValueError:
            actual = answer.text
        return [status, *self._compare(call, actual)]

    def _send(self, call: Call) -> requests.Response | None:
        login = self._callers.login(call.headers.get("authorization"))
        if login is None:
            return None
        headers = dict(login.headers)
        for name, value in call.headers.items():
            if name.startswith(("x-clearml", "x-trains")) or name in {"user-agent", "cookie"}:
                headers[name] = self._translation.translate(value)
        body = self._body(call)
        if body is not None and call.content_type and call.content_type.startswith("application/json"):
            headers["content-type"] = call.content_type
        query = f"?{call.query}" if call.query else ""
        sent = time.time()
        answer = self._http.request(
            call.method,
            f"{self._url}{urllib.parse.quote(call.path, safe='/.:%')}{query}",
            auth=login.basic,
            headers=headers,
            data=body,
            timeout=SECONDS,
            allow_redirects=False,
        )
        self._http.cookies.clear()
        self._translation.note_time(call.ts, sent)
        return answer

    def _body(self, call: Call) -> bytes | str | None:
        if call.request is None:
            return None
        content = self._translation.translate(call.request)
        if call.content_type == "application/json-lines":
            return "\n".join(json.dumps(item) for item in content).encode()
        if call.content_type == "application/json":
            return json.dumps(content).encode()
        return str(content)

    def _compare(self, call: Call, actual: Any) -> Iterator[Field]:
        recorded, translation = call.response, self._translation
        if not isinstance(recorded, dict) or "meta" not in recorded:
            yield from compare(recorded, actual, translation, "body")
            return
        if not isinstance(actual, dict) or "meta" not in actual:
            yield Field("meta", False, "ClearML's envelope", actual)
            return
        translation.learn(recorded.get("data"), actual.get("data"))
        for name in ("result_code", "result_subcode", "result_msg"):
            yield from compare(recorded["meta"].get(name), actual["meta"].get(name), translation, f"meta.{name}")
        yield from compare(_endpoint(recorded), _endpoint(actual), translation, "meta.endpoint")
        if not call.path.endswith("/server.config"):  # which is the deployment's own
            yield from compare(recorded.get("data"), actual.get("data"), translation, "data")


def _endpoint(answer: dict[str, Any]) -> Any:
    return (answer["meta"].get("endpoint") or {}).get("name")
