"""Many processes on one cache, and processes that are killed, interrupted or forked."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import (
    BIG,
    MIB,
    SMALL,
    cached_files,
    killed,
    output,
    started,
    wait_until,
)
from tests.integration.workers import fetch_for_a_while, fetch_together, remember
from tests.servers.exchange import Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.pool import Pool
    from pathlib import Path

    from tests.integration.support import Remote

FETCH = """
import sys
from datacachalog import Catalog, Dataset
from datacachalog.testing.payloads import seed_of

catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
print("begun", flush=True)
print(seed_of(catalog.fetch("customers").read_bytes()))
"""

FETCH_FOR_EVER = """
import sys
from datacachalog import Catalog, Dataset, RemoteChangedError

catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
print("begun", flush=True)
while True:
    try:
        catalog.fetch("customers")
    except RemoteChangedError:
        pass
"""


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Eight new processes."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(8, remember, [spawn.Barrier(8)]) as made:
        yield made
        made.close()
        made.join()


class TestManyProcesses:
    @pytest.mark.parametrize("size_bytes", [SMALL, BIG])
    def test_eight_that_fetch_the_same_cold_dataset_download_it_once(
        self, remote, cache_dir, pool, size_bytes
    ):
        remote.put(1, size_bytes)

        with remote.proxy.counted() as passed:
            got = pool.starmap(fetch_together, [(remote.source, str(cache_dir))] * 8, 1)

        assert [1] * 8 == [seed for seed, _ in got]
        assert 1 == [outcome for _, outcome in got].count("downloaded")
        assert size_bytes == passed.bytes_down

    def test_none_gets_mixed_bytes_while_the_store_keeps_changing(self, remote, cache_dir, pool):
        sizes = {f"table-{n}": size for n, size in enumerate([10, 1000, SMALL, SMALL, BIG])}
        sources = {name: f"s3://{remote.bucket}/{name}" for name in sizes}

        with _changing(remote, sizes):
            works = [(sources, str(cache_dir), 6, seed) for seed in range(8)]
            got = pool.starmap(fetch_for_a_while, works, 1)

        assert [] == [fault for _, faults in got for fault in faults]
        assert all(fetched for fetched, _ in got)
        _assert_sound(cache_dir)


class TestKilled:
    @pytest.mark.parametrize("size_bytes", [SMALL, BIG])
    def test_one_that_is_killed_in_a_download_leaves_no_visible_file(
        self, remote, catalog, cache_dir, size_bytes
    ):
        remote.put(1, size_bytes)
        remote.proxy.hook = lambda _: Script(bytes_per_s=size_bytes / 30)
        process = started(FETCH, remote.source, cache_dir)
        wait_until(lambda: remote.proxy.bytes_down > 0)

        killed(process)

        assert [] == cached_files(cache_dir)
        remote.proxy.hook = lambda _: None
        begun = time.monotonic()
        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert time.monotonic() - begun < 60  # it waits for no lock of the dead: that is 600
        catalog.cache.clear()
        assert [] == list((cache_dir / "v1" / "partial").iterdir())

    def test_one_that_is_killed_at_any_moment_leaves_only_whole_entries(
        self, remote, catalog, cache_dir
    ):
        chance = random.Random(7)

        with _changing(remote, {remote.key: 50_000}):
            for _ in range(12):
                process = started(FETCH_FOR_EVER, remote.source, cache_dir)
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(chance.uniform(0, 0.15))  # any moment will do
                killed(process)
                _assert_sound(cache_dir)

        remote.put(1)
        assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    @pytest.mark.parametrize("size_bytes", [3 * MIB, BIG])
    def test_ctrl_c_ends_the_command_soon_and_leaves_no_visible_file(
        self, remote, tmp_path, cache_dir, size_bytes
    ):
        remote.put(1, size_bytes)
        (tmp_path / "catalog.yaml").write_text(
            f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
        )
        remote.proxy.hook = lambda _: Script(bytes_per_s=20_000)  # 200 s, or more
        process = started(
            "from datacachalog.cli.main import main; main()",
            *("--catalog", tmp_path, "--cache-dir", cache_dir, "fetch", "customers"),
        )
        wait_until(lambda: remote.proxy.bytes_down > 0)

        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=100)

        assert 130 == process.returncode
        assert time.monotonic() - begun < 60
        assert [] == cached_files(cache_dir)

    def test_ctrl_c_ends_a_program_after_the_parts_that_are_on_their_way(self, remote, cache_dir):
        remote.put(1, 4 * BIG)
        remote.proxy.hook = lambda _: Script(bytes_per_s=MIB)
        process = started(FETCH, remote.source, cache_dir)
        # Not sooner: an import in another thread has CPython forget what ended the main one.
        wait_until(lambda: remote.proxy.bytes_down >= 7 * MIB)

        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=100)

        assert ("KeyboardInterrupt", -signal.SIGINT) == (told.split()[-1], process.returncode)
        assert remote.proxy.methods.count("GET") <= 10  # of 17, or more
        assert [] == cached_files(cache_dir)
        assert len(list((cache_dir / "v1" / "partial").glob("*/*.journal"))) == 1  # for the next


FORKED = """
import multiprocessing, os, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from datacachalog import Catalog, DatacachalogError, Dataset
from datacachalog.testing.payloads import seed_of

