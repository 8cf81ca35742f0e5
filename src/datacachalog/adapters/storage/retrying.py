"""A storage port that tries again what failed for reasons that may pass."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.journal import has_journal
from datacachalog.domain.errors import StorageUnavailableError
from datacachalog.domain.objects import ANY
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datacachalog.domain.objects import Expected, NotModified, ObjectInfo, Revision
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort, TransferProgress

T = TypeVar("T")


class RetryingStorage:
    """Repeats a call that ended in `StorageUnavailableError`, at most `attempts` times in all.

    Pauses grow from `pause_s` by doubling, each shortened by chance so that many clients do not
    come back together. No attempt begins more than `deadline_s` after the first one did. Listings
    are not repeated: half of one may have been read already.
    """

    def __init__(
        self,
        storage: StoragePort,
        *,
        attempts: int = 3,
        pause_s: float = 0.2,
        deadline_s: float = 10.0,
    ) -> None:
        self._storage = storage
        self._attempts, self._pause_s, self._deadline_s = attempts, pause_s, deadline_s

    def identity(self, uri: Uri) -> str:
        return self._storage.identity(uri)

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        return self._retried(lambda: self._storage.stat(uri, version=version))

    def download(
        self,
        uri: Uri,
        dest: Path,
        *,
        version: str | None = None,
        unless: Revision | None = None,
        resume: bool = False,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo | NotModified:
        def attempt() -> ObjectInfo | NotModified:
            nonlocal resume
            try:
                return self._storage.download(
                    uri, dest, version=version, unless=unless, resume=resume, progress=progress
                )
            except StorageUnavailableError:
                resume = has_journal(dest)
                with cache_errors(dest):
                    if not resume:
                        dest.unlink(missing_ok=True)
                raise

        return self._retried(attempt)

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        return self._storage.upload(path, uri, expect=expect, progress=progress)

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        return self._storage.walk(prefix)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        return self._storage.versions(uri)

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        return self._retried(lambda: self._storage.read(uri, start, end, version=version))

    def _retried(self, call: Callable[[], T]) -> T:
        return retried(
            call, attempts=self._attempts, pause_s=self._pause_s, deadline_s=self._deadline_s
        )


def retried(
    call: Callable[[], T], *, attempts: int = 3, pause_s: float = 0.2, deadline_s: float = 10.0
) -> T:
    """What `call` gives, made again where it fails for a reason that may pass."""
    begun = time.monotonic()
    for attempt in range(1, attempts):
        try:
            return call()
        except StorageUnavailableError:
            pause = pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            if time.monotonic() + pause - begun > deadline_s:
                raise
            time.sleep(pause)
    return call()
