"""From values of the recorded server to those of the server under test, as its own answers tell them."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .patterns import ACCESS_KEY, ID, SECRET, TIME, TOKEN, WORD


class Translation:
    """Ids, keys, secrets, tokens and times, learnt from pairs of answers."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self._times: dict[str, str] = {}
        self._clock: list[tuple[float, float]] = []

    def note_time(self, recorded: float, actual: float) -> None:
        """Note when a recorded call was sent again."""
        self._clock.append((recorded, actual))

    def translate(self, value: Any) -> Any:
        """Return a value of a recording as the server under test would say it."""
        if isinstance(value, dict):
            return {self.translate(key): self.translate(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translate(item) for item in value]
        if not isinstance(value, str):
            return value
        if value in self.ids:
            return self.ids[value]
        value = ID.sub(lambda match: self.ids.get(match[0], match[0]), value)
        value = TOKEN.sub(lambda match: self.tokens.get(match[0], match[0]), value)
        return TIME.sub(lambda match: self._translate_time(match[0]), value)

    def learn(self, recorded: Any, actual: Any) -> None:
        """Compare two answers for what the one server calls so and the other so."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for key in recorded.keys() & actual.keys():
                self.learn(recorded[key], actual[key])
        elif isinstance(recorded, list) and isinstance(actual, list):
            for one, other in self.pairs(recorded, actual):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(actual, str):
            self._learn_text(recorded, actual)

    def pairs(self, recorded: Sequence[Any], actual: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Return which item of one list is which of the other: the same object first, then by position."""
        if len(recorded) < 2 or not all(isinstance(item, dict) and "id" in item for item in (*recorded, *actual)):
            return list(zip(recorded, actual, strict=False))
        left = {item["id"]: item for item in actual}
        found, others = [], []
        for item in recorded:
            same = left.pop(self.ids.get(item["id"], ""), None)
            if same is None:
                others.append(item)
            else:
                found.append((item, same))
        return [*found, *zip(others, left.values(), strict=False)]

    def _learn_text(self, recorded: str, actual: str) -> None:
        if _both(TOKEN, recorded, actual):
            self.tokens[recorded] = actual
        elif _both(ID, recorded, actual) or _both(ACCESS_KEY, recorded, actual):
            self.ids.setdefault(recorded, actual)
        elif _both(TIME, recorded, actual):
            self._times.setdefault(recorded, actual)
        elif SECRET.fullmatch(recorded) and WORD.fullmatch(actual):
            self.ids.setdefault(recorded, actual)

    def _translate_time(self, text: str) -> str:
        """Return a time that was answered, or else one as long after the nearest call as in the recording."""
        if text in self._times:
            return self._times[text]
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return text
        recorded = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        place = bisect.bisect_right(self._clock, (recorded, float("inf")))
        before, after = self._clock[max(0, place - 1)] if self._clock else (0.0, 0.0)
        translated = datetime.fromtimestamp(recorded + after - before, UTC)
        return (translated if when.tzinfo else translated.replace(tzinfo=None)).isoformat()


def _both(pattern: re.Pattern[str], one: str, other: str) -> bool:
    return bool(pattern.fullmatch(one) and pattern.fullmatch(other))
