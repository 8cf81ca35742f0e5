"""Entries that a power cut has damaged look as they were published, and are found all the same."""

from __future__ import annotations

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from datacachalog import Catalog, Integrity, ObjectNotFoundError, Outcome, State
from datacachalog.adapters.cache import settling
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.layered import LayeredCache
from datacachalog.adapters.cache.records import RECORD
from datacachalog.adapters.cache.settling import Settling, this_boot
from datacachalog.adapters.digest import blake3_in
from datacachalog.domain.durability import Durability
from datacachalog.domain.errors import CacheError
from datacachalog.testing.cache_contract import CacheContract
from datacachalog.testing.sources import NOON, SECOND, SOURCE, described, publish

BYTES = b"id,name\n1,Ada\n"
STRICT, NONE = Durability.STRICT, Durability.NONE


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def first(root):
    """The cache, in the boot in which it is filled."""
    return DirectoryCache(root, Settling(boot="first"))


@pytest.fixture
def later(root):
    """The cache as a new process finds it, after the machine was started anew."""
    return lambda boot="second", **options: DirectoryCache(root, Settling(boot=boot, **options))


@pytest.fixture
def entry(first):
    return publish(first, BYTES, info=described(BYTES, version="v1"))


@pytest.fixture
def read(monkeypatch):
    """How often the bytes of an entry were read."""
    times, real = [], blake3_in

    def digest(fd):
        times.append(fd)
        return real(fd)

    monkeypatch.setattr(settling, "blake3_in", digest)
    return times


def lose(path: Path) -> None:
    """What a power cut does: the size and the time are there, and the bytes are zeros."""
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def record_of(entry):
    return entry.path.with_name(RECORD)


class TestStrictCache(CacheContract):
    """It keeps all that a cache promises."""

    @pytest.fixture
    def root(self, tmp_path):
        return (tmp_path / "cache").resolve()

    @pytest.fixture
    def cache(self, root):
        return DirectoryCache(root, Settling(STRICT))

    @pytest.fixture
    def reopened(self, root):
        return lambda: DirectoryCache(root, Settling(STRICT))


class TestAfterAPowerCut:
    def test_zeros_are_a_miss(self, entry, later):
        lose(entry.path)

        assert None is later().current(*SOURCE)
        assert None is later().find(*SOURCE, "v1")
        assert None is later().holding(*SOURCE, entry.digest)
        assert None is later().load(entry.path.parents[1].name, entry.revision_id, NOON)

    def test_they_are_told_from_what_never_was(self, entry, later):
        lose(entry.path)

        assert later().has_lost(*SOURCE)

    def test_they_are_read_once(self, entry, later, read):
        lose(entry.path)
        cache = later()

        for _ in range(3):
            assert None is cache.current(*SOURCE)

        assert 1 == len(read)

    def test_they_give_way_when_they_come_again(self, entry, later, read):
        lose(entry.path)
        cache = later()
        assert None is cache.current(*SOURCE)

        again = publish(cache, BYTES, at=NOON + SECOND)

        assert BYTES == again.path.read_bytes()
        assert again == cache.current(*SOURCE) == later().current(*SOURCE)
        assert 1 == len(read)

    def test_another_revision_is_not_harmed(self, entry, later, first):
        kept = publish(first, b"kept", at=NOON + SECOND)
        lose(entry.path)
        cache = later()

        assert kept == cache.current(*SOURCE)
        assert None is cache.holding(*SOURCE, entry.digest)

    def test_listing_and_housekeeping_read_no_bytes(self, entry, later, read):
        cache = later()

        assert [entry] == list(cache.entries())
        assert [entry] == [usage.entry for usage in cache.usages()]
        assert len(BYTES) == cache.size_bytes()
        assert 0 == cache.sweep(dry_run=True)

        assert [] == read

    def test_bytes_that_cannot_be_read_are_a_miss_for_now(self, entry, later, monkeypatch):
        def fail(*_):
            raise OSError(errno.EIO, "bad sector")

        cache = later()
        with monkeypatch.context() as patch:
            patch.setattr(settling, "blake3_in", fail)
            assert None is cache.current(*SOURCE)

        assert entry == cache.current(*SOURCE)


