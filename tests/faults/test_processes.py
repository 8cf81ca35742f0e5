"""Processes that are stopped, interrupted, short of something, or come at the wrong time."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, Dataset, Outcome
from datacachalog.application import fetching
from datacachalog.testing.payloads import payload, seed_of
from tests.faults.support import SMALL, TWO_PARTS, assert_sound, leftovers, lose_the_end
from tests.integration.support import MIB, killed, output, started, wait_until
from tests.servers.exchange import Script
from tests.unit.adapters.other_processes import on_a_full_disk

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from typing_extensions import Buffer

FETCH = """
import sys
from datacachalog import Catalog, Dataset
from datacachalog.testing.payloads import seed_of
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
print(seed_of(catalog.fetch("customers").read_bytes()))
"""

HOLD = """
import sys, time
from datetime import timedelta
from datacachalog import Catalog, Dataset
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
source = catalog["customers"].source
with catalog.cache.alone(catalog.storage.identity(source), source, timedelta(0)) as alone:
    print(alone, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(local) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of the dataset."""
    local.change(1)
    process = started(HOLD, local.source, local.cache_dir)
    assert process.stdout is not None
    assert "True" == process.stdout.readline().strip()
    yield process
    killed(process)


@pytest.mark.parametrize("repair", [False, True])
def test_f05_a_file_whose_end_was_lost_with_the_power_is_found_by_reading_it(local, repair):
    local.change(1)
    path = local.catalog().fetch("customers")
    lose_the_end(path)

    (found,) = local.catalog().verify(repair=repair)

    assert (path,) == found.damaged
    assert repair == path.exists()
    assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())
    assert_sound(local.cache_dir, 1)


@pytest.mark.parametrize("size_bytes", [SMALL, TWO_PARTS])
def test_f04_a_program_that_is_terminated_in_a_download(remote, cache_dir, size_bytes):
    """By a signal that nobody handles: nothing runs any more, and the next fetch clears up."""
    remote.put(1, size_bytes)
    remote.proxy.hook = lambda _: Script(bytes_per_s=size_bytes / 30)
    process = started(FETCH, remote.source, cache_dir)
    wait_until(lambda: remote.proxy.bytes_down > 0)

    process.terminate()
    process.communicate(timeout=60)

    assert -signal.SIGTERM == process.returncode
    remote.proxy.hook = lambda _: None
    assert 1 == seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())
    assert [] == leftovers(cache_dir)


def test_f04_an_interrupt_in_a_part_thread_is_raised_where_it_was_asked_for(
    remote, catalog, cache_dir, monkeypatch
):
    remote.put(1, TWO_PARTS + 4 * MIB)
    numbers = iter(range(100))

    def write(fd: int, data: Buffer, offset: int) -> int:
        if memoryview(data).nbytes > MIB // 2 and next(numbers) == 1:  # not that of a small file
            raise KeyboardInterrupt
        return real(fd, data, offset)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(KeyboardInterrupt):
        catalog.fetch("customers")

    monkeypatch.undo()
    assert 1 == len(leftovers(cache_dir))  # what came, to go on with
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())
    assert [] == leftovers(cache_dir)


def test_f07_a_disk_that_is_full_at_the_last_block(tmp_path):
    """No store's library tells it of a file that is shorter than it was."""
    folder = tmp_path / "disk"
    folder.mkdir()
    (tmp_path / "customers.csv").write_bytes(payload(1, 65_636))
    program = f"""
        import sys
        from pathlib import Path
        from datacachalog import Catalog, CacheFullError, Dataset
        catalog = Catalog([Dataset("customers", {str(tmp_path / "customers.csv")!r})],
                          cache_dir=Path(sys.argv[1]) / "cache")
        catalog.cache.prepare()
        Path(sys.argv[1], "ballast").write_bytes(bytes(catalog.cache.space().free_bytes - 65536))
        try:
            catalog.fetch("customers")
        except CacheFullError:
            print("full")
        print(len(list(catalog.cache.partial.iterdir())), len(list(catalog.cache.entries())))
        """

    assert ["full", "0 0"] == on_a_full_disk(program, folder, size_kib=256)


def test_f07_a_limit_on_the_size_of_files(remote, cache_dir):
    """At every block of two parts, as a full disk."""
    remote.put(1, TWO_PARTS)
    program = """
import resource, signal, sys
from datacachalog import CacheFullError, Catalog, Dataset
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (1, 65536, 3 << 20, (3 << 20) + 1002):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        catalog.fetch("customers")
    except CacheFullError:
        print("full", len(list(catalog.cache.partial.iterdir())))
"""

    assert ["full 0"] * 4 == output(started(program, remote.source, cache_dir)).splitlines()
    assert 1 == seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())


