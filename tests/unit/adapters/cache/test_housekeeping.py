"""Who has which entries of a directory cache, across processes that live, die and fork."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from datacachalog.adapters.cache import pins as pins_module
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import EntryFolders
from datacachalog.adapters.cache.housekeeping import Housekeeping
from datacachalog.adapters.cache.owners import owned_name
from datacachalog.domain.errors import CacheFullError, CachePermissionError
from datacachalog.domain.objects import CacheEntry
from datacachalog.domain.uri import Uri
from datacachalog.testing.sources import NOON, SECOND, SOURCE, publish, source

OTHER = source(Uri("s3", "lake", "b"))

HOLDER = """
import os, sys, time
from pathlib import Path
from datacachalog.adapters.cache.directory import DirectoryCache
cache = DirectoryCache(Path(sys.argv[1]))
(entry,) = cache.entries()
with cache.pin(entry):
    cache.hold(entry)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def cache(root):
    return DirectoryCache(root)


@pytest.fixture
def holder(root, cache):
    """An entry, and a process of its own that has it."""
    entry = publish(cache, b"bytes")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "held\n" == process.stdout.readline()
    yield entry, process
    process.kill()
    process.wait()
    process.stdout.close()


def pin_files(root):
    return sorted(f for f in (root / "v1" / "pins").iterdir() if f.name[0] != ".")


def patiently(monkeypatch):
    """Has everybody wait at the gate for as long as a busy machine takes."""
    for patience in ("_SHORT", "_LONG"):
        monkeypatch.setattr(pins_module, patience, timedelta(seconds=60))


def without_locks(monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)


class TestOtherProcesses:
    def test_what_a_living_process_has_stays(self, cache, holder):
        entry, _ = holder

        assert () == cache.remove([entry])
        assert b"bytes" == entry.path.read_bytes()

    def test_what_a_killed_process_had_goes(self, root, cache, holder):
        entry, process = holder
        process.kill()
        process.wait()

        assert (entry,) == cache.remove([entry])
        cache.sweep()
        assert 1 >= len(pin_files(root))

    def test_what_a_stopped_process_has_stays(self, cache, holder):
        entry, process = holder
        process.send_signal(signal.SIGSTOP)

        assert () == cache.remove([entry])

        process.send_signal(signal.SIGCONT)

    def test_without_locks_a_living_process_still_has_it(self, cache, holder, monkeypatch):
        entry, _ = holder
        without_locks(monkeypatch)

        assert () == cache.remove([entry])

    def test_without_locks_a_dead_process_is_known_by_its_id(self, cache, holder, monkeypatch):
        entry, process = holder
        process.kill()
        process.wait()
        without_locks(monkeypatch)

        assert (entry,) == cache.remove([entry])

    def test_a_process_id_that_is_used_again_keeps_nothing(self, root, cache):
        """The lock tells: this process lives, and has another file."""
        entry = publish(cache, b"bytes")
        publish(cache, b"other", at=NOON + SECOND)
        name = f"{entry.path.parts[-3]}/{entry.path.parts[-2]}"
        (root / "v1" / "pins" / owned_name()).write_text(f"pin {name} {time.time():.0f}\n")

        assert (entry,) == cache.remove([entry])

    @pytest.mark.parametrize(("silent_s", "is_kept"), [(60, True), (25 * 3600, False)])
    def test_another_machine_is_given_a_day(self, root, cache, silent_s, is_kept):
        entry = publish(cache, b"bytes")
        name = f"{entry.path.parts[-3]}/{entry.path.parts[-2]}"
        file = root / "v1" / "pins" / "elsewhere.1.abc.77.0123456789ab"
        file.write_text(f"pin {name} {time.time():.0f}\n")
        os.utime(file, (time.time() - silent_s,) * 2)

        assert is_kept == (cache.remove([entry]) == ())

    def test_a_file_of_a_process_that_ends_goes_with_it(self, root, cache):
        publish(cache, b"bytes")
        (ours,) = pin_files(root)
        code = HOLDER.replace("time.sleep(60)", "pass")

        subprocess.run([sys.executable, "-c", code, str(root)], check=True, capture_output=True)

        assert [ours] == pin_files(root)

    def test_a_fork_has_pins_of_its_own(self, root, cache):
        entry = publish(cache, b"bytes")
        cache.hold(entry)
        child = os.fork()
        if child == 0:
            held = cache.hold(entry) and 2 == len(pin_files(root))
            os._exit(0 if held else 1)

        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        again = DirectoryCache(root)
        assert () == again.remove([entry])  # the child's end has not taken the parent's

    @pytest.mark.parametrize("locks_work", [True, False])
    def test_a_reader_and_a_remover_never_miss_each_other(self, root, locks_work, monkeypatch):
        """Whoever is told that it has an entry has it, however the two meet."""
        patiently(monkeypatch)
        if not locks_work:
            without_locks(monkeypatch)
        keeper, remover, broken = DirectoryCache(root), DirectoryCache(root), []
        stop = threading.Event()

        def remove():
            while not stop.is_set():
                remover.remove(list(remover.entries()))

        thread = threading.Thread(target=remove)
        thread.start()
        try:
            for number in range(200):
                entry = publish(keeper, b"%d" % number)
                if locks_work and not entry.path.exists():
                    broken.append(number)
                with keeper.pin(entry) as is_here:
                    if is_here and locks_work and not entry.path.exists():
                        broken.append(number)
                    time.sleep(0.0005)
                    # Without locks it may be gone for a moment, and then stays.
                    if is_here and not _stays(entry):
                        broken.append(number)
        finally:
            stop.set()
            thread.join()
        assert [] == broken

    def test_a_remover_that_was_stopped_does_not_stop_readers(self, root, cache):
        entry = publish(cache, b"bytes")
        gate = root / "v1" / "pins" / ".gate"
        with gate.open("w") as stopped:
            fcntl.flock(stopped, fcntl.LOCK_EX)

            took = [_seconds_to_hold(DirectoryCache(root), entry) for _ in range(3)]

        assert min(took) < 2  # of three: the machine may be busy


