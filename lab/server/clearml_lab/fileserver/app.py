"""The HTTP side of the fileserver: upload, download, delete."""

from __future__ import annotations

import json
import logging
import mimetypes
import shutil
import uuid
from pathlib import Path
from urllib.parse import unquote_plus

from flask import Flask, Response, abort, request, send_file
from werkzeug.exceptions import HTTPException, InternalServerError

from ..config import Config
from .authorization import Authorization
from .paths import resolve

log = logging.getLogger("clearml.fileserver")


def create_app(config: Config, folder: Path, authorization: Authorization | None) -> Flask:
    """Return the WSGI application. Without authorization everybody may do everything."""
    app = Flask("fileserver")
    most = config.get("fileserver.upload.max_upload_size_mb", 0)
    app.config["MAX_CONTENT_LENGTH"] = most * 1024 * 1024 if most else None

    @app.before_request
    def check() -> Response | None:
        if request.method == "OPTIONS":
            return None
        if request.content_encoding:
            return Response(f"Content encoding is not supported ({request.content_encoding})", 415)
        # GET / is the sign of life and needs no token, but a bad one is refused.
        sign_of_life = request.path == "/" and request.method in ("GET", "HEAD")
        if authorization and not (sign_of_life and not authorization.token_of(request)):
            authorization.check(request)
        return None

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["server"] = "clearml"
        response.headers["Access-Control-Allow-Origin"] = config.get("fileserver.cors.origins", "*")
        return response

    @app.errorhandler(Exception)
    def failed(ex: Exception) -> HTTPException:
        if isinstance(ex, HTTPException):
            return ex
        log.error("Failed processing request %s", request.path, exc_info=ex)
        return InternalServerError()

    @app.get("/")
    def ping() -> str:
        return "OK"

    @app.post("/")
    def upload() -> str:
        saved = []
        for name, file in request.files.items():
            if not name:
                continue
            target = resolve(folder, name)
            if not target:
                abort(404)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Written beside and renamed: a reader, or a crash, never meets half a file.
            partial = target.with_name(f".{uuid.uuid4().hex}.part")
            try:
                file.save(partial)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            saved.append(name.lstrip("/"))
        log.info("Uploaded %d files", len(saved))
        return json.dumps(saved)

    @app.get("/<path:path>")
    def download(path: str) -> Response:
        target = resolve(folder, path)
        if not target or not target.is_file():
            abort(404)
        # A browser would unpack what is only stored packed.
        packed = mimetypes.guess_type(target.name)[1] == "gzip"
        response = send_file(
            target,
            mimetype="application/octet-stream" if packed else None,
            as_attachment="download" in request.args,
            max_age=config.get("fileserver.download.cache_timeout_sec", 300),
            conditional=True,
        )
        if config.get("fileserver.download.disable_browser_caching", False):
            response.headers["Cache-Control"] = "no-cache"
        log.info("Downloaded file %s", path)
        return response

    @app.delete("/<path:path>")
    def delete(path: str) -> str:
        target = resolve(folder, path)
        if not target or not target.is_file():
            log.error("Error deleting file %s. Not found or not a file", path)
            abort(Response(f"File {path} not found", 404))
        target.unlink()
        log.info("Deleted file %s", path)
        return json.dumps(path)

    if config.get("fileserver.delete.allow_batch", True):

        @app.post("/delete_many")
        def delete_many() -> str:
            body = request.get_json(force=True)
            if not body:
                abort(Response("Json payload is missing", 400))
            files = body.get("files")
            if not files:
                abort(Response("files are missing", 400))
            deleted: dict[str, str] = {}
            errors: dict[str, list[str]] = {}
            for file in files:
                problem = _remove(folder, unquote_plus(file))
                if problem:
                    errors.setdefault(problem, []).append(file)
                else:
                    deleted[file] = unquote_plus(file)
            for problem, names in errors.items():
                log.error("%d files/folders cannot be deleted due to the %s", len(names), problem)
            log.info("Deleted %d files/folders", len(deleted))
            return json.dumps({"deleted": deleted, "errors": errors})

    return app


def _remove(folder: Path, path: str) -> str | None:
    """Delete a file or a folder; return what kept it from that. An empty path would mean everything."""
    if not path.strip("/"):
        return "Empty path not allowed"
    target = resolve(folder, path)
    if not target or not target.exists():
        return "Not found"
    try:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
    except OSError as ex:
        return ex.strerror or "Failed"
    return None
