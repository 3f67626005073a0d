"""The page of the lab's web server as people see it: in a headless Chromium, on the running stack."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from lab.commands import images, registry
from lab.commands.shell import CACHE, ROOT
from lab.stack import Stack, docker, free_ports
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.chrome.remote_connection import ChromeRemoteConnection
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.server import Api, new_project, wait_for

SCREENSHOTS = CACHE / "screenshots"
SECONDS = 20
DESKTOP, PHONE = 1280, 390
NOTHING = "\N{EN DASH}"
FILE = b"kept by the fileserver"


@dataclass(frozen=True)
class Content:
    """What a test finds on the page, by its names; each is unique."""

    project: str
    task: str
    task_id: str
    waiting: str
    model: str
    queue: str
    worker: str
    artifact: str


@pytest.fixture(scope="module")
def driver_address(stack: Stack) -> Iterator[str]:
    """Where a browser is driven from. It shares this machine's network, and so sees the stack as people here do."""
    subprocess.run([sys.executable, str(ROOT / "lab" / "lab.py"), "images", "--only", "browser"], check=True)
    (port,) = free_ports(1)
    address, name = f"http://127.0.0.1:{port}", f"{stack.project.settings['COMPOSE_PROJECT_NAME']}-browser"
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)  # of an interrupted run
    # With the lab's label, `lab.py clean` finds what a killed run left behind.
    options = ["--detach", "--rm", "--name", name, "--label", registry.LABEL, "--network", "host"]
    limits = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "1g", "--shm-size", "256m"]
    docker("run", *options, *limits, images.ALONE["browser"].name, f"--port={port}")
    try:
        wait_for("the browser's driver", lambda: is_ready(address), SECONDS)
        yield address
    finally:
        docker("rm", "--force", name)


def is_ready(address: str) -> bool:
    try:
        return bool(requests.get(f"{address}/status", timeout=5).json()["value"]["ready"])
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def one_browser(driver_address: str) -> Iterator[WebDriver]:
    """The browser for all tests: each start of one costs most of a second."""
    options = webdriver.ChromeOptions()
    # The container is the sandbox: Chromium's own needs rights that it does not have there.
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Remote(ChromeRemoteConnection(driver_address), options=options)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(one_browser: WebDriver) -> WebDriver:
    """A browser that was never here."""
    one_browser.get("about:blank")
    devtools(one_browser, "Network.clearBrowserCookies")
    devtools(one_browser, "Emulation.clearDeviceMetricsOverride")
    complaints(one_browser)
    return one_browser


@pytest.fixture(scope="module")
def address(stack: Stack) -> str:
    """The web server."""
    return stack.web


@pytest.fixture(scope="module")
def project(api: Api) -> Iterator[str]:
    """A project without the tasks of other tests: the page counts them."""
    with new_project(api) as name:
        yield name


@pytest.fixture(scope="module")
def content(api: Api, project: str) -> Iterator[Content]:
    """One of everything that the page shows, made through the API."""
    unique = uuid.uuid4().hex[:8]
    place = api.project_id(project)
    # A name that would be a script, and that is longer than a phone is wide.
    task = f"<script>alert(1)</script>{'long' * 15}{unique}"
    details: dict[str, Any] = {"type": "training", "project": place}
    parameters = {"General": {"rate": {"section": "General", "name": "rate", "value": "0.125", "type": "float"}}}
    task_id = api.call("tasks.create", name=task, tags=[f"tag-{unique}"], hyperparams=parameters, **details)["id"]
    api.call("tasks.started", task=task_id)
    now = int(time.time() * 1000)
    for number, value in enumerate((4.0, 0.5, 1.25)):
        scalar: dict[str, Any] = {
            "metric": "loss",
            "variant": "train",
            "iter": number,
            "value": value,
            "timestamp": now + number,
        }
        api.call("events.add", type="training_stats_scalar", task=task_id, **scalar)
    api.call("events.add", type="log", task=task_id, level="info", timestamp=now, msg=f"<b>printed</b> {unique}")
    path = f"{project}/{unique}.txt"
    requests.post(api.files, files={path: FILE}, headers=api.headers, timeout=SECONDS).raise_for_status()
    kept: dict[str, Any] = {
        "key": f"artifact-{unique}",
        "type": "custom",
        "uri": f"{api.files}/{path}",
        "content_size": len(FILE),
    }
    evil = {"key": f"evil-{unique}", "type": "custom", "uri": "javascript:alert(2)"}
    api.call("tasks.add_or_update_artifacts", task=task_id, artifacts=[kept, evil])
    model: dict[str, Any] = {
        "name": f"model-{unique}",
        "uri": f"{api.files}/{path}",
        "framework": "PyTorch",
        "ready": False,
    }
    api.call("models.create", task=task_id, project=place, **model)
    queue, worker, waiting = f"queue-{unique}", f"worker-{unique}:0", f"waiting-{unique}"
    queue_id = api.call("queues.create", name=queue)["id"]
    try:
        api.call("tasks.enqueue", queue=queue_id, task=api.call("tasks.create", name=waiting, **details)["id"])
        api.call("workers.register", worker=worker, queues=[queue_id])
        api.call("workers.status_report", worker=worker, timestamp=now, task=task_id, queues=[queue_id])
        yield Content(project, task, task_id, waiting, model["name"], queue, worker, kept["key"])
    finally:
        api.call("workers.unregister", worker=worker)
        api.call("queues.delete", queue=queue_id, force=True)