def _seconds_to_hold(cache, entry):
    begun = time.monotonic()
    assert cache.hold(entry)
    return time.monotonic() - begun


def _stays(entry):
    deadline = time.monotonic() + 60
    while not entry.path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


class TestPins:
    def test_what_was_handed_out_before_counts_for_a_day(self, cache, root, monkeypatch):
        again = DirectoryCache(root)
        old, new = publish(cache, b"old"), publish(cache, b"new", at=NOON + SECOND)
        cache.hold(old)
        cache.hold(new)
        assert () == again.remove([old, new])

        tomorrow = time.time() + 25 * 3600
        monkeypatch.setattr(time, "time", lambda: tomorrow)

        assert (old,) == again.remove([old, new])

    def test_a_use_is_written_once_in_a_while(self, cache, root):
        entry = publish(cache, b"bytes")
        for _ in range(100):
            cache.hold(entry)

        (file,) = pin_files(root)
        assert 1 == len(file.read_text().splitlines())

    def test_a_file_does_not_grow_for_ever(self, cache, root, monkeypatch):
        monkeypatch.setattr(pins_module, "_REWRITTEN_AT_BYTES", 1000)
        another = DirectoryCache(root)
        entry, held = publish(cache, b"bytes"), publish(another, b"held", into=OTHER)

        with cache.pin(held):
            for _ in range(100):
                with cache.pin(entry):
                    pass

            assert 2000 > sum(file.stat().st_size for file in pin_files(root))
            assert 2 == len(pin_files(root))
            assert () == another.remove([entry, held])
        assert (held,) == another.remove([entry, held])

    def test_nonsense_in_a_file_pins_nothing(self, cache, root, holder):
        entry, process = holder
        (file,) = (one for one in pin_files(root) if one.name.split(".")[-2] == str(process.pid))
        with file.open("ab") as lines:
            lines.write(b"\xff\xfe\npin\nuse a/b soon\nunpin x y z\nuse \xc2\xb2 1\npin torn")

        assert () == cache.remove([entry])
        assert "torn" not in {one.entry.revision_id for one in cache.usages()}

    def test_a_file_under_way_is_left_alone_and_a_dead_ones_goes(self, cache, root):
        publish(cache, b"bytes")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        mine = root / "v1" / "pins" / f".{owned_name()}"
        theirs = mine.with_name(mine.name.replace(f".{os.getpid()}.", f".{dead.pid}."))
        mine.touch()
        theirs.touch()

        cache.sweep()

        assert (True, False) == (mine.exists(), theirs.exists())

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_cache_that_may_not_be_written_is_read_all_the_same(self, cache, root):
        entry = publish(cache, b"bytes")
        for folder in [root, *root.rglob("*")]:
            folder.chmod(folder.stat().st_mode & ~0o222)
        reader = DirectoryCache(root)
        try:
            assert reader.hold(entry)
            with pytest.raises(CachePermissionError), reader.pin(entry):
                pass
        finally:
            for folder in [root, *root.rglob("*")]:
                folder.chmod(folder.stat().st_mode | 0o200)


