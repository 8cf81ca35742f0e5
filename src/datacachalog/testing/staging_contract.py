"""What every cache promises of `staging`, `copy_from`, `publish` and `alone`."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import IntegrityError, LocalFileError
from datacachalog.domain.keys import revision_id
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once, digest_of, payload, seed_of
from datacachalog.testing.sources import (
    NOON,
    SECOND,
    SOURCE,
    URI,
    CacheFixtures,
    checksum_of,
    described,
    publish,
    source,
)

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort

HOSTILE_NAMES = (
    "",
    ".",
    "..",
    "a/..",
    "a/../../../../etc/passwd",
    "..\\..\\boot.ini",
    ".entry.json",
    ".lock",
    "nul\x00byte",
    "line\nbreak",
    "right-to-left \u202etxt.exe",
    "CON",
    "aux.csv",
    "~",
    "-rf",
    "C:\\x",
    'a*?<>|".csv',
    "x" * 300 + ".parquet",
    "ü" * 200 + ".csv",
    "x." + "y" * 300,
)


class StagingContract(CacheFixtures):
    """How bytes get in: `staging`, `copy_from`, `publish`, and `alone` meanwhile."""

    def test_a_published_file_is_an_entry(self, cache: CachePort) -> None:
        entry = publish(cache, b"id,name\n")

        assert b"id,name\n" == entry.path.read_bytes()
        assert "customers.parquet" == entry.path.name
        assert entry.path.is_absolute()
        assert (SOURCE[0], NOON) == (entry.identity, entry.checked_at)
        assert described(b"id,name\n") == replace(entry.info, digest=None)
        assert entry == cache.current(*SOURCE)

    def test_an_entry_knows_the_digest_of_its_bytes(self, cache: CachePort) -> None:
        data = payload(1, 3_000_000)

        entry = publish(cache, data)

        assert digest_of(data) == entry.digest
        assert revision_id(SOURCE[0], described(data), entry.digest) == entry.revision_id

    def test_an_empty_file_is_an_entry(self, cache: CachePort) -> None:
        entry = publish(cache, b"")

        assert b"" == entry.path.read_bytes()
        assert digest_of(b"") == entry.digest
        assert entry == cache.current(*SOURCE)

    def test_a_right_digest_is_accepted(self, cache: CachePort) -> None:
        info = replace(described(b"1"), digest=digest_of(b"1"))

        assert info == publish(cache, b"1", info=info).info

    def test_a_staging_place_is_not_there_yet(self, cache: CachePort) -> None:
        with cache.staging(*SOURCE) as staging:
            assert not staging.path.exists()

    def test_stagings_of_one_source_do_not_meet(self, cache: CachePort) -> None:
        with cache.staging(*SOURCE) as one, cache.staging(*SOURCE) as other:
            assert one.path.parent != other.path.parent

    def test_what_is_not_published_is_gone(self, cache: CachePort) -> None:
        with cache.staging(*SOURCE) as staging:
            staging.path.parent.mkdir(parents=True, exist_ok=True)
            staging.path.write_bytes(b"half")
            (staging.path.parent / "journal").write_bytes(b"more")

        assert not staging.path.parent.exists()
        assert None is cache.current(*SOURCE)
        assert not list(cache.entries())

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
    def test_what_failed_is_gone(self, cache: CachePort, kind: type[BaseException]) -> None:
        folders: list[Path] = []

        def fail() -> None:
            with cache.staging(*SOURCE) as staging:
                folders.append(staging.path.parent)
                staging.path.parent.mkdir(parents=True, exist_ok=True)
                staging.path.write_bytes(b"half")
                raise kind

        with pytest.raises(kind):
            fail()

        assert not folders[0].exists()
        assert not list(cache.entries())

    def test_what_is_published_leaves_nothing_behind(self, cache: CachePort) -> None:
        with cache.staging(*SOURCE) as staging:
            staging.path.parent.mkdir(parents=True, exist_ok=True)
            staging.path.write_bytes(b"1")
            entry = staging.publish(described(b"1"), checked_at=NOON, current=True)

        assert not staging.path.parent.exists()
        assert b"1" == entry.path.read_bytes()

    @pytest.mark.parametrize("data", [b"", b"123", b"12345"])
    def test_a_file_of_the_wrong_length_is_refused(self, cache: CachePort, data: bytes) -> None:
        with pytest.raises(IntegrityError):
            publish(cache, data, info=described(b"1234"))

        assert None is cache.current(*SOURCE)
        assert not list(cache.entries())

    def test_a_copy_of_another_digest_is_refused(self, cache: CachePort, tmp_path: Path) -> None:
        info, mine = replace(described(b"1234"), digest=digest_of(b"1234")), tmp_path / "mine"
        mine.write_bytes(b"1235")

        with cache.staging(*SOURCE) as staging:
            staging.copy_from(mine)
            with pytest.raises(IntegrityError):
                staging.publish(info, checked_at=NOON, current=True)

        assert None is cache.current(*SOURCE)
        assert not list(cache.entries())

    def test_a_refused_file_leaves_the_current_entry_alone(self, cache: CachePort) -> None:
        entry = publish(cache, b"good")

        with pytest.raises(IntegrityError):
            publish(cache, b"torn", info=described(b"better"), at=NOON + SECOND)

        assert entry == cache.current(*SOURCE)
        assert b"good" == entry.path.read_bytes()

    @pytest.mark.parametrize("algorithm", ["sha256", "md5", "blake3"])
    def test_bytes_that_come_to_the_checksum_are_published(
        self, cache: CachePort, algorithm: str
    ) -> None:
        checksum = checksum_of(b"good", algorithm)

        entry = publish(cache, b"good", checksum=checksum)

        assert entry == cache.current(*SOURCE)
        assert cache.matches(entry, checksum)

    @pytest.mark.parametrize("algorithm", ["sha256", "md5", "blake3"])
    def test_bytes_that_do_not_are_not_published(self, cache: CachePort, algorithm: str) -> None:
        entry = publish(cache, b"good")

        with pytest.raises(IntegrityError, match=f"{algorithm}:"):
            publish(cache, b"torn", at=NOON + SECOND, checksum=checksum_of(b"good", algorithm))

        assert [entry] == list(cache.entries())
        assert entry == cache.current(*SOURCE)

    @pytest.mark.parametrize("algorithm", ["sha256", "md5", "blake3"])
    def test_a_checksum_that_is_declared_later_is_compared(
        self, cache: CachePort, algorithm: str
    ) -> None:
        entry = publish(cache, b"good")

        assert cache.matches(entry, checksum_of(b"good", algorithm))
        assert not cache.matches(entry, checksum_of(b"torn", algorithm))

    def test_what_was_cleared_meanwhile_comes_to_nothing(self, cache: CachePort) -> None:
        entry = publish(cache, b"good")
        cache.clear()

        assert not cache.matches(entry, checksum_of(b"good", "sha256"))

    def test_a_copy_is_of_the_same_bytes(self, cache: CachePort, tmp_path: Path) -> None:
        mine, data = tmp_path / "mine", payload(1, 3_000_000)
        mine.write_bytes(data)

        with cache.staging(*SOURCE) as staging:
            staging.copy_from(mine)
            entry = staging.publish(described(data), checked_at=NOON, current=True)
        mine.write_bytes(b"changed since")

        assert 1 == seed_of(entry.path.read_bytes())
        assert digest_of(data) == entry.digest

    def test_a_copy_leaves_its_source_alone(self, cache: CachePort, tmp_path: Path) -> None:
        mine = tmp_path / "mine"
        mine.write_bytes(b"1")
        before = mine.stat()

        with cache.staging(*SOURCE) as staging:
            staging.copy_from(mine)
            staging.publish(described(b"1"), checked_at=NOON, current=True)

        assert b"1" == mine.read_bytes()
        assert (before.st_mode, before.st_mtime_ns) == (
            mine.stat().st_mode,
            mine.stat().st_mtime_ns,
        )

    @pytest.mark.parametrize("name", ["missing", "missing/too", "."])
    def test_what_is_not_a_file_cannot_be_copied(
        self, cache: CachePort, tmp_path: Path, name: str
    ) -> None:
        with cache.staging(*SOURCE) as staging, pytest.raises(LocalFileError) as caught:
            staging.copy_from(tmp_path / name)

        assert str(tmp_path / name) == caught.value.path
        assert not staging.path.parent.exists()

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_a_hostile_name_stays_in_the_cache(
        self, cache: CachePort, root: Path | None, name: str
    ) -> None:
        into = source(Uri("s3", "lake", name))

        with cache.staging(*into) as staging:
            staged = staging.path
        entry = publish(cache, b"1", into=into)

        assert b"1" == entry.path.read_bytes()
        assert entry.path.name.isprintable()
        assert entry.path == entry.path.resolve()
        assert root is None or (root in entry.path.parents and root in staged.parents)

    @pytest.mark.parametrize("name", ["a b.csv", "Zürich.parquet", "a#%41+&='.tar.gz", "..b"])
    def test_a_harmless_name_keeps_its_suffix(self, cache: CachePort, name: str) -> None:
        uri = Uri("s3", "lake", name)

        entry = publish(cache, b"1", into=source(uri))

        assert entry.path.name.endswith(name.rpartition(".")[2])
        assert uri == entry.info.uri

    def test_a_copy_is_called_as_the_store_says(self, cache: CachePort, tmp_path: Path) -> None:
        mine, into = tmp_path / "mine", source(Uri("datlake", "", "sales"))
        mine.write_bytes(b"1")
        info = replace(described(b"1", into[1], version="snap-1"), file_name="sales.parquet")

        with cache.staging(*into) as staging:
            staging.copy_from(mine, "new.parquet")
            assert "new.parquet" == staging.path.name
            entry = staging.publish(info, checked_at=NOON, current=True)
        found = cache.current(*into)

        assert ("sales.parquet", b"1") == (entry.path.name, entry.path.read_bytes())
        assert found is not None
        assert entry.path == found.path

    @pytest.mark.parametrize("name", ["../a", "/etc/a", "a\x00", ".entry.json"])
    def test_what_the_store_says_stays_in_the_cache(self, cache: CachePort, name: str) -> None:
        into = source(Uri("datlake", "", "sales"))
        info = replace(described(b"1", into[1], version="snap-1"), file_name=name)

        with cache.staging(*into) as staging:
            staging.path.parent.mkdir(parents=True, exist_ok=True)
            staging.path.write_bytes(b"1")
            entry = staging.publish(info, checked_at=NOON, current=True)

        assert b"1" == entry.path.read_bytes()
        assert entry.path == entry.path.resolve()
        assert entry.revision_id == entry.path.parent.name

    def test_many_threads_publish_one_revision(self, cache: CachePort) -> None:
        data = payload(1, 100_000)

        def act(_: int) -> tuple[Path, int]:
            entry = publish(cache, data)
            return entry.path, seed_of(entry.path.read_bytes())

        outcomes = set(at_once(8, act))

        assert [1] == [seed for _, seed in outcomes]
        [entry] = cache.entries()
        assert entry == cache.current(*SOURCE)

    def test_many_threads_publish_many_revisions(self, cache: CachePort) -> None:
        def act(number: int) -> CacheEntry:
            return publish(cache, payload(number, 10_000), at=NOON + number * SECOND)

        entries = at_once(8, act)

        assert list(range(8)) == [seed_of(entry.path.read_bytes()) for entry in entries]
        assert 8 == len(list(cache.entries()))
        assert cache.current(*SOURCE) is not None

    def test_one_who_is_alone_holds_others_off(self, cache: CachePort) -> None:
        with cache.alone(*SOURCE, wait=SECOND) as first:
            [second] = at_once(1, lambda _: _is_alone(cache, timedelta(0)))

        assert (True, False) == (first, second)

    def test_a_wait_for_others_ends(self, cache: CachePort) -> None:
        with cache.alone(*SOURCE, wait=SECOND):
            begun = time.monotonic()
            at_once(1, lambda _: _is_alone(cache, timedelta(seconds=0.2)))
            waited_s = time.monotonic() - begun

        assert 0.15 < waited_s < 5

    def test_one_who_waits_has_the_next_turn(self, cache: CachePort) -> None:
        waiting = threading.Event()

        def act(number: int) -> bool:
            if number == 0:
                with cache.alone(*SOURCE, wait=SECOND):
                    waiting.wait(10)
                    time.sleep(0.05)
                return True
            time.sleep(0.05)
            waiting.set()
            return _is_alone(cache, timedelta(seconds=30))

        assert [True, True] == at_once(2, act)

    def test_others_are_held_off_from_one_source_only(self, cache: CachePort) -> None:
        other = source(URI, "https://elsewhere.example")

        with cache.alone(*SOURCE, wait=SECOND) as one, cache.alone(*other, wait=SECOND) as two:
            assert (True, True) == (one, two)

    def test_a_failure_ends_being_alone(self, cache: CachePort) -> None:
        with pytest.raises(ValueError), cache.alone(*SOURCE, wait=SECOND):
            raise ValueError

        assert _is_alone(cache, timedelta(0))

    def test_one_who_is_not_alone_ends_nobodys_turn(self, cache: CachePort) -> None:
        with cache.alone(*SOURCE, wait=SECOND):
            at_once(1, lambda _: _is_alone(cache, timedelta(0)))
            [second] = at_once(1, lambda _: _is_alone(cache, timedelta(0)))

        assert not second

    def test_others_are_held_off_who_opened_the_same_cache(
        self, cache: CachePort, again: CachePort
    ) -> None:
        with cache.alone(*SOURCE, wait=SECOND):
            meanwhile = _is_alone(again, timedelta(0))

        assert (False, True) == (meanwhile, _is_alone(again, timedelta(0)))


def _is_alone(cache: CachePort, wait: timedelta) -> bool:
    with cache.alone(*SOURCE, wait=wait) as alone:
        return alone
