"""The cache on disk: immutable revisions, published by one rename.

<root>/v1/objects/<source key>/<revision id>/<file>        0444, what `fetch` returns
                                            /.entry.json   its record
          refs/<source key>.json   the current revision; its mtime is when that was last confirmed
          partial/                 files on their way in, one folder each
          locks/                   one file a source; never removed
          trash/                   folders on their way out

Data and record appear together, in one rename of their folder. Onto a revision that exists already
the rename fails (rename(2): ENOTEMPTY), so that of several writers exactly one publishes, with no
lock. A reader's path is never written to again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.locks import exclusive
from datacachalog.adapters.cache.records import from_ns, read_record, read_ref, ref_json, to_ns
from datacachalog.adapters.cache.staging import RECORD, DirectoryStaging, owner_is_gone
from datacachalog.adapters.disk import cache_errors, remove_tree
from datacachalog.domain.keys import revision_id, source_key
from datacachalog.domain.objects import CacheEntry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta
    from pathlib import Path

    from datacachalog.domain.uri import Uri

# https://bford.info/cachedir/: backup programs leave out what holds this file.
_CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Files here can be fetched again.\n"


class DirectoryCache:
    """A cache in a folder of its own, which several processes may share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        home = root / "v1"
        self.objects, self.refs = home / "objects", home / "refs"
        self.partial, self.locks, self.trash = home / "partial", home / "locks", home / "trash"
        # What each ref was found to say, by the status of its file: a warm hit needs no JSON.
        self._memo: dict[str, tuple[tuple[int, int, int], CacheEntry]] = {}

    def current(self, identity: str, uri: Uri) -> CacheEntry | None:
        key = source_key(identity, uri)
        ref = f"{self.refs}/{key}.json"
        try:
            status = os.stat(ref)  # noqa: PTH116 - a warm hit's whole cost; Path.stat doubles it
        except OSError:
            return None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._memo.get(key)
        if known is not None and known[0] == seen and known[1].identity == identity:
            return known[1] if _is_as_published(known[1]) else None
        revision = read_ref(ref, identity)
        if revision is None:
            return None
        entry = self.load(key, revision, from_ns(status.st_mtime_ns))
        if entry is None or entry.identity != identity:
            return None
        self._memo[key] = (seen, entry)
        return entry

    def find(self, identity: str, uri: Uri, version: str) -> CacheEntry | None:
        for entry in self._entries_of(source_key(identity, uri)):
            if entry.identity == identity and entry.info.version == version:
                return entry
        return None

    @contextmanager
    def staging(self, identity: str, uri: Uri) -> Iterator[DirectoryStaging]:
        staging = DirectoryStaging(self, identity, uri)
        try:
            yield staging
        finally:
            staging.drop()

    def confirm(self, entry: CacheEntry, checked_at: datetime) -> CacheEntry | None:
        if not _is_as_published(entry):
            return None
        with contextlib.suppress(OSError):  # a shared cache that is not ours to write serves on
            self.point(entry, checked_at)
        return replace(entry, checked_at=checked_at)

    def point(self, entry: CacheEntry, checked_at: datetime) -> None:
        """Makes `entry` the current one, unless another was confirmed later than `checked_at`.

        Two processes may both find an older ref and both replace it; then the slower one's stays,
        and the next revalidation mends it: an older revision for a while, never wrong bytes.
        """
        key, at_ns = source_key(entry.identity, entry.info.uri), to_ns(checked_at)
        ref = self.refs / f"{key}.json"
        try:
            found_ns = ref.stat().st_mtime_ns
        except OSError:
            found_ns = None
        # A ref from the future, left by a clock that was wrong, must not stay for ever.
        if found_ns is not None and at_ns < found_ns <= time.time_ns():
            return
        if found_ns is not None and read_ref(str(ref), entry.identity) == entry.revision_id:
            os.utime(ref, ns=(at_ns, at_ns))
            return
        if not self.refs.is_dir():
            self.prepare()
        fresh = self.refs / f".{key}.{os.urandom(6).hex()}"
        try:
            fresh.write_text(ref_json(entry.identity, entry.revision_id))
            os.utime(fresh, ns=(at_ns, at_ns))
            fresh.replace(ref)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise

    def forget(self, identity: str, uri: Uri) -> bool:
        had_one = self.current(identity, uri) is not None
        with cache_errors(self.root):
            (self.refs / f"{source_key(identity, uri)}.json").unlink(missing_ok=True)
        return had_one

    def entries(self) -> Iterator[CacheEntry]:
        for key in _names(self.objects):
            yield from self._entries_of(key)

    def _entries_of(self, key: str) -> Iterator[CacheEntry]:
        for revision in _names(self.objects / key):
            entry = self.load(key, revision)
            if entry is not None:
                now = self.current(entry.identity, entry.info.uri)
                yield now if now is not None and now.revision_id == revision else entry

    def load(
        self, key: str, revision: str, checked_at: datetime | None = None
    ) -> CacheEntry | None:
        """The entry in one revision's folder; None where anything about it is odd.

        Without `checked_at`, it was last confirmed by the request that brought it.
        """
        file = f"{self.objects}/{key}/{revision}/{RECORD}"
        record = read_record(file)
        if record is None or source_key(record.identity, record.info.uri) != key:
            return None
        if revision_id(record.identity, record.info, record.digest) != revision:
            return None  # a record that was copied here from elsewhere
        entry = CacheEntry(
            identity=record.identity,
            revision_id=revision,
            path=self.objects / key / revision / record.file_name,
            info=record.info,
            digest=record.digest,
            mtime_ns=record.mtime_ns,
            checked_at=checked_at or from_ns(os.stat(file).st_mtime_ns),  # noqa: PTH116 - see `current`
        )
        return entry if _is_as_published(entry) else None

    def clear(self) -> int:
        freed = sum(entry.info.size_bytes for entry in self.entries())
        with cache_errors(self.root):
            for key in _names(self.refs):
                (self.refs / key).unlink(missing_ok=True)
            for key in _names(self.objects):
                self.discard(self.objects / key)
            for name in _names(self.partial):
                if owner_is_gone(name):
                    self.discard(self.partial / name)
        for name in _names(self.trash):
            remove_tree(self.trash / name)
        return freed

    def discard(self, folder: Path) -> None:
        """Takes a folder out of sight in one step, then removes it."""
        self.trash.mkdir(parents=True, exist_ok=True)
        gone = self.trash / os.urandom(8).hex()
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            folder.rename(gone)
            remove_tree(gone)

    @contextmanager
    def alone(self, identity: str, uri: Uri, wait: timedelta) -> Iterator[bool]:
        lock = self.locks / f"{source_key(identity, uri)}.lock"
        if not self.locks.is_dir():
            with contextlib.suppress(OSError):  # what has to write will say why it cannot
                self.prepare()
        with exclusive(lock, wait) as held:
            yield held

    def prepare(self) -> None:
        """Makes the folders of the cache, marked as a cache for backups and for git."""
        for folder in (self.objects, self.refs, self.partial, self.locks, self.trash):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("CACHEDIR.TAG", _CACHEDIR_TAG), (".gitignore", "*\n")):
            if not (self.root / name).exists():
                (self.root / name).write_text(text)

    def free_bytes(self) -> int:
        """What the file system of the cache has left for this user."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


def _is_as_published(entry: CacheEntry) -> bool:
    try:
        status = os.stat(entry.path)  # noqa: PTH116 - see `current`
    except OSError:
        return False
    return status.st_size == entry.info.size_bytes and status.st_mtime_ns == entry.mtime_ns


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except OSError:
        return []
