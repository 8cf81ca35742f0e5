"""What interrupted downloads leave is gone on with by one, for a day, and then removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import names_in
from datacachalog.adapters.cache.owners import _machine, owned_name
from datacachalog.domain.errors import (
    CacheError,
    CacheFullError,
    IntegrityError,
    RemoteChangedError,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.testing.payloads import at_once
from datacachalog.testing.sources import SOURCE, URI, source
from tests.unit.adapters.other_processes import as_nobody, open_folder

__all__ = ["open_folder"]

HOUR, DAY = 3600, 24 * 3600
# An id beyond those that systems give: that of a process which has ended may be given again.
DEAD_HERE = f"{_machine()}.{2**31 - 1}.0123456789ab"
ALIVE_HERE = owned_name()
ELSEWHERE = "another.1.2.3.0123456789ab"
IDS = {DEAD_HERE: "dead-here", ALIVE_HERE: "alive-here"}.get  # the same in every process


@pytest.fixture
def cache(tmp_path):
    cache = DirectoryCache(tmp_path / "cache")
    cache.prepare()
    return cache


@pytest.fixture
def leave(cache):
    """Leaves a download of some size, of so long ago, with or without a journal."""

    def leave(owner, data=b"half", *, age_s=0.0, journal=True, into=SOURCE):
        place = cache.place(*into)
        folder = cache.partial / f"{place.key}@{owner}"
        folder.mkdir()
        (folder / place.file_name).write_bytes(data)
        if journal:
            (folder / f"{place.file_name}.journal").write_bytes(data)
        when = time.time() - age_s
        for path in (*folder.iterdir(), folder):
            os.utime(path, (when, when))
        return folder

    return leave


def claimed(cache, into=SOURCE):
    """What a new staging goes on with."""
    with DirectoryCache(cache.root).staging(*into) as staging:
        return staging.path.read_bytes() if staging.resume else None


def ended(cache, error):
    """Where a download was that an error ended, which went on with another one."""

    def fail():
        with cache.staging(*SOURCE) as staging:
            assert staging.resume
            folders.append(staging.path.parent)
            raise error

    folders = list[Path]()
    with pytest.raises(type(error)):
        fail()
    return folders[0]


@pytest.mark.parametrize(
    ("owner", "age_s"),
    [
        (DEAD_HERE, 0),
        (DEAD_HERE, DAY - 60),
        ("0123456789ab", 0),
        ("0123456789ab", DAY - 60),
        (ELSEWHERE, HOUR + 60),
    ],
    ids=IDS,
)
def test_what_nobody_is_at_is_gone_on_with(cache, leave, owner, age_s):
    leave(owner, age_s=age_s)

    assert b"half" == claimed(cache)
    assert [] == names_in(cache.partial)


@pytest.mark.parametrize(
    ("owner", "age_s"),
    [(ALIVE_HERE, 0), (ALIVE_HERE, HOUR + 60), (ELSEWHERE, HOUR - 60)],
    ids=IDS,
)
def test_what_somebody_may_be_at_stays(cache, leave, owner, age_s):
    folder = leave(owner, age_s=age_s)

    assert None is claimed(cache)
    assert folder.exists()


@pytest.mark.parametrize(
    ("owner", "age_s", "journal"),
    [
        (DEAD_HERE, 0, False),
        (DEAD_HERE, DAY + 60, True),
        (DEAD_HERE, -DAY - 60, True),
        ("0123456789ab", 0, False),
        ("0123456789ab", DAY + 60, True),
        (ELSEWHERE, 7 * DAY + 60, True),
    ],
    ids=IDS,
)
def test_what_is_of_no_use_is_removed(cache, leave, owner, age_s, journal):
    leave(owner, age_s=age_s, journal=journal)

    assert None is claimed(cache)
    assert [] == names_in(cache.partial)


def test_what_is_of_another_source_stays(cache, leave):
    folder = leave(DEAD_HERE, into=source(URI, "https://elsewhere.example"))

    assert None is claimed(cache)
    assert folder.exists()


def test_of_several_the_one_that_came_furthest_is_taken(cache, leave):
    for owner, data in (("1", b"a"), ("2", b"the most"), ("3", b"some")):
        leave(owner, data)

    assert [b"the most", b"some", b"a", None] == [claimed(cache) for _ in range(4)]


def test_of_many_who_try_one_has_it(cache, leave):
    leave(DEAD_HERE)
    caches = [DirectoryCache(cache.root) for _ in range(8)]
    for each in caches:
        each._partials.look()

    def act(number):
        staging = caches[number].staging(*SOURCE)
        staging.__enter__()
        return staging.resume

    assert 1 == at_once(8, act).count(True)


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailableError("s3://lake/a", "gone"),
        StorageAccessError("s3://lake/a", "expired"),
        CacheError("/cache", "Input/output error"),
        KeyboardInterrupt(),
        SystemExit(),
        ZeroDivisionError(),
    ],
)
def test_what_an_error_ended_is_there_for_the_next(cache, leave, error):
    leave(DEAD_HERE)

    folder = ended(cache, error)

    assert (1, False) == (cache.unfinished()[0], folder.exists())
    with cache.staging(*SOURCE) as staging:
        assert (True, b"half") == (staging.resume, staging.path.read_bytes())


@pytest.mark.parametrize(
    "error",
    [
        CacheFullError("/cache", "full"),
        IntegrityError("s3://lake/a", "another checksum"),
        RemoteChangedError("s3://lake/a", "twice"),
    ],
)
def test_what_is_wrong_or_has_no_room_goes(cache, leave, error):
    leave(DEAD_HERE)

    ended(cache, error)

    assert [] == names_in(cache.partial)


def test_what_cannot_be_left_to_others_goes(cache, leave, monkeypatch):
    leave(DEAD_HERE)

    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(cache._partials, "disown", refuse)
    ended(cache, ZeroDivisionError())

    assert [] == names_in(cache.partial)


def test_a_fetch_looks_through_the_folder_once_a_second(cache, leave, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    seen = []
    for now in (1000.0, 1000.9, 1001.1):
        with cache.staging(*SOURCE) as staging:
            seen.append(staging.resume)
        if now == 1000.0:
            leave(DEAD_HERE)

    assert [False, False, True] == seen


def test_who_tidies_up_leaves_what_can_be_gone_on_with(cache, leave):
    kept, alive = leave(DEAD_HERE), leave(ALIVE_HERE)
    leave("0123456789ab", bytes(500), age_s=DAY + 60)

    assert 2 * 500 == cache.sweep(dry_run=True) == cache.sweep()
    assert sorted([kept.name, alive.name]) == names_in(cache.partial)


def test_all_that_is_unfinished_is_counted_and_cleared(cache, leave):
    leave(DEAD_HERE, bytes(1000))
    leave("0123456789ab", bytes(10))
    alive = leave(owned_name(), bytes(100))

    assert (3, 2 * 1110) == cache.unfinished()
    assert 2 * 1010 == cache.clear()
    assert [alive.name] == names_in(cache.partial)


def test_what_was_interrupted_counts_and_goes_where_that_is_asked_for(cache, leave):
    leave(DEAD_HERE, bytes(1000))
    leave("0123456789ab", bytes(10), age_s=DAY + 60)
    alive = leave(ALIVE_HERE, bytes(100))

    assert 2 * 1010 == cache.size_bytes()
    assert 2 * 10 == cache.sweep(dry_run=True)
    assert 2 * 1010 == cache.sweep(unfinished=True, dry_run=True)
    assert 2 * 1010 == cache.sweep(unfinished=True)
    assert [alive.name] == names_in(cache.partial)


def test_what_is_another_users_is_not_gone_on_with(open_folder):
    """Its owner alone may do so, and finds it where it was."""
    cache = DirectoryCache(open_folder / "cache", shared=True)
    cache.prepare()
    cache.partial.chmod(0o777)
    folder = cache.partial / f"{cache.place(*SOURCE).key}@0123456789ab"
    folder.mkdir()
    (folder / "customers.parquet.journal").write_text("")
    program = """
        cache = DirectoryCache(Path(sys.argv[1]), shared=True)
        with cache.staging(*SOURCE) as staging:
            print(staging.resume)
        cache.sweep()
        """
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")

    assert ["False"] == as_nobody(program, cache.root)
    assert folder.exists()
