"""Taking entries out of the directory cache that nobody wants, and what the dead have left.

Readers and removers shake hands: who hands an entry out says so in its pins and then looks whether
it is there, and who publishes one says so before anybody can find it. Who removes one looks at the
pins, with the gate closed for new ones, and takes it out of sight. Where locks do not work, it
looks at the pins again and puts back what is wanted by now: either the one has seen that it was
gone, or the other sees that it is wanted.
"""

from __future__ import annotations

import contextlib
import errno
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.entries import bytes_below, is_as_published, names_in
from datacachalog.adapters.cache.owners import owner_is_gone
from datacachalog.adapters.cache.records import DAMAGED, from_ns, read_ref
from datacachalog.adapters.disk import make_folder, remove_tree
from datacachalog.domain.housekeeping import GRACE, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from datacachalog.adapters.cache.entries import EntryFolders
    from datacachalog.adapters.cache.partials import Partials
    from datacachalog.adapters.cache.pins import Pins
    from datacachalog.domain.objects import CacheEntry


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What `CachePort` says of usage and removal, on a directory cache's folders."""

    entries: EntryFolders
    pins: Pins
    refs: Path
    partials: Partials
    sizes: dict[str, int]
    """The bytes of each entry that was looked at, by its name; entries never change."""
    lost_refs_go: bool = True
    """Whether refs of sources without entries mean nothing."""

    def usages(self) -> Iterator[Usage]:
        pinned = self._pinned()
        for key in names_in(self.entries.objects):
            for entry in self.entries.of_source(key):
                with contextlib.suppress(FileNotFoundError):  # gone by now
                    used_ns = entry.path.parent.stat().st_mtime_ns
                    current = read_ref(f"{self.refs}/{key}.json", entry.identity)
                    name = entry_name(entry)
                    yield Usage(
                        entry,
                        from_ns(used_ns),
                        is_current=entry.revision_id == current,
                        is_pinned=name in pinned,
                        is_ours=self.pins.has_used(name),
                    )

    def _pinned(self) -> set[str]:
        return self.pins.pinned() | self.pins.of_others()

    def size_bytes(self) -> int:
        objects = self.entries.objects
        names = [f"{key}/{one}" for key in names_in(objects) for one in names_in(objects / key)]
        known = self.sizes
        fresh = {name: known.get(name) or bytes_below(objects / name) for name in names}
        known.clear()
        known.update(fresh)
        return sum(fresh.values()) + sum(map(bytes_below, self.partials.left_behind()))

    def remove(self, entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
        entries = list(entries)  # found before the pins are looked at, see `Pins.announce`
        with self.pins.gate_closed():
            pinned = self._pinned()
            loose = [entry for entry in entries if entry_name(entry) not in pinned]
            taken = [(entry, gone) for entry in loose if (gone := self._take(entry)) is not None]
        pinned = self._pinned()
        # First all of what somebody wants: it is missed.
        unwanted = [
            (entry, gone)
            for entry, gone in taken
            if entry_name(entry) not in pinned or not self._put_back(gone, entry)
        ]
        for entry, gone in unwanted:
            self.pins.forget(entry_name(entry))
            remove_tree(gone)
            with contextlib.suppress(OSError):  # it has other revisions
                entry.path.parents[1].rmdir()
        return tuple(entry for entry, _ in unwanted)

    def _take(self, entry: CacheEntry) -> Path | None:
        if not is_as_published(entry):  # another was quicker, and it may have come again
            return None
        gone = self.entries.way_out()
        try:
            entry.path.parent.rename(gone)
        except (FileNotFoundError, PermissionError):  # another was quicker; another user's
            return None
        return gone

    def _put_back(self, gone: Path, entry: CacheEntry) -> bool:
        """Whether it is in its place again; if not, who wanted it has fetched it anew meanwhile."""
        folder = entry.path.parent
        while True:
            try:
                gone.rename(folder)
            except FileNotFoundError:  # another remover has found the source without entries
                if not gone.exists():
                    return False  # somebody cleared the cache
                make_folder(str(folder.parent), shared=self.entries.shared)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    return False
                raise
            else:
                return True

    def sweep(self, *, unfinished: bool, dry_run: bool) -> int:
        left, damaged = list(self._left()), list(filter(_is_old, self._damaged()))
        partials = self.partials.left_behind() if unfinished else self.partials.of_no_use()
        freed = sum(map(bytes_below, [*left, *damaged, *partials]))
        if not dry_run:
            for path in partials:
                self.partials.remove(path)
            for path in left:
                remove_tree(path)
            for folder in damaged:
                self._discard(folder)
            self.pins.sweep()
        return freed

    def _discard(self, folder: Path) -> None:
        gone = self.entries.way_out()
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)
            if _is_old(gone):
                remove_tree(gone)
            else:  # somebody has just put a good one in its place
                gone.rename(folder)

    def _left(self) -> Iterator[Path]:
        """What nobody is at, and nobody can find."""
        trash = self.entries.trash
        for path in map(trash.joinpath, names_in(trash)):
            if owner_is_gone(path.name) or _is_old(path, moved=True):
                yield path
        yield from filter(_is_old, self._lost_refs())

    def _lost_refs(self) -> Iterator[Path]:
        """Refs of sources without entries."""
        for name in names_in(self.refs) if self.lost_refs_go else ():
            source = self.entries.objects / name.removesuffix(".json")
            if not name.endswith(DAMAGED) and not source.exists():
                yield self.refs / name

    def _damaged(self) -> Iterator[Path]:
        """Folders that are in an entry's place, and are none; and links in a source's."""
        for key in names_in(self.entries.objects):
            if (self.entries.objects / key).is_symlink():
                yield self.entries.objects / key
            for revision in names_in(self.entries.objects / key):
                with contextlib.suppress(OSError):  # it cannot be told
                    if self.entries.examine(key, revision) is None:
                        yield self.entries.objects / key / revision


def entry_name(entry: CacheEntry) -> str:
    """The name of an entry's folder below `objects`."""
    _, key, revision, _ = str(entry.path).rsplit("/", 3)  # a sixth of what asking the path costs
    return f"{key}/{revision}"


def _is_old(path: Path, *, moved: bool = False) -> bool:
    """Whether nothing was written there for long; or, of what was `moved`, whether it lies long."""
    try:
        status = path.lstat()
    except OSError:
        return False  # it has just gone
    since = status.st_ctime if moved else status.st_mtime
    return time.time() - since > GRACE.total_seconds()
