from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from datacachalog.adapters.api.cached import CachedApi
from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.domain.errors import (
    ApiConflictError,
    ApiOfflineError,
    AuthError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    TransientNetworkError,
)
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.domain.registry import Registration
from datacachalog.domain.uri import Uri
from datacachalog.testing.api_contract import ApiContract, ApiPlace

if TYPE_CHECKING:
    from datacachalog.domain.registry import Snapshot

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "dlk_" + "k" * 12 + "_" + "s" * 43


class TestCachedApi(ApiContract):
    @pytest.fixture
    def place(self, tmp_path):
        memory = MemoryApi()

        def cached(api, key):
            cache = MetadataCache(tmp_path / "metadata", api.identity(), key)
            return CachedApi(api, cache, latest_ttl_s=self.latest_ttl_s)

        return ApiPlace(
            cached(memory, "admin"),
            lambda table: cached(memory.as_reader(table), f"reader of {table}"),
            cached(memory.as_stranger(), "stranger"),
            tmp_path,
        )

    latest_ttl_s = 0.0


class TestCachedApiForAWhile(TestCachedApi):
    latest_ttl_s = 3600.0


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def memory():
    return MemoryApi()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asked_by(memory, tmp_path, clock):
    """Makes a caller, as a new process would: what it knows is what is on the disk."""

    def make(api=None, key=KEY, **options):
        one = api or memory
        cache = MetadataCache(tmp_path / "cache", one.identity(), key)
        return CachedApi(one, cache, clock=clock, **options)

    return make


@pytest.fixture
def registered(memory):
    """Makes the next snapshot of a table, behind the back of who asks."""
    made: list[Snapshot] = []

    def register(table="t"):
        uri = Uri("mem", "objects", f"{len(made)}.csv")
        memory.storage.put(uri, b"id\n1\n" + b"2\n" * len(made))
        made.append(memory.register(Registration(table, str(uri), "csv", {"fields": []})))
        memory.requests.clear()
        return made[-1]

    return register


def test_a_snapshot_by_its_id_is_asked_for_once(asked_by, memory, registered):
    one = registered()

    assert [one] * 3 == [asked_by().snapshot("t", one.snapshot_id) for _ in range(3)]

    assert ["snapshot"] == memory.requests


def test_what_was_the_latest_need_not_be_asked_for_by_its_id(asked_by, memory, registered):
    one = registered()
    asked_by().latest("t")

    assert one == asked_by().snapshot("t", one.snapshot_id)

    assert ["latest"] == memory.requests


def test_the_latest_is_looked_up_each_time(asked_by, memory, registered):
    first = registered()
    assert first == asked_by().latest("t")
    second = registered()

    assert [second, second] == [asked_by().latest("t") for _ in range(2)]

    assert ["latest", "latest"] == memory.requests


def test_what_is_current_still_is_not_sent_again(asked_by, memory, registered):
    one, answers = registered(), []
    asked_by().latest("t")
    whole = memory.latest_if_changed

    def heard(table, etag):
        answers.append(whole(table, etag))
        return answers[-1]

    memory.latest_if_changed = heard

    assert one == asked_by().latest("t")

    assert [NOT_MODIFIED] == answers


def test_the_latest_is_taken_from_the_cache_for_as_long_as_that_is_wanted(
    asked_by, memory, registered, clock
):
    first = registered()
    assert first == asked_by(latest_ttl_s=60).latest("t")
    second = registered()

    clock.now = NOON + timedelta(seconds=59.9)
    assert first == asked_by(latest_ttl_s=60).latest("t")
    assert [] == memory.requests

    clock.now = NOON + timedelta(seconds=60)
    assert second == asked_by(latest_ttl_s=60).latest("t")
    assert ["latest"] == memory.requests


def test_a_confirmation_begins_the_time_anew(asked_by, memory, registered, clock):
    one = registered()
    for minutes in (0, 1, 1.5):
        clock.now = NOON + timedelta(minutes=minutes)
        assert one == asked_by(latest_ttl_s=60).latest("t")

    assert ["latest", "latest"] == memory.requests


