"""What is done about errors, apart from telling of them: the policies of the functions and jobs.

They are settings (`DATLAKE_SDK_ERROR_STRATEGY`, `DATLAKE_SDK_ON_ERROR`, `DATLAKE_SDK_RETRY`); the
retries happen where requests are sent.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from datacachalog.adapters.api.settings import ApiSettings, Retry
from datacachalog.domain.errors import ApiError, NotFoundError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.sdk.client import DatlakeClient

LOG: Final = logging.getLogger("datlake_sdk")
ERROR_EVENT: Final = "sdk.error"
"""What `emit_event` publishes; who follows events sees it as `custom.sdk.error`."""

_MOST_CHARACTERS: Final = 2000
_SOON_MS: Final = 5000


class ErrorStrategy(StrEnum):
    """Which errors a pipeline goes on from."""

    FAIL_FAST = "fail_fast"
    """None: the first one ends it."""
    CONTINUE_ON_NOT_FOUND = "continue_on_not_found"
    """A table that is not there (404) has the URI `""`."""
    SUPPRESS_TRANSIENT = "suppress_transient"
    """What only tells the registry of a run, and still cannot after all retries, is a warning."""


class OnError(StrEnum):
    """What the SDK itself does about an error, whoever is given it."""

    LOG_ONLY = "log_only"
    """It is a warning in the log."""
    RAISE = "raise"
    """What would only be a warning, such as a log that could not be shipped, is raised."""
    EMIT_EVENT = "emit_event"
    """It is a warning in the log, and an event of the registry's."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about errors.

    >>> Policy(ErrorStrategy.CONTINUE_ON_NOT_FOUND).continue_on_not_found
    True
    """

    error_strategy: ErrorStrategy = ErrorStrategy.FAIL_FAST
    on_error: OnError = OnError.LOG_ONLY
    retry: Retry = field(default_factory=Retry)

    @classmethod
    def of(cls, settings: ApiSettings) -> Policy:
        """The policy that settings name."""
        strategy, reaction = settings.error_strategy, settings.on_error
        return cls(ErrorStrategy(strategy), OnError(reaction), settings.retry)

    @property
    def fail_fast(self) -> bool:
        """Whether the first error ends a pipeline."""
        return self.error_strategy is ErrorStrategy.FAIL_FAST

    @property
    def continue_on_not_found(self) -> bool:
        """Whether a pipeline goes on without a table that is not there."""
        return self.error_strategy is ErrorStrategy.CONTINUE_ON_NOT_FOUND

    @property
    def suppress_transient(self) -> bool:
        """Whether a pipeline goes on where the registry cannot be told of it."""
        return self.error_strategy is ErrorStrategy.SUPPRESS_TRANSIENT

    def lets_miss(self, error: ApiError) -> bool:
        """Whether a lookup that ends in this error finds a substitute instead."""
        return self.continue_on_not_found and isinstance(error, NotFoundError)

    def lets_pass(self, error: ApiError) -> bool:
        """Whether a message to the registry that ends in this error may be lost."""
        return self.suppress_transient and isinstance(error, TransientError)


def policy_from_env(environ: Mapping[str, str] | None = None) -> Policy:
    """The policy of the environment and `~/.datlake/config.ini`.

    Raises:
        SettingError: a variable, which it names, makes no sense.
    """
    return Policy.of(ApiSettings.found(os.environ if environ is None else environ))


def react(client: DatlakeClient, error: ApiError, doing: str) -> None:
    """Does what the client's policy says about an error that its caller is given.

    With `raise` that is nothing: whoever is given it is to raise it.
    """
    reaction = Policy.of(client.settings).on_error
    if reaction is not OnError.RAISE:
        LOG.warning("%s: %s", doing, error)
    if reaction is OnError.EMIT_EVENT:
        emit(client, ERROR_EVENT, {"operation": doing, **_told(error)}, error.run_id)


def hurried(client: DatlakeClient) -> DatlakeClient:
    """The same caller, for what is not worth a wait: it asks again once, and soon gives up."""
    rebuilt, (kind, settings) = client.__reduce__()  # as a copy in another process is made
    made: DatlakeClient = rebuilt(
        kind,
        replace(
            settings,
            default_timeout_ms=min(settings.default_timeout_ms, _SOON_MS),
            retry=Retry(max=1, base_ms=settings.retry.base_ms, deadline_ms=_SOON_MS),
        ),
    )
    return made


def emit(
    client: DatlakeClient, event_type: str, data: Mapping[str, object], run_id: str | None
) -> None:
    """Publishes an event about an error; where that fails, too, it is only logged."""
    asked = hurried(client)
    try:
        try:
            asked.publish(event_type, data, run_id=run_id)
        except NotFoundError:  # the registry does not know the run, which may be the very error
            asked.publish(event_type, {**data, "run_id": run_id})
    except ApiError as error:
        LOG.warning("the event %s could not be published: %s", event_type, error)


def _told(error: ApiError) -> dict[str, object]:
    return {
        "code": str(error.code),
        "status": error.status,
        "message": error.message[:_MOST_CHARACTERS],
        "request_id": error.request_id,
    }