def test_what_a_full_disk_kept_from_being_held_is_held_as_soon_as_it_can_be(cache, root):
    another = DirectoryCache(root)
    entry = publish(another, b"bytes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))
    try:
        assert cache.hold(entry)  # what is asked for is there, all the same
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [False] == [usage.is_pinned for usage in another.usages()]

    assert cache.hold(entry)

    assert [True] == [usage.is_pinned for usage in another.usages()]


def test_what_comes_is_held_as_soon_as_it_can_be_where_its_announcement_was_torn(
    cache, root, monkeypatch
):
    def full(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pins_module._PinFile, "_append", full)
        entry = publish(cache, b"bytes")
    assert [False] == [usage.is_pinned for usage in DirectoryCache(root).usages()]

    assert cache.hold(entry)

    assert [True] == [usage.is_pinned for usage in DirectoryCache(root).usages()]


def test_a_pin_counts_after_one_that_a_full_disk_has_torn(cache, root):
    entry = publish(cache, b"bytes")
    with cache.pin(entry):
        pass
    (pins,) = [path for path in (root / "v1" / "pins").iterdir() if path.name != ".gate"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pins.stat().st_size + 5, before[1]))
    try:
        with pytest.raises(CacheFullError), cache.pin(entry):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with cache.pin(entry):
        assert [True] == [usage.is_pinned for usage in DirectoryCache(root).usages()]


