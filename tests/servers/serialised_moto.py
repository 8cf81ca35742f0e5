"""Serves moto with one request at a time, on a free port of 127.0.0.1.

moto checks a write's condition and then writes, in as many threads as there are clients: of several
writes on one condition, several now and then win. And all that read an object share one place in
its file: an entity tag may be taken of the end of it, and is that of an empty object for ever. A
real server decides once, and reads for each.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class _OneAtATime:
    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            return self._app(environ, start_response)


if __name__ == "__main__":
    run_simple(
        "127.0.0.1",
        0,
        _OneAtATime(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
