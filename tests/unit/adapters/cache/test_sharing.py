"""One folder, used by several processes and users, on disks that are full or may not be written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from datacachalog import Catalog, Dataset
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.owners import owned_name, owner_is_gone
from datacachalog.domain.errors import CacheFullError
from datacachalog.testing.payloads import payload, seed_of
from datacachalog.testing.sources import NOON, SECOND, SOURCE, described, publish
from tests.unit.adapters.other_processes import as_nobody, on_a_full_disk, open_folder

__all__ = ["open_folder"]


@pytest.fixture
def cache(tmp_path):
    return DirectoryCache(tmp_path / "cache")


@pytest.fixture
def shared(open_folder):
    """A cache in a folder that every user can look into."""
    return DirectoryCache(open_folder / "cache")


@pytest.fixture
def read_only(shared):
    """A cache that holds one entry, and may only be read by whom tests run as others."""
    publish(shared, b"first")
    folders = [path for path in shared.root.rglob("*") if path.is_dir()]
    for folder in (*folders, shared.root):
        folder.chmod(0o555)
    yield shared
    for folder in (shared.root, *folders):
        folder.chmod(0o755)


class TestReadOnlyCaches:
    def test_what_is_cached_is_served_and_confirmed(self, read_only):
        program = """
            cache = DirectoryCache(Path(sys.argv[1]))
            with cache.alone(*SOURCE, SECOND) as alone:
                entry = cache.current(*SOURCE)
            confirmed = cache.confirm(entry, NOON + SECOND)
            print(alone, entry.path.read_text())
            print(confirmed.checked_at == NOON + SECOND, cache.current(*SOURCE).checked_at == NOON)
            """

        assert ["False first", "True True"] == as_nobody(program, read_only.root)

    def test_what_has_to_write_says_that_it_may_not(self, read_only):
        program = """
            cache = DirectoryCache(Path(sys.argv[1]))
            entry = cache.current(*SOURCE)
            second = ObjectInfo(URI, 5, etag='"second"')
            print(attempt(lambda: publish(cache, entry.path, second)))
            print(attempt(lambda: publish(cache, entry.path, entry.info)))
            print(attempt(lambda: cache.forget(*SOURCE)))
            print(attempt(lambda: cache.clear()))
            print(cache.current(*SOURCE).path.read_text())
            """

        told = as_nobody(program, read_only.root)

        assert [*["CachePermissionError"] * 4, "first"] == told

    def test_a_fetch_of_what_is_not_cached_is_refused(self, read_only, open_folder):
        (open_folder / "cold.csv").write_text("cold")
        program = """
            folder, root = map(Path, sys.argv[1:])
            catalog = Catalog([Dataset("cold", folder / "cold.csv")], cache_dir=root)
            try:
                catalog.fetch("cold")
            except CachePermissionError as error:
                print(error.detail)
            """

        assert ["Permission denied"] == as_nobody(program, open_folder, read_only.root)

    def test_a_fetch_of_what_is_current_serves_it(self, open_folder):
        (open_folder / "warm.csv").write_text("warm")
        root = open_folder / "cache"
        dataset = Dataset("warm", open_folder / "warm.csv")
        Catalog([dataset], cache_dir=root, cache_shared=True).fetch("warm")
        root.chmod(0o755)
        for path in root.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        program = """
            folder, root = map(Path, sys.argv[1:])
            for shared in (False, True):
                datasets = [Dataset("warm", folder / "warm.csv")]
                catalog = Catalog(datasets, cache_dir=root, cache_shared=shared)
                print(catalog.obtain("warm").outcome.value)
            """

        assert ["unchanged"] * 2 == as_nobody(program, open_folder, root)

    def test_one_that_may_not_be_looked_into_is_not_taken_for_an_empty_one(self, read_only):
        for folder in (read_only.objects, read_only.refs, read_only.partial):
            folder.chmod(0o700)
        program = """
            cache = DirectoryCache(Path(sys.argv[1]))
            print(attempt(lambda: list(cache.entries())), attempt(lambda: cache.clear()))
            """

        assert [" ".join(["CachePermissionError"] * 2)] == as_nobody(program, read_only.root)

    def test_one_that_is_damaged_is_told_from_one_that_may_not_be_read(self, read_only):
        program = """
            cache = DirectoryCache(Path(sys.argv[1]))
            print(attempt(lambda: cache.remove_damaged(*SOURCE)))
            """
        path = read_only.current(*SOURCE).path
        status = path.stat()

        path.chmod(0o600)
        assert ["CachePermissionError"] == as_nobody(program, read_only.root)

        path.chmod(0o644)
        path.write_bytes(b"First")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert ["IntegrityError"] == as_nobody(program, read_only.root)


class TestSharedCaches:
    def test_what_another_user_does_is_remembered(self, shared):
        """Who may write to the folders, but owns none of the files."""
        shared = DirectoryCache(shared.root, shared=True)
        publish(shared, b"first")
        for folder in (shared.root, *shared.root.rglob("*")):
            if folder.is_dir():
                folder.chmod(0o777)
        program = """
            cache, at = DirectoryCache(Path(sys.argv[1]), shared=True), NOON + SECOND
            entry = cache.current(*SOURCE)
            cache.confirm(entry, at)
            print(DirectoryCache(cache.root, shared=True).current(*SOURCE).checked_at == at)
            print(publish(cache, entry.path, entry.info, at + SECOND) == cache.current(*SOURCE))
            new = publish(cache, entry.path, ObjectInfo(URI, 5, etag='"new"'), at + 2 * SECOND)
            print(new.info.etag)
            """

        assert ["True", "True", '"new"'] == as_nobody(program, shared.root)
        found = shared.current(*SOURCE)
        assert ('"new"', NOON + 3 * SECOND) == (found.info.etag, found.checked_at)


FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import CacheFullError
storage, cache = MemoryStorage(), DirectoryCache(Path(sys.argv[1]))
clock, datasets = lambda: datetime.now(UTC), [Dataset("a", "mem://lake/a")]
catalog = CoreCatalog(datasets, storage=storage, cache=cache, clock=clock)
storage.put(catalog["a"].source, bytes({small}))
path = catalog.fetch("a")
storage.put(catalog["a"].source, bytes({big}))
try:
    catalog.fetch("a", refresh=True)
except CacheFullError as error:
    print("full")
print(path == cache.current(storage.identity(catalog["a"].source), catalog["a"].source).path)
print(path.stat().st_size, len(list(cache.partial.iterdir())), len(list(cache.entries())))
"""


