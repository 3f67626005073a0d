"""What the page of the web server is made of: how values are written, curves, and links to files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearml_lab.webserver.page import charts, formats
from clearml_lab.webserver.page.app import local
from clearml_lab.webserver.page.files import FileLinks

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9312345678, "0.93123"),
        (3, "3"),
        (3.0, "3"),
        (1234567890, "1234567890"),
        (1.5e-9, "1.5e-09"),
        (2e20, "2e+20"),
        (float("nan"), "nan"),
        ("text", "text"),
        (True, "True"),
        (None, formats.NOTHING),
    ],
)
def test_numbers(value: Any, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3725, "1 h 2 min"),
        (90000, "1 d 1 h"),
        (-3, "0 s"),
        (None, formats.NOTHING),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB"), (None, formats.NOTHING)]
)
def test_sizes(count: int | None, text: str) -> None:
    assert formats.size(count) == text


def test_times_are_in_utc_and_what_is_no_time_is_none() -> None:
    assert formats.moment("2026-11-25T14:00:00.000000+02:00") == NOON
    assert formats.moment("2026-11-25T12:00:00") == NOON
    assert formats.clock(NOON) == "2026-11-25 12:00"
    assert formats.moment(None) is None
    assert formats.moment("yesterday") is None


def test_how_long_ago() -> None:
    assert formats.ago(NOON, NOON + timedelta(seconds=2)) == "just now"
    assert formats.ago(NOON, NOON + timedelta(minutes=2)) == "2 min 0 s ago"
    assert formats.ago(None) == formats.NOTHING


def test_a_curve_fills_its_box_and_what_is_larger_is_higher() -> None:
    curve = charts.curve({"x": [0, 5, 10], "y": [2.0, 1.0, 3.0]})
    assert curve
    assert curve.points == "3.0,24.0 120.0,45.0 237.0,3.0"
    assert (curve.first, curve.last) == (0, 10)


def test_a_curve_of_equal_values_runs_through_the_middle() -> None:
    curve = charts.curve({"x": [1, 2], "y": [7, 7]})
    assert curve
    assert curve.points == "3.0,24.0 237.0,24.0"


@pytest.mark.parametrize(
    "line", [{}, {"x": [1], "y": [1]}, {"x": [1, 2], "y": [1, None]}, {"x": [1, 2], "y": [1, float("nan")]}]
)
def test_what_is_no_line_has_no_curve(line: dict[str, Any]) -> None:
    assert charts.curve(line) is None


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "file:///etc/passwd", "s3://bucket/key", "data:text/html,x", "/local", "http:", ""],
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert FileLinks().link(address) == ""


def test_files_lead_where_they_are_unless_browsers_reach_the_fileserver_through_here() -> None:
    address = "http://files.example.com:8081/project/a%20b.json"
    assert FileLinks.from_settings({}).link(address) == address
    settings = {"fileBaseUrl": "http://files.example.com:8081/", "useFilesProxy": True}
    proxied = FileLinks.from_settings(settings)
    assert proxied.link(address) == "/files/project/a%20b.json"
    assert proxied.link("http://files.example.com:80812/x") == "http://files.example.com:80812/x"
    assert FileLinks.from_settings({**settings, "useFilesProxy": False}).link(address) == address


@pytest.mark.parametrize("address", ["/", "/?project=1&page=2", "/projects/*/tasks/1"])
def test_after_the_login_one_goes_on_where_one_wanted_to_be(address: str) -> None:
    assert local(address) == address


@pytest.mark.parametrize("address", ["", "//evil", "/\\evil", "http://evil", "evil", "/a\r\nSet-Cookie: x", "/\t/evil"])
def test_after_the_login_one_stays_on_this_server(address: str) -> None:
    assert local(address) == "/"