def fill_in(browser: WebDriver, name: str, password: str) -> None:
    """Send the login form, and wait for what comes of it."""
    form = browser.find_element(By.CSS_SELECTOR, "form.login")
    form.find_element(By.NAME, "name").send_keys(name)
    form.find_element(By.NAME, "password").send_keys(password)
    follow(browser, form.find_element(By.TAG_NAME, "button"))


def follow(browser: WebDriver, element: Any) -> None:
    """Click on something that leads to another page, and wait for that."""
    browser.execute_script("window.before = true")
    element.click()
    arrived = "return !window.before && document.readyState === 'complete'"
    WebDriverWait(browser, SECONDS, 0.05).until(lambda _: browser.execute_script(arrived))


def log_in(browser: WebDriver, address: str, person: tuple[str, str]) -> None:
    browser.get(address)
    fill_in(browser, *person)


def text_of(browser: WebDriver) -> str:
    return str(browser.find_element(By.TAG_NAME, "body").text)


def row(browser: WebDriver, section: str, name: str) -> dict[str, str]:
    """The cells of a table's row, by the names of their columns; the row begins with `name`."""
    for line in browser.find_elements(By.CSS_SELECTOR, f"#{section} tbody tr"):
        if line.find_element(By.TAG_NAME, "th").text == name:
            cells = line.find_elements(By.TAG_NAME, "td")
            return {cell.get_attribute("data-label"): cell.text for cell in cells}
    raise AssertionError(f"no {name} among the {section}:\n{text_of(browser)}")


def complaints(browser: WebDriver) -> list[str]:
    """What the browser had to say about the pages: blocked content, failed requests, errors of scripts."""
    return [entry["message"] for entry in browser.execute("getLog", {"type": "browser"})["value"]]


def devtools(browser: WebDriver, command: str, **parameters: Any) -> Any:
    """What WebDriver has no word for."""
    return browser.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]


