"""From the recorded server's ids, keys, tokens and times to another's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.translation import Translation

ID, OTHER = "a" * 32, "b" * 32
KEY, OTHER_KEY = "K" * 30, "L" * 30
SECRET, OTHER_SECRET = "s" * 40, "7" * 43
TOKEN, OTHER_TOKEN = "eyJh.eyJi.abc", "eyJx.eyJy.xyz"


@pytest.fixture
def translation() -> Translation:
    """One that has seen an answer."""
    translation = Translation()
    recorded = {"id": ID, "list": [{"key": KEY, "secret": SECRET}], "token": TOKEN, "at": "2026-01-01T10:00:00"}
    actual = {"id": OTHER, "list": [{"key": OTHER_KEY, "secret": OTHER_SECRET}], "token": OTHER_TOKEN}
    translation.learn(recorded, {**actual, "at": "2027-02-02T20:00:00"})
    return translation


@pytest.mark.parametrize(
    ("recorded", "translated"),
    [
        (ID, OTHER),
        (f"/files/{ID}/x", f"/files/{OTHER}/x"),
        ({"queue": ID, ID: [KEY]}, {"queue": OTHER, OTHER: [OTHER_KEY]}),
        (SECRET, OTHER_SECRET),
        (f"Bearer {TOKEN}", f"Bearer {OTHER_TOKEN}"),
        (">2026-01-01T10:00:00", ">2027-02-02T20:00:00"),
        ("default", "default"),
        (5, 5),
        (None, None),
    ],
)
def test_what_was_learnt_is_translated(translation: Translation, recorded: Any, translated: Any) -> None:
    assert translation.translate(recorded) == translated


def test_what_was_learnt_first_stays(translation: Translation) -> None:
    translation.learn({"id": ID}, {"id": "c" * 32})
    assert translation.translate(ID) == OTHER


def test_an_unknown_time_keeps_its_distance_to_the_call_before() -> None:
    translation = Translation()
    translation.note_time(0.0, 86400.0)  # what was called at the start of 1970 was called again a day later
    assert translation.translate("1970-01-01T00:00:05+00:00") == "1970-01-02T00:00:05+00:00"
    assert translation.translate("1970-01-01T00:00:05") == "1970-01-02T00:00:05"
