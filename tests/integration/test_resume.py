"""Downloads that were killed, cut or interrupted go on where they ended, with right bytes."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from datacachalog import ObjectNotFoundError, StorageUnavailableError
from datacachalog.testing.payloads import seed_of
from tests.integration.support import MIB, cached_files, killed, output, started, wait_until
from tests.servers.exchange import Reply, Script
from tests.unit.adapters.other_processes import on_a_full_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.support import Remote

SIZE = 48 * MIB + 7
PART = 3 * MIB
LOST = 8 * MIB  # at most: eight parts of a slow connection
SLOW = 3 * MIB  # bytes a second of each connection: the whole takes some three seconds

FETCH = """
import sys
from datacachalog import Catalog, Dataset
from datacachalog.testing.payloads import seed_of

catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
path = catalog.fetch("customers", version=sys.argv[3] if sys.argv[3:] else None)
print(seed_of(path.read_bytes()))
"""


def hold_at(remote: Remote, size: float, pace: float | None = SLOW) -> Callable[[], bool]:
    """Has the proxy pass so many bytes, and then none until others are counted; whether it has."""

    def is_there() -> bool:
        return remote.proxy.bytes_down >= size

    remote.proxy.hook = lambda _: Script(bytes_per_s=pace, pauses=is_there)
    return is_there


@pytest.fixture
def kill_at(remote, cache_dir):
    """Kills a fetch when so much of the object is there; the bytes that it had moved."""

    def kill_at(share: float, *args: str, size: int = SIZE, pace: float | None = SLOW) -> int:
        remote.proxy.reset()
        is_there = hold_at(remote, share * size, pace)
        process = started(FETCH, remote.source, cache_dir, *args)
        wait_until(is_there)
        killed(process)
        remote.proxy.hook = lambda _: None
        moved: int = remote.proxy.bytes_down
        assert [] == cached_files(cache_dir)
        remote.proxy.reset()
        return moved

    return kill_at


def left(cache_dir: Path) -> tuple[Path, Path]:
    """What a killed download left: the file, and its journal."""
    (journal,) = cache_dir.glob("v1/partial/*/*.journal")
    return journal.with_suffix(""), journal


def fetched(remote: Remote, cache_dir: Path) -> tuple[int, int]:
    """The seed of what a new catalog fetches, and the bytes that it moved."""
    seed = seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())
    assert [] == list((cache_dir / "v1" / "partial").iterdir())
    return seed, remote.proxy.bytes_down


class TestKilled:
    @pytest.mark.parametrize("share", [0.03, 0.15, 0.4, 0.6, 0.95])
    def test_less_than_8_mib_is_fetched_again(self, remote, cache_dir, kill_at, share):
        remote.put(1, SIZE)
        before = kill_at(share)

        seed, after = fetched(remote, cache_dir)

        assert 1 == seed
        assert before + after - SIZE < LOST

    @pytest.mark.parametrize(
        ("size", "pace"), [(128 * MIB, 10 * MIB), (512 * MIB, None)], ids=["slow", "at-full-speed"]
    )
    def test_one_that_was_killed_at_60_percent_moves_at_most_45_percent(
        self, remote, cache_dir, kill_at, size, pace, whole
    ):
        if pace is None and not whole:
            pytest.skip("half a gigabyte keeps the disk from other tests: --faults=whole")
        remote.put(1, size)
        kill_at(0.6, size=size, pace=pace)

        seed, moved = fetched(remote, cache_dir)

        assert 1 == seed
        assert moved <= 0.45 * size

    def test_one_that_is_killed_again_and_again_gets_there(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        before = sum(kill_at(0.3) for _ in range(2))

        seed, after = fetched(remote, cache_dir)

        assert 1 == seed
        assert before + after - SIZE < 2 * LOST

    def test_every_part_is_asked_for_by_its_tag(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        kill_at(0.5)

        fetched(remote, cache_dir)

        asked = remote.proxy.requests
        assert {remote.etag()} == {each.headers.get("if-match") for each in asked}

    def test_a_version_is_gone_on_with_too(self, versioned, cache_dir, kill_at):
        versioned.put(1, SIZE)
        version = versioned.catalog(cache_dir).versions("customers")[0].version
        versioned.put(2, SIZE)
        before = kill_at(0.6, version)

        path = versioned.catalog(cache_dir).fetch("customers", version=version)

        assert 1 == seed_of(path.read_bytes())
        assert before + versioned.proxy.bytes_down - SIZE < LOST

    def test_what_was_replaced_meanwhile_is_fetched_as_it_is_now(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        kill_at(0.6)
        remote.put(2, SIZE)

        assert (2, SIZE) == _without_errors(remote, fetched(remote, cache_dir))

    def test_what_was_deleted_meanwhile_is_not_found(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        kill_at(0.6)
        remote.client.delete_object(Bucket=remote.bucket, Key=remote.key)

        with pytest.raises(ObjectNotFoundError):
            remote.catalog(cache_dir).fetch("customers")

    def test_a_refresh_that_was_killed_is_gone_on_with(self, remote, cache_dir, kill_at):
        remote.put(1, 1000)
        remote.catalog(cache_dir).fetch("customers")
        remote.put(2, SIZE)
        remote.proxy.reset()
        is_there = hold_at(remote, 0.6 * SIZE)
        process = started(FETCH, remote.source, cache_dir)
        wait_until(is_there)
        killed(process)
        remote.proxy.hook, before = lambda _: None, remote.proxy.bytes_down
        remote.proxy.reset()

        seed, after = fetched(remote, cache_dir)

        assert 2 == seed
        assert before + after - SIZE < LOST


def _without_errors(remote: Remote, found: tuple[int, int]) -> tuple[int, int]:
    """The same, less what the bodies of refusals took."""
    refused = sum(each.bytes_down for each in remote.proxy.requests if each.status >= 400)
    return found[0], found[1] - refused


class TestDamage:
    @pytest.fixture(autouse=True)
    def a_killed_download(self, remote, kill_at):
        remote.put(1, SIZE)
        kill_at(0.6)

    @pytest.mark.parametrize("place", [100, 5 * MIB, 12 * MIB])
    def test_a_flipped_byte_is_noticed(self, remote, cache_dir, place):
        file, _ = left(cache_dir)
        with file.open("r+b") as opened:
            opened.seek(place)
            (byte,) = opened.read(1)
            opened.seek(place)
            opened.write(bytes([byte ^ 1]))

        seed, moved = fetched(remote, cache_dir)

        assert 1 == seed
        assert SIZE - place - PART <= moved <= SIZE

    def test_pages_that_never_reached_the_disk_are_noticed(self, remote, cache_dir):
        file, _ = left(cache_dir)
        with file.open("r+b") as opened:
            opened.seek(10 * MIB)
            opened.write(bytes(MIB))

        assert 1 == fetched(remote, cache_dir)[0]

    @pytest.mark.parametrize("cut", [1, 40, 90])
    def test_a_torn_line_costs_a_part(self, remote, cache_dir, cut):
        _, journal = left(cache_dir)
        os.truncate(journal, journal.stat().st_size - cut)

        seed, moved = fetched(remote, cache_dir)

        assert 1 == seed
        assert moved <= 0.4 * SIZE + LOST + PART

    @pytest.mark.parametrize(
        "text", [b"", b"\0" * 500, b"{}\n", b'{"format": 2}\n', b"[" * 3000, b"x" * (1 << 20)]
    )
    def test_a_journal_that_makes_no_sense_is_as_if_there_were_none(self, remote, cache_dir, text):
        _, journal = left(cache_dir)
        journal.write_bytes(text)

        assert (1, SIZE) == fetched(remote, cache_dir)

    def test_a_file_that_is_gone_is_fetched_anew(self, remote, cache_dir):
        left(cache_dir)[0].unlink()

        assert (1, SIZE) == fetched(remote, cache_dir)

    def test_a_file_that_has_another_name_is_not_written_to(self, remote, cache_dir, tmp_path):
        file, _ = left(cache_dir)
        os.link(file, tmp_path / "mine")
        before = (tmp_path / "mine").read_bytes()

        assert (1, SIZE) == fetched(remote, cache_dir)
        assert before == (tmp_path / "mine").read_bytes()


class TestSeveral:
    def test_of_two_processes_one_goes_on_and_both_get_right_bytes(
        self, remote, cache_dir, kill_at
    ):
        remote.put(1, SIZE)
        before = kill_at(0.6)
        programs = [started(FETCH, remote.source, cache_dir) for _ in range(2)]

        assert ["1", "1"] == [output(each).strip() for each in programs]
        assert before + remote.proxy.bytes_down - SIZE < LOST

    def test_so_they_do_where_locks_do_nothing(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        kill_at(0.6)
        remote.proxy.hook = lambda _: Script(bytes_per_s=MIB)  # so that they meet
        unlocked = "import fcntl; fcntl.flock = lambda *_: None\n" + FETCH
        programs = [started(unlocked, remote.source, cache_dir) for _ in range(3)]

        assert ["1"] * 3 == [output(each).strip() for each in programs]
        assert remote.proxy.bytes_down > SIZE  # not all of them went on with it

    def test_who_waited_for_one_that_is_killed_goes_on_with_it(self, remote, cache_dir):
        remote.put(1, SIZE)
        is_there = hold_at(remote, 0.6 * SIZE)
        first = started(FETCH, remote.source, cache_dir)
        wait_until(lambda: remote.proxy.bytes_down >= 0.1 * SIZE)
        second = started(FETCH, remote.source, cache_dir)
        wait_until(is_there)

        remote.proxy.hook = lambda _: Script(bytes_per_s=SLOW)
        killed(first)

        assert "1" == output(second).strip()
        assert remote.proxy.bytes_down - SIZE < LOST


class TestInterrupted:
    def test_ctrl_c_ends_the_command_soon_and_what_came_stays(self, remote, tmp_path, cache_dir):
        remote.put(1, SIZE)
        (tmp_path / "catalog.yaml").write_text(
            f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
        )
        is_there = hold_at(remote, 0.6 * SIZE)  # what is on its way does not come meanwhile
        process = started(
            "from datacachalog.cli.main import main; main()",
            *("--catalog", tmp_path, "--cache-dir", cache_dir, "fetch", "customers"),
        )
        wait_until(is_there)

        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        took_s = time.monotonic() - begun

        assert 130 == process.returncode
        assert took_s < 25  # it waits for no part: that is 30
        remote.proxy.hook, before = lambda _: None, remote.proxy.bytes_down
        remote.proxy.reset()
        seed, after = fetched(remote, cache_dir)
        assert 1 == seed
        assert before + after - SIZE < LOST

    def test_a_store_that_fails_halfway_costs_only_what_had_not_come(self, remote, catalog):
        remote.put(1, SIZE)

        def fail_from_the_middle(exchange):
            start = int(exchange.headers["range"].removeprefix("bytes=").partition("-")[0])
            return Script(reply=Reply(500)) if start > SIZE / 2 else None

        remote.proxy.hook = fail_from_the_middle
        with pytest.raises(StorageUnavailableError):
            catalog.fetch("customers")
        number, size_bytes = catalog.cache.unfinished()
        assert (1, True) == (number, size_bytes >= SIZE)
        remote.proxy.hook = lambda _: None
        remote.proxy.reset()

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert remote.proxy.bytes_down < SIZE / 2 + LOST / 2
        assert (0, 0) == catalog.cache.unfinished()

    def test_who_clears_the_cache_clears_that_too(self, remote, cache_dir, kill_at):
        remote.put(1, SIZE)
        kill_at(0.6)

        freed = remote.catalog(cache_dir).cache.clear()

        assert freed >= 0.5 * SIZE
        assert (1, SIZE) == fetched(remote, cache_dir)


class TestThrottling:
    def test_fewer_are_asked_for_at_once_where_a_store_wants_less(self, remote, catalog):
        """It refuses whoever comes while two are served, longer than obstore tries by itself."""
        remote.put(1, SIZE)
        served: list[int] = []
        begun: list[float] = []

        def refuse(exchange):
            if exchange.headers["range"].startswith("bytes=0-"):
                return None
            begun.append(time.monotonic())
            if begun[-1] - begun[0] > 3:
                return None
            busy = sum(each.status == 0 for each in remote.proxy.requests[:-1])
            if busy >= 2:
                body = b"<Error><Code>SlowDown</Code><Message>less</Message></Error>"
                return Script(reply=Reply(503, body))
            served.append(busy)
            return Script(delay_s=0.2)

        remote.proxy.hook = refuse

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert served


class TestFullDisks:
    def test_a_disk_without_room_is_told_before_more_than_one_part_is_fetched(
        self, remote, tmp_path
    ):
        remote.put(1, 5 * PART)
        program = f"""
            import sys
            from datacachalog import CacheFullError, Catalog, Dataset
            catalog = Catalog([Dataset("a", {remote.source!r})], cache_dir=sys.argv[1])
            try:
                catalog.fetch("a")
            except CacheFullError:
                print("full", *catalog.cache.unfinished())
            """

        assert ["full 0 0"] == on_a_full_disk(program, tmp_path, size_kib=4 * PART >> 10)
        assert PART == remote.proxy.bytes_down
