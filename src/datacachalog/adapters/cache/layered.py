"""A cache on top of others that are only read: what they hold need not be fetched again."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import is_as_published, is_whole
from datacachalog.adapters.cache.records import DAMAGED, read_ref, ref_json, to_ns
from datacachalog.adapters.disk import cache_errors
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from datacachalog.adapters.cache.settling import Settling
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import TransferProgress

_NONE = "0" * 16
"""The revision that a ref names where no entry is to be served that was confirmed before it."""


class LayeredCache(DirectoryCache):
    """A directory cache that serves the entries of other ones too, and writes to none of them.

    Of its own entry and those of the layers, the one that was confirmed last is the current one.
    What its own checks find out of a layer's entry is kept in its own refs. A layer that is not
    there, such as a disk that is not mounted, has nothing.
    """

    def __init__(
        self,
        root: Path,
        layers: Sequence[Path],
        settling: Settling | None = None,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__(root, settling, shared=shared)
        # A ref may be of a layer's entry, or say that none is to be served.
        self._keeping = replace(self._keeping, lost_refs_go=False)
        self._layers = tuple(
            DirectoryCache(one, self.settling.reading(), shared=shared, is_layer=True)
            for one in layers
        )

    def load(self, key: str, revision: str, checked_at: datetime) -> CacheEntry | None:
        found = super().load(key, revision, checked_at)
        for layer in self._layers:
            found = found or self._unless_damaged(layer.load(key, revision, checked_at))
        return found

    def current(self, identity: str, uri: Uri) -> CacheEntry | None:
        own = self._unless_damaged(super().current(identity, uri))
        found = [self._unless_damaged(layer.current(identity, uri)) for layer in self._layers]
        latest = max((e for e in found if e is not None), key=_checked_at, default=None)
        if latest is None or (own is not None and own.checked_at >= latest.checked_at):
            return own
        return own if self._is_forgotten(latest) else latest

    def find(self, identity: str, uri: Uri, version: str) -> CacheEntry | None:
        found = super().find(identity, uri, version)
        for layer in self._layers:
            found = found or self._unless_damaged(layer.find(identity, uri, version))
        return found

    def holding(self, identity: str, uri: Uri, digest: str) -> CacheEntry | None:
        if (found := super().holding(identity, uri, digest)) is not None:
            return found
        layers = self._layers
        below = (self._unless_damaged(layer.holding(identity, uri, digest)) for layer in layers)
        return next((e for e in below if e is not None and not self._is_forgotten(e)), None)

    def forget(self, identity: str, uri: Uri) -> bool:
        had_one = self.current(identity, uri) is not None
        super().forget(identity, uri)
        if self.current(identity, uri) is not None:
            self._forget_layers(identity, uri)
        return had_one

    def has_lost(self, identity: str, uri: Uri) -> bool:
        if read_ref(self.place(identity, uri).ref, identity) == _NONE:
            return False
        lost = super().has_lost(identity, uri)
        return lost or any(layer.has_lost(identity, uri) for layer in self._layers)

    def hold(self, entry: CacheEntry) -> bool:
        return super().hold(entry) if self._is_own(entry) else is_as_published(entry)

    @contextmanager
    def pin(self, entry: CacheEntry) -> Iterator[bool]:
        """As the port says, of its own entries; what a layer's owner removes goes."""
        pinned = super().pin(entry) if self._is_own(entry) else nullcontext(is_as_published(entry))
        with pinned as is_here:
            yield is_here

    def _is_own(self, entry: CacheEntry) -> bool:
        return str(entry.path).startswith(f"{self.objects}/")

    def remove_damaged(
        self, identity: str, uri: Uri, *, progress: TransferProgress = SILENT
    ) -> tuple[Path, ...]:
        """As the port says; what is damaged in a layer stays there, and is not served any more."""
        damaged = [*super().remove_damaged(identity, uri, progress=progress)]
        entries = [entry for layer in self._layers for entry in layer.of_source(identity, uri)]
        served = [entry for entry in entries if self._unless_damaged(entry)]
        if served:
            progress.total(sum(entry.info.size_bytes for entry in served))
        for entry in served:
            with cache_errors(self.root):
                if not is_whole(entry, progress):
                    self._refuse(entry)
                    damaged.append(entry.path)
        return tuple(damaged)

    def _refuse(self, entry: CacheEntry) -> None:
        """Notes for all who use this cache that a layer's entry is damaged."""
        if (mark := self._mark_of(entry)) is not None:
            self.write_ref(mark, ref_json(entry.identity, _NONE), time.time_ns())

    def _unless_damaged(self, entry: CacheEntry | None) -> CacheEntry | None:
        """An entry, unless it is a layer's that was found to be damaged."""
        if entry is None or self._is_own(entry):
            return entry
        mark = self._mark_of(entry)
        return None if mark is None or os.path.lexists(mark) else entry

    def _mark_of(self, entry: CacheEntry) -> str | None:
        """The name of the note that an entry is damaged; None where the entry is gone.

        One that its owner repairs has another file.
        """
        try:
            status = os.lstat(entry.path)
        except OSError:
            return None
        file = f"{entry.revision_id}-{status.st_ino:x}-{status.st_ctime_ns:x}"
        return f"{self.refs}/{entry.path.parents[1].name}.{file}{DAMAGED}"

    def _forget_layers(self, identity: str, uri: Uri) -> None:
        place = self.place(identity, uri)
        place.memo = None
        with cache_errors(self.root):
            self.write_ref(place.ref, ref_json(identity, _NONE), time.time_ns())

    def _is_forgotten(self, entry: CacheEntry) -> bool:
        ref = self.place(entry.identity, entry.info.uri).ref
        try:
            at_ns = os.lstat(ref).st_mtime_ns
        except OSError:
            return False
        return read_ref(ref, entry.identity) == _NONE and to_ns(entry.checked_at) <= at_ns


def _checked_at(entry: CacheEntry) -> datetime:
    return entry.checked_at
