"""What publishing does where somebody keeps getting in its way."""

from __future__ import annotations

import shutil

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import EntryFolders
from datacachalog.adapters.cache.staging import DirectoryStaging
from datacachalog.domain.errors import CacheError
from datacachalog.testing.sources import NOON, SOURCE, described


class Vandal(EntryFolders):
    """Has somebody damage an entry anew whenever what is left of it was discarded."""

    def discard(self, folder):
        super().discard(folder)
        folder.mkdir()
        (folder / "junk").write_text("junk")


@pytest.fixture
def cache(tmp_path):
    return DirectoryCache(tmp_path / "cache")


@pytest.fixture
def staging(cache):
    """A staging whose file is written."""
    cache.prepare()
    entries = Vandal(cache.objects, cache.trash)
    place = cache.place(*SOURCE)
    staging = DirectoryStaging(entries, str(cache.partial), place, cache.point)
    staging.path.parent.mkdir()
    staging.path.write_bytes(b"1")
    yield staging
    staging.drop()


def publish(staging):
    return staging.publish(described(b"1"), checked_at=NOON, current=True)


def test_who_is_always_damaged_gives_up(cache, staging):
    target = publish(staging).path.parent
    shutil.rmtree(target)
    target.mkdir()
    (target / "junk").write_text("junk")
    staging.path.parent.mkdir()
    staging.path.write_bytes(b"1")

    with pytest.raises(CacheError, match="keeps damaging"):
        publish(staging)


def test_a_folder_that_is_taken_away_is_told(cache, staging):
    shutil.rmtree(staging.path.parent)

    with pytest.raises(CacheError, match="No such file"):
        publish(staging)
