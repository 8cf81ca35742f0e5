"""The server process: migrations, the first administrator, the API, and workers beside it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn

from datacachalog.server.app import create_app
from datacachalog.server.database import Database
from datacachalog.server.locations import all_locations, create_location
from datacachalog.server.principals import first_admin
from datacachalog.server.registering import Registrar
from datacachalog.server.worker import Worker

if TYPE_CHECKING:
    from datacachalog.server.settings import ServerSettings


def prepared(settings: ServerSettings) -> Database:
    """The database, brought up to date; where it knows no location, there is one beside it."""
    database = Database(settings.url())
    database.migrate()
    with database.alone() as connection:
        if not all_locations(connection):
            objects = settings.data_dir.absolute() / "objects"
            objects.mkdir(parents=True, exist_ok=True)
            create_location(connection, "file", "", f"{objects.resolve()}/", {})
    return database


def work(settings: ServerSettings) -> None:
    """Does what the API was asked for, until it is told to stop."""
    database = prepared(settings)
    worker = Worker(database, Registrar(database, os.environ))
    over = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: over.set())
    worker.start()
    print("The worker is ready.", file=sys.stderr, flush=True)  # noqa: T201
    over.wait()
    worker.stop()
    database.close()


def serve(settings: ServerSettings) -> None:
    """Serves until it is told to stop."""
    database = prepared(settings)
    with database.alone() as connection:
        key = first_admin(connection)
    if key is not None:
        print(f"The administrator's key, which is shown only now: {key}", file=sys.stderr)  # noqa: T201
    worker = Worker(database, Registrar(database, os.environ)) if settings.worker else None
    if worker is not None:
        worker.start()
    try:
        uvicorn.run(create_app(database, worker), host=settings.host, port=settings.port)
    finally:
        if worker is not None:
            worker.stop()
        database.close()
