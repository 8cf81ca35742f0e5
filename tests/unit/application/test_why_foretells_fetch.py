"""Whatever the state of cache and store: what `why` announces is what `fetch` does next."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.explanations import Reason
from datacachalog.application.results import Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    DatacachalogError,
    IntegrityError,
    StorageAccessError,
    StorageUnavailableError,
)
from tests.unit.application.world import ORDERS, ManualClock, RecordedProgress

REMOTE = {"same": b"first", "changed": b"the second"}
CHECKSUMS = {name: hashlib.sha256(data).hexdigest() for name, data in REMOTE.items()}


@dataclass(frozen=True)
class Situation:
    cached: Literal["whole", "damaged", "forgotten", "absent"]
    remote: Literal["same", "changed", "gone", "refused", "unreachable"]
    age: timedelta
    freshness: Literal["always", "10m", "never"]
    checksum: Literal["none", "same", "changed", "other"]
    on_unreachable: Literal["stale", "fail"]
    refresh: bool
    offline: bool
    was_down: bool
    """Whether the store was asked a moment ago, and did not answer."""


SITUATIONS = st.builds(
    Situation,
    cached=st.sampled_from(["whole", "whole", "damaged", "forgotten", "absent"]),
    remote=st.sampled_from(["same", "changed", "gone", "refused", "unreachable"]),
    age=st.sampled_from([timedelta(0), timedelta(minutes=9), timedelta(minutes=10)]),
    freshness=st.sampled_from(["always", "10m", "never"]),
    checksum=st.sampled_from(["none", "none", "same", "changed", "other"]),
    on_unreachable=st.sampled_from(["stale", "fail"]),
    refresh=st.booleans(),
    offline=st.booleans(),
    was_down=st.booleans(),
)


class World:
    """A catalog in that situation."""

    def __init__(self, situation, cache):
        self.clock = ManualClock()
        self.cache, self.storage = cache, MemoryStorage(clock=self.clock)
        self.storage.put(ORDERS, REMOTE["same"])
        if situation.cached != "absent":
            path = self._catalog(Dataset("orders", ORDERS)).fetch("orders")
            if situation.cached == "damaged":
                path.unlink()
            if situation.cached == "forgotten":
                cache.forget(self.storage.identity(ORDERS), ORDERS)
        self.clock.go_on(situation.age)
        digest = CHECKSUMS.get(situation.checksum, "0" * 64)
        dataset = Dataset(
            "orders",
            ORDERS,
            freshness=situation.freshness,
            on_unreachable=situation.on_unreachable,
            checksum=None if situation.checksum == "none" else f"sha256:{digest}",
        )
        self.catalog = self._catalog(dataset)
        self.options = {"refresh": situation.refresh, "offline": situation.offline}
        self.storage.before = self._answering("unreachable")
        if situation.was_down:
            with pytest.raises(StorageUnavailableError):
                self.catalog.fetch("orders", refresh=True, offline=False)
        self.storage.before = self._answering(situation.remote)
        if situation.remote == "changed":
            self.storage.put(ORDERS, REMOTE["changed"])
        if situation.remote == "gone":
            self.storage.delete(ORDERS)
        self.storage.requests.clear()

    def _catalog(self, dataset):
        return CoreCatalog([dataset], storage=self.storage, cache=self.cache, clock=self.clock)

    @staticmethod
    def _answering(remote):
        def answer(*_):
            if remote == "unreachable":
                raise StorageUnavailableError(str(ORDERS), "the connection was refused")
            if remote == "refused":
                raise StorageAccessError(str(ORDERS), "AccessDenied")

        return answer

    def kept(self):
        """All that is in the cache, and what is current there."""
        found = sorted((entry.path, entry.checked_at) for entry in self.cache.entries())
        return self.cache.current(self.storage.identity(ORDERS), ORDERS), found

    def fetch(self):
        """The outcome, or the error, and how many bytes moved."""
        progress = RecordedProgress()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                done = self.catalog.obtain("orders", progress=progress, **self.options).outcome
            except DatacachalogError as error:
                done = (type(error), str(error))
        return done, sum(transfer.moved_bytes for _, transfer in progress.transfers)


@contextmanager
def two_worlds(kind, situation):
    with TemporaryDirectory() as folder, MemoryCache() as one, MemoryCache() as other:
        caches: list[MemoryCache | DirectoryCache] = [one, other]
        if kind == "directory":
            caches = [DirectoryCache(Path(folder) / name) for name in ("one", "other")]
        yield [World(situation, cache) for cache in caches]


@pytest.mark.parametrize("kind", ["memory", "directory"])
@settings(max_examples=120, deadline=None)
@given(situation=SITUATIONS)
def test_what_is_announced_is_what_is_done(kind, situation):
    with two_worlds(kind, situation) as (asked, control):
        before = asked.kept()
        explained = asked.catalog.why("orders", **asked.options)
        asked_for = list(asked.storage.requests)
        assert before == asked.kept()

        done, moved = asked.fetch()

        assert (done, moved) == control.fetch(), "asking why changed what a fetch does"
        assert asked_for == ["stat"] * bool(control.storage.requests)
        if explained.outcome is None:
            assert (type(explained.error), str(explained.error)) == done
        elif explained.outcome is Outcome.DOWNLOADED and situation.checksum != "none":
            is_refused = situation.checksum != situation.remote
            assert (IntegrityError if is_refused else Outcome.DOWNLOADED) == (
                done[0] if is_refused else done
            )
            assert "refused unless" in str(explained)
        else:
            assert (explained.outcome, explained.size_bytes) == (done, moved)
    said = str(explained)
    assert (explained.outcome is Outcome.DOWNLOADED) == ("orders would be downloaded" in said)
    assert (explained.outcome is None) == ("orders would fail" in said)
    assert (explained.error is not None) == (explained.outcome in {None, Outcome.STALE})
    assert (explained.reason is Reason.OFFLINE) == ("while offline" in said)
