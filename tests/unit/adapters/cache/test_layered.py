"""A cache on top of others: what they hold is served, and nothing is ever written to them."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import UTC, datetime

import pytest

from datacachalog import Catalog, Dataset, Integrity, Outcome
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.layered import LayeredCache
from datacachalog.testing.cache_contract import CacheContract
from datacachalog.testing.sources import NOON, SECOND, SOURCE, described, publish


class TestLayeredCache(CacheContract):
    """With a layer that has nothing, it is a directory cache."""

    @pytest.fixture
    def cache(self, tmp_path):
        return LayeredCache(tmp_path / "cache", [tmp_path / "nowhere"])

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: LayeredCache(tmp_path / "cache", [tmp_path / "nowhere"])

    @pytest.fixture
    def root(self, tmp_path):
        return (tmp_path / "cache").resolve()


@pytest.fixture
def lower(tmp_path):
    return DirectoryCache(tmp_path / "lower")


@pytest.fixture
def cache(tmp_path, lower):
    return LayeredCache(tmp_path / "upper", [tmp_path / "absent", lower.root])


@pytest.fixture
def untouched(lower):
    """Fails the test if anything below the layer's folder has changed."""

    def state():
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, _bytes(path))
            for path in sorted(lower.root.rglob("*"))
        }

    states = []
    yield lambda: states.append(state())
    assert states[0] == state()


def _bytes(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def test_what_a_layer_holds_is_current(cache, lower, untouched):
    entry = publish(lower, b"bytes")
    untouched()

    assert entry == cache.current(*SOURCE)
    assert cache.hold(entry)
    with cache.pin(entry) as is_here:
        assert is_here
    assert [] == list(cache.entries())  # they are the layer's


def test_a_version_that_a_layer_holds_is_found(cache, lower):
    entry = publish(lower, b"bytes", info=described(b"bytes", version="v1"), current=False)

    assert entry.path == cache.find(*SOURCE, "v1").path


def test_bytes_that_a_layer_holds_are_found_until_they_are_forgotten(cache, lower):
    old = publish(lower, b"old")
    publish(lower, b"new", at=NOON + SECOND)

    assert old.path == cache.holding(*SOURCE, old.digest).path
    cache.forget(*SOURCE)
    assert None is cache.holding(*SOURCE, old.digest)
    publish(cache, b"old", at=datetime.now(UTC))
    assert b"old" == cache.holding(*SOURCE, old.digest).path.read_bytes()


def test_what_was_confirmed_last_is_served(cache, lower):
    publish(lower, b"old")
    own = publish(cache, b"own", at=NOON + SECOND)
    assert own == cache.current(*SOURCE)

    newer = publish(lower, b"newer", at=NOON + 2 * SECOND)

    assert newer == cache.current(*SOURCE)
    assert own == cache.confirm(own, own.checked_at)


def test_a_check_of_a_layers_entry_is_remembered_here(cache, lower, tmp_path, untouched):
    entry = publish(lower, b"bytes")
    untouched()

    cache.confirm(entry, NOON + SECOND)

    again = LayeredCache(tmp_path / "upper", [lower.root]).current(*SOURCE)
    assert again is not None
    assert (entry.path, NOON + SECOND) == (again.path, again.checked_at)


def test_a_layer_that_goes_away_is_a_miss(cache, lower):
    entry = publish(lower, b"bytes")
    cache.confirm(entry, NOON + SECOND)

    shutil.rmtree(lower.root)

    assert None is cache.current(*SOURCE)


def rot(path):
    """Changes bytes as a bad disk does: size and time stay."""
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"\0" * status.st_size)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class TestADamagedCopyInALayer:
    @pytest.fixture
    def old(self, cache, lower):
        """One that is not current any more."""
        entry = publish(lower, b"old", info=described(b"old", version="v1"))
        rot(entry.path)
        publish(lower, b"new", at=NOON + SECOND)
        assert (entry.path,) == cache.remove_damaged(*SOURCE)
        return entry

    def test_it_is_told_once(self, cache, old):
        assert () == cache.remove_damaged(*SOURCE)
        assert b"new" == cache.current(*SOURCE).path.read_bytes()

    def test_it_is_not_found_by_its_version(self, cache, old):
        assert None is cache.find(*SOURCE, "v1")

    def test_it_is_not_found_by_its_bytes_whatever_becomes_current(self, cache, old):
        publish(cache, b"newer", at=datetime.now(UTC))

        assert None is cache.holding(*SOURCE, old.digest)

    def test_it_is_not_current_for_others_either(self, tmp_path, cache, lower):
        entry = publish(lower, b"bytes")
        other = LayeredCache(tmp_path / "upper", [lower.root])
        other.confirm(entry, NOON + SECOND)
        assert [entry.path] == [one.path for one in [other.current(*SOURCE)] if one]
        rot(entry.path)

        assert (entry.path,) == cache.remove_damaged(*SOURCE)

        assert (None, None) == (cache.current(*SOURCE), other.current(*SOURCE))
        own = publish(other, b"bytes", at=datetime.now(UTC))
        assert own.path == cache.current(*SOURCE).path
        shutil.rmtree(own.path.parent)
        assert (None, None) == (cache.current(*SOURCE), other.current(*SOURCE))

    def test_it_is_not_found_after_what_is_here_was_cleared(self, tmp_path, cache, old):
        cache.clear()
        (note,) = cache.refs.iterdir()
        os.utime(note, (0, 0))
        DirectoryCache(tmp_path / "upper").sweep()

        assert None is cache.find(*SOURCE, "v1")

    def test_it_is_served_again_when_its_owner_has_repaired_it(self, cache, lower, old):
        assert (old.path,) == lower.remove_damaged(*SOURCE)
        publish(lower, b"old", info=described(b"old", version="v1"))

        assert b"old" == cache.find(*SOURCE, "v1").path.read_bytes()


