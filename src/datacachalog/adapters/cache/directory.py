"""The cache on disk: immutable revisions, published by one rename.

<root>/v1/objects/<source key>/<revision id>/<file>        0444, what `fetch` returns
                                            /.entry.json   its record
          refs/<source key>.json   the current revision; its mtime is when that was last confirmed
          partial/                 files on their way in, one folder each, and refs; and what can be
                                   gone on with of interrupted downloads
          locks/                   one file a source; never removed
          pins/                    who has which revisions, one file a process
          servers/                 not the cache's: what storage adapters found out
          trash/                   folders on their way out

Data and record appear together, in one rename of their folder. Onto a revision that exists already
the rename fails (rename(2): ENOTEMPTY), so that of several writers exactly one publishes, with no
lock. A reader's path is never written to again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.access import Access
from datacachalog.adapters.cache.entries import (
    EntryFolders,
    bytes_below,
    is_as_published,
    known,
    names_in,
)
from datacachalog.adapters.cache.holds import Holds
from datacachalog.adapters.cache.housekeeping import Housekeeping, entry_name
from datacachalog.adapters.cache.locks import exclusive
from datacachalog.adapters.cache.owners import owner_is_gone
from datacachalog.adapters.cache.partials import Partials
from datacachalog.adapters.cache.pins import Pins
from datacachalog.adapters.cache.records import DAMAGED, from_ns, read_ref, ref_json, to_ns
from datacachalog.adapters.cache.settling import Settling
from datacachalog.adapters.cache.staging import DirectoryStaging, Place
from datacachalog.adapters.digest import has_checksum
from datacachalog.adapters.disk import (
    cache_errors,
    remove_tree,
    space_at,
    write_new,
)
from datacachalog.domain.keys import local_name, source_key
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.housekeeping import Space, Usage
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import TransferProgress

# https://bford.info/cachedir/: backup programs leave out what holds this file.
_CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Files here can be fetched again.\n"


class DirectoryCache:
    """A cache in a folder of its own, which several processes may share."""

    def __init__(
        self,
        root: Path,
        settling: Settling | None = None,
        *,
        shared: bool = False,
        is_layer: bool = False,
    ) -> None:
        """Keeps a cache in `root`, which may belong to others if it is `shared`, or a layer."""
        self.root, self._access = root, Access(root, shared, is_layer)
        self.settling, self._is_safe = settling or Settling(), False
        home = root / "v1"
        self.objects, self.refs = home / "objects", home / "refs"
        self.partial, self.locks, self.trash = home / "partial", home / "locks", home / "trash"
        self._servers = home / "servers"
        self._entries = EntryFolders(self.objects, self.trash, self.settling, shared)
        self._pins = Pins(home / "pins", self.prepare, shared=shared)
        self._partials = Partials(self.partial)
        self._keeping = Housekeeping(self._entries, self._pins, self.refs, self._partials, {})
        self.holds = Holds(self._pins)
        self.hold = self.holds.hold  # with no call between: it is a part of every hit
        self._is_swept = False
        self._places: dict[str, Place] = {}

    def place(self, identity: str, uri: Uri) -> Place:
        """Where everything about one source is; made once, as names cost more than a look."""
        place = self._places.get(identity)
        if place is None or (place.uri is not uri and place.uri != uri):
            key = source_key(identity, uri)
            place = Place(
                identity,
                uri,
                key,
                file_name=local_name(uri),
                folder=f"{self.objects}/{key}",
                ref=f"{self.refs}/{key}.json",
                lock=f"{self.locks}/{key}.lock",
            )
            # While there is no cache, somebody else may still make one.
            if self._look():
                self._places[identity] = place
        return place

    def _look(self) -> bool:
        """Whether there is a cache; raises where it must not be used.

        All of it is looked at once, and its folder each time: a hit does neither.
        """
        if not (self._is_safe and self._access.is_still_safe()):
            with cache_errors(self.root):
                self._is_safe = self._access.is_safe()
        return self._is_safe

    def _safely(self) -> AbstractContextManager[None]:
        self._look()
        return cache_errors(self.root)

    def current(self, identity: str, uri: Uri) -> CacheEntry | None:
        place = self.place(identity, uri)
        try:
            status = os.lstat(place.ref)  # a warm hit's whole cost; Path.lstat doubles it
        except OSError:
            return None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = place.memo
        if known is not None and known[0] == seen and is_as_published(known[1]):
            return known[1]
        revision = read_ref(place.ref, identity)
        if revision is None:
            return None
        entry = self.load(place.key, revision, from_ns(status.st_mtime_ns))
        if entry is None or entry.identity != identity:
            return None
        place.memo = (seen, entry)
        return entry

    def load(self, key: str, revision: str, checked_at: datetime) -> CacheEntry | None:
        """The entry of a revision, if it is here and as it was published."""
        self._look()
        return self._entries.load(key, revision, checked_at)

    def find(self, identity: str, uri: Uri, version: str) -> CacheEntry | None:
        return self._first(identity, uri, lambda entry: entry.info.version == version)

    def holding(self, identity: str, uri: Uri, digest: str) -> CacheEntry | None:
        return self._first(identity, uri, lambda entry: entry.digest == digest)

    def _first(
        self, identity: str, uri: Uri, is_wanted: Callable[[CacheEntry], bool]
    ) -> CacheEntry | None:
        key = self.place(identity, uri).key
        for entry in self.of_source(identity, uri):
            if is_wanted(entry):
                found = self._entries.load(key, entry.revision_id, entry.checked_at)
                if found is not None:
                    return found
        return None

    def staging(self, identity: str, uri: Uri) -> DirectoryStaging:
        place = self.place(identity, uri)
        if not self._is_swept:
            with self._safely():
                self.prepare()
            self._is_swept = True
            self._sweep()
        self._partials.look()
        return DirectoryStaging(self._entries, self._partials, place, self)

    def _sweep(self) -> None:
        """Removes what killed processes were removing, and their pins; nobody else would."""
        for folder in (self.trash, self._pins.folder):
            with contextlib.suppress(OSError):  # another user's
                for name in names_in(folder):
                    if owner_is_gone(name.removeprefix(".")):
                        remove_tree(folder / name)

    def confirm(self, entry: CacheEntry, checked_at: datetime) -> CacheEntry | None:
        if not is_as_published(entry):
            return None
        confirmed = replace(entry, checked_at=checked_at)
        with contextlib.suppress(OSError):  # a shared cache that is not ours to write serves on
            self.point(confirmed)
        return confirmed

    def point(self, entry: CacheEntry) -> None:
        """Makes `entry` the current one, unless another was confirmed by a later request.

        Two processes may both find an older ref and both replace it; then the slower one's stays,
        and the next revalidation mends it: an older revision for a while, never wrong bytes.
        """
        place, at_ns = self.place(entry.identity, entry.info.uri), to_ns(entry.checked_at)
        try:
            status = os.lstat(place.ref)
        except OSError:
            self._write_ref(place, entry, at_ns)
            return
        # A ref from the future, left by a clock that was wrong, must not stay for ever.
        if at_ns < status.st_mtime_ns <= time.time_ns():
            return
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = place.memo
        if known is not None and known[0] == seen:
            is_ours = known[1].revision_id == entry.revision_id
        else:
            is_ours = read_ref(place.ref, entry.identity) == entry.revision_id
        if is_ours:
            with contextlib.suppress(OSError):  # another user's, or gone meanwhile
                os.utime(place.ref, ns=(at_ns, at_ns), follow_symlinks=False)
                place.memo = ((status.st_ino, at_ns, status.st_size), entry)
                return
        self._write_ref(place, entry, at_ns)

    def _write_ref(self, place: Place, entry: CacheEntry, at_ns: int) -> None:
        self.write_ref(place.ref, ref_json(entry.identity, entry.revision_id), at_ns)

    def write_ref(self, ref: str, text: str, at_ns: int) -> None:
        """Replaces a ref in one step."""
        try:
            self._replace_ref(ref, text, at_ns)
        except FileNotFoundError:
            self.prepare()
            self._replace_ref(ref, text, at_ns)

    def _replace_ref(self, ref: str, text: str, at_ns: int) -> None:
        fresh = self._partials.new()
        try:
            write_new(fresh, text, shared=self._access.shared)
            os.utime(fresh, ns=(at_ns, at_ns))
            self.settling.sync(fresh)
            os.replace(fresh, ref)  # noqa: PTH105 - strings, as above
            self.settling.sync(str(self.refs))
        except OSError:
            Path(fresh).unlink(missing_ok=True)
            raise

    def forget(self, identity: str, uri: Uri) -> bool:
        place, had_one = self.place(identity, uri), self.current(identity, uri) is not None
        with self._safely(), contextlib.suppress(FileNotFoundError):
            os.unlink(place.ref)  # noqa: PTH108 - a string, as above
        place.memo = None  # the next ref may be given the same inode
        return had_one

    def has_lost(self, identity: str, uri: Uri) -> bool:
        was_there = os.path.lexists(self.place(identity, uri).ref)
        return was_there and self.current(identity, uri) is None

    def matches(self, entry: CacheEntry, checksum: Checksum) -> bool:
        with self._safely():
            return has_checksum(entry, checksum)

    def remove_damaged(
        self, identity: str, uri: Uri, *, progress: TransferProgress = SILENT
    ) -> tuple[Path, ...]:
        place = self.place(identity, uri)
        with self._safely():
            return tuple(self._entries.remove_damaged(place.key, place.file_name, progress))

    def entries(self) -> Iterator[CacheEntry]:
        with self._safely():
            keys = names_in(self.objects)
        for key in keys:
            yield from self._entries_of(key)

    def of_source(self, identity: str, uri: Uri) -> Iterator[CacheEntry]:
        """All entries of one source; who hands one out asks `load` first."""
        for entry in self._entries_of(self.place(identity, uri).key):
            if entry.identity == identity:
                yield entry

    def _entries_of(self, key: str) -> Iterator[CacheEntry]:
        for entry in self._entries.of_source(key):
            ref = self.place(entry.identity, entry.info.uri).ref
            if read_ref(ref, entry.identity) == entry.revision_id:
                with contextlib.suppress(OSError):  # forgotten meanwhile
                    at_ns = os.stat(ref).st_mtime_ns  # noqa: PTH116 - a string, as above
                    entry = replace(entry, checked_at=from_ns(at_ns))  # noqa: PLW2901
            yield entry

    @contextlib.contextmanager
    def pin(self, entry: CacheEntry) -> Iterator[bool]:
        name = entry_name(entry)
        with self._safely():
            self._pins.pin(name)
        try:
            yield is_as_published(entry)
        finally:
            with contextlib.suppress(OSError):  # what is pinned too long does no harm
                self._pins.unpin(name)

    def usages(self) -> Iterator[Usage]:
        with self._safely():
            yield from self._keeping.usages()

    def remove(self, entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
        with self._safely():
            removed = self._keeping.remove(entries)
        for entry in removed:
            self.holds.forget(entry)
        return removed

    def sweep(self, *, unfinished: bool = False, dry_run: bool = False) -> int:
        with self._safely():
            return self._keeping.sweep(unfinished=unfinished, dry_run=dry_run)

    def size_bytes(self) -> int:
        with self._safely():
            return self._keeping.size_bytes()

    def clear(self) -> int:
        freed = 0
        with self._safely():
            if self.root.exists() and not self.root.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")
            for name in names_in(self.refs):
                if not name.endswith(DAMAGED):
                    (self.refs / name).unlink(missing_ok=True)
            self._places.clear()
            self.holds.clear()
            left = self._partials.left_behind()
            for folder in [*(self.objects / key for key in names_in(self.objects)), *left]:
                freed += bytes_below(folder)
                with known(folder) as seen:
                    self._entries.discard(folder, seen)
            for name in names_in(self.trash):
                remove_tree(self.trash / name)
            for name in names_in(self._servers):
                remove_tree(self._servers / name)
        return freed

    def alone(self, identity: str, uri: Uri, wait: timedelta) -> AbstractContextManager[bool]:
        lock, shared = self.place(identity, uri).lock, self._access.shared
        return exclusive(lock, wait, prepare=self.prepare, shared=shared)

    def prepare(self) -> None:
        """Makes the folders of the cache, marked as a cache for backups and for git."""
        self._access.make_folders()
        for name, text in (("CACHEDIR.TAG", _CACHEDIR_TAG), (".gitignore", "*\n")):
            with contextlib.suppress(FileExistsError):
                write_new(f"{self.root}/{name}", text, shared=self._access.shared)

    def space(self) -> Space:
        return space_at(self.root)

    def unfinished(self) -> tuple[int, int]:
        """How many downloads are under way or were interrupted, and the bytes that they take."""
        with self._safely():
            return self._partials.unfinished()
