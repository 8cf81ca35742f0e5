"""Signs of life of a run that is going on, from a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from datacachalog.domain.errors import ApiConflictError, ApiError, NotFoundError
from datacachalog.sdk.policies import LOG

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_S: Final = 1.0


class Heartbeats:
    """Beats every `interval_s` until `stop`, through outages, until the run was ended elsewhere.

    `warn` is told what goes wrong, and when it is well again. The thread is a daemon, and no forked
    process has it.
    """

    def __init__(
        self,
        beat: Callable[[], None],
        interval_s: float,
        run_id: str,
        warn: Callable[[str], None] = LOG.warning,
    ) -> None:
        self._beat, self._interval_s, self._run_id, self._warn = beat, interval_s, run_id, warn
        self._is_over = threading.Event()
        self._failure: ApiError | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"heartbeats of {run_id}", daemon=True
        )
        self._thread.start()

    @property
    def failure(self) -> ApiError | None:
        """Why the last beat did not arrive; None where it did."""
        return self._failure

    def stop(self) -> None:
        """Ends them; one that is on its way may still arrive, which changes nothing."""
        self._is_over.set()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while not self._is_over.wait(self._interval_s):
            try:
                self._beat()
            except (ApiConflictError, NotFoundError) as error:
                self._failure = error
                if not self._is_over.is_set():
                    self._warn(f"run {self._run_id} is over, for others: {error}")
                return
            except ApiError as error:
                if self._failure is None:
                    self._warn(f"run {self._run_id} cannot say that it is alive: {error}")
                self._failure = error
            else:
                if self._failure is not None:
                    self._warn(f"run {self._run_id} can say again that it is alive")
                self._failure = None
