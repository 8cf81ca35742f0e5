"""Moving one object to a file: in parts, in parallel, every part checked, digest in passing.

Knows no store: a `PartSource` gives parts. What is here is the promise that a finished file holds
the bytes of exactly one revision. `If-Match` alone does not keep it, as some servers ignore it; so
every part that comes is held against the first one, or against the journal of the transfer that
this one goes on with.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import blake3

from datacachalog.adapters.disk import (
    cache_errors,
    create_new,
    turn_at_the_disk,
    write_at,
)
from datacachalog.adapters.journal import discard, reopened
from datacachalog.adapters.storage.pace import Pace
from datacachalog.adapters.storage.retrying import retried
from datacachalog.adapters.storage.sink import Sink
from datacachalog.domain.errors import IntegrityError
from datacachalog.domain.objects import NotModified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Buffer

    from datacachalog.adapters.storage.stored_sums import StoredSum
    from datacachalog.domain.objects import ObjectInfo, Revision
    from datacachalog.ports import TransferProgress

# One request to S3 brings 85 to 90 MB/s (Amazon S3 User Guide, "Performance design patterns"), so
# eight fill 5 Gbit/s. While it comes, a part takes up to twice its size in memory; and a process
# that is killed loses eight parts, which shall be less than a twentieth of 512 MiB. Eight of 4 MiB
# were no faster (2 cores, loopback, 2026-11-22).
PART_BYTES = 3 << 20
_THREADS = 8
_HELD_PARTS = 8  # by one process, beyond each transfer's first: 24 MiB
_slots: dict[int, threading.BoundedSemaphore] = {}  # by process: a fork takes none of its parent's


class AnswerError(Exception):
    """A store's answer that some questions call for; to others it makes no sense."""


class ObjectChangedError(AnswerError):
    """The object is another one than the transfer began with."""


class RangeIgnoredError(AnswerError):
    """The server sends the whole object, whatever range it is asked for."""


class Part(Protocol):
    """The answer to a request for bytes `start` up to `end`."""

    @property
    def info(self) -> ObjectInfo:
        """The object that the part is of, as this answer described it."""
        ...

    @property
    def start(self) -> int:
        """Where the part begins."""
        ...

    @property
    def end(self) -> int:
        """Where the part ends; the byte there is not in it."""
        ...

    def body(self) -> Buffer:
        """All bytes of the part."""
        ...


class PartSource(Protocol):
    """One object, or one version of it, at its store."""

    def first(self, size_bytes: int, unless: Revision | None) -> Part | NotModified:
        """The first part, at most `size_bytes`; of whatever revision is there, but `unless`.

        Raises:
            RangeIgnoredError: the server does not answer ranges.
        """
        ...

    def part(self, start: int, end: int, of: Revision) -> Part:
        """A part of a revision whose tag is strong, asked for with `If-Match`.

        Raises:
            ObjectChangedError: the server says that it is another one now.
        """
        ...

    def stored_sum(self, of: Revision) -> StoredSum | None:
        """What the store says that all bytes of a revision come to; one request of its own.

        None where it says nothing of the whole object, or does not answer.
        """
        ...

    def whole(self) -> tuple[ObjectInfo, Iterator[Buffer]]:
        """The whole object in one stream, which fails where its connection is lost."""
        ...


def transfer(
    source: PartSource,
    dest: Path,
    unless: Revision | None,
    progress: TransferProgress,
    *,
    resume: bool = False,
) -> ObjectInfo | NotModified:
    """Writes the object to `dest`; the info of exactly these bytes, with their digest.

    With `resume`, what an interrupted transfer left at `dest` is gone on with, if it is of the
    revision that is there now.

    Raises:
        ObjectChangedError: it was replaced meanwhile.
        IntegrityError: these are not the bytes that the store has a checksum of.
        CacheError: `dest` cannot be written.
    """
    if resume:
        with suppress(ObjectChangedError):
            if (info := _gone_on(source, dest, unless, progress)) is not None:
                return info
        with cache_errors(dest):
            discard(dest)
    return _begun(source, dest, unless, progress)


