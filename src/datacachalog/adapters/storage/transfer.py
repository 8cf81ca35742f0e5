"""Moving one object to a file: in parts, in parallel, every part checked, digest in passing.

Knows no store: a `PartSource` gives parts. What is here is the promise that a finished file holds
the bytes of exactly one revision. `If-Match` alone does not keep it, as some servers ignore it; so
every part that comes is held against the first one.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self

import blake3

from datacachalog.adapters.disk import cache_errors, create_new, turn_at_the_disk, write_at
from datacachalog.domain.objects import NotModified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Buffer

    from datacachalog.domain.objects import ObjectInfo, Revision
    from datacachalog.ports import TransferProgress

# One request to S3 brings 85 to 90 MB/s (Amazon S3 User Guide, "Performance design patterns"), so
# eight fill 5 Gbit/s. While it comes, a part takes up to twice its size in memory: eight of 4 MiB
# take no more than four of 8 MiB, and were as fast (2 cores, loopback, 2026-11-21).
PART_BYTES = 4 << 20
_THREADS = 8
_HELD_PARTS = 8  # by one process, beyond each transfer's first: 32 MiB
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

    def part(self, start: int, end: int, of: ObjectInfo) -> Part:
        """Another part of the same revision, asked for with `If-Match`.

        Raises:
            ObjectChangedError: the server says that it is another one now.
        """
        ...

    def whole(self) -> tuple[ObjectInfo, Iterator[Buffer]]:
        """The whole object in one stream, which fails where its connection is lost."""
        ...


def transfer(
    source: PartSource, dest: Path, unless: Revision | None, progress: TransferProgress
) -> ObjectInfo | NotModified:
    """Writes the object to `dest`; the info of exactly these bytes, with their digest.

    Raises:
        ObjectChangedError: it was replaced meanwhile.
        CacheError: `dest` cannot be written.
    """
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
    body = first.body()
    if (first.start, first.end) != (0, memoryview(body).nbytes):
        raise ObjectChangedError
    if first.end == info.size_bytes:
        with turn_at_the_disk(), _Sink(dest, progress) as sink:
            sink.write(body)
            return sink.seal(info)
    with _Sink(dest, progress) as sink:
        sink.write(body)
        del body  # 4 MiB
        _ParallelParts(source, first, sink).run()
        return sink.seal(info)


def _one_stream(source: PartSource, dest: Path, progress: TransferProgress) -> ObjectInfo:
    info, blocks = source.whole()
    progress.total(info.size_bytes)
    with _Sink(dest, progress) as sink:
        for block in blocks:
            sink.write(block)
        return sink.seal(info)


class _Sink:
    """The file that is being written, hashed in order.

    It closes when the last of its users has let go: a worker that outlives an interrupted transfer
    must never write to a descriptor that means another file by then.
    """

    def __init__(self, dest: Path, progress: TransferProgress) -> None:
        self._dest, self._progress = dest, progress
        self._hasher = blake3.blake3()
        self._users, self._lock = 1, threading.Lock()
        self.offset = 0
        with cache_errors(dest):
            self._fd = create_new(dest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def share(self) -> None:
        """Counts one more user."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Counts one user less."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                os.close(self._fd)

    def store(self, data: Buffer, offset: int) -> None:
        """Writes bytes anywhere; `digest` has to be given them later, in order."""
        with cache_errors(self._dest):
            write_at(self._fd, data, offset)

    def digest(self, data: Buffer) -> None:
        """Takes the next stored bytes, in order, into the digest."""
        self._hasher.update(data)
        size = memoryview(data).nbytes
        self.offset += size
        self._progress.advance(size)

    def write(self, data: Buffer) -> None:
        """Writes the next bytes, in order."""
        self.store(data, self.offset)
        self.digest(data)

    def seal(self, info: ObjectInfo) -> ObjectInfo:
        """The info of what was written, if that is as long as the store announced."""
        if self.offset != info.size_bytes:
            raise ObjectChangedError
        return replace(info, digest=self._hasher.hexdigest())


class _ParallelParts:
    """All parts of an object but the first, fetched by a few threads.

    A thread takes one of the process's slots, then the next part; the slot is free again once the
    part's bytes are in the digest. Parts are taken in order, so the lowest one that is not hashed
    always has its slot: waiting for a slot cannot be waiting for oneself.
    """

    def __init__(self, source: PartSource, first: Part, sink: _Sink) -> None:
        self._source, self._info, self._sink = source, first.info, sink
        self._ranges = [
            (start, min(start + PART_BYTES, first.info.size_bytes))
            for start in range(first.end, first.info.size_bytes, PART_BYTES)
        ]
        self._held = _slots.setdefault(os.getpid(), threading.BoundedSemaphore(_HELD_PARTS))
        self._lock = threading.Lock()
        self._taken = self._hashed = 0
        self._waiting: dict[int, Buffer] = {}
        self._is_hashing = False
        self._working = 0
        self._error: BaseException | None = None

    def run(self) -> None:
        """Returns when every part is written and hashed, or raises what went wrong."""
        threads = [
            threading.Thread(target=self._work, name=f"datacachalog-part-{n}")
            for n in range(min(_THREADS, len(self._ranges)))
        ]
        try:
            for thread in threads:
                self._start(thread)
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        except BaseException as error:
            self._stop(error)  # Ctrl-C: the threads end by themselves after their present part
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
            while (index := self._next_part()) is not None:
                self._fetch(index)
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
        self._sink.release()
        with self._lock:
            self._working -= 1
            if self._working == 0:  # what was never hashed, after an error, gives back its slots
                for _ in range(self._taken - self._hashed):
                    self._held.release()

    def _next_part(self) -> int | None:
        while not self._held.acquire(timeout=0.2):
            if self._error is not None:
                return None
        with self._lock:
            if self._error is None and self._taken < len(self._ranges):
                self._taken += 1
                return self._taken - 1
        self._held.release()
        return None

    def _fetch(self, index: int) -> None:
        start, end = self._ranges[index]
        part = self._source.part(start, end, self._info)
        body = part.body()
        answer = (part.start, part.end, part.info.size_bytes, part.info.etag)
        if answer != (start, end, self._info.size_bytes, self._info.etag):
            raise ObjectChangedError
        if memoryview(body).nbytes != end - start:
            raise ObjectChangedError
        if self._error is None:
            self._sink.store(body, start)
            self._hash_in_order(index, body)

    def _hash_in_order(self, index: int, body: Buffer) -> None:
        """Hashes this part and those that waited for it, unless another thread is at it."""
        with self._lock:
            self._waiting[index] = body
            if self._is_hashing:
                return
            self._is_hashing = True
        while True:
            with self._lock:
                next_body = self._waiting.pop(self._hashed, None)
                if next_body is None:
                    self._is_hashing = False
                    return
            self._sink.digest(next_body)
            with self._lock:
                self._hashed += 1
            self._held.release()
