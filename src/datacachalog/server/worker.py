"""Workers: threads that take tasks, one at a time each, until they are told to stop."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from datacachalog.server import registering, tasks

if TYPE_CHECKING:
    from datacachalog.server.database import Database
    from datacachalog.server.registering import Registrar
    from datacachalog.server.tasks import Task

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_LOST_AFTER = 20  # attempts, most of which ended with a dead worker


class Worker:
    """Threads that do the registry's tasks."""

    def __init__(self, database: Database, registrar: Registrar, threads: int = 2) -> None:
        self._database, self._registrar = database, registrar
        self._is_over = threading.Event()
        self._asked = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begins to work."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Takes no new tasks, and returns when those at hand have ended."""
        self._is_over.set()
        self._asked.set()
        for thread in self._threads:
            thread.join()

    def look(self) -> None:
        """There is something to do: look at once."""
        self._asked.set()

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                task = self._claimed()
                if task is not None:
                    self._work(task)
                    continue
            except Exception as error:  # noqa: BLE001 - no worker ends with its database
                _log.exception(
                    "a worker could not go on (%s); it tries again", type(error).__name__
                )
                self._is_over.wait(1)
            self._asked.wait(_POLL_S)
            self._asked.clear()

    def _claimed(self) -> Task | None:
        with self._database.reading() as connection:
            if not tasks.is_any_due(connection):
                return None
        with self._database.writing() as connection:
            task = tasks.claim(connection)
            if task is not None and task.attempts > _LOST_AFTER:
                tasks.fail(connection, task, "worker_lost", "workers died while they did it")
                return None
            return task

    def _work(self, task: Task) -> None:
        over = threading.Event()
        beat = threading.Thread(target=self._keep, args=(task, over), daemon=True)
        beat.start()
        try:
            if task.kind == registering.KIND:
                self._registrar.work(task)
            else:
                with self._database.writing() as connection:
                    tasks.fail(connection, task, "unknown_kind", f"nobody does {task.kind!r}")
        except Exception as error:  # noqa: BLE001 - told, and tried again
            _log.exception("task %s failed", task.id)
            with self._database.writing() as connection:
                tasks.retry(connection, task, "internal", type(error).__name__)
        finally:
            over.set()
            beat.join()

    def _keep(self, task: Task, over: threading.Event) -> None:
        """Renews the lease as long as the task is worked on."""
        while not over.wait(tasks.LEASE.total_seconds() / 3):
            with self._database.writing() as connection:
                if not tasks.renew(connection, task):
                    return
