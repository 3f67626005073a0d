"""The HTTP side: from a request to the endpoint's answer in its envelope."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from elastic_transport import ApiError as ElasticError
from elastic_transport import TransportError
from elasticsearch.helpers import BulkIndexError
from flask import Flask, Request, Response, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import BadRequest

from . import authentication, registry
from .call import Call, Download, Server
from .envelope import envelope, to_json
from .errors import ApiError, error
from .fields import validate

log = logging.getLogger("clearml.apiserver")


def create_app(server: Server) -> Flask:
    """Return the WSGI application. ClearML's paths are names of endpoints, not resources: there are no routes."""
    app = Flask("apiserver")
    app.secret_key = server.config.get("secure.http.session_secret.apiserver")

    @app.before_request  # and not a route: whatever the method and the path, the answer is ours
    def view() -> Response:
        if request.method == "OPTIONS":
            return Response("", 200, mimetype="text/html")
        if request.content_encoding:
            return Response(f"Content encoding is not supported ({request.content_encoding})", 415)
        return handle(server, request)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["server"] = "clearml"
        origin = request.headers.get("Origin")
        allowed = server.config.get("apiserver.cors.origins")
        if origin and (allowed == "*" or origin in allowed):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
            if server.config.get("apiserver.cors.supports_credentials"):
                response.headers["Access-Control-Allow-Credentials"] = "true"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
                response.headers["Access-Control-Allow-Headers"] = request.headers.get(
                    "Access-Control-Request-Headers", ""
                )
        return response

    return app


def handle(server: Server, http: Request) -> Response:
    """Answer one request."""
    started = time.monotonic()
    call = Call(server, http.headers, http.remote_addr or "")
    status, subcode, message = 200, 0, "OK"
    data: dict[str, Any] | None = None
    download: Download | None = None
    try:
        result = _dispatch(call, http)
        if isinstance(result, Download):
            download = result
        else:
            data = result
    except ApiError as ex:
        status, subcode, message = ex.status, ex.subcode, str(ex)
    except Exception as ex:  # whatever goes wrong, the client gets an envelope and the log gets the trace
        log.exception("Failed processing %s", call.name)
        status, message = 500, str(ex)
    response = _download(download) if download else _enveloped(call, status, subcode, message, data)
    if call.cookie_set:
        _set_cookie(server, response, call.cookie)
    level = logging.INFO if status < 300 else logging.WARNING if status < 500 else logging.ERROR
    reason = "" if status < 300 else f", msg={message}"
    log.log(level, "Returned %d for %s in %dms%s", status, call.name, (time.monotonic() - started) * 1000, reason)
    return response


def _enveloped(call: Call, status: int, subcode: int, message: str, data: dict[str, Any] | None) -> Response:
    answer = envelope(
        call.id,
        name=call.name,
        requested=call.requested,
        actual=call.actual,
        trx=call.header("Trx"),
        status=status,
        subcode=subcode,
        message=message,
        data=data,
    )
    return Response(to_json(answer), status, mimetype="application/json")


def _download(download: Download) -> Response:
    response = Response(download.lines, mimetype=download.mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=download.filename)
    response.cache_control.no_store = True
    response.cache_control.max_age = 0
    return response


def _dispatch(call: Call, http: Request) -> dict[str, Any] | Download | None:
    call.name, call.requested = registry.parse_path(
        http.path, call.config.get("apiserver.version.check_max_version", False)
    )
    endpoint = registry.find(call.name, call.requested)
    call.actual = endpoint.version
    cookie = http.cookies.get(call.config.get("apiserver.auth.session_auth_cookie_name"))
    authorization = http.headers.get("Authorization") or (f"Bearer {cookie}" if cookie else None)
    authentication.authenticate(call, endpoint, authorization)
    _load(call, http)
    call.sent = frozenset(call.data)
    call.data = validate(endpoint.fields, call.data)
    try:
        return endpoint.handler(call)
    except PyMongoError as ex:
        raise error("internal_error", err=ex) from ex
    except BulkIndexError as ex:
        raise _bulk_error(ex) from ex
    except (TransportError, ElasticError) as ex:
        raise error("data_error", str(ex)) from ex


def _load(call: Call, http: Request) -> None:
    """Read the request's body: JSON, JSON lines for batches, or form and query arguments."""
    if http.content_type == "application/json-lines":
        call.batch = [_load_line(line) for line in http.data.splitlines()]
        return
    body: Any = {}
    if http.data:
        try:
            body = http.get_json(force=True) or {}
        except BadRequest as ex:
            raise ApiError(400, ex.description or "Bad request") from None
    if not isinstance(body, dict):
        raise ApiError(500, "Data should be a dict")
    for arguments in (http.args, http.form):
        for key, values in arguments.lists():
            many = len(values) > 1 or key.endswith("[]")
            _put(body, key.rstrip("[]").split("."), [_scalar(item) for item in values] if many else _scalar(values[0]))
    call.data = body


def _load_line(line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except ValueError:
        raise ApiError(400, str(BadRequest.description)) from None
    if not isinstance(item, dict):
        raise ApiError(400, f"json lines must contain objects, found: {type(item).__name__}")
    return item


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _scalar(text: str) -> Any:
    """Guess the type of a form or query argument."""
    if text.replace(".", "", 1).isdigit():
        return float(text) if "." in text else int(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _set_cookie(server: Server, response: Response, token: str | None) -> None:
    name = server.config.get("apiserver.auth.session_auth_cookie_name")
    settings = dict(server.config.get("apiserver.auth.cookies"))
    if isinstance(settings["domain"], list):
        host = request.host.partition(":")[0]
        settings["domain"] = next((item for item in settings["domain"] if item and host.endswith(item)), None)
    if token is None:
        settings.update(max_age=0, expires=0)
    response.set_cookie(name, token or "", **settings)


def _bulk_error(ex: BulkIndexError) -> ApiError:
    """Name the reason of the first refusal; a read-only index is Elasticsearch's word for a full disk."""
    first: Any = next(iter(ex.errors[0].values()), {}) if ex.errors else {}
    problem = first.get("error", {}) if isinstance(first, dict) else {}
    if isinstance(problem, dict) and problem.get("type") == "cluster_block_exception":
        reason = str(problem.get("reason", "")).partition("] ")[2]
        return error("low_disk_space", "metrics, logs and all indexed data is in read-only mode!", reason=reason)
    extra = problem.get("reason") if isinstance(problem, dict) else problem
    return error("data_error", err=str(ex)[:200], extra_info=extra)
