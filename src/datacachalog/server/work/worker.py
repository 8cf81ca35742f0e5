"""Workers: threads that take tasks, one at a time each, until they are told to stop."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from datacachalog.server.operations.tracing import task_span
from datacachalog.server.work import registering, tasks
from datacachalog.server.work.chores import CHORES_S, do_chores

if TYPE_CHECKING:
    from datetime import timedelta

    from datacachalog.server.database import Database
    from datacachalog.server.work.registering import Registrar
    from datacachalog.server.work.tasks import Task

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_LOST_AFTER = 20  # attempts, most of which ended with a dead worker


class Worker:
    """Threads that do the registry's tasks."""

    def __init__(
        self,
        database: Database,
        registrar: Registrar,
        threads: int = 2,
        *,
        lease: timedelta = tasks.LEASE,
    ) -> None:
        """Other workers take over what this one has let lie for the length of `lease`."""
        self._database, self._registrar, self._lease = database, registrar, lease
        self._is_over = threading.Event()
        self._asked = threading.Event()
        self._at_hand: dict[threading.Thread, Task] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._tend, name="chores", daemon=True))

    def start(self) -> None:
        """Begins to work."""
        for thread in self._threads:
            thread.start()

    def retire(self) -> None:
        """Takes no new tasks."""
        self._is_over.set()
        self._asked.set()

    def stop(self, patience_s: float | None = None) -> None:
        """Takes no new tasks, and returns when those at hand have ended, or after `patience_s`.

        What has not ended then is given back to the queue at once; should its thread come to an
        end after all, its lease is another's by then, and nothing of it is kept.
        """
        self.retire()
        deadline = None if patience_s is None else time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0, deadline - time.monotonic()))
        for thread in [thread for thread in self._threads if thread.is_alive()]:
            if (task := self._at_hand.get(thread)) is not None:
                with self._database.writing() as connection:
                    if tasks.release(connection, task):
                        _log.warning("task %s was given back, as the worker ends", task.id)

    def look(self) -> None:
        """There is something to do: look at once."""
        self._asked.set()

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                task = self._claimed()
                if task is not None:
                    self._at_hand[threading.current_thread()] = task
                    try:
                        self._work(task)
                    finally:
                        del self._at_hand[threading.current_thread()]
                    continue
            except Exception as error:  # noqa: BLE001 - no worker ends with its database
                _log.exception(
                    "a worker could not go on (%s); it tries again", type(error).__name__
                )
                self._is_over.wait(1)
            self._asked.wait(_POLL_S)
            self._asked.clear()

    def _tend(self) -> None:
        while not self._is_over.wait(CHORES_S):
            try:
                do_chores(self._database)
            except Exception as error:  # noqa: BLE001 - no worker ends with its database
                _log.exception("the chores failed (%s); they are done later", type(error).__name__)

    def _claimed(self) -> Task | None:
        with self._database.reading() as connection:
            if not tasks.is_any_due(connection):
                return None
        with self._database.writing() as connection:
            task = tasks.claim(connection, self._lease)
            if task is not None and task.attempts > _LOST_AFTER:
                tasks.fail(connection, task, "worker_lost", "workers died while they did it")
                return None
            return task

    def _work(self, task: Task) -> None:
        over = threading.Event()
        beat = threading.Thread(target=self._keep, args=(task, over), daemon=True)
        beat.start()
        try:
            with task_span(task):
                self._do(task)
        except Exception as error:  # noqa: BLE001 - told, and tried again
            _log.exception("task %s failed", task.id)
            with self._database.writing() as connection:
                tasks.retry(connection, task, "internal", type(error).__name__)
        finally:
            over.set()
            beat.join()

    def _do(self, task: Task) -> None:
        if task.kind == registering.KIND:
            self._registrar.work(task)
            return
        with self._database.writing() as connection:
            tasks.fail(connection, task, "unknown_kind", f"nobody does {task.kind!r}")

    def _keep(self, task: Task, over: threading.Event) -> None:
        """Renews the lease as long as the task is worked on."""
        while not over.wait(self._lease.total_seconds() / 3):
            try:
                with self._database.writing() as connection:
                    if not tasks.renew(connection, task, self._lease):
                        return
            except SQLAlchemyError as error:  # it may be back before the lease has run out
                told = type(error).__name__
                _log.warning("the lease of task %s could not be renewed (%s)", task.id, told)
