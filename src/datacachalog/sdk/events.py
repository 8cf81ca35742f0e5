"""Events: published, and followed as they happen."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

from datacachalog.adapters.api.answers import error_of, not_json
from datacachalog.adapters.api.reading import record
from datacachalog.adapters.api.transport import Ask
from datacachalog.domain.errors import ServerError, TransientError
from datacachalog.sdk.base import Base, without_nothing
from datacachalog.sdk.records import Event, Sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datacachalog.adapters.api.transport import Stream

_PAUSE_S: Final = 1.0
_LINE_BYTES: Final = 1 << 20
_ENDS: Final = {"unauthenticated": 401, "keys-unavailable": 503}


class Events(Base):
    """What `DatlakeClient` does with events. Every method raises `ApiError`."""

    def publish(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        table_name: str | None = None,
    ) -> Sent:
        """Tells of something: to administrators and the run's principal, or a table's readers.

        Its type begins with `custom.` when it is followed.
        """
        body = without_nothing(
            event_type=event_type, data=dict(data or {}), run_id=run_id, table_name=table_name
        )
        return self._one(Sent, Ask("POST", "/events/broadcast", json=body))

    def follow(
        self,
        types: Iterable[str] = (),
        *,
        table_name: str | None = None,
        job_name: str | None = None,
        since: int | None = None,
    ) -> Iterator[Event]:
        """The events that the caller may know of, as they happen, without end.

        From now on, or after the one that `since` is the `seq` of; 0 is the beginning. Where the
        connection is lost it goes on after the last one: none is left out, and none comes twice.

        Raises:
            AuthError: the caller may not know of them any more.
            NotFoundError: those after `since` are not kept any more.
            TransientError: there is no connection, or none came about for as long as
                `deadline_ms` of the `retry` since it was lost.
        """
        query = {"type": list(types), "table": table_name, "job": job_name}
        after, lost_at = since, -math.inf  # it has to come about the first time
        while True:
            headers = {"Accept": "text/event-stream"}
            if after is not None:
                headers["Last-Event-ID"] = str(after)
            try:
                asked = Ask("GET", "/events/stream", query, headers=headers)
                with self.transport.stream(asked) as answer:
                    lost_at = time.monotonic() if lost_at == -math.inf else lost_at
                    for block in _blocks(_events(answer)):
                        lost_at = math.inf
                        after = int(block["id"]) if block.get("id", "").isdecimal() else after
                        if "data" in block:
                            yield _event(block)
            except TransientError:
                lost_at = min(lost_at, time.monotonic())
                if time.monotonic() - lost_at > self.settings.retry.deadline_ms / 1000:
                    raise
            time.sleep(_PAUSE_S)


def _events(answer: Stream) -> Iterator[bytes]:
    came_as = answer.headers.get("content-type")
    if not (came_as or "").startswith("text/event-stream"):
        raise not_json("the stream of events", 200, came_as, answer.headers.get("x-request-id"))
    return answer.blocks


def _blocks(stream: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """Server-Sent Events (WHATWG HTML §9.2.6), as the registry writes them: without comments."""
    block: dict[str, str] = {}
    for line in _lines(stream):
        if not line:
            if block:
                yield block
            block = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            block[name] = value.removeprefix(" ")


def _lines(stream: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for part in stream:
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > _LINE_BYTES:
            raise ServerError("the registry's events are none: a line has no end")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)


def _event(block: Mapping[str, str]) -> Event:
    try:
        told = json.loads(block["data"])
    except (ValueError, RecursionError):  # the second: nested too deeply
        raise ServerError("the registry's event is no JSON") from None
    if block.get("event") == "stream.end":
        code = told.get("code") if isinstance(told, dict) else None
        status = _ENDS.get(str(code), 403)
        raise error_of("the stream of events", status, {}, block["data"].encode())
    return record(Event, told)
