"""What a push replaces, what it never replaces, and what it leaves in the cache."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from datacachalog.adapters import disk
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.results import Outcome
from datacachalog.domain.errors import (
    ConflictError,
    DatasetNotFoundError,
    IntegrityError,
    LocalFileError,
    ReadOnlyDatasetError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from datacachalog.domain.objects import Revision
from tests.unit.application.world import ORDERS, SECOND, RecordedProgress

UNKNOWN = Revision('"of nobody"', None, 5)


@pytest.fixture
def empty(clock):
    """A store without the object."""
    storage = MemoryStorage(clock=clock)
    storage.put(replace(ORDERS, path="other"), b"so that the bucket is there")
    return storage


def stored(storage):
    return storage.read(ORDERS, 0, 1000)


def test_a_push_replaces_what_was_last_fetched(catalog, storage, mine):
    catalog.fetch("orders")

    catalog.push("orders", mine)

    assert b"mine" == stored(storage)


def test_a_push_is_one_request(catalog, storage, mine):
    catalog.push("orders", mine, expect="any")

    assert ["upload"] == storage.requests


def test_a_push_tells_what_it_made(catalog, storage, mine):
    result = catalog.push("orders", mine, expect="any")

    assert ("orders", b"mine", "orders.csv") == (
        result.name,
        result.path.read_bytes(),
        result.path.name,
    )
    assert storage.stat(ORDERS).revision == result.info.revision


def test_the_fetch_after_a_push_moves_no_bytes(catalog, mine, clock):
    pushed = catalog.push("orders", mine, expect="any")
    clock.go_on(SECOND)

    fetched = catalog.obtain("orders")

    assert (Outcome.UNCHANGED, pushed.path) == (fetched.outcome, fetched.path)


def test_a_push_leaves_the_pushed_file_to_its_owner(catalog, mine):
    path = catalog.push("orders", mine, expect="any").path
    mine.write_bytes(b"changed since")

    assert b"mine" == path.read_bytes()


def test_one_push_follows_another(catalog, storage, mine):
    catalog.push("orders", mine, expect="any")
    mine.write_bytes(b"newer")

    catalog.push("orders", mine)

    assert b"newer" == stored(storage)


def test_a_path_may_be_a_string(catalog, storage, mine):
    catalog.push("orders", str(mine), expect="any")

    assert b"mine" == stored(storage)


def test_a_relative_path_starts_at_the_current_folder(catalog, storage, mine, monkeypatch):
    monkeypatch.chdir(mine.parent)

    catalog.push("orders", mine.name, expect="any")

    assert b"mine" == stored(storage)


def test_what_was_never_fetched_is_not_replaced(catalog, storage, mine):
    with pytest.raises(ConflictError):
        catalog.push("orders", mine)

    assert b"first" == stored(storage)


def test_what_somebody_else_changed_is_not_replaced(catalog, storage, cache, mine):
    catalog.fetch("orders")
    storage.put(ORDERS, b"theirs")
    before = list(cache.entries())

    with pytest.raises(ConflictError):
        catalog.push("orders", mine)

    assert b"theirs" == stored(storage)
    assert before == list(cache.entries())


@pytest.mark.parametrize("expect", ["cached", "absent", "any"])
def test_a_first_push_makes_the_object(a_catalog, empty, mine, expect):
    a_catalog(storage=empty).push("orders", mine, expect=expect)

    assert b"mine" == stored(empty)


def test_absent_is_not_what_is_there(catalog, storage, mine):
    catalog.fetch("orders")

    with pytest.raises(ConflictError):
        catalog.push("orders", mine, expect="absent")

    assert b"first" == stored(storage)


def test_any_is_whatever_is_there(catalog, storage, mine):
    catalog.push("orders", mine, expect="any")

    assert b"mine" == stored(storage)


def test_a_revision_is_that_revision(catalog, storage, mine):
    catalog.push("orders", mine, expect=storage.stat(ORDERS).revision)

    assert b"mine" == stored(storage)


def test_a_revision_is_no_other_though_the_cache_has_it(catalog, storage, mine):
    catalog.fetch("orders")

    with pytest.raises(ConflictError):
        catalog.push("orders", mine, expect=UNKNOWN)

    assert b"first" == stored(storage)


@pytest.mark.parametrize("expect", ["Cached", "", None, True])
def test_an_expectation_of_no_known_kind_is_refused(catalog, storage, mine, expect):
    with pytest.raises(ValueError, match="expect must be"):
        catalog.push("orders", mine, expect=expect)

    assert [] == storage.requests


def _missing(path):
    path.unlink()


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("become", [_missing, _folder, _pipe, _dangling])
def test_what_is_no_file_is_not_pushed(catalog, storage, cache, mine, become):
    become(mine)

    with pytest.raises(LocalFileError) as caught:
        catalog.push("orders", mine, expect="any")

    assert str(mine) == caught.value.path
    assert [] == storage.requests
    assert [] == list(cache.entries())


def test_a_file_that_is_written_to_meanwhile_is_not_pushed(catalog, storage, mine, monkeypatch):
    def written_to(*fds):
        with mine.open("ab") as file:
            file.write(b"more")
        return share(*fds)

    share = disk._share_blocks  # the first thing that is done to a file that is copied
    monkeypatch.setattr(disk, "_share_blocks", written_to)

    with pytest.raises(LocalFileError, match="written to while it was copied"):
        catalog.push("orders", mine, expect="any")

    assert [] == storage.requests


def test_a_dataset_that_may_not_be_pushed_is_not(a_catalog, storage, mine):
    with pytest.raises(ReadOnlyDatasetError):
        a_catalog(push=False).push("orders", mine, expect="any")

    assert [] == storage.requests


def test_a_dataset_that_is_not_there_is_not_pushed(catalog, storage, mine):
    with pytest.raises(DatasetNotFoundError):
        catalog.push("order", mine)

    assert [] == storage.requests


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailableError(str(ORDERS), "connection reset"),
        UnsupportedOperationError(str(ORDERS), "no conditions"),
    ],
)
def test_a_failed_upload_leaves_store_and_cache_as_they_were(catalog, storage, cache, mine, error):
    catalog.fetch("orders")
    before = list(cache.entries())
    storage.fail(1, error)

    with pytest.raises(type(error)):
        catalog.push("orders", mine)

    assert b"first" == stored(storage)
    assert before == list(cache.entries())


class MisreportingStorage(MemoryStorage):
    """Tells of an upload that it made more than it was given."""

    def upload(self, path, uri, **options):
        info = super().upload(path, uri, **options)
        return replace(info, size_bytes=info.size_bytes + 1)


def test_a_push_whose_copy_cannot_be_kept_says_that_it_was_pushed(a_catalog, clock, mine):
    storage = MisreportingStorage(clock=clock)
    catalog = a_catalog(storage=storage)

    with pytest.raises(IntegrityError) as caught:
        catalog.push("orders", mine, expect="any")

    assert b"mine" == stored(storage)
    assert (
        "'orders' was pushed; only its copy in the cache was not kept" == caught.value.__notes__[-1]
    )


def test_a_push_does_not_hide_what_was_fetched_after_it_began(catalog, storage, mine, clock):
    """Somebody replaces the object right after the upload, and a fetch sees that first."""
    catalog.fetch("orders")

    def interfere(operation, _):
        storage.before = lambda *_: None
        clock.go_on(SECOND)
        storage.put(ORDERS, b"theirs")
        catalog.fetch("orders")

    storage.before = interfere
    catalog.push("orders", mine, expect="any")
    storage.put(ORDERS, b"theirs")
    clock.go_on(SECOND)

    assert b"theirs" == catalog.fetch("orders").read_bytes()


@pytest.mark.parametrize("freshness", ["always", "1d"])
def test_a_push_is_not_hidden_by_what_was_fetched_before_it_was_there(
    a_catalog, storage, mine, clock, freshness
):
    """A fetch asks while the upload runs, and is told of the old object."""
    catalog = a_catalog(freshness=freshness)
    catalog.fetch("orders")

    def interfere(operation, _):
        storage.before = lambda *_: None
        clock.go_on(SECOND)
        catalog.fetch("orders", refresh=True)

    storage.before = interfere
    catalog.push("orders", mine, expect="any")

    assert b"mine" == catalog.fetch("orders").read_bytes()


def test_an_upload_is_shown(catalog, mine):
    progress = RecordedProgress()

    catalog.push("orders", mine, expect="any", progress=progress)

    [(name, transfer)] = progress.transfers
    assert ("orders", [4], 4) == (name, transfer.totals, transfer.moved_bytes)
    assert ["orders"] == progress.ended
