from __future__ import annotations

import os
import shutil

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.records import to_ns
from datacachalog.domain.uri import Uri
from datacachalog.testing.cache_contract import CacheContract
from datacachalog.testing.sources import NOON, SECOND, SOURCE, publish, source

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


class TestSharedDirectoryCache(CacheContract):
    """With those in it who may write to it, it is a directory cache."""

    @pytest.fixture
    def cache(self, tmp_path):
        return DirectoryCache(tmp_path / "cache", shared=True)

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "cache", shared=True)

    @pytest.fixture
    def root(self, tmp_path):
        return (tmp_path / "cache").resolve()


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

    def test_what_is_written_there_by_others_stays(self, cache, root):
        root.mkdir()
        (root / ".gitignore").write_text("mine")

        cache.prepare()

        assert "mine" == (root / ".gitignore").read_text()

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
        told = cache.space().free_bytes
        publish(cache, b"1")

        assert 0 < told <= shutil.disk_usage(root).total
        assert 0 < cache.space().free_bytes

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

    def test_what_another_process_healed_is_found(self, cache, again, ref):
        entry = cache.current(*SOURCE)
        assert entry is not None
        entry.path.unlink()

        publish(again, b"first", current=False)

        healed = cache.current(*SOURCE)
        assert healed is not None
        assert b"first" == healed.path.read_bytes()

    @pytest.mark.parametrize("forget", ["forget", "clear"])
    def test_a_new_ref_is_not_taken_for_one_that_is_gone(self, cache, forget):
        """Of the same size, at the same time, and often with the same inode."""
        for data in (b"one", b"two") * 3:
            entry = publish(cache, data)
            assert entry == cache.current(*SOURCE)
            cache.forget(*SOURCE) if forget == "forget" else cache.clear()

    def test_sources_do_not_share_what_is_remembered(self, cache, ref):
        cache.current(*SOURCE)

        assert None is cache.current(*OTHER)
        assert None is cache.current(f"other {SOURCE[0]}", SOURCE[1])