def _begun(
    source: PartSource, dest: Path, unless: Revision | None, progress: TransferProgress
) -> ObjectInfo | NotModified:
    try:
        first = source.first(PART_BYTES, unless)
    except RangeIgnoredError:
        return _one_stream(source, dest, progress)
    if isinstance(first, NotModified):
        return first
    info = first.info
    if not info.revision.is_strong and (info.etag or first.end < info.size_bytes):
        # Nothing would tell two revisions' parts apart; nor, where the tags are weak, the two
        # halves of a part whose connection is lost in between.
        return _one_stream(source, dest, progress)
    progress.total(info.size_bytes)
    body, seconds = _timed(first)
    if (first.start, first.end) != (0, memoryview(body).nbytes):
        raise ObjectChangedError
    if first.end == info.size_bytes:
        return _at_once(body, dest, info, progress)
    pace = Pace(_THREADS, PART_BYTES)
    pace.came(first.end, seconds)
    with Sink(dest, progress) as sink:
        sink.reserve(info.size_bytes)
        sink.write(body)
        del body  # 3 MiB
        sink.begin_journal(info.revision)
        return _completed(source, sink, info, pace)


def _at_once(body: Buffer, dest: Path, info: ObjectInfo, progress: TransferProgress) -> ObjectInfo:
    """Writes an object that came in one part: there is nothing to go on with, and no other thread.

    A `Sink` for each of 1,000 objects of 16 KiB took a tenth of their time.
    """
    digest = blake3.blake3(body).hexdigest()
    with turn_at_the_disk(), cache_errors(dest):
        fd = create_new(dest)
        try:
            write_at(fd, body, 0)
        except BaseException:
            with suppress(OSError):  # it must not hide why
                os.close(fd)
            raise
        os.close(fd)  # a network file system may tell only now that it had no room
    progress.advance(info.size_bytes)
    return replace(info, digest=digest)


def _gone_on(
    source: PartSource, dest: Path, unless: Revision | None, progress: TransferProgress
) -> ObjectInfo | None:
    """The info of what was completed; None where there is nothing to go on with."""
    kept = reopened(dest)
    if kept is None:
        return None
    with Sink(dest, progress, kept) as sink:
        revision, offset = kept.revision, kept.offset
        if unless is not None and unless.etag == revision.etag:
            return None  # the store went back to what the caller has
        # Where all is there, a byte of it tells whether the store still has that object.
        start = min(offset, revision.size_bytes - 1)
        end = min(start + (PART_BYTES if start == offset else 1), revision.size_bytes)
        pace = Pace(_THREADS, PART_BYTES)
        part, body = _checked(source, (start, end), revision, pace)
        progress.total(revision.size_bytes)
        progress.advance(offset)
        if start < offset:
            return _completed(source, sink, part.info, pace)
        sink.reserve(revision.size_bytes)
        sink.write(body)
        del body
        return _completed(source, sink, part.info, pace)


def _completed(source: PartSource, sink: Sink, info: ObjectInfo, pace: Pace) -> ObjectInfo:
    sink.compare_with(lambda: source.stored_sum(info.revision))
    if sink.offset < info.size_bytes:
        _ParallelParts(source, info.revision, sink, pace).run()
    return _sealed(sink, info)


def _one_stream(source: PartSource, dest: Path, progress: TransferProgress) -> ObjectInfo:
    info, blocks = source.whole()
    progress.total(info.size_bytes)
    with Sink(dest, progress) as sink:
        for block in blocks:
            sink.write(block)
        return _sealed(sink, info)


def _sealed(sink: Sink, info: ObjectInfo) -> ObjectInfo:
    """The info of what was written, if that is as long as the store announced."""
    if sink.offset != info.size_bytes:
        raise ObjectChangedError
    difference = sink.difference()
    sink.end_journal()
    if difference is not None:
        raise IntegrityError(str(info.uri), difference)
    return replace(info, digest=sink.hexdigest())


def _checked(
    source: PartSource, span: tuple[int, int], of: Revision, pace: Pace
) -> tuple[Part, Buffer]:
    """A part of exactly these bytes, of exactly this revision."""
    part = source.part(*span, of)
    body, seconds = _timed(part)
    pace.came(memoryview(body).nbytes, seconds)
    answer = (part.start, part.end, part.info.size_bytes, part.info.etag)
    if answer != (*span, of.size_bytes, of.etag) or memoryview(body).nbytes != span[1] - span[0]:
        raise ObjectChangedError
    return part, body