def test_a_child_that_leaves_the_block_of_its_parent_pins_as_others_do(cache, root):
    entry = publish(cache, b"bytes")
    with cache.pin(entry):
        child = os.fork()
    if child == 0:
        is_pinned = False
        try:
            with cache.pin(entry):
                is_pinned = all(usage.is_pinned for usage in DirectoryCache(root).usages())
        finally:
            os._exit(0 if is_pinned else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class TestWithoutAGate:
    """Where locks do nothing, a pin may come between a remover's two looks."""

    @pytest.fixture
    def late(self, cache, monkeypatch):
        """Has a pin be seen at the second look only; what is given happens in between."""

        def pinned_late(entry, meanwhile=lambda: None):
            looks: list[int] = []

            def of_others(_):
                looks.append(1)
                if len(looks) == 1:
                    return set()
                meanwhile()
                return {f"{entry.path.parts[-3]}/{entry.path.parts[-2]}"}

            monkeypatch.setattr(pins_module.Pins, "of_others", of_others)

        return pinned_late

    def test_what_is_pinned_meanwhile_is_put_back(self, cache, late):
        entry, other = publish(cache, b"bytes"), publish(cache, b"other", at=NOON + SECOND)
        late(entry)

        assert (other,) == cache.remove([other, entry])

        assert b"bytes" == entry.path.read_bytes()

    def test_also_where_the_source_has_gone_meanwhile(self, cache, late):
        entry = publish(cache, b"bytes")
        late(entry, entry.path.parents[1].rmdir)

        assert () == cache.remove([entry])

        assert b"bytes" == entry.path.read_bytes()

    def test_also_where_another_one_sweeps_meanwhile(self, cache, root, late):
        entry = publish(cache, b"bytes")
        long_ago = time.time() - 7 * 24 * 3600
        os.utime(entry.path.parent, (long_ago, long_ago))  # when it was last used
        late(entry, DirectoryCache(root).sweep)

        assert () == cache.remove([entry])

        assert b"bytes" == entry.path.read_bytes()

    def test_what_was_fetched_again_meanwhile_is_left(self, cache, root, late):
        entry = publish(cache, b"bytes")
        late(entry, lambda: publish(DirectoryCache(root), b"bytes"))

        assert (entry,) == cache.remove([entry])

        assert b"bytes" == entry.path.read_bytes()
        assert [] == list((root / "v1" / "trash").iterdir())

    def test_a_cache_that_was_cleared_meanwhile_is_empty(self, cache, root, late):
        entry = publish(cache, b"bytes")
        late(entry, DirectoryCache(root).clear)

        assert (entry,) == cache.remove([entry])

        assert not entry.path.exists()


class TestSweep:
    def test_what_the_dead_have_left_goes(self, cache, root):
        publish(cache, b"bytes")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        name = owned_name().replace(f".{os.getpid()}.", f".{dead.pid}.")
        for folder in ("partial", "trash"):
            (root / "v1" / folder / name).mkdir()
            (root / "v1" / folder / name / "data").write_bytes(b"12345")

        assert 10 == cache.sweep(dry_run=True)
        assert 10 == cache.sweep()
        assert 0 == cache.sweep()

    @pytest.mark.parametrize("age_s", [60, 7200])
    def test_what_is_no_entry_goes_when_it_is_old(self, cache, root, age_s):
        entry = publish(cache, b"bytes")
        kept = publish(cache, b"kept", at=NOON + SECOND)
        (entry.path.parent / ".entry.json").write_text("{}")
        os.utime(entry.path.parent, (time.time() - age_s,) * 2)

        assert (5 if age_s > 3600 else 0) == cache.sweep()

        assert (age_s < 3600) == entry.path.exists()
        assert kept == cache.current(*SOURCE)

    def test_a_ref_without_entries_goes_when_it_is_old(self, cache, root):
        entry = publish(cache, b"bytes")
        cache.remove([entry])
        (ref,) = (root / "v1" / "refs").iterdir()
        os.utime(ref)
        cache.sweep()
        assert ref.exists()

        os.utime(ref, (time.time() - 7200,) * 2)
        cache.sweep()

        assert not ref.exists()
        assert [] == list((root / "v1" / "objects").iterdir())

    def test_what_was_mended_in_this_moment_stays(self, cache, monkeypatch):
        entry = publish(cache, b"bytes")
        record = entry.path.parent / ".entry.json"
        text = record.read_text()
        record.write_text("{}")
        os.utime(entry.path.parent, (time.time() - 7200,) * 2)
        discard = type(cache._keeping)._discard

        def mended_first(self, folder):
            record.write_text(text)
            os.utime(folder)
            discard(self, folder)

        monkeypatch.setattr(type(cache._keeping), "_discard", mended_first)

        cache.sweep()

        assert entry == cache.current(*SOURCE)


def test_what_may_not_be_removed_is_left(cache, monkeypatch):
    entry = publish(cache, b"bytes")

    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", refuse)

    assert () == cache.remove([entry])


class TestDamageThatIsNone:
    """What others remove, or mend, while somebody looks for damage."""

    @pytest.fixture
    def meanwhile(self, monkeypatch):
        """Has something happen after an entry was looked at."""

        def happens(act):
            examine = EntryFolders.examine

            def then(self, *args):
                found = examine(self, *args)
                monkeypatch.undo()
                act()
                return found

            monkeypatch.setattr(EntryFolders, "examine", then)

        return happens

    def test_what_was_removed_meanwhile_is_not_damaged(self, cache, root, meanwhile):
        entry = publish(cache, b"bytes")
        meanwhile(lambda: DirectoryCache(root).remove([entry]))

        assert () == cache.remove_damaged(*SOURCE)

    def test_what_was_mended_meanwhile_stays(self, cache, root, meanwhile):
        entry = publish(cache, b"bytes")
        entry.path.chmod(0o644)
        entry.path.write_bytes(b"BYTES")

        def mend():
            other = DirectoryCache(root)
            other.clear()
            publish(other, b"bytes")

        meanwhile(mend)

        assert () == cache.remove_damaged(*SOURCE)
        assert b"bytes" == entry.path.read_bytes()


class TestAfterTheWholeCacheWasRemoved:
    """`rm -rf`, below a process that goes on."""

    @pytest.fixture
    def removed(self, cache, root):
        with cache.pin(publish(cache, b"bytes")):
            entry = publish(cache, b"bytes")
            cache.hold(entry)
            shutil.rmtree(root)
            yield

    def others(self, root):
        return {usage.entry.path: usage.is_pinned for usage in DirectoryCache(root).usages()}

    @pytest.mark.usefixtures("removed")
    def test_what_was_held_and_comes_again_is_held_again(self, cache, root):
        entry = publish(cache, b"bytes")
        assert cache.hold(entry)

        assert {entry.path: True} == self.others(root)

    @pytest.mark.usefixtures("removed")
    def test_what_is_pinned_then_is_held(self, cache, root):
        entry = publish(cache, b"other")
        with cache.pin(entry):
            assert {entry.path: True} == self.others(root)

    @pytest.mark.usefixtures("removed")
    def test_what_is_pinned_then_is_not_removed(self, cache, root):
        entry = publish(cache, b"other")
        with cache.pin(entry):
            assert () == DirectoryCache(root).remove([entry])

    @pytest.mark.usefixtures("removed")
    def test_it_can_be_swept(self, cache, root):
        another = DirectoryCache(root)
        entry = publish(another, b"bytes")
        left = subprocess.run(
            [sys.executable, "-c", f"{HOLDER.partition('print')[0]}os._exit(1)", str(root)],
            check=False,
        )
        assert 1 == left.returncode
        assert 2 == len(pin_files(root))

        cache.sweep()

        assert 1 == len(pin_files(root))
        assert {entry.path: True} == self.others(root)
        another.remove([entry])
        assert {} == self.others(root)


class TestAnnouncing:
    """What is about to be published is held before anybody can find it."""

    def test_what_never_came_is_not_the_latest(self, cache, root, monkeypatch):
        entry, other = publish(cache, b"old"), DirectoryCache(root)
        assert cache.hold(entry)
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", _full)
            with pytest.raises(CacheFullError):
                publish(cache, b"new", at=NOON + SECOND)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 25 * 3600)

        assert () == other.remove([entry])

    def test_what_others_were_first_with_is_held_too(self, cache, root):
        other = DirectoryCache(root)
        entry = publish(other, b"bytes")

        assert entry == publish(cache, b"bytes")

        assert () == other.remove([entry])
        assert b"bytes" == entry.path.read_bytes()

    def test_what_goes_at_once_is_not_handed_out(self, cache, monkeypatch):
        rename, removed = os.rename, list[tuple[CacheEntry, ...]]()

        def then_removed(source, target):
            rename(source, target)
            if "/objects/" not in str(target):
                return
            monkeypatch.undo()
            removed.append(cache.remove(list(cache.entries())))  # another thread, just now

        monkeypatch.setattr(os, "rename", then_removed)

        entry = publish(cache, b"bytes", current=False)

        assert [1] == list(map(len, removed))
        assert not cache.hold(entry)

    def test_a_file_is_not_rewritten_while_somebody_removes(self, cache, root, monkeypatch):
        """It would be taken for a dead process's, whose pins are nobody's."""
        patiently(monkeypatch)
        remover, entry = DirectoryCache(root), publish(cache, b"bytes")
        missing, threads = list[bool](), list[threading.Thread]()
        listed, take = pins_module.Pins._others, Housekeeping._take

        def others(pins):
            found = listed(pins)
            if pins is remover._pins and not threads:
                thread = threading.Thread(target=lambda: publish(cache, b"other", into=OTHER))
                threads.append(thread)
                thread.start()
                thread.join(0.05)  # less than anybody waits at the gate
            return found

        def taken(housekeeping, one):
            gone = take(housekeeping, one)
            missing.append(not entry.path.exists())
            return gone

        with cache.pin(entry):
            cache._pins._file()._size = 2 * pins_module._REWRITTEN_AT_BYTES
            monkeypatch.setattr(pins_module.Pins, "_others", others)
            monkeypatch.setattr(Housekeeping, "_take", taken)
            remover.remove([entry])
            threads[0].join()
        assert True not in missing

    def test_what_comes_while_usages_are_told_is_ours(self, cache):
        sources = sorted((SOURCE, OTHER), key=lambda one: cache.place(*one).key)
        for one in sources:
            publish(cache, b"bytes", into=one)
        telling = cache.usages()
        next(telling)
        late = publish(cache, b"a version", into=sources[1], current=False)
        assert cache.hold(late)

        assert late in {usage.entry for usage in telling if usage.is_ours}


def _full(source, target):
    raise OSError(errno.ENOSPC, "No space left on device")
