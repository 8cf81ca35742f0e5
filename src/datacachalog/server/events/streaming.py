"""Events as a stream (Server-Sent Events): sent as they happen, and again from where one was cut.

One task of each process asks the database for the newest number, and wakes the streams. Each then
reads for its caller, with the credentials looked at anew: who loses a key hears nothing more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from datacachalog.server.catalog.tables import full_name
from datacachalog.server.errors import Problem
from datacachalog.server.events.following import read_after
from datacachalog.server.events.log import last_seq
from datacachalog.server.web import caller as caller_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from sqlalchemy import Row
    from starlette.types import Receive, Scope, Send

    from datacachalog.server.database import Database
    from datacachalog.server.events.following import Batch, Wanted

_log = logging.getLogger(__name__)

MAX_STREAMS, MAX_STREAMS_EACH = 200, 20  # of a process, and of one principal
_READERS = 8  # threads at once, so that an event leaves room for other requests
_POLL_S = 0.25
_LOOK_S = 1.0  # so often are credentials looked at where nothing happens
_KEEP_ALIVE_S = 15.0
_STALLED_S = 30.0  # who takes nothing for so long is gone
_BATCH = 16  # events of at most 16 KiB: what a slow client costs, twice


class TooManyStreamsProblem(Problem):
    """The process, or the caller, has as many streams as may be."""

    status, code, title = 429, "too-many-streams", "There are too many streams of events"


class Feed:
    """Tells the streams of this process that something has happened."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.is_over = False
        self.news = asyncio.Event()
        self.readers = CapacityLimiter(_READERS)
        self._streams: Counter[str] = Counter()
        self._polling: asyncio.Task[None] | None = None

    @contextmanager
    def joined(self, principal_id: str) -> Iterator[None]:
        """A stream's place.

        Raises:
            TooManyStreamsProblem: there is none.
        """
        if self._streams.total() >= MAX_STREAMS or self._streams[principal_id] >= MAX_STREAMS_EACH:
            raise TooManyStreamsProblem("close another stream first, or try again later")
        self._streams[principal_id] += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            self._streams -= Counter([principal_id])

    def stop(self) -> None:
        """Ends all streams; call it on their event loop."""
        self.is_over = True
        self._wake()

    async def _poll(self) -> None:
        known = -1
        while self._streams and not self.is_over:
            try:
                newest = await to_thread.run_sync(self._newest)
            except SQLAlchemyError:
                _log.exception("the newest event cannot be read; it is tried again")
            else:
                if newest != known:
                    known = newest
                    self._wake()
            await asyncio.sleep(_POLL_S)

    def _newest(self) -> int:
        with self.database.reading() as connection:
            return last_seq(connection)

    def _wake(self) -> None:
        woken, self.news = self.news, asyncio.Event()
        woken.set()


class EventStream(Response):
    """Sends the events after one, until the client goes, or may not know of them any more."""

    def __init__(
        self, feed: Feed, request: Request, principal_id: str, wanted: Wanted, after: int
    ) -> None:
        self._feed, self._request, self._principal_id = feed, request, principal_id
        self._wanted, self._seq = wanted, after
        self._sent_at = time.monotonic()
        self.status_code, self.background = 200, None
        # Proxies such as nginx would keep parts back to fill their buffers.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self.init_headers({"Content-Type": "text/event-stream"} | headers)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Streams to the end."""
        with self._feed.joined(self._principal_id):
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            pump = asyncio.create_task(self._pump(send))
            gone = asyncio.create_task(_disconnected(receive))
            try:
                await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                pump.cancel()
                await asyncio.wait({pump, gone})
            if not pump.cancelled() and (error := pump.exception()) is not None:
                raise error

    async def _pump(self, send: Send) -> None:
        try:
            await self._put(send, _block(id=self._seq))  # so that it is known that it is open
            await self._follow(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _log.info("a client took nothing for %s s: its stream is cut", _STALLED_S)

    async def _follow(self, send: Send) -> None:
        while not self._feed.is_over:
            news = self._feed.news  # taken before the events are read: none comes between
            try:
                batch = await to_thread.run_sync(self._read, limiter=self._feed.readers)
            except Problem as problem:
                told = {"code": problem.code, "detail": problem.detail, **problem.more}
                await self._put(send, _block(event="stream.end", data=json.dumps(told)))
                return
            await self._send_batch(send, batch)
            if batch.is_last:
                await _until(news, _LOOK_S)

    def _read(self) -> Batch:
        caller = caller_of(self._request)
        with self._feed.database.reading() as connection:
            return read_after(connection, caller, self._seq, self._wanted, _BATCH)

    async def _send_batch(self, send: Send, batch: Batch) -> None:
        self._seq = batch.upto
        if batch.rows:
            await self._put(send, b"".join(map(_told, batch.rows)))
        elif time.monotonic() - self._sent_at > _KEEP_ALIVE_S:
            # With the number: who comes back has not to go through what was not for it.
            await self._put(send, b": keep-alive\n" + _block(id=self._seq))

    async def _put(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(_STALLED_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        self._sent_at = time.monotonic()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until(event: asyncio.Event, longest_s: float) -> None:
    try:
        async with asyncio.timeout(longest_s):
            await event.wait()
    except TimeoutError:
        pass


def _told(row: Row[Any]) -> bytes:
    table = None if row.table_name is None else full_name(row.namespace, row.table_name)
    body = {
        "seq": row.seq,
        "type": row.type,
        "created_at": row.created_at.isoformat(),
        "table_name": table,
        "job_name": row.job_name,
        "run_id": row.run_id,
        "data": row.data,
    }
    return _block(id=row.seq, event=row.type, data=json.dumps(body))


def _block(**fields: object) -> bytes:
    lines = [f"{name}: {value}\n" for name, value in fields.items()]
    return f"{''.join(lines)}\n".encode()
