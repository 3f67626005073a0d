"""configuration.json of the web server."""

from __future__ import annotations

import pytest

from clearml_lab.webserver.settings import SettingsError, build


def test_values_are_json() -> None:
    environ = {
        "WEBSERVER__displayedServerUrls": '{"apiServer": "http://a:8008"}',
        "WEBSERVER__hide": "true",
        "HOME": "x",
    }
    assert build(environ, {}) == {"displayedServerUrls": {"apiServer": "http://a:8008"}, "hide": True}


def test_double_underscore_parts_levels_and_case_does_not_matter() -> None:
    assert build({"WEBSERVER__urls__APIServer": "1"}, {"urls": {"apiServer": 0, "web": 2}}) == {
        "urls": {"apiServer": 1, "web": 2}
    }


def test_plain_text_is_an_error() -> None:
    with pytest.raises(SettingsError, match="WEBSERVER__title"):
        build({"WEBSERVER__title": "plain text"}, {})


def test_prefix_eats_letters_of_the_name_as_it_does_on_the_official_image() -> None:
    assert build({"WEBSERVER__SERVER_URL": "1", "WEBSERVER__BASE": "2"}, {}) == {"URL": 1, "ASE": 2}