class TestWhatIsWhole:
    def test_it_is_not_read_in_the_boot_in_which_it_was_written(self, entry, later, read):
        assert entry == later("first").current(*SOURCE)
        assert [] == read

    def test_it_is_read_once_for_all(self, entry, later, read):
        for boot in ("second", "second", "third"):
            assert entry == later(boot).current(*SOURCE)

        assert 1 == len(read)

    def test_an_older_record_says_no_boot_and_is_read_once(self, entry, later, read):
        older = json.loads(record_of(entry).read_text())
        del older["boot"]
        record_of(entry).write_text(json.dumps(older))

        assert [entry, entry] == [later().current(*SOURCE), later().current(*SOURCE)]
        assert 1 == len(read)

    def test_when_it_was_used_stays(self, entry, later):
        os.utime(entry.path.parent, (1e9, 1e9))

        assert entry == later().current(*SOURCE)
        later().remove_damaged(*SOURCE)

        assert 1e9 == entry.path.parent.stat().st_mtime
        assert len(BYTES) == later().size_bytes()

    def test_nothing_of_it_changes_but_its_record(self, entry, later):
        before = record_of(entry).read_text()

        later().current(*SOURCE)

        assert {RECORD, entry.path.name} == {one.name for one in entry.path.parent.iterdir()}
        assert before + "\n" == record_of(entry).read_text()
        assert BYTES == entry.path.read_bytes()

    def test_two_that_do_it_at_once_disturb_nobody(self, entry, later, monkeypatch):
        both, real = threading.Barrier(2), blake3_in

        def digest(fd):
            both.wait(60)
            return real(fd)

        monkeypatch.setattr(settling, "blake3_in", digest)
        caches = [later(), later()]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda cache: cache.current(*SOURCE), caches))

        assert [entry, entry] == found
        assert entry == later("third").current(*SOURCE)

    def test_it_is_read_once_a_process_where_nothing_can_be_written(
        self, entry, later, read, monkeypatch
    ):
        def refuse(*_):
            raise OSError(errno.EROFS, "read-only file system")

        monkeypatch.setattr(os, "write", refuse)
        cache = later()

        for _ in range(3):
            assert entry == cache.current(*SOURCE)
            assert entry == cache.holding(*SOURCE, entry.digest)
        assert 1 == len(read)
        assert entry == later().current(*SOURCE)
        assert 2 == len(read)

    def test_it_is_not_settled_where_it_cannot_reach_the_disk(self, entry, later, read, failing):
        failing(errno.EIO)

        assert entry == later().current(*SOURCE)
        assert entry == later().current(*SOURCE)

        assert 2 == len(read)

    @pytest.mark.parametrize("boot", ["first", "second"])
    def test_verifying_settles_it(self, entry, later, read, boot):
        for _ in range(2):
            assert () == later(boot).remove_damaged(*SOURCE)

        assert entry == later("third").current(*SOURCE)
        assert [] == read
        assert record_of(entry).read_text().endswith("}\n")

    def test_verifying_still_finds_what_rots_later(self, entry, later):
        later().current(*SOURCE)
        lose(entry.path)

        assert (entry.path,) == later().remove_damaged(*SOURCE)