class TestFullDisks:
    def test_a_full_disk_is_told_and_leaves_the_former_copy(self, tmp_path):
        told = on_a_full_disk(FILL.format(small=50_000, big=300_000), tmp_path, size_kib=256)

        assert ["full", "True", "50000 0 1"] == told

    def test_a_disk_too_full_for_a_record_is_told(self, tmp_path):
        """The file fits exactly; what describes it does not."""
        program = """
            import sys
            from datetime import UTC, datetime
            from pathlib import Path
            from datacachalog import CacheFullError, ObjectInfo, Uri
            from datacachalog.adapters.cache.directory import DirectoryCache
            cache, uri = DirectoryCache(Path(sys.argv[1])), Uri("s3", "lake", "a")
            cache.prepare()
            with cache.staging("a", uri) as staging:
                staging.path.parent.mkdir()
                size = staging.path.write_bytes(bytes(cache.space().free_bytes))
                info, now = ObjectInfo(uri, size), datetime.now(UTC)
                try:
                    staging.publish(info, checked_at=now, current=True)
                except CacheFullError:
                    print("full")
            print(len(list(cache.partial.iterdir())), len(list(cache.entries())))
            """

        assert ["full", "0 0"] == on_a_full_disk(program, tmp_path, size_kib=256)

    def test_a_quota_is_told_as_a_full_disk(self, cache, tmp_path):
        source, limits = tmp_path / "source", resource.getrlimit(resource.RLIMIT_FSIZE)
        source.write_bytes(bytes(2_000_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
        try:
            with pytest.raises(CacheFullError), cache.staging(*SOURCE) as staging:
                staging.copy_from(source)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        assert [] == list(cache.partial.iterdir())


def _publish_many(root, process):
    cache, seen = DirectoryCache(root), set()
    for number in range(20):
        seed = number // 2 if process % 2 else number
        entry = publish(cache, payload(seed, 20_000), at=NOON + number * SECOND)
        seen.add((entry.revision_id, seed_of(entry.path.read_bytes())))
        current = cache.current(*SOURCE)
        if current is not None:
            seen.add((current.revision_id, seed_of(current.path.read_bytes())))
    return seen


def _publish_and_clear(root, number):
    cache = DirectoryCache(root)
    for turn in range(20):
        at = NOON + turn * SECOND
        try:
            entry = publish(cache, payload(turn, 20_000), at=at)
            assert turn == seed_of(entry.path.read_bytes())
        except FileNotFoundError:
            pass  # it was cleared before it was read
        if number == 0:
            cache.clear()
    return True


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        yield pool


class TestManyProcesses:
    def test_all_publish_at_once_and_every_revision_is_whole(self, cache, pool):
        seen = set().union(*pool.map(_publish_many, [cache.root] * 3, range(3)))

        assert 20 == len(seen)
        assert len(seen) == len({revision for revision, _ in seen})
        assert {revision for revision, _ in seen} == {e.revision_id for e in cache.entries()}
        current = cache.current(*SOURCE)
        assert current is not None
        assert (current.revision_id, seed_of(current.path.read_bytes())) in seen
        assert ([], []) == (list(cache.partial.iterdir()), list(cache.trash.iterdir()))

    def test_some_publish_while_one_clears(self, cache, pool):
        assert [True] * 3 == list(pool.map(_publish_and_clear, [cache.root] * 3, range(3)))

        assert [] == list(cache.partial.iterdir())
        for entry in cache.entries():
            seed_of(entry.path.read_bytes())

    def test_who_has_a_file_open_reads_on_while_the_cache_is_cleared(self, cache):
        data = payload(1, 1_000_000)
        path = publish(cache, data).path
        with path.open("rb") as file:
            head = file.read(100)
            clearing = threading.Thread(target=cache.clear)
            clearing.start()
            clearing.join()

            assert data == head + file.read()
        assert not path.exists()


def named(process):
    """The name of what a process of this machine has staged."""
    machine, _, chance = owned_name().rsplit(".", 2)
    return f"{machine}.{process}.{chance}"


class TestAbandonedStagings:
    @pytest.fixture
    def dead(self):
        """The id of a process that has ended."""
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        return process.pid

    @pytest.fixture
    def left(self, cache):
        """Makes a folder of that name, as a staging that never ended left it."""
        cache.prepare()

        def left(name):
            (cache.partial / name).mkdir()
            (cache.partial / name / "half").write_bytes(b"half")
            return cache.partial / name

        return left

    def test_those_of_the_dead_go_when_the_cache_is_cleared(self, cache, left, dead):
        folder = left(named(dead))

        freed = cache.clear()

        assert (4, False) == (freed, folder.exists())
        assert [] == list(cache.trash.iterdir())

    def test_what_was_on_its_way_out_goes_too(self, cache):
        (cache.trash / "0123" / "folder").mkdir(parents=True)
        (cache.trash / "4567").touch()

        cache.clear()

        assert [] == list(cache.trash.iterdir())

    @pytest.mark.parametrize(("age_days", "stays"), [(6, True), (8, False)])
    def test_what_nobody_has_written_to_for_a_week_goes(self, cache, left, age_days, stays):
        """Of another machine, or of this one before it was started anew."""
        folder = left("other-machine.4.5.999999.abc")
        then = time.time() - age_days * 24 * 3600
        for path in (folder / "half", folder):
            os.utime(path, (then, then))

        cache.staging(*SOURCE)

        assert stays == folder.exists()

    def test_those_of_the_living_stay(self, cache, left):
        mine, elsewhere = left(named(os.getpid())), left("other-machine.4.999999.abc")

        with cache.staging(*SOURCE) as staging:
            staging.path.parent.mkdir()
            cache.clear()
            staging.path.write_bytes(b"1")
            staging.publish(described(b"1"), checked_at=NOON, current=True)

        assert mine.exists()
        assert elsewhere.exists()

    @pytest.mark.parametrize(
        "remove", [DirectoryCache.clear, lambda cache: cache.staging(*SOURCE)], ids=["clear", "use"]
    )
    def test_one_that_a_killed_process_left_goes(self, cache, remove):
        program = """
import os, signal, sys
from pathlib import Path
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.testing.sources import SOURCE
with DirectoryCache(Path(sys.argv[1])).staging(*SOURCE) as staging:
    staging.path.parent.mkdir(parents=True)
    staging.path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", program, cache.root], check=False, timeout=60)
        assert -signal.SIGKILL == done.returncode
        assert 1 == len(list(cache.partial.iterdir()))

        remove(cache)

        assert [] == list(cache.partial.iterdir())

    @pytest.mark.parametrize("name", ["", "a", "a.b", "a.b.c", "..."])
    def test_what_no_process_has_named_is_left_alone(self, name):
        assert not owner_is_gone(name)

    @pytest.mark.parametrize("process", ["x", "", "-1", "0", "9" * 100, "\u0661"])
    def test_what_no_process_can_have_staged_is_left_alone(self, process):
        assert not owner_is_gone(named(process))

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system tells nobody")
    def test_a_dead_process_is_gone_also_before_its_parent_hears_of_it(self):
        process = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie from here on

        is_gone = owner_is_gone(named(str(process.pid)))

        assert 0 == process.wait()
        assert is_gone

    def test_a_process_that_belongs_to_somebody_else_is_not_gone(self):
        program = """
            print(owner_is_gone(sys.argv[1]))
            """

        assert ["False"] == as_nobody(program, named(1))
