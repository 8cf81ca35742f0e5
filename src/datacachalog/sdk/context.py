"""A run of a job, for the length of a with block."""

from __future__ import annotations

import atexit
import logging
import os
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datacachalog.adapters.api.settings import ApiSettings
from datacachalog.domain.errors import ApiError, RunStateError, ServerError, TransientError
from datacachalog.domain.lineage import recording
from datacachalog.sdk import functional
from datacachalog.sdk.client import DatlakeClient
from datacachalog.sdk.endings import Ending, deliver, ending_of
from datacachalog.sdk.functional import of_run
from datacachalog.sdk.heartbeats import Heartbeats
from datacachalog.sdk.ids import new_run_id
from datacachalog.sdk.policies import LOG, OnError, hurried
from datacachalog.sdk.reporting import Reporting, State, plain
from datacachalog.sdk.result import Err
from datacachalog.sdk.run_logs import RunLogs
from datacachalog.sdk.surrounding import surrounding_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Never, Self

    from datacachalog.sdk.functional import Run

_current: ContextVar[JobContext | None] = ContextVar("datlake_job", default=None)


def current_job() -> JobContext | None:
    """The innermost `JobContext` around the caller, in its thread or task; None where none is."""
    return _current.get()


class JobContext(Reporting):
    """One run of a job: begun with the block, kept alive, and completed however the block ends.

    It succeeds, fails with the error that leaves the block, or is aborted by what is no error, as
    Ctrl-C or a cancelled task; `sys.exit` ends it as it ends a program. The block's own exception
    leaves it unchanged, whatever the registry does; where the run could not be completed, a note
    of the exception says so. What is fetched, pushed, resolved and registered inside is the run's
    lineage.

    With `ship_logs`, or `DATLAKE_LOG_SHIP`, what this process logs meanwhile, or the file
    `log_path`, is uploaded to `artifact_bucket` and linked to the run. With `heartbeat_interval_s`
    the registry notices when the process dies. A run inside of another one is its child; threads
    that are to begin one need `parent_run_id`. `JobContext(job_name, metadata)` asks the registry
    that the environment configures.

    Not only for a block: `start` and `complete` do the same; a run that is not completed when the
    interpreter ends is aborted. A forked process does not complete the run of its parent.

    All methods raise `ApiError` where the registry does not do its part, with the `run_id`.
    """

    def __init__(
        self,
        client: DatlakeClient | str | None = None,
        job_name: str | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        ship_logs: bool | None = None,
        log_path: str | os.PathLike[str] | None = None,
        heartbeat_interval_s: int | None = None,
        artifact_bucket: str | None = None,
        run_id: str | None = None,
        parent_run_id: str | None = None,
    ) -> None:
        if isinstance(client, str):  # JobContext(job_name, metadata)
            client, job_name, metadata = None, client, _either(metadata, job_name)
        asked = client or DatlakeClient()
        self._job_name = job_name if isinstance(job_name, str) else None
        self._metadata = metadata
        self._run_id, self._parent_run_id = run_id, parent_run_id
        self._interval_s = heartbeat_interval_s
        ships = asked.settings.log_ship if ship_logs is None else ship_logs
        files = [] if log_path is None or ship_logs is False else [os.fspath(log_path)]
        bucket = artifact_bucket or asked.settings.artifact_bucket
        super().__init__(asked, bucket, RunLogs(bucket, files, captures=ships and not files))
        self._process = os.getpid()
        self._heart: Heartbeats | None = None
        self._entered: ExitStack | None = None
        self._ending: Ending | None = None  # of which the registry could not be told yet

    # --- its life

    def start(self, job_name: str | None = None, metadata: Mapping[str, Any] | None = None) -> Self:
        """Starts the run; the with block does it by itself.

        Raises:
            RunStateError: it was started before, or there is no name of a job.
        """
        if self._state is not State.NEW:
            raise RunStateError("a JobContext is one run, which was started before")
        name = job_name or self._job_name
        if name is None:
            raise RunStateError("a run is of a job, whose name is missing")
        begun_with = plain(self._metadata if metadata is None else metadata)
        self._run_id = self._run_id or new_run_id()
        self._run, self._process = functional.Run(name, self._run_id), os.getpid()
        # There may be such a run from here on, also where its start is interrupted or not answered.
        atexit.register(self._at_exit)
        self._run = self._started(name, begun_with)
        self._state = State.RUNNING
        self._logs.begin()
        self._logs.note(logging.INFO, f"run {self.run_id} of {name!r} was started")
        if self._interval_s is not None:
            self._heart = Heartbeats(self._beat, self._interval_s, self.run_id)
        return self

    def _started(self, job_name: str, metadata: Mapping[str, Any]) -> Run:
        begun = functional.start_run(
            self.client,
            job_name,
            metadata,
            run_id=self._run_id,
            parent_run_id=self._parent_run_id or self._parent(),
            heartbeat_interval_s=self._interval_s,
        )
        if isinstance(begun, Err) and not isinstance(begun.error, TransientError | ServerError):
            atexit.unregister(self._at_exit)  # it was refused
        return begun.value

    def _parent(self) -> str | None:
        """The run around this one: of a block, or of `datlake run`, which started the program."""
        outer, around = current_job(), surrounding_run(os.environ)
        if outer is not None:
            run_id, theirs = outer.run_id, outer.client.settings
        elif around is not None:
            run_id, theirs = around.run_id, ApiSettings.found(os.environ)
        else:
            return None
        ours = self.client.settings
        # Who asks as somebody else, or elsewhere, would hear that there is no such run.
        is_known = (theirs.api_url, theirs.api_key) == (ours.api_url, ours.api_key)
        return run_id if is_known else None

    def _beat(self) -> None:
        functional.beat(self.client, self.run)

    def complete(
        self,
        success: bool = True,  # noqa: FBT001, FBT002 - as in the plan
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Ends the run; the with block does it by itself, unless it was done before.

        `extra` is added to its metadata; its `error`, where the run failed, is the run's error.

        Raises:
            RunStateError: it was not started, is over, or is that of a parent process.
        """
        self._require_running()
        if os.getpid() != self._process:
            problem = "a run is completed by the process that started it"
            raise RunStateError(problem, run_id=self.run_id)
        metadata = plain(extra)
        error = None if success else metadata.pop("error", None)
        told = None if error is None else str(error)
        self._end(Ending("success" if success else "failed", told, metadata))
        self._raise_troubles()

    def __enter__(self) -> Self:
        if self._entered is not None:
            raise RunStateError("a JobContext is one run, and was used before")
        if self._state is not State.RUNNING:
            self.start()
        self._entered = ExitStack()
        self._entered.enter_context(recording(self))
        token = _current.set(self)
        self._entered.callback(_current.reset, token)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._entered is not None:
            with suppress(ValueError):  # a generator may be closed in another context than its own
                self._entered.close()
        if isinstance(error, ApiError):
            of_run(error, self.run)
        if self._state is State.OVER or os.getpid() != self._process:
            return
        try:
            if error is not None:
                self._end_by(error)
            else:
                self._end(Ending("success"))
                self._raise_troubles()
        finally:
            self._state = State.OVER  # also where the registry is told when the interpreter ends

    def _end_by(self, error: BaseException) -> None:
        """Ends the run by the block's exception, which nothing here replaces."""
        self._logs.note(logging.ERROR, f"run {self.run_id} ends by an exception", error)
        try:
            self._end(ending_of(error))
        except Exception as failure:  # noqa: BLE001 - the block's own is what has to be seen
            told = f"run {self.run_id} was not completed as it should be: {failure}"
            LOG.warning("%s", told)
            error.add_note(told)

    def _end(self, ending: Ending) -> None:
        if self._ending is None:
            artifacts, troubles = self._logs.ship(self.client, self.run)
            self._artifacts += artifacts
            self._troubles += troubles
        if self._heart is not None:
            self._heart.stop()
        self._ending = replace(
            ending,
            metadata={**self._added, **ending.metadata},
            artifacts=tuple(self._artifacts),
        )
        is_told, refused = deliver(self.client, self.run, self._ending)
        self._logs.end()
        if is_told:
            atexit.unregister(self._at_exit)
        if is_told or refused is None:
            self._state = State.OVER
        if refused is not None:
            raise refused

    def _raise_troubles(self) -> None:
        if self._troubles and self.client.policy.on_error is OnError.RAISE:
            raise self._troubles[0]

    def _at_exit(self) -> None:
        """Ends a run that is open when the interpreter ends, as it should have ended before."""
        if os.getpid() != self._process:
            return
        told = "the interpreter ended before the run was completed"
        self.client = hurried(self.client)
        if self._state is State.NEW:  # its start was not answered, but may have arrived
            with suppress(ApiError):
                self.client.complete_run(self.job_name, self.run_id, "aborted", error=told)
            return
        try:
            self._end(self._ending or Ending("aborted", told))
        except ApiError as error:
            LOG.warning("run %s stays open: %s", self.run_id, error)

    @property
    def heartbeat_error(self) -> ApiError | None:
        """Why the last heartbeat did not arrive, such as a run that somebody else has ended."""
        return None if self._heart is None else self._heart.failure

    def __reduce__(self) -> Never:
        raise TypeError("a JobContext stays in its process: hand over its `run`")


def _either(
    metadata: Mapping[str, Any] | None, given: str | Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    if isinstance(given, str):
        raise TypeError(f"the metadata of a run is a mapping, not {given!r}")
    return metadata if given is None else given
