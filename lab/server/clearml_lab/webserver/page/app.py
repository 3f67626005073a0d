"""The HTTP side of the page: who looks at what, logging in and out, and what is said when something fails."""

from __future__ import annotations

import logging

from flask import Flask, Response, abort, g, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from . import charts, formats
from .apiserver import Apiserver, NotLoggedIn, Refused, Unreachable
from .files import FileLinks
from .overview import MOST_MODELS, MOST_PROJECTS, overview
from .tasks import address_of, details_of_task

log = logging.getLogger("clearml.webserver")

MOST_PAGES = 100_000
HEADERS = {
    "Cache-Control": "no-store",
    # Nothing but this server's own style sheet and icon: there are no scripts here.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(apiserver: str, version: str, files: FileLinks) -> Flask:
    """Return the WSGI application."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for write in (formats.number, formats.duration, formats.size, formats.clock, formats.ago, formats.words):
        app.jinja_env.filters[write.__name__] = write
    app.jinja_env.globals.update(
        version=version, address_of=address_of, charts=charts, MOST_PROJECTS=MOST_PROJECTS, MOST_MODELS=MOST_MODELS
    )

    @app.before_request
    def begin() -> None:
        g.api = Apiserver(apiserver, request.headers.get("Cookie", ""), request.host)
        # A form elsewhere must not log anybody in, out or over to another account.
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            abort(403, "This form was sent from another site.")

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "api" in g:
            g.api.close()

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    # The official application answers any address with its one page, and finds the rest out in the browser.
    @app.get("/")
    @app.get("/<path:_address>")
    def everything(_address: str = "") -> str:
        page = min(max(request.args.get("page", 0, type=int), 0), MOST_PAGES)
        return render_template("overview.html", shown=overview(g.api, request.args.get("project", ""), page), **who())

    # Under all names that the official application, and so the SDK, has had for it; with whatever tab is asked for.
    @app.get("/<path:_place>/tasks/<task_id>")
    @app.get("/<path:_place>/tasks/<task_id>/<path:_tab>")
    @app.get("/<path:_place>/experiments/<task_id>")
    @app.get("/<path:_place>/experiments/<task_id>/<path:_tab>")
    def one_task(_place: str, task_id: str, _tab: str = "") -> str:
        details = details_of_task(g.api, task_id, files)
        if details is None:
            abort(404, f"There is no task {task_id}, or you may not see it.")
        return render_template("task.html", details=details, **who())

    @app.post("/login")
    def login() -> AnyResponse:
        wanted = request.form.get("next", "/")
        try:
            cookies = g.api.login(request.form.get("name", ""), request.form.get("password", ""))
        except NotLoggedIn:
            return make_response(login_form(wanted, "This name and password are not accepted."), 403)
        return with_cookies(cookies, local(wanted))

    @app.post("/logout")
    def logout() -> AnyResponse:
        return with_cookies(g.api.logout(), "/")

    @app.errorhandler(NotLoggedIn)
    def not_logged_in(ex: NotLoggedIn) -> str:
        return login_form(request.full_path.rstrip("?"), "Your session has ended: log in again." if ex.ended else "")

    @app.errorhandler(Unreachable)
    def unreachable(ex: Unreachable) -> tuple[str, int]:
        log.error("The API server does not answer: %s", ex)
        return problem(502, "The API server does not answer. Try again in a moment.")

    @app.errorhandler(Refused)
    def refused(ex: Refused) -> tuple[str, int]:
        return problem(502, f"The API server answered with an error: {ex}")

    @app.errorhandler(HTTPException)
    def told(ex: HTTPException) -> tuple[str, int]:
        return problem(ex.code or 500, ex.description or ex.name)

    @app.errorhandler(Exception)
    def failed(ex: Exception) -> tuple[str, int]:
        log.error("Failed showing %s", request.path, exc_info=ex)
        return problem(500, "This page could not be made. The log of the web server says why.")

    return app


def who() -> dict[str, str]:
    """Return the visitor's name. Accounts of administrators have none that the API would tell them."""
    try:
        return {"user": g.api.call("users.get_current_user")["user"]["name"]}
    except Refused:
        return {"user": "a service account"}


def login_form(wanted: str, message: str) -> str:
    """Return the form, which leads back to where the visitor wanted to go."""
    return render_template("login.html", wanted=wanted, message=message)


def problem(status: int, sentence: str) -> tuple[str, int]:
    """Return a page that says in one sentence what is wrong."""
    return render_template("problem.html", sentence=sentence), status


def with_cookies(cookies: list[str], address: str) -> AnyResponse:
    """Send the visitor on, with the cookies of the apiserver as they are."""
    response = redirect(address, 303)
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def local(address: str) -> str:
    """Return an address on this server; the first page for whatever leads elsewhere, as `//host` would."""
    inside = address.startswith("/") and address[1:2] not in ("/", "\\") and address.isprintable()
    return address if inside else "/"