class TestPolicies:
    def test_none_trusts_whatever_it_finds(self, entry, later, read):
        lose(entry.path)
        cache = later(durability=NONE)

        assert entry == cache.current(*SOURCE)
        assert entry == cache.find(*SOURCE, "v1")
        assert [] == read

    def test_none_writes_what_others_do_not_trust(self, later, read):
        entry = publish(later("first", durability=NONE), BYTES)

        later("first", durability=NONE).remove_damaged(*SOURCE)

        assert entry == later().current(*SOURCE)
        assert 1 == len(read)

    def test_strict_writes_what_nobody_reads_again(self, later, read):
        entry = publish(later("first", durability=STRICT), BYTES)

        assert entry == later().current(*SOURCE) == later(durability=STRICT).current(*SOURCE)
        assert [] == read

    def test_strict_does_not_trust_what_lazy_wrote_in_another_boot(self, entry, later):
        lose(entry.path)

        assert None is later(durability=STRICT).current(*SOURCE)

    def test_strict_settles_what_another_process_published_first(self, entry, later, read):
        again = publish(
            later("first", durability=STRICT), BYTES, info=described(BYTES, version="v1")
        )

        assert entry == again == later().current(*SOURCE)
        assert [] == read

    def test_strict_hands_out_no_copy_of_another_process_that_cannot_be_synced(
        self, entry, later, failing
    ):
        failing(errno.EIO, lambda path: path == entry.path)

        with pytest.raises(CacheError):
            publish(later("first", durability=STRICT), BYTES, info=described(BYTES, version="v1"))

    def test_lazy_is_strict_where_the_system_tells_no_boot(self, later, read):
        entry = publish(later(""), BYTES)

        assert entry == later("").current(*SOURCE) == later().current(*SOURCE)
        assert [] == read
        assert record_of(entry).read_text().endswith("}\n")

    def test_there_what_others_wrote_is_read_once(self, entry, later, read):
        assert [entry, entry] == [later("").current(*SOURCE), later("").current(*SOURCE)]
        assert 1 == len(read)

    def test_this_boot_is_the_systems(self):
        place = Path("/proc/sys/kernel/random/boot_id")
        if not place.exists():
            pytest.skip("this system tells no boot")

        assert place.read_text().strip() == this_boot() == Settling().boot

    def test_a_system_that_tells_no_boot_has_none(self, monkeypatch, tmp_path):
        monkeypatch.setattr(settling, "_BOOT_ID", tmp_path / "boot_id")
        this_boot.cache_clear()
        try:
            assert "" == this_boot()
            assert Settling().is_strict
        finally:
            this_boot.cache_clear()


@pytest.fixture
def failing(monkeypatch):
    """Has fsync fail, of those that are asked for; all are noted."""
    real, synced = os.fsync, []

    def fail(number, which=lambda _: True):
        def fsync(fd):
            synced.append(Path(f"/proc/self/fd/{fd}").readlink())
            if which(synced[-1]):
                raise OSError(number, os.strerror(number))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        return synced

    return fail


class TestStrict:
    @pytest.fixture
    def strict(self, later):
        return later("first", durability=STRICT)

    @pytest.mark.parametrize("which", ["file", "record", "folder"])
    def test_nothing_is_published_that_cannot_be_synced(self, strict, failing, which):
        kept = publish(strict, b"kept")
        failing(
            errno.EIO,
            {
                "file": lambda path: path.name == kept.path.name,
                "record": lambda path: path.name == RECORD,
                "folder": lambda path: path.parent.name == "partial" and path.is_dir(),
            }[which],
        )

        with pytest.raises(CacheError) as caught:
            publish(strict, BYTES, at=NOON + SECOND)

        assert str(strict.root) == caught.value.path
        assert [kept] == list(strict.entries())
        assert kept == strict.current(*SOURCE)
        assert [] == list(strict.partial.iterdir())

    @pytest.mark.parametrize("which", ["objects", "refs"])
    def test_nothing_is_current_whose_name_cannot_be_synced(self, strict, failing, which):
        failing(errno.EIO, lambda path: path.name == which)

        with pytest.raises(CacheError):
            publish(strict, BYTES)

        assert (which == "refs") == (strict.current(*SOURCE) is not None)

    def test_a_file_system_that_syncs_no_folders_is_borne(self, strict, failing):
        failing(errno.EINVAL, Path.is_dir)

        assert publish(strict, BYTES) == strict.current(*SOURCE)

    def test_a_folder_above_that_may_not_be_read_is_borne(self, strict, failing, root):
        synced = failing(errno.EACCES, lambda path: path == root.parent)

        assert publish(strict, BYTES) == strict.current(*SOURCE)
        assert {root, *root.parents} <= set(synced)

    def test_folders_above_are_synced_once(self, strict, failing, root):
        publish(strict, b"1")
        synced = failing(errno.EIO, lambda _: False)

        publish(strict, BYTES, at=NOON + SECOND)

        assert strict.objects in synced
        assert root not in synced

    def test_lazy_and_none_sync_nothing(self, later, failing, entry):
        synced = failing(errno.EIO)

        publish(later("first"), b"1", at=NOON + SECOND)
        publish(later("first", durability=NONE), b"2", at=NOON + 2 * SECOND)
        later("second", durability=NONE).remove_damaged(*SOURCE)

        assert [] == synced


