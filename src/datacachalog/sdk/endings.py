"""How runs end, and how the registry is told."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from datacachalog.domain.errors import (
    ApiConflictError,
    ForbiddenError,
    NotFoundError,
    ValidationError,
)
from datacachalog.sdk.functional import Run, as_text, end_run
from datacachalog.sdk.result import Err, Ok

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.domain.errors import ApiError
    from datacachalog.sdk.client import DatlakeClient
    from datacachalog.sdk.records import Artifact
    from datacachalog.sdk.runs import Ended

_MOST_OF_TRACEBACK: Final = 4000  # characters, of its end


@dataclass(frozen=True, slots=True)
class Ending:
    """What a registry is told of a run's end."""

    status: Ended
    error: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()


def ending_of(error: BaseException) -> Ending:
    """How an exception ends a run: what is no `Exception`, such as Ctrl-C, aborts it.

    `sys.exit` ends it as it ends a program: well with 0 or nothing, and from 128 on by a signal.
    """
    status: Ended = "failed" if isinstance(error, Exception) else "aborted"
    if isinstance(error, SystemExit):
        if error.code in {None, 0}:
            return Ending("success")
        status = "aborted" if isinstance(error.code, int) and error.code >= 128 else "failed"
    told = as_text("".join(traceback.format_exception(error))[-_MOST_OF_TRACEBACK:], 1 << 20)
    return Ending(status, _line_of(error), {"traceback": told})


def _line_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a user's own class, in a run that fails anyway
        text = f"its text cannot be made ({type(broken).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def deliver(client: DatlakeClient, run: Run, ending: Ending) -> tuple[bool, ApiError | None]:
    """Whether the run is over for the registry, and the error of who tried to tell it.

    Where it refuses what it is told of a run, such as a table that may not be read any more, the
    run has failed, without the details: none stays open for that.
    """
    done = end_run(
        client,
        run,
        ending.status,
        error=ending.error,
        metadata=ending.metadata,
        artifacts=ending.artifacts,
    )
    if not isinstance(done, Err):
        return done.value, None
    if not isinstance(done.error, ForbiddenError | ValidationError):
        is_over = isinstance(done.error, ApiConflictError | NotFoundError)  # by somebody else
        return is_over, done.error
    bare = Run(run.job_name, run.run_id)
    bare.unstarted = run.unstarted
    status: Ended = "failed" if ending.status == "success" else ending.status
    told = ending.error or f"its completion was refused: {done.error.message}"
    return end_run(client, bare, status, error=told) == Ok(value=True), done.error
