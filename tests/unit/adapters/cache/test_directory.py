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
from datacachalog.testing.cache_contract import CacheContract
from datacachalog.testing.sources import NOON, SECOND, SOURCE, described, publish, source

OTHER = source(Uri("s3", "lake", "customers/customers.csv"))
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir/


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def cache(root):
    return DirectoryCache(root)


@pytest.fixture
def again(root):
    """The same cache, opened by another process."""
    return DirectoryCache(root)


class TestDirectoryCache(CacheContract):
    @pytest.fixture
    def cache(self, tmp_path):
        return DirectoryCache(tmp_path / "cache")

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "cache")

    @pytest.fixture
    def root(self, tmp_path):
        return (tmp_path / "cache").resolve()


def now():
    return datetime.now(UTC)


def the_only(folder):
    """The path of the one thing in a folder."""
    [path] = folder.iterdir()
    return path


@pytest.fixture
def ref(cache):
    """The ref of one published entry."""
    publish(cache, b"first")
    return the_only(cache.refs)


class TestLayout:
    def test_an_entry_is_in_a_folder_of_its_source_and_one_of_its_revision(self, cache, root):
        entry = publish(cache, b"1")

        assert root / "v1" / "objects" == entry.path.parents[2]
        assert entry.path.parents[1].name.startswith("customers.parquet-")
        assert entry.revision_id == entry.path.parent.name
        assert {"customers.parquet", ".entry.json"} == {p.name for p in entry.path.parent.iterdir()}

    @pytest.mark.parametrize("use", ["publish", "alone"])
    def test_backups_and_git_are_told_to_leave_it_out(self, cache, root, use):
        if use == "publish":
            publish(cache, b"1")
        else:
            with cache.alone(*SOURCE, wait=SECOND):
                """Nothing more."""

        assert SIGNATURE == (root / "CACHEDIR.TAG").read_text().splitlines()[0]
        assert "*\n" == (root / ".gitignore").read_text()

    def test_nothing_stays_that_was_only_on_its_way(self, cache):
        for number in range(3):
            publish(cache, bytes([number]), at=NOON + number * SECOND)

        assert ([], []) == (list(cache.partial.iterdir()), list(cache.trash.iterdir()))
        assert 1 == len(list(cache.refs.iterdir()))

    def test_looking_makes_nothing(self, cache, root):
        cache.current(*SOURCE)
        cache.find(*SOURCE, "v1")
        cache.forget(*SOURCE)
        assert 0 == cache.clear()
        assert [] == list(cache.entries())

        assert not root.exists()

    @pytest.mark.parametrize(
        ("umask", "file_mode", "folder_mode"),
        [(0o022, 0o444, 0o755), (0o002, 0o444, 0o775), (0o077, 0o400, 0o700)],
    )
    def test_modes_are_those_the_user_wants(self, cache, umask, file_mode, folder_mode):
        before = os.umask(umask)
        try:
            path = publish(cache, b"1").path
        finally:
            os.umask(before)

        assert file_mode == path.stat().st_mode & 0o777
        assert {folder_mode} == {folder.stat().st_mode & 0o777 for folder in path.parents[:4]}

    def test_the_room_that_is_left_is_told(self, cache, root):
        told = cache.free_bytes()
        publish(cache, b"1")

        assert 0 < told <= shutil.disk_usage(root).total
        assert 0 < cache.free_bytes()

    def test_nothing_secret_is_written_down(self, cache, root):
        uri = Uri("https", "host", "a.csv?signature=secret")

        publish(cache, b"1", into=("https://host/a.csv", uri))

        files = [path.read_text() for path in root.rglob("*") if path.is_file()]
        assert [] == [text for text in files if "secret" in text]


class TestMemory:
    """What a cache remembers of its refs is only believed while the ref is the same file."""

    def test_a_second_look_reads_no_file(self, cache, ref):
        first = cache.current(*SOURCE)

        assert first is cache.current(*SOURCE)

    def test_a_ref_that_another_process_replaced_is_read_again(self, cache, again, ref):
        cache.current(*SOURCE)

        new = publish(again, b"other", at=NOON + SECOND)

        assert ref.stat().st_size == the_only(cache.refs).stat().st_size
        assert new == cache.current(*SOURCE)

    def test_a_ref_that_another_process_replaced_at_the_same_time_is_read_again(
        self, cache, again, ref
    ):
        cache.current(*SOURCE)

        new = publish(again, b"other")

        assert new == cache.current(*SOURCE)

    def test_a_confirmation_by_another_process_is_seen(self, cache, ref):
        cache.current(*SOURCE)
        at_ns = to_ns(NOON + SECOND)

        os.utime(ref, ns=(at_ns, at_ns))

        found = cache.current(*SOURCE)
        assert found is not None
        assert NOON + SECOND == found.checked_at

    def test_what_was_damaged_since_is_a_miss(self, cache, ref):
        entry = cache.current(*SOURCE)
        assert entry is not None

        os.utime(entry.path, ns=(0, 0))

        assert None is cache.current(*SOURCE)

    def test_sources_do_not_share_what_is_remembered(self, cache, ref):
        cache.current(*SOURCE)

        assert None is cache.current(*OTHER)
        assert None is cache.current(f"other {SOURCE[0]}", SOURCE[1])


def _garbage(ref):
    ref.write_bytes(b"\0 garbage")


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
        cache.clear()

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
        assert 1 == cache.clear()

    def test_versions_are_found_by_their_records(self, cache):
        old = publish(cache, b"1", info=described(b"1", version="v1"))
        publish(cache, b"2", info=described(b"2", version="v2"), at=NOON + SECOND)

        found = DirectoryCache(cache.root).find(*SOURCE, "v1")

        assert old == found