class TestLayers:
    @pytest.fixture
    def cache(self, root, tmp_path):
        """On top of what `entry` is in, after the machine was started anew."""
        return LayeredCache(tmp_path / "upper", [root], Settling(boot="second"))

    def test_what_a_power_cut_left_in_a_layer_is_a_miss(self, cache, entry):
        lose(entry.path)

        assert None is cache.current(*SOURCE)
        assert None is cache.find(*SOURCE, "v1")
        assert None is cache.holding(*SOURCE, entry.digest)
        assert cache.has_lost(*SOURCE)

    def test_it_comes_again_into_the_cache_above(self, cache, entry):
        lose(entry.path)

        again = publish(cache, BYTES, at=NOON + SECOND)

        assert again == cache.current(*SOURCE)
        assert cache.root in again.path.parents

    def test_what_is_whole_is_read_once_and_not_written_to(self, cache, entry, read):
        before = record_of(entry).read_text()

        for _ in range(3):
            assert entry == cache.current(*SOURCE)
        assert () == cache.remove_damaged(*SOURCE)

        assert 1 == len(read)
        assert before == record_of(entry).read_text()

    def test_what_was_published_strictly_is_not_read(self, cache, later, read):
        entry = publish(later("first", durability=STRICT), BYTES)

        assert entry == cache.current(*SOURCE)
        assert [] == read


class TestCatalog:
    """Everything that hands out a copy, or says that there is one."""

    @pytest.fixture
    def boot(self, monkeypatch, tmp_path):
        """Starts the machine anew, as far as a cache can tell."""

        def start(name):
            (tmp_path / "boot_id").write_text(f"{name}\n")
            this_boot.cache_clear()

        monkeypatch.setattr(settling, "_BOOT_ID", tmp_path / "boot_id")
        start("first")
        yield start
        this_boot.cache_clear()

    @pytest.fixture
    def catalog(self, boot, tmp_path):
        text = "version: 1\ncache: {dir: cache}\ndatasets: {a: {source: a.csv, freshness: 1h}}\n"
        (tmp_path / "catalog.yaml").write_text(text)
        (tmp_path / "a.csv").write_bytes(BYTES)
        return partial(Catalog.open, tmp_path)

    @pytest.fixture
    def lost(self, catalog, boot):
        """A copy that a power cut has damaged."""
        path = catalog().fetch("a")
        catalog().lock()
        lose(path)
        boot("second")
        return path

    def test_it_is_fetched_again(self, catalog, lost, read):
        found = catalog().obtain("a")

        assert (Outcome.DOWNLOADED, BYTES) == (found.outcome, found.path.read_bytes())
        assert Outcome.CACHED is catalog().obtain("a").outcome
        assert 1 == len(read)

    def test_it_is_fetched_again_by_the_lockfile(self, catalog, lost):
        assert BYTES == catalog().fetch("a", locked=True).read_bytes()

    def test_it_is_said_to_be_absent(self, catalog, lost):
        assert [State.ABSENT] == [one.state for one in catalog().status()]
        assert "damaged" in str(catalog().why("a"))

    def test_it_is_not_served_where_nothing_can_be_fetched(self, catalog, lost, tmp_path):
        (tmp_path / "a.csv").unlink()

        with pytest.raises(ObjectNotFoundError):
            catalog().fetch("a")

    def test_it_is_found_and_repaired_by_verifying(self, catalog, lost):
        (found,) = catalog().verify(repair=True)

        assert (Integrity.REPAIRED, (lost,)) == (found.integrity, found.damaged)
        assert BYTES == lost.read_bytes()

    def test_what_is_whole_is_served_after_one_look(self, catalog, boot, read):
        path = catalog().fetch("a")
        boot("second")

        for _ in range(3):
            found = catalog().obtain("a")
            assert (Outcome.CACHED, path) == (found.outcome, found.path)

        assert 1 == len(read)

    def test_what_is_pushed_is_synced_too(self, catalog, boot, tmp_path, read):
        text = (tmp_path / "catalog.yaml").read_text()
        strictly = text.replace("dir: cache", "dir: cache, durability: strict")
        (tmp_path / "catalog.yaml").write_text(strictly)
        (tmp_path / "new.csv").write_bytes(b"new")

        pushed = catalog().push("a", tmp_path / "new.csv", expect="any")
        boot("second")

        assert b"new" == catalog().fetch("a").read_bytes()
        assert pushed.entry.path == catalog().fetch("a")
        assert [] == read