def test_a_time_to_come_is_not_believed(asked_by, memory, registered, clock):
    registered()
    clock.now = NOON + timedelta(days=1)
    asked_by(latest_ttl_s=60).latest("t")
    second, clock.now = registered(), NOON

    assert second == asked_by(latest_ttl_s=60).latest("t")


def test_a_caller_sees_what_it_registered_itself(asked_by, memory, registered):
    registered()
    api = asked_by(latest_ttl_s=3600)
    first = api.latest("t")
    memory.storage.put(Uri("mem", "objects", "new.csv"), b"id\n9\n")

    made = api.register(Registration("t", "mem://objects/new.csv", "csv"))

    assert made == api.latest("t") != first
    memory.requests.clear()
    assert made == api.snapshot("t", made.snapshot_id)
    assert [] == memory.requests


def test_who_lost_a_race_sees_who_won_it(asked_by, memory, registered):
    registered()
    api = asked_by(latest_ttl_s=3600)
    first = api.latest("t")
    second = registered()

    with pytest.raises(ApiConflictError):
        api.register(Registration("t", second.uri, "csv", expected_parent=first.snapshot_id))

    assert second == api.latest("t")


def test_an_answer_from_before_a_change_is_not_kept_after_it(asked_by, memory, registered):
    first = registered()
    api = asked_by(latest_ttl_s=3600)

    def change_meanwhile(operation):
        memory.before = lambda _: None
        api.changed("t")

    memory.before = change_meanwhile

    assert first == api.latest("t")
    second = registered()
    assert second == api.latest("t")


@pytest.mark.parametrize("name", ["t", "default.t"])
def test_what_others_were_told_before_a_change_is_not_taken_for_it(
    asked_by, memory, registered, clock, name
):
    registered()
    ours, theirs = asked_by(latest_ttl_s=60), asked_by(latest_ttl_s=60)
    ask, made = memory.latest_at, []

    def slow(table_name):
        answer = ask(table_name)
        clock.now += timedelta(seconds=1)
        made.append(registered())
        ours.changed(name)
        return answer

    memory.latest_at = slow
    theirs.latest("t")
    memory.latest_at = ask

    assert made[-1] == ours.latest("t") == theirs.latest("t")


@pytest.mark.parametrize(
    "error",
    [TransientNetworkError("it cannot be reached"), ServerError("it is broken", 500)],
)
def test_a_registry_that_does_not_answer_is_no_reason_for_an_old_answer(
    asked_by, memory, registered, error
):
    one = registered()
    asked_by().latest("t")
    memory.fail(1, error)

    with pytest.raises(type(error)):
        asked_by().latest("t")

    assert one == asked_by().snapshot("t", one.snapshot_id)
    assert one == asked_by().latest("t")


@pytest.mark.parametrize(
    "error",
    [AuthError("no", 401), ForbiddenError("no", 403), NotFoundError("no", 404)],
)
@pytest.mark.parametrize("ask", ["latest", "snapshot", "snapshots"])
def test_a_refusal_empties_the_cache_of_the_table(asked_by, memory, registered, error, ask):
    one, other = registered("t"), registered("u")
    api = asked_by()
    asked = {
        "latest": lambda: api.latest("t"),
        "snapshot": lambda: api.snapshot("t", "snap-" + "0" * 32),
        "snapshots": lambda: list(api.snapshots("t")),
    }
    api.latest("t"), api.latest("u")
    memory.fail(1, error)

    with pytest.raises(type(error)):
        asked[ask]()

    memory.requests.clear()
    assert one == asked_by().snapshot("t", one.snapshot_id)
    assert other == asked_by().snapshot("u", other.snapshot_id)
    assert ["snapshot"] == memory.requests


def test_a_refusal_is_heeded_also_where_nothing_can_be_removed(
    asked_by, memory, registered, monkeypatch, caplog
):
    one = registered()
    api = asked_by()
    api.latest("t")
    memory.fail(1, ForbiddenError("no", 403))
    monkeypatch.setattr("pathlib.Path.rename", _fail_to_rename)

    with pytest.raises(ForbiddenError):
        api.latest("t")

    memory.fail(1, ForbiddenError("no", 403))
    with pytest.raises(ForbiddenError):
        api.snapshot("t", one.snapshot_id)
    assert 1 == len(caplog.records)