def catalog(name):
    return Catalog([Dataset("customers", f"{sys.argv[1]}-{name}")], cache_dir=sys.argv[2])

def tell(catalog, **options):
    try:
        told = seed_of(catalog.fetch("customers", **options).read_bytes())
    except DatacachalogError as error:
        told = type(error).__name__
    os.write(1, f"child {told}{os.linesep}".encode())  # at once: several write to one pipe

first = catalog("one")
first.fetch("customers")
"""

OS_FORK = """
for known, options in ((first, {"refresh": True}), (catalog("two"), {}), (catalog("big"), {})):
    if (pid := os.fork()) == 0:
        tell(known, **options)
        os._exit(0)
    os.waitpid(pid, 0)
"""

MULTIPROCESSING = """
for known in (first, catalog("two"), catalog("big")):
    process = multiprocessing.get_context("fork").Process(target=tell, args=(known,))
    process.start()
    process.join()
"""

EXECUTOR = """
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as executor:
    for known in (first, catalog("two"), catalog("big")):
        for path in known.fetch_all(executor=executor).values():
            print("child", seed_of(path.read_bytes()), flush=True)
"""

FORK_IN_A_DOWNLOAD = """
busy = catalog("slow")
thread = threading.Thread(target=busy.fetch, args=["customers"])
thread.start()
while not any(Path(sys.argv[2], "v1", "partial").glob("*/*")):
    time.sleep(0.01)
children = []
told, telling = os.pipe()
waiting, working = os.pipe()
for known in (first, catalog("two"), catalog("big")):
    if (pid := os.fork()) == 0:
        os.close(working)
        tell(known)
        os.write(telling, b".")
        os.read(waiting, 1)  # as a worker that waits for more to do, until its parent ends
        os._exit(0)
    children.append(pid)
thread.join()
tell(catalog("slow"))
for pid in children:
    os.read(told, 1)
os.close(working)
for pid in children:
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS itself breaks forked processes")
class TestForked:
    """obstore's threads do not survive a fork; what a child asks for must not wait for them."""

    @pytest.fixture(autouse=True)
    def objects(self, remote: Remote) -> None:
        for seed, (name, size) in enumerate({"one": 1000, "two": 1000, "big": BIG}.items(), 1):
            remote.client.put_object(
                Bucket=remote.bucket, Key=f"{remote.key}-{name}", Body=payload(seed, size)
            )

    @pytest.mark.parametrize(
        "how", [OS_FORK, MULTIPROCESSING, EXECUTOR], ids=["os.fork", "multiprocessing", "executor"]
    )
    def test_a_child_of_one_that_has_fetched_gets_the_bytes(self, remote, cache_dir, how):
        printed = output(started(FORKED + how, remote.source, cache_dir))

        assert ["child 1", "child 2", "child 3"] == printed.splitlines()

    def test_a_child_that_is_forked_in_a_download_neither_hangs_nor_holds_others_off(
        self, remote, cache_dir
    ):
        remote.client.put_object(
            Bucket=remote.bucket, Key=f"{remote.key}-slow", Body=payload(4, 2 * BIG)
        )
        remote.proxy.hook = lambda exchange: (
            Script(bytes_per_s=1.5 * MIB) if exchange.path.endswith("-slow") else None
        )

        program = started(FORKED + FORK_IN_A_DOWNLOAD, remote.source, cache_dir)
        printed = output(program)

        assert ["child 1", "child 2", "child 3", "child 4"] == sorted(printed.splitlines())


@contextmanager
def _changing(remote: Remote, sizes: dict[str, int]) -> Iterator[None]:
    """Overwrites objects, of these sizes, with one payload after another until the block ends."""
    seeds, over = count(), threading.Event()

    def put_all() -> None:
        for key, size_bytes in sizes.items():
            data = payload(next(seeds), size_bytes)
            remote.client.put_object(Bucket=remote.bucket, Key=key, Body=data)

    def change() -> None:
        while not over.wait(0.005):
            put_all()

    put_all()
    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _assert_sound(cache_dir: Path) -> None:
    """Whoever killed a writer and when: every visible entry is whole, and is what it says."""
    entries = list(DirectoryCache(cache_dir).entries())
    for entry in entries:
        data = entry.path.read_bytes()
        seed_of(data)
        assert entry.digest == blake3(data).hexdigest()
    folders = list((cache_dir / "v1" / "objects").glob("*/*"))
    assert sorted(folders) == sorted(entry.path.parent for entry in entries)