@pytest.mark.parametrize("limit", [*range(16, 40, 4)])
def test_f10_a_process_that_may_open_few_files(remote, cache_dir, limit):
    remote.put(1, TWO_PARTS)
    program = f"""
import resource, sys
from datacachalog import Catalog, Dataset, DatacachalogError
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
try:
    catalog.fetch("customers")
    print("fetched")
except DatacachalogError as error:
    print("one of ours")
"""

    assert output(started(program, remote.source, cache_dir)).strip() in {"fetched", "one of ours"}
    assert 1 == seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())
    assert [] == leftovers(cache_dir)


def test_f36_one_that_is_stopped_with_the_lock_holds_others_off_for_so_long(
    local, holder, monkeypatch
):
    monkeypatch.setattr(fetching, "_LOCK_WAIT", timedelta(seconds=1))
    holder.send_signal(signal.SIGSTOP)

    begun = time.monotonic()
    assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())

    assert 1 <= time.monotonic() - begun < 60
    holder.send_signal(signal.SIGCONT)


def test_f37_one_that_is_killed_with_the_lock_holds_nobody_off(local, holder):
    killed(holder)

    begun = time.monotonic()
    assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())

    assert time.monotonic() - begun < 60  # and not ten minutes


@pytest.mark.parametrize("years", [-1, 1])
@pytest.mark.parametrize("freshness", ["always", "1h"])
def test_f42_a_clock_that_was_a_year_off_keeps_nothing_fresh_for_ever(
    local, monkeypatch, years, freshness
):
    off = timedelta(days=365 * years)
    monkeypatch.setattr("datacachalog.bootstrap._now", lambda: datetime.now(UTC) + off)
    local.change(1)
    catalog = Catalog(
        [Dataset("customers", local.source, freshness=freshness)], cache_dir=local.cache_dir
    )
    catalog.fetch("customers")

    local.change(2)
    off = timedelta(0)

    assert 2 == seed_of(catalog.fetch("customers").read_bytes())
    assert Outcome.UNCHANGED is catalog.obtain("customers", refresh=True).outcome
    assert_sound(local.cache_dir, 1, 2)


@pytest.mark.parametrize("days", [-365, 365])
def test_f42_a_reference_whose_time_was_changed(local, days):
    local.change(1)
    local.catalog().fetch("customers")
    (ref,) = (local.cache_dir / "v1" / "refs").iterdir()
    then = time.time() + days * 24 * 3600
    os.utime(ref, (then, then))
    local.change(2)

    for _ in range(2):
        assert 2 == seed_of(local.catalog().fetch("customers").read_bytes())


def test_f47_names_that_a_file_system_might_take_for_one(tmp_path):
    """Of objects; those of datasets may not be like this."""
    names = ["A.csv", "a.csv", "\u00e9.csv", "e\u0301.csv", "x" * 250 + ".csv", "con", "NUL.csv"]
    store = tmp_path / "store"
    store.mkdir()
    for seed, name in enumerate(names):
        (store / name).write_bytes(payload(seed, 1000))
    if len(list(store.iterdir())) != len(names):
        pytest.skip("this file system takes some of these names for one")
    datasets = [Dataset(f"n{seed}", store / name) for seed, name in enumerate(names)]
    catalog = Catalog(datasets, cache_dir=tmp_path / "cache")

    paths = catalog.fetch_all()

    assert list(range(len(names))) == [seed_of(path.read_bytes()) for path in paths.values()]
    folded = {str(path.parent).casefold() for path in paths.values()}
    assert len(names) == len(folded)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process so")
def test_f53_a_process_that_has_little_memory(remote, cache_dir):
    remote.put(1, 96 * MIB)
    program = """
import resource, sys
from blake3 import blake3
from datacachalog import Catalog, Dataset
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path = catalog.fetch("customers")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10)
"""

    assert "True" == output(started(program, remote.source, cache_dir)).strip()


def test_t22_what_comes_is_as_private_as_the_umask_says(remote, cache_dir):
    """Also while it is on its way."""
    remote.put(1, TWO_PARTS)
    remote.proxy.hook = lambda _: Script(bytes_per_s=TWO_PARTS)
    program = "import os; os.umask(0o077)\n" + FETCH
    process = started(program, remote.source, cache_dir)
    seen = set()
    while process.poll() is None:
        seen |= _modes(cache_dir)
        time.sleep(0.01)

    assert "1" == output(process).strip()
    seen |= _modes(cache_dir)
    assert {0o400, 0o600, 0o700} >= seen - {0}
    assert 0o400 in seen


def _modes(folder: Path) -> set[int]:
    """Of all that is in a folder; what goes meanwhile is passed over, as `rglob` would not."""
    below = [Path(path, name) for path, *names in os.walk(folder) for name in chain(*names)]
    return {_mode(path) for path in below}


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0
