"""A process that is killed at any of its calls to the file system, one after another."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import payload, seed_of
from tests.faults.shim import Fault, Kind
from tests.faults.support import assert_sound, leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.shim import Nursery
    from tests.faults.support import World

MOST = 300
WHATEVER_IT_DOES = {"create", "write", "rename", "mkdir", "chmod", "utime"}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=[Kind.KILL, Kind.TORN], ids=["killed", "in-a-write"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Before a call, or with half of its bytes written."""
    found: Kind = request.param
    return found


@pytest.fixture
def step(whole: bool, world: World) -> int:
    """Every position, or of those that take longer some."""
    return 1 if whole or world.source.startswith("/") else 5


def killed_at(
    nursery: Nursery, world: World, kind: Kind, work: str, at: int, **options: str
) -> bool:
    """Whether the process came as far as that call."""
    fault = Fault(str(world.folder), kind, at)
    ended = nursery.run(fault, work, **world.names, **options)
    assert ended.signal in {0, signal.SIGKILL}
    assert ended.signal or not set(ended.told) & {"raw", "error"}, ended.told
    return ended.signal == signal.SIGKILL


def positions(step: int) -> Iterator[int]:
    yield from range(1, MOST, step)
    raise AssertionError("it never came to its end")


def assert_all_calls_are_seen(nursery: Nursery, world: World) -> None:
    with world.copied():
        seen = nursery.run(Fault(str(world.folder), Kind.FAIL, MOST), "fetch", **world.names)
    assert WHATEVER_IT_DOES - {"utime"} <= set(seen.operations)


def test_f01_one_that_is_killed_in_a_cold_fetch_leaves_nothing_or_all(nursery, world, kind, step):
    world.change(1)
    assert_all_calls_are_seen(nursery, world)

    for at in positions(step):
        with world.copied():
            if not killed_at(nursery, world, kind, "fetch", at):
                break
            assert_sound(world.cache_dir, 1)
            assert 1 == seed_of(world.catalog().fetch("customers").read_bytes()), at
            assert_sound(world.cache_dir, 1)
            assert [] == leftovers(world.cache_dir), at
    assert at > 10


def test_f02_one_that_is_killed_in_a_refresh_leaves_the_former_copy(
    nursery, world, kind, step, tmp_path
):
    world.change(1)
    before = world.catalog().fetch("customers")
    kept = world.cache_dir.rename(tmp_path / "kept")
    world.change(2)

    for at in positions(step):
        with world.copied(kept):
            if not killed_at(nursery, world, kind, "fetch", at):
                break
            assert 1 == seed_of(before.read_bytes()), at
            assert_sound(world.cache_dir, 1, 2)
            assert 2 == seed_of(world.catalog().fetch("customers").read_bytes()), at
            assert 1 == seed_of(before.read_bytes()), at
            assert [] == leftovers(world.cache_dir), at
    assert at > 10


def test_f02_one_that_is_killed_in_a_push_replaces_all_or_nothing(nursery, local, kind, tmp_path):
    local.change(1)
    local.catalog().fetch("customers")
    kept = local.cache_dir.rename(tmp_path / "kept")
    local.file.write_bytes(payload(2, local.size_bytes))
    store = set((tmp_path / "store").iterdir())
    seeds = set()

    for at in positions(1):
        local.change(1)
        with local.copied(kept):
            if not killed_at(nursery, local, kind, "push", at, file=str(local.file)):
                break
            (source,) = (tmp_path / "store").glob("*.csv")
            seed = seed_of(source.read_bytes())
            seeds.add(seed)
            assert_sound(local.cache_dir, 1, 2)
            assert seed == seed_of(local.catalog().fetch("customers").read_bytes()), at
            assert [] == leftovers(local.cache_dir), at
            _forget_unfinished_pushes(tmp_path / "store")
            assert store == set((tmp_path / "store").iterdir()), at
    assert {1, 2} == seeds


def _forget_unfinished_pushes(store: Path) -> None:
    """A folder of files is the user's: what a killed push left there, nobody reads or removes."""
    left = list(store.glob(".datacachalog-*.part"))
    assert len(left) <= 1
    walked = FilesystemStorage().walk(Uri.of_path(f"{store}/"))
    assert {str(path) for path in left}.isdisjoint(info.uri.path for info in walked)
    for path in left:
        path.unlink()


@pytest.mark.parametrize("work", ["clear", "invalidate", "verify", "gc"])
def test_f03_one_that_is_killed_as_it_removes_leaves_whole_entries(
    nursery, local, kind, work, tmp_path
):
    for seed in (1, 2):
        local.change(seed)
        path = local.catalog().fetch("customers")
    if work == "verify":
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    kept = local.cache_dir.rename(tmp_path / "kept")

    for at in positions(1):
        with local.copied(kept):
            if not killed_at(nursery, local, kind, work, at):
                break
            if work != "verify":
                assert_sound(local.cache_dir, 1, 2)
            assert 2 == seed_of(local.catalog().fetch("customers").read_bytes()), at
            assert_sound(local.cache_dir, 1, 2)
            assert [] == leftovers(local.cache_dir), at
    assert at > 5
