"""The server process: migrations, the first administrator, the API, and workers beside it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from datacachalog.server.app import create_app
from datacachalog.server.catalog.locations import all_locations, create_location
from datacachalog.server.database import Database, make_folder
from datacachalog.server.identity.principals import first_admin
from datacachalog.server.listening import listen
from datacachalog.server.operations.logs import use_logs
from datacachalog.server.operations.tracing import use_traces
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datacachalog.server.settings import ServerSettings

_log = logging.getLogger(__name__)
_ENDING = (signal.SIGTERM, signal.SIGINT)


def prepared(settings: ServerSettings) -> Database:
    """The database, brought up to date; where it knows no location, there is one beside it."""
    database = Database(settings.url())
    database.migrate()
    with database.alone() as connection:
        if not all_locations(connection):
            objects = settings.data_dir.absolute() / "objects"
            make_folder(objects)
            create_location(connection, "file", "", f"{objects.resolve()}/", {})
    return database


def migrate(settings: ServerSettings) -> None:
    """Brings the database up to date, or makes it."""
    prepared(settings).close()


def _worker(database: Database, settings: ServerSettings) -> Worker:
    return Worker(database, Registrar(database, os.environ), lease=settings.lease)


def work(settings: ServerSettings) -> None:
    """Does what the API was asked for, until it is told to stop."""
    use_logs(settings.log_format)
    with ExitStack() as stack:
        stack.callback(use_traces(os.environ))
        database = prepared(settings)
        stack.callback(database.close)
        worker = _worker(database, settings)
        wait = stack.enter_context(told_to_end())
        worker.start()
        stack.callback(worker.stop, settings.shutdown_s)
        print("The worker is ready.", file=sys.stderr, flush=True)  # noqa: T201
        wait()


@contextmanager
def told_to_end() -> Iterator[Callable[[], None]]:
    """What waits until a signal tells the process to end, whichever of its threads hears it.

    Each signal is written to a pipe as it comes. A handler would be called by the main thread only,
    and not while that waits for a lock.
    """
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    outer = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    handlers = {one: signal.signal(one, lambda *_: None) for one in _ENDING}

    def wait() -> None:
        while os.read(told, 1)[0] not in _ENDING:
            pass  # one that somebody else handles

    try:
        yield wait
    finally:
        for one, handler in handlers.items():
            if handler is not None:  # as it is where one was set by no Python code
                signal.signal(one, handler)
        signal.set_wakeup_fd(outer)
        os.close(tells)
        os.close(told)


def serve(settings: ServerSettings) -> None:
    """Serves until it is told to stop."""
    use_logs(settings.log_format)
    with ExitStack() as stack:
        stack.callback(use_traces(os.environ))
        database = prepared(settings)
        stack.callback(database.close)
        with database.alone() as connection:
            key = first_admin(connection)
        if key is not None:
            print(f"The administrator's key, which is shown only now: {key}", file=sys.stderr)  # noqa: T201
        _warn_of_plain_http(settings)
        worker = _worker(database, settings) if settings.worker else None
        app = create_app(database, worker, settings)
        app.state.uploads.sweep()
        if worker is not None:
            worker.start()
            stack.callback(worker.stop, settings.shutdown_s)
        listen(app, worker, settings)


def _warn_of_plain_http(settings: ServerSettings) -> None:
    if not settings.is_for_this_machine and not settings.behind_tls:
        _log.warning(
            "listening on %s without TLS: whoever is on the way can read the keys; put a proxy that"
            " speaks TLS before it, and set DATLAKE_SERVER_BEHIND_TLS=true",
            settings.host,
        )