def set_screen(browser: WebDriver, width: int, height: int = 900, scheme: str = "light") -> None:
    mobile = width < 800
    devtools(
        browser,
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=mobile,
    )
    devtools(browser, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def save_screenshot(browser: WebDriver, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    picture = devtools(browser, "Page.captureScreenshot", captureBeyondViewport=True)["data"]
    (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(picture))


def test_shows_nothing_without_a_login(browser: WebDriver, address: str, content: Content) -> None:
    for path in ("/", f"/projects/*/tasks/{content.task_id}", "/login", "/no/such/page"):
        browser.get(address + path)
        assert browser.find_element(By.CSS_SELECTOR, "form.login").is_displayed()
        assert "This is a stand-in." in text_of(browser)
        assert content.project not in browser.page_source
        assert content.task_id not in browser.page_source.replace(path, "")
    assert complaints(browser) == []


def test_says_which_release_it_stands_in_for(browser: WebDriver, address: str) -> None:
    release = requests.get(f"{address}/version.json", timeout=SECONDS).json()["version"]
    browser.get(address)
    assert f"official web application of ClearML {release}" in text_of(browser)


def test_wrong_password(browser: WebDriver, address: str, person: tuple[str, str], content: Content) -> None:
    browser.get(address)
    fill_in(browser, person[0], "not the password")
    (message,) = browser.find_elements(By.CSS_SELECTOR, "[role=alert]")
    assert message.text == "This name and password are not accepted."
    assert browser.get_cookies() == []
    assert content.project not in browser.page_source
    fill_in(browser, *person)
    assert content.project in browser.page_source


def test_overview(browser: WebDriver, address: str, person: tuple[str, str], content: Content) -> None:
    log_in(browser, address, person)
    project = row(browser, "projects", content.project)
    assert "in progress 1" in project["By status"]
    task = row(browser, "tasks", content.task)
    assert (task["Project"], task["Type"], task["Status"]) == (content.project, "training", "in progress")
    assert task["Last metrics"].split("\n")[0] == "loss / train 1.25 0.5 … 4"
    assert task["Tags"].startswith("tag-")
    assert row(browser, "tasks", content.waiting)["Status"] == "queued"
    model = row(browser, "models", content.model)
    assert (model["Framework"], model["Status"], model["Made by"]) == ("PyTorch", "draft", content.task)
    queue = row(browser, "queues", content.queue)
    assert queue == {"Waiting": "1", "Next tasks": content.waiting, "Listening": content.worker}
    worker = row(browser, "workers", content.worker)
    assert (worker["Runs"], worker["Queues"]) == (content.task, content.queue)
    assert worker["Last seen"].endswith(("ago", "now"))
    assert complaints(browser) == []


def test_the_status_has_a_color(browser: WebDriver, address: str, person: tuple[str, str], content: Content) -> None:
    """The style sheet is there, and the page's own security policy lets it work."""
    log_in(browser, address, person)
    badges = {
        name: browser.find_element(By.CSS_SELECTOR, f"#tasks .badge.{name}") for name in ("in_progress", "queued")
    }
    colors = {name: badge.value_of_css_property("background-color") for name, badge in badges.items()}
    assert colors["in_progress"] != colors["queued"]
    assert "rgba(0, 0, 0, 0)" not in colors.values()


def test_one_project_alone(
    browser: WebDriver, address: str, person: tuple[str, str], api: Api, project: str, content: Content
) -> None:
    other = f"other-{uuid.uuid4().hex[:8]}"
    task = api.call("tasks.create", name=other, type="training")["id"]
    try:
        log_in(browser, address, person)
        assert row(browser, "tasks", other)["Project"] == NOTHING
        follow(browser, browser.find_element(By.LINK_TEXT, content.project))
        assert browser.find_element(By.ID, "tasks-title").text == f"Tasks in {content.project}"
        assert row(browser, "tasks", content.task)
        assert other not in browser.page_source
    finally:
        api.call("tasks.delete", task=task)


def test_names_are_no_scripts(browser: WebDriver, address: str, person: tuple[str, str], content: Content) -> None:
    log_in(browser, address, person)
    for path in ("/", f"/projects/*/tasks/{content.task_id}"):
        browser.get(address + path)
        assert content.task in text_of(browser)
        assert browser.execute_script("return document.scripts.length") == 0
        with pytest.raises(NoAlertPresentException):
            _ = browser.switch_to.alert.text
    assert complaints(browser) == []


def test_one_task(browser: WebDriver, address: str, person: tuple[str, str], content: Content) -> None:
    log_in(browser, address, person)
    follow(browser, browser.find_element(By.LINK_TEXT, content.task))
    assert urlsplit(browser.current_url).path.endswith(f"/tasks/{content.task_id}")
    assert browser.find_element(By.TAG_NAME, "h1").text == f"{content.task} in progress"
    metric = row(browser, "metrics", "loss / train")
    assert (metric["Last"], metric["Lowest"], metric["Highest"]) == ("1.25", "0.5", "4")
    curve = browser.find_element(By.CSS_SELECTOR, "#metrics svg polyline")
    assert len(curve.get_attribute("points").split()) == 3
    assert curve.value_of_css_property("stroke") != "none"
    assert row(browser, "parameters", "rate") == {"Value": "0.125"}
    assert "<b>printed</b>" in browser.find_element(By.CSS_SELECTOR, "#log pre").text
    assert row(browser, "artifacts", content.artifact)["Size"] == f"{len(FILE)} B"
    assert [link.get_attribute("href")[:4] for link in browser.find_elements(By.CSS_SELECTOR, "#artifacts a")] == [
        "http"
    ]
    follow(browser, browser.find_element(By.CSS_SELECTOR, "#artifacts a"))
    assert text_of(browser) == FILE.decode()


def test_the_address_that_the_sdk_prints_leads_to_the_task_by_way_of_the_login(
    browser: WebDriver, address: str, person: tuple[str, str], content: Content
) -> None:
    browser.get(f"{address}/projects/*/experiments/{content.task_id}/output/log")
    fill_in(browser, *person)
    assert "<b>printed</b>" in browser.find_element(By.CSS_SELECTOR, "#log pre").text


def test_logging_out_ends_the_session(
    browser: WebDriver, address: str, person: tuple[str, str], content: Content
) -> None:
    log_in(browser, address, person)
    (cookie,) = browser.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    follow(browser, browser.find_element(By.CSS_SELECTOR, "header button"))
    assert browser.find_element(By.CSS_SELECTOR, "form.login").is_displayed()
    assert content.project not in browser.page_source
    assert browser.get_cookies() == []
    browser.add_cookie({"name": cookie["name"], "value": cookie["value"]})
    browser.get(address)
    assert browser.find_element(By.CSS_SELECTOR, "[role=alert]").text == "Your session has ended: log in again."


@pytest.mark.parametrize(
    ("width", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]
)
def test_fits_every_screen(
    browser: WebDriver, address: str, person: tuple[str, str], content: Content, width: int, scheme: str
) -> None:
    pages = {"overview": "/", "task": f"/projects/*/tasks/{content.task_id}"}
    log_in(browser, address, person)
    set_screen(browser, width, scheme=scheme)
    for name, path in pages.items():
        browser.get(address + path)
        save_screenshot(browser, f"{name}-{width}-{scheme}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        # Nothing that is cut off either: no section scrolls sideways.
        wide = "return [...document.querySelectorAll('section')].filter(s => s.scrollWidth > s.clientWidth).length"
        assert browser.execute_script(wide) == 0
        background = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
        shade = sum(int(part) for part in background.partition("(")[2].split(",")[:3] if part.strip().isdigit())
        assert (shade < 200) is (scheme == "dark")