def _fail_to_rename(self, target):
    raise PermissionError(13, "Permission denied")


def test_no_answer_crosses_credentials(asked_by, memory, registered):
    one = registered()
    asked_by().latest("t")
    reader = asked_by(memory.as_reader("other"), "another key")

    with pytest.raises(ForbiddenError):
        reader.snapshot("t", one.snapshot_id)
    with pytest.raises(ForbiddenError):
        reader.latest("t")

    assert one == asked_by(offline=True).latest("t")
    with pytest.raises(ApiOfflineError):
        asked_by(memory.as_reader("other"), "another key", offline=True).latest("t")


def test_no_answer_crosses_registries(asked_by, registered):
    registered()
    asked_by().latest("t")

    with pytest.raises(ApiOfflineError):
        asked_by(MemoryApi(name="another"), offline=True).latest("t")


def test_offline_nobody_is_asked(asked_by, memory, registered, tmp_path):
    old, new = registered(), registered()
    asked_by().snapshot("t", old.snapshot_id)
    asked_by().latest("t")
    registered()
    (tmp_path / "a").write_text("1")
    api = asked_by(offline=True)
    memory.requests.clear()

    assert (old, new) == (api.snapshot("t", old.snapshot_id), api.latest("t"))
    for ask in (
        lambda: api.latest("u"),
        lambda: api.snapshot("t", "snap-" + "0" * 32),
        lambda: list(api.snapshots("t")),
        lambda: api.register(Registration("t", new.uri)),
        lambda: api.upload(tmp_path / "a", "objects", "a"),
        lambda: api.answered("t", lambda: memory.latest("t")),
    ):
        with pytest.raises(ApiOfflineError, match="memory://memory"):
            ask()

    assert [] == memory.requests
    assert new == asked_by(offline=True).latest("t")


def test_an_answer_by_another_question_is_kept_by_its_id(asked_by, memory, registered):
    old = registered()
    registered()

    found = asked_by().answered("t", lambda: memory.snapshot("t", old.snapshot_id))

    assert old == found == asked_by(offline=True).snapshot("t", old.snapshot_id)
    with pytest.raises(ApiOfflineError):
        asked_by(offline=True).latest("t")


def test_what_a_registry_says_of_another_table_is_not_kept(asked_by, memory, registered):
    registered("t")
    one = registered("u")

    assert one == asked_by().answered("t", lambda: memory.latest("u"))

    for table in ("t", "u"):
        with pytest.raises(ApiOfflineError):
            asked_by(offline=True).snapshot(table, one.snapshot_id)


def test_a_broken_cache_breaks_no_answer(asked_by, memory, registered, tmp_path, caplog):
    one = registered()
    (tmp_path / "cache").write_text("this is no folder")
    api = asked_by(latest_ttl_s=60)

    for _ in range(2):
        assert one == api.latest("t") == api.snapshot("t", one.snapshot_id)

    assert ["latest", "snapshot"] * 2 == memory.requests
    assert 1 == len(caplog.records)
    assert "metadata is not cached" in caplog.text


def test_no_key_is_anywhere_on_the_disk(asked_by, registered, tmp_path):
    registered()
    api = asked_by()
    api.latest("t")
    api.cache.sample_put("t", api.latest("t").snapshot_id, [{"id": 1}])

    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    assert 3 == len(files)
    for path in files:
        told = str(path) + path.read_text()
        assert "dlk_" not in told
        assert "s" * 43 not in told
        assert json.loads(path.read_text())
    assert "dlk_" not in repr(api.cache)


def test_a_warm_snapshot_takes_no_request_and_200_microseconds(asked_by, memory, registered):
    one, api = registered(), asked_by()
    api.snapshot("t", one.snapshot_id)
    memory.requests.clear()
    taken = []
    for _ in range(300):
        began = time.perf_counter()
        api.snapshot("t", one.snapshot_id)
        taken.append(time.perf_counter() - began)

    assert [] == memory.requests
    assert sorted(taken)[30] < 200e-6  # of the quickest tenth: other programs run, too