def _timed(part: Part) -> tuple[Buffer, float]:
    """A part's bytes, and in how many seconds they came."""
    # Not from the request on: how long a store thinks is no matter of size.
    begun = time.monotonic()
    body = part.body()
    return body, time.monotonic() - begun


class _ParallelParts:
    """All parts of an object that are not written yet, fetched by a few threads.

    A thread takes one of the process's slots, then the next part; the slot is free again once the
    part's bytes are in the digest. Parts are taken in order, so the lowest one that is not hashed
    always has its slot: waiting for a slot cannot be waiting for oneself.
    """

    def __init__(self, source: PartSource, revision: Revision, sink: Sink, pace: Pace) -> None:
        self._source, self._revision, self._sink, self._pace = source, revision, sink, pace
        self._held = _slots.setdefault(os.getpid(), threading.BoundedSemaphore(_HELD_PARTS))
        self._lock = threading.Lock()
        self._next_start = sink.offset
        self._taken = self._hashed = 0
        self._waiting: dict[int, Buffer] = {}
        self._is_hashing = False
        self._working = 0
        self._error: BaseException | None = None

    def run(self) -> None:
        """Returns when every part is written and hashed, or raises what went wrong."""
        parts = -(-(self._revision.size_bytes - self._next_start) // self._pace.part_bytes)
        threads = [
            threading.Thread(target=self._work, name=f"datacachalog-part-{n}")
            for n in range(min(_THREADS, parts))
        ]
        try:
            for thread in threads:
                self._start(thread)
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        except BaseException as error:
            self._stop(error)  # Ctrl-C: the threads end by themselves after their present part
            self._sink.settle()
            raise
        if self._error is not None:
            raise self._error

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads to give: this one does the work
            self._work()

    def _work(self) -> None:
        if not self._begin():
            return
        try:
            while (span := self._next_part()) is not None:
                self._fetch(*span)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, in its own thread
            self._stop(error)
        finally:
            self._leave()

    def _begin(self) -> bool:
        # Counted here and not by `run`: Ctrl-C may come before all threads have begun, and those
        # that never do give nothing back.
        with self._lock:
            if self._error is not None:
                return False
            self._working += 1
            self._sink.share()
            return True

    def _stop(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error

    def _leave(self) -> None:
        with suppress(OSError):  # it closes here only where `run` was interrupted
            self._sink.release()
        with self._lock:
            self._working -= 1
            if self._working == 0:  # what was never hashed, after an error, gives back its slots
                for _ in range(self._taken - self._hashed):
                    self._held.release()

    def _next_part(self) -> tuple[int, int] | None:
        while not self._held.acquire(timeout=0.2):
            if self._error is not None:
                return None
        with self._lock:
            start = self._next_start
            if self._error is None and start < self._revision.size_bytes:
                self._taken += 1
                end = min(start + self._pace.part_bytes, self._revision.size_bytes)
                self._next_start = end
                return start, end
        self._held.release()
        return None

    def _fetch(self, start: int, end: int) -> None:
        # By the part: a long transfer has more than one bad moment.
        body = retried(lambda: self._pace.asked(lambda: self._body(start, end)))
        with self._sink.work() as may_write:
            if body is not None and may_write and self._error is None:
                self._sink.store(body, start)
                self._hash_in_order(start, body)

    def _body(self, start: int, end: int) -> Buffer | None:
        """The bytes of a part; None where nobody wants them any more."""
        if self._error is not None:
            return None
        return _checked(self._source, (start, end), self._revision, self._pace)[1]

    def _hash_in_order(self, start: int, body: Buffer) -> None:
        """Hashes this part and those that waited for it, unless another thread is at it."""
        with self._lock:
            self._waiting[start] = body
            if self._is_hashing:
                return
            self._is_hashing = True
        while True:
            with self._lock:
                next_body = self._waiting.pop(self._sink.offset, None)
                if next_body is None:
                    self._is_hashing = False
                    return
            self._sink.digest(next_body)
            with self._lock:
                self._hashed += 1
            self._held.release()
