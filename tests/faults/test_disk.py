"""A file system that fails at any call, once or from then on, and one that tells no truth."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from datacachalog.testing.payloads import payload, seed_of
from tests.faults.shim import Fault, Kind
from tests.faults.support import assert_sound, leftovers

if TYPE_CHECKING:
    from tests.faults.shim import Ended

MOST = 300
CODES = {
    errno.ENOSPC: {"cache-full"},
    errno.EDQUOT: {"cache-full"},
    errno.EIO: {"cache"},
    errno.EROFS: {"cache-permission"},
}
OF_THE_STORE = {"storage-unavailable", "storage-access", "object-not-found", "conflict"}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=sorted(CODES), ids=lambda number: errno.errorcode[number])
def number(request: pytest.FixtureRequest) -> int:
    """What a failing call answers."""
    found: int = request.param
    return found


@pytest.fixture(params=[Kind.FAIL, Kind.FAIL_FROM], ids=["once", "for-good"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def positions(whole: bool, number: int, kind: Kind) -> range:
    """All calls; or every eighth, each error beginning with another one."""
    turn = list(CODES).index(number) + len(CODES) * (kind is Kind.FAIL)
    return range(1, MOST) if whole else range(1 + turn, MOST, 2 * len(CODES))


def assert_one_of_ours(ended: Ended, at: int, codes: set[str]) -> None:
    """It ended well, or with an error of the kind that was to be expected."""
    assert not ended.signal
    told = ended.told
    context = (at, ended.calls[at - 1 :], told)
    assert "raw" not in told, context
    assert told.get("error", "cache") in codes | {"cache"}, context


@pytest.mark.parametrize("work", ["cold", "refresh"])
def test_f08_a_disk_that_fails_at_any_call_of_a_fetch(
    nursery, world, kind, number, positions, work, tmp_path
):
    kept = None
    world.change(1)
    if work == "refresh":
        world.catalog().fetch("customers")
        kept = world.cache_dir.rename(tmp_path / "kept")
        world.change(2)
    wanted = 1 if kept is None else 2

    for at in positions:
        with world.copied(kept):
            fault = Fault(str(world.cache_dir), kind, at, number)
            ended = nursery.run(fault, "fetch", **world.names)
            if len(ended.calls) < at:
                break
            assert_one_of_ours(ended, at, CODES[number])
            assert_sound(world.cache_dir, 1, 2)
            assert wanted == seed_of(world.catalog().fetch("customers").read_bytes()), at
            assert [] == leftovers(world.cache_dir), (at, ended.calls[at - 1])
    assert at > 10


def test_f08_a_disk_that_fails_at_any_call_of_a_push(
    nursery, local, kind, number, positions, tmp_path
):
    local.change(1)
    local.catalog().fetch("customers")
    kept = local.cache_dir.rename(tmp_path / "kept")
    local.file.write_bytes(payload(2, local.size_bytes))

    for at in positions:
        local.change(1)
        with local.copied(kept):
            fault = Fault(str(tmp_path), kind, at, number)
            ended = nursery.run(fault, "push", **local.names, file=str(local.file))
            if len(ended.calls) < at:
                break
            assert_one_of_ours(ended, at, CODES[number] | OF_THE_STORE | {"local-file"})
            assert_sound(local.cache_dir, 1, 2)
            remote = seed_of((tmp_path / "store" / "customers.csv").read_bytes())
            assert remote == seed_of(local.catalog().fetch("customers").read_bytes()), at
    assert at > 10


@pytest.mark.parametrize("work", ["clear", "invalidate", "verify", "gc"])
def test_f08_a_disk_that_fails_at_any_call_of_what_removes(
    nursery, local, kind, number, positions, work, tmp_path
):
    local.change(1)
    path = local.catalog().fetch("customers")
    if work == "verify":
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    kept = local.cache_dir.rename(tmp_path / "kept")

    for at in positions:
        with local.copied(kept):
            fault = Fault(str(local.cache_dir), kind, at, number)
            ended = nursery.run(fault, work, **local.names)
            if len(ended.calls) < at:
                break
            assert_one_of_ours(ended, at, CODES[number])
            assert 1 == seed_of(local.catalog().fetch("customers").read_bytes()), at
            assert_sound(local.cache_dir, 1)
    assert at > 3


@pytest.mark.parametrize("work", ["fetch", "push"])
def test_f09_a_system_that_writes_less_than_it_is_asked_to(nursery, local, work):
    local.change(1)
    local.file.write_bytes(payload(2, local.size_bytes))
    options = {"file": str(local.file)} if work == "push" else {}

    ended = nursery.run(Fault(str(local.folder), Kind.SHORT), work, **local.names, **options)

    assert "path" in ended.told, ended.told
    assert_sound(local.cache_dir, 1, 2)
    assert seed_of(local.catalog().fetch("customers").read_bytes()) == (2 if options else 1)


def test_f43_a_rename_that_happened_and_says_that_it_did_not(nursery, local):
    """As over NFS, where the answer is lost and the question is asked again."""
    local.change(1)

    for _ in range(2):
        ended = nursery.run(Fault(str(local.cache_dir), Kind.RENAME_LIES), "fetch", **local.names)
        assert "raw" not in ended.told, ended.told
        assert_sound(local.cache_dir, 1)

    assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())
    assert [] == leftovers(local.cache_dir)


@pytest.mark.parametrize("operation", ["open", "stat"])
def test_f44_a_file_handle_that_the_server_has_forgotten(nursery, local, operation, tmp_path):
    local.change(1)
    local.catalog().fetch("customers")
    kept = local.cache_dir.rename(tmp_path / "kept")

    for kind in (Kind.FAIL, Kind.FAIL_FROM):
        for at in range(1, MOST):
            with local.copied(kept):
                fault = Fault(str(local.cache_dir), kind, at, errno.ESTALE, operation)
                ended = nursery.run(fault, "fetch", **local.names)
                if len(ended.calls) < at:
                    break
                assert_one_of_ours(ended, at, {"cache"})
                assert_sound(local.cache_dir, 1)
                assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())
        assert at > 1
