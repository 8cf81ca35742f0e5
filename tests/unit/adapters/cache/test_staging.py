"""What publishing does where somebody keeps getting in its way."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import EntryFolders
from datacachalog.adapters.cache.owners import _machine
from datacachalog.adapters.cache.partials import Partials
from datacachalog.adapters.cache.staging import DirectoryStaging
from datacachalog.domain.errors import CacheError
from datacachalog.testing.sources import NOON, SOURCE, described
from tests.unit.adapters.other_processes import on_a_full_disk


class Thief(EntryFolders):
    """Has somebody remove the file of an entry just after it was looked at."""

    def examine(self, key, revision, checked_at=None):
        entry = super().examine(key, revision, checked_at)
        if entry is not None:
            entry.path.unlink()
        return entry


class Vandal(EntryFolders):
    """Has somebody damage an entry anew whenever what is left of it was discarded."""

    def discard(self, folder, seen):
        super().discard(folder, seen)
        folder.mkdir()
        (folder / "junk").write_text("junk")


@pytest.fixture
def cache(tmp_path):
    return DirectoryCache(tmp_path / "cache")


@pytest.fixture
def stage(cache):
    """Makes a staging whose file is written, among entries that somebody else is at."""
    cache.prepare()

    def stage(other=EntryFolders):
        entries = other(cache.objects, cache.trash)
        place = cache.place(*SOURCE)
        staging = DirectoryStaging(entries, Partials(cache.partial), place, cache)
        staging.path.parent.mkdir()
        staging.path.write_bytes(b"1")
        return opened.enter_context(staging)

    with ExitStack() as opened:
        yield stage


def publish(staging):
    return staging.publish(described(b"1"), checked_at=NOON, current=True)


def test_who_is_always_damaged_gives_up(stage):
    target = publish(stage()).path.parent
    shutil.rmtree(target)
    target.mkdir()
    (target / "junk").write_text("junk")
    staging = stage(Vandal)

    with pytest.raises(CacheError, match="keeps damaging"):
        publish(staging)


def test_an_entry_that_goes_while_it_is_looked_at_is_published_again(stage):
    publish(stage())

    assert b"1" == publish(stage(Thief)).path.read_bytes()


@pytest.mark.parametrize("problem", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
def test_an_entry_that_cannot_be_read_just_now_stays(stage, monkeypatch, problem):
    """Its path was handed out: somebody may be reading it."""
    entry = publish(stage())
    before, really_open = entry.path.stat(), os.open

    def failing(path, *args, **options):
        if str(path).endswith(".entry.json") and "objects" in str(path):
            raise OSError(problem, os.strerror(problem))
        return really_open(path, *args, **options)

    late = stage()
    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(CacheError):
        publish(late)

    after = entry.path.stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


def test_a_folder_that_is_taken_away_is_told(stage):
    staging = stage()
    shutil.rmtree(staging.path.parent)

    with pytest.raises(CacheError, match="No such file"):
        publish(staging)


def test_a_cache_whose_folders_are_on_two_disks_is_told(cache):
    program = """
        import sys
        from pathlib import Path
        from datacachalog import CacheError
        from datacachalog.adapters.cache.directory import DirectoryCache
        from datacachalog.testing.sources import publish
        try:
            publish(DirectoryCache(Path(sys.argv[1]).parents[1]), b"1")
        except CacheError as error:
            print(error.detail)
        """
    cache.prepare()

    assert ["Invalid cross-device link"] == on_a_full_disk(program, cache.objects, size_kib=256)


def test_a_system_without_containers_has_names_too(monkeypatch):
    def refuse(path, **_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "stat", refuse)

    assert f"{os.uname().nodename}.0." == _machine.__wrapped__()