def test_what_is_forgotten_is_not_served_from_a_layer(cache, lower, untouched):
    entry = publish(lower, b"bytes")
    untouched()

    assert cache.forget(*SOURCE)

    assert None is cache.current(*SOURCE)
    assert not cache.forget(*SOURCE)
    mine = publish(cache, b"bytes", at=datetime.now(UTC))
    assert mine == cache.current(*SOURCE)
    assert entry.path != mine.path


def test_what_is_forgotten_stays_so_after_a_sweep(cache, lower):
    publish(lower, b"bytes")
    cache.forget(*SOURCE)
    (ref,) = cache.refs.iterdir()
    before = ref.stat().st_mtime - 7200
    os.utime(ref, (before, before))

    cache.sweep()

    assert None is cache.current(*SOURCE)


def test_what_a_layer_confirms_later_is_served_again(cache, lower):
    entry = publish(lower, b"bytes")
    cache.forget(*SOURCE)
    ref = lower.refs / next(lower.refs.iterdir()).name
    later = ref.stat().st_mtime + 10**9
    os.utime(ref, (later, later))

    assert entry.path == cache.current(*SOURCE).path


def test_nothing_is_removed_from_a_layer(cache, lower, untouched):
    entry = publish(lower, b"bytes")
    untouched()

    assert [] == list(cache.usages())
    assert 0 == cache.size_bytes()
    cache.clear()
    cache.sweep()

    assert entry == cache.current(*SOURCE)


class TestCatalog:
    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / "orders.csv"
        path.write_text("id\n1\n")
        return path

    @pytest.fixture
    def shared(self, tmp_path, source):
        """A cache that somebody has filled, and nobody may write."""
        folder = tmp_path / "shared"
        Catalog([Dataset("orders", source)], cache_dir=folder).fetch("orders")
        return folder

    @pytest.fixture
    def catalog(self, tmp_path, source, shared):
        return Catalog(
            [Dataset("orders", source)], cache_dir=tmp_path / "mine", cache_layers=[shared]
        )

    def test_nothing_is_downloaded_that_a_layer_holds(self, catalog, shared):
        fetched = catalog.obtain("orders")

        assert Outcome.UNCHANGED is fetched.outcome
        assert fetched.path.is_relative_to(shared)

    def test_what_changes_comes_here(self, catalog, source, tmp_path):
        catalog.fetch("orders")
        source.write_text("id\n1\n2\n")

        fetched = catalog.obtain("orders")

        assert Outcome.DOWNLOADED is fetched.outcome
        assert fetched.path.is_relative_to(tmp_path / "mine")
        assert "id\n1\n2\n" == fetched.path.read_text()

    def test_a_damaged_copy_in_a_layer_is_replaced_here(self, catalog, tmp_path):
        path = catalog.fetch("orders")
        status = path.stat()
        path.chmod(0o644)
        path.write_text("ID\n1\n")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        (found,) = catalog.verify(repair=True)

        assert (Integrity.REPAIRED, (path,)) == (found.integrity, found.damaged)
        mine = catalog.fetch("orders")
        assert mine.is_relative_to(tmp_path / "mine")
        assert "id\n1\n" == mine.read_text()

    def test_what_is_whole_in_a_layer_is_intact(self, catalog):
        assert [Integrity.INTACT] == [one.integrity for one in catalog.verify()]

    def test_a_catalog_file_may_name_layers(self, tmp_path, source, shared):
        text = "version: 1\ncache: {dir: mine, layers: [shared]}\n"
        text += f"datasets: {{orders: {{source: {source}}}}}\n"
        (tmp_path / "catalog.yaml").write_text(text)

        assert Catalog.open(tmp_path).fetch("orders").is_relative_to(shared)


def test_what_a_layer_has_lost_is_told_and_what_was_forgotten_is_not(cache, lower):
    path = publish(lower, b"first").path
    assert not cache.has_lost(*SOURCE)
    path.unlink()
    assert cache.has_lost(*SOURCE)

    publish(lower, b"first", at=NOON + SECOND)
    cache.forget(*SOURCE)

    assert (None, False) == (cache.current(*SOURCE), cache.has_lost(*SOURCE))
