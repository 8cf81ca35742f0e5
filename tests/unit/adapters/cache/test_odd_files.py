"""Whatever is found in the folder of a cache that should not be there is a miss, never a crash."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.records import ref_json, to_ns
from datacachalog.domain.errors import CacheError
from datacachalog.domain.uri import Uri
from datacachalog.testing.sources import NOON, SECOND, SOURCE, described, publish, source

OTHER = source(Uri("s3", "lake", "customers/customers.csv"))


@pytest.fixture
def cache(tmp_path):
    return DirectoryCache(tmp_path / "cache")


@pytest.fixture
def again(tmp_path):
    """The same cache, opened by another process."""
    return DirectoryCache(tmp_path / "cache")


def now():
    return datetime.now(UTC)


@pytest.fixture
def ref(cache):
    """The ref of one published entry."""
    publish(cache, b"first")
    [ref] = cache.refs.iterdir()
    return ref


def _garbage(ref):
    ref.write_bytes(b"\0 garbage")


def _empty(ref):
    """As after a power cut."""
    os.truncate(ref, 0)


def _zeros(ref):
    """As after a power cut, on another file system."""
    ref.write_bytes(bytes(ref.stat().st_size))


def _of_nobody(ref):
    ref.write_text(ref_json(SOURCE[0], "0" * 16))


def _of_another_source(ref):
    ref.write_text(ref_json(OTHER[0], json.loads(ref.read_text())["revision"]))


def _of_the_future_format(ref):
    ref.write_text(json.dumps(json.loads(ref.read_text()) | {"format": 2}))


def _a_link(ref):
    ref.rename(ref.with_name("real"))
    ref.symlink_to("real")


def _a_huge_file(ref):
    os.truncate(ref, 1 << 30)


def _a_pipe(ref):
    ref.unlink()
    os.mkfifo(ref)


odd_refs = pytest.mark.parametrize(
    "spoil",
    [
        _garbage,
        _empty,
        _zeros,
        _of_nobody,
        _of_another_source,
        _of_the_future_format,
        _a_link,
        _a_huge_file,
        _a_pipe,
    ],
)


class TestOddRefs:
    @odd_refs
    def test_an_odd_ref_is_a_miss(self, again, ref, spoil):
        spoil(ref)

        assert None is again.current(*SOURCE)
        assert 1 == len(list(again.entries()))

    @odd_refs
    def test_an_odd_ref_is_replaced_by_the_next_fetch(self, again, ref, spoil):
        spoil(ref)

        entry = publish(again, b"first", at=now() + SECOND)

        assert entry == again.current(*SOURCE)

    @odd_refs
    def test_an_odd_ref_goes_when_the_cache_is_cleared(self, again, ref, spoil):
        spoil(ref)

        again.clear()

        assert not os.path.lexists(ref)

    def test_a_folder_in_place_of_a_ref_is_a_miss_and_an_error_to_fetch(self, again, ref):
        ref.unlink()
        ref.mkdir()

        assert None is again.current(*SOURCE)
        with pytest.raises(CacheError):
            publish(again, b"first", at=now() + SECOND)
        assert [ref] == list(again.refs.iterdir())

    def test_a_ref_from_the_future_does_not_stay(self, cache, ref):
        entry = cache.current(*SOURCE)
        tomorrow_ns = to_ns(now() + timedelta(days=365))
        os.utime(ref, ns=(tomorrow_ns, tomorrow_ns))
        at = now()

        cache.confirm(entry, at)

        assert replace(entry, checked_at=at) == cache.current(*SOURCE)

    def test_a_ref_from_the_future_gives_way_to_a_new_revision(self, cache, ref):
        tomorrow_ns = to_ns(now() + timedelta(days=1))
        os.utime(ref, ns=(tomorrow_ns, tomorrow_ns))

        new = publish(cache, b"new", at=now())

        assert new == cache.current(*SOURCE)


class TestOddEntries:
    def test_a_record_that_was_copied_from_another_source_is_a_miss(self, cache):
        mine, theirs = publish(cache, b"1"), publish(cache, b"2", into=OTHER)
        shutil.copy(theirs.path.with_name(".entry.json"), mine.path.with_name(".entry.json"))

        assert None is DirectoryCache(cache.root).current(*SOURCE)
        assert [theirs] == list(DirectoryCache(cache.root).entries())

    def test_a_record_that_was_copied_from_another_revision_is_a_miss(self, cache):
        old = publish(cache, b"1")
        new = publish(cache, b"2", at=NOON + SECOND)
        shutil.copy(old.path.with_name(".entry.json"), new.path.with_name(".entry.json"))

        assert None is DirectoryCache(cache.root).current(*SOURCE)

    def test_a_folder_that_was_copied_to_another_source_is_a_miss(self, cache):
        mine, theirs = publish(cache, b"1"), publish(cache, b"2", into=OTHER)
        shutil.copytree(theirs.path.parent, mine.path.parents[1] / theirs.revision_id)

        assert {mine, theirs} == set(DirectoryCache(cache.root).entries())

    @pytest.mark.parametrize("text", ["", "{}", "null", '{"format": 1, "identity": "\\ud800"}'])
    def test_an_entry_with_an_odd_record_is_published_again(self, cache, text):
        publish(cache, b"1").path.with_name(".entry.json").write_text(text)
        again = DirectoryCache(cache.root)

        assert None is again.current(*SOURCE)
        assert [] == list(again.entries())
        entry = publish(again, b"1", at=NOON + SECOND)

        assert entry == again.current(*SOURCE)
        assert b"1" == entry.path.read_bytes()

    def test_a_record_that_is_a_link_is_a_miss(self, cache, tmp_path):
        record = publish(cache, b"1").path.with_name(".entry.json")
        record.rename(tmp_path / "record")
        record.symlink_to(tmp_path / "record")

        assert None is DirectoryCache(cache.root).current(*SOURCE)

    def test_an_entry_that_is_empty_is_published_into(self, cache):
        folder = publish(cache, b"1").path.parent
        shutil.rmtree(folder)
        folder.mkdir()

        assert b"1" == publish(cache, b"1", at=NOON + SECOND).path.read_bytes()

    def test_a_file_in_place_of_an_entry_gives_way(self, cache):
        folder = publish(cache, b"1").path.parent
        shutil.rmtree(folder)
        folder.write_text("a file")

        assert b"1" == publish(cache, b"1", at=NOON + SECOND).path.read_bytes()
        assert [] == list(cache.trash.iterdir())

    def test_a_file_in_place_of_a_source_goes_when_the_cache_is_cleared(self, cache):
        folder = publish(cache, b"1").path.parents[1]
        shutil.rmtree(folder)
        folder.write_text("a file")

        with pytest.raises(CacheError):
            publish(cache, b"1", at=NOON + SECOND)
        assert len("a file") == cache.clear()

        assert b"1" == publish(cache, b"1", at=NOON + SECOND).path.read_bytes()
        assert [] == list(cache.trash.iterdir())

    def test_bytes_that_rotted_give_way_when_they_come_again(self, cache):
        path = publish(cache, b"first").path
        status = path.stat()
        path.chmod(0o644)
        path.write_bytes(b"worst")
        os.utime(path, ns=(0, status.st_mtime_ns))

        entry = publish(cache, b"first", at=NOON + SECOND)

        assert b"first" == entry.path.read_bytes()
        assert entry == cache.current(*SOURCE)

    def test_strange_files_do_not_matter(self, cache):
        entry = publish(cache, b"1")
        for folder in (cache.objects, entry.path.parents[1], cache.refs, cache.partial):
            (folder / ".DS_Store").write_text("strange")

        assert [entry] == list(cache.entries())
        assert 1 + 2 * len("strange") == cache.clear()  # what is not ours goes too

    def test_versions_are_found_by_their_records(self, cache):
        old = publish(cache, b"1", info=described(b"1", version="v1"))
        publish(cache, b"2", info=described(b"2", version="v2"), at=NOON + SECOND)

        found = DirectoryCache(cache.root).find(*SOURCE, "v1")

        assert old == found


class TestAFileInPlaceOfTheCache:
    @pytest.fixture
    def cache(self, tmp_path):
        (tmp_path / "cache").write_text("a file")
        return DirectoryCache(tmp_path / "cache")

    def test_the_error_names_what_was_asked_for(self, cache, tmp_path):
        (tmp_path / "mine").write_bytes(b"1")

        with pytest.raises(CacheError) as caught, cache.staging(*SOURCE) as staging:
            staging.copy_from(tmp_path / "mine")

        assert str(cache.root) == caught.value.path

    def test_it_is_not_cleared(self, cache):
        with pytest.raises(CacheError):
            cache.clear()

        assert "a file" == cache.root.read_text()
