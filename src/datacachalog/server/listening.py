"""The server that listens: uvicorn, which is told to end streams before it waits for answers."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from datacachalog.server.events.streaming import Feed
    from datacachalog.server.settings import ServerSettings
    from datacachalog.server.work.worker import Worker


class _Server(uvicorn.Server):
    """A server that takes no new tasks from the moment on that it is told to stop."""

    def __init__(self, config: uvicorn.Config, worker: Worker | None, feed: Feed) -> None:
        super().__init__(config)
        self._worker, self._feed = worker, feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._worker is not None:
            self._worker.retire()
        self._feed.stop()
        await super().shutdown(sockets)


def listen(app: FastAPI, worker: Worker | None, settings: ServerSettings) -> None:
    """Serves until a signal tells it to stop."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,  # as everything else
        access_log=False,  # it has whole addresses; ours has not
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
    server = _Server(config, worker, app.state.feed)
    # Before uvicorn hears signals itself; and when it is done, it raises the one that ended it once
    # more: what has to be done after it must not be cut off by that.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: setattr(server, "should_exit", True))
    server.run()
    if not server.started:
        sys.exit(3)  # as uvicorn.run does; it has told why
