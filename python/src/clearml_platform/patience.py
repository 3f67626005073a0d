"""How long the SDK waits for a server that is gone.

The SDK's own answer is: for ever. Each request is repeated until the server answers, whatever `api.http.retries` says,
so that a training hangs in the middle, or at its end. Here a request waits for a while and is then refused to the SDK
as if by the server, which is an answer that it can live with. Reports (metrics, plots, console) are the exception: they
are sent in the background and hold nobody up, so they wait as long as the training goes on and survive a restart of the
server.
"""

from __future__ import annotations

import threading
import time
from typing import Any

# Seconds that a request waits for a server that does not answer, and reports once the training is over.
PATIENCE = 30.0
# Seconds between two attempts.
PAUSE = 1.0
# Seconds to connect, and to wait for an answer (the SDK's own are 10 and 300).
TIMEOUTS = (10.0, 60.0)
# The SDK's answers to requests that were sent, or will be.
FINE = (200, 202)


class Patience:
    """Stands between the SDK and its session, and gives up in the server's place.

    ``refused`` counts the requests that failed, ``lost`` the reports that were dropped, and ``problem`` says what
    happened last.
    """

    def __init__(self, session: Any) -> None:
        self.seconds = PATIENCE
        self.refused = 0
        self.lost = 0
        self.problem = ""
        self._finishing: float | None = None
        self._gone: float | None = None
        self._pointless_until = 0.0
        self._lock = threading.Lock()
        self._send = session.send
        _one_attempt(session)
        session.send = self.send

    def finish(self) -> None:
        """From now on nothing waits for longer than ``seconds``."""
        self._finishing = time.monotonic()

    @property
    def gone(self) -> bool:
        """Whether the server has not answered for longer than anyone waits."""
        return self._gone is not None and time.monotonic() - self._gone > self.seconds

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Send a request as the session would; answer in the server's place when it is gone for too long."""
        from clearml.backend_api.session.session import MaxRequestSizeError
        from clearml.backend_interface.base import InterfaceBase

        while True:
            began = time.monotonic()
            if began >= self._pointless_until:
                try:
                    answer = self._send(request, *arguments, **options)
                except (MaxRequestSizeError, *InterfaceBase._JSON_EXCEPTION):
                    # These the SDK takes for final.
                    raise
                except Exception as error:  # noqa: BLE001 - the SDK would repeat the request for ever, whatever it is
                    self._missed(error, began)
                    if not _is_absence(error):
                        return self._refusal(request, error)
                else:
                    self._gone = None
                    self._pointless_until = 0.0
                    if answer is not None and answer.meta.result_code not in FINE:
                        self._count(request, str(answer.meta.result_msg))
                    return answer
            if self._is_over(request):
                return self._refusal(request, self.problem)
            time.sleep(PAUSE)

    def _missed(self, error: Exception, began: float) -> None:
        import requests

        now = time.monotonic()
        self._gone = self._gone or now
        # Where the server is silent, not each request has to wait for a time-out of its own.
        if isinstance(error, requests.Timeout):
            self._pointless_until = now + (now - began)
        self.problem = _short(error)

    def _is_over(self, request: Any) -> bool:
        since = self._gone
        if since is None:
            return False
        if hasattr(request, "requests"):
            if self._finishing is None:
                return False
            since = max(since, self._finishing)
        return time.monotonic() - since > self.seconds

    def _refusal(self, request: Any, problem: object) -> Any:
        from clearml.backend_api import CallResult
        from clearml.backend_api.session.response import ResponseMeta

        self._count(request, str(problem))
        return CallResult(
            meta=ResponseMeta.from_raw_data(status_code=400, text=self.problem), request_cls=type(request)
        )

    def _count(self, request: Any, problem: str) -> None:
        with self._lock:
            self.refused += 1
            self.lost += len(getattr(request, "requests", ()))
            self.problem = problem


def _one_attempt(session: Any) -> None:
    """Let a session try once: the waiting is done here. Its own pauses grow to two minutes, and nothing ends them."""
    http = session._Session__http_session
    http.write_timeout = TIMEOUTS
    session._session_timeout = session._write_session_timeout = TIMEOUTS
    for adapter in http.adapters.values():
        adapter.max_retries = adapter.max_retries.new(total=3, connect=0, read=False, status=0, redirect=3)


def _is_absence(error: Exception) -> bool:
    """Whether an error says that the server cannot be reached; a token cannot be renewed then either."""
    import requests
    from clearml.backend_api.session.session import LoginError

    return isinstance(error, requests.RequestException | LoginError | OSError)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    for known in ("Connection refused", "timed out", "Name or service not known", "certificate verify failed"):
        if known in text:
            return known[0].lower() + known[1:]
    return text[-200:] or type(error).__name__
