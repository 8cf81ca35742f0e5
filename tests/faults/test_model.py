"""Whatever is done with two catalogs on one cache, they answer as a few dictionaries would.

The model of the cache alone is in `tests/unit/adapters/cache/test_model.py`.
"""

from __future__ import annotations

import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datacachalog import (
    ConflictError,
    DatacachalogError,
    Dataset,
    ObjectNotFoundError,
    OfflineError,
    StaleWarning,
    State,
    StorageUnavailableError,
)
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.layered import LayeredCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.disk import remove_tree
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog

NAMES = ["a", "b"]
DATASETS = [Dataset(name, f"mem://lake/{name}.csv") for name in NAMES]
names, either = st.sampled_from(NAMES), st.integers(0, 1)


class CatalogModel(RuleBasedStateMachine):
    """Two catalogs, and beside them what they should answer.

    `remote` is what the store holds, `kept` all that it ever did, by version; `cached` is what the
    cache takes for current, and `seen` what each catalog last had of each dataset. What was `lost`
    by damage is current again with its file, should anybody fetch that version and the cache
    `revives` it.
    """

    folder: Path
    revives: bool

    def __init__(self):
        super().__init__()
        self.now, self.is_down, self.last = datetime(2024, 2, 29, tzinfo=UTC), False, 0
        self.storage = MemoryStorage(versioned=True, clock=self.clock)
        self.storage.before = self.answer
        self.cache = self.opened()
        self.catalogs = [self.catalog(), self.catalog()]
        self.remote, self.kept, self.cached = {}, {}, {}
        self.handed, self.damaged, self.lost = {}, set(), {}
        self.seen: list[dict[str, bytes]] = [{}, {}]

    def opened(self):
        raise NotImplementedError

    def clock(self):
        self.now += timedelta(seconds=11)  # longer than a store is taken to be down for
        return self.now

    def answer(self, operation, uri):
        if self.is_down:
            raise StorageUnavailableError(str(uri), "it is down")

    def catalog(self):
        return CoreCatalog(DATASETS, storage=self.storage, cache=self.cache, clock=self.clock)

    def data(self):
        """Bytes that were never there before."""
        self.last += 1
        return b"%d " % self.last * self.last

    def stored(self, name, data, version):
        self.remote[name], self.kept[name, version] = data, data

    def now_current(self, which, name, data):
        self.cached[name] = self.seen[which][name] = data
        self.lost.pop(name, None)

    def answered(self, act, expected):
        """What a call gave, which must be bytes, or an error of a class."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StaleWarning)
                path = act()
        except DatacachalogError as error:
            failure = error
        else:
            assert path.read_bytes() == expected
            self.handed[path] = expected
            self.damaged.discard(path)
            return True
        assert type(failure) is expected
        return False

    @rule(name=names)
    def put(self, name):
        data = self.data()
        self.stored(name, data, self.storage.put(DATASETS[NAMES.index(name)].source, data).version)

    @rule(name=names)
    def delete(self, name):
        if self.remote.pop(name, None) is not None:
            self.storage.delete(DATASETS[NAMES.index(name)].source)

    @rule()
    def go_down_or_up(self):
        self.is_down = not self.is_down

    @rule(which=either, name=names, refresh=st.booleans(), offline=st.booleans())
    def fetch(self, which, name, refresh, offline):
        if offline or self.is_down:
            error = OfflineError if offline else StorageUnavailableError
            expected = error if refresh else self.cached.get(name, error)
        else:
            expected = self.remote.get(name, ObjectNotFoundError)
        catalog = self.catalogs[which]
        if self.answered(lambda: catalog.fetch(name, refresh=refresh, offline=offline), expected):
            self.now_current(which, name, expected)

    @rule(which=either, data=st.data())
    def fetch_version(self, which, data):
        if self.kept and not self.is_down:
            (name, version), expected = data.draw(st.sampled_from(sorted(self.kept.items())))
            assert self.answered(
                lambda: self.catalogs[which].fetch(name, version=version), expected
            )
            if self.revives and self.lost.get(name) == expected:
                self.cached[name] = self.lost.pop(name)

    @rule(which=either, name=names, expect=st.sampled_from(["cached", "absent", "any"]))
    def push(self, which, name, expect):
        file, data = self.folder / "new", self.data()
        file.write_bytes(data)
        known = self.seen[which].get(name, self.cached.get(name))
        is_right = {"cached": known, "absent": None}.get(expect, self.remote.get(name))
        expected = data if self.remote.get(name) == is_right else ConflictError
        results = []

        def act():
            results.append(self.catalogs[which].push(name, file, expect=expect))
            return results[0].entry.path

        if self.answered(act, StorageUnavailableError if self.is_down else expected):
            self.stored(name, data, results[0].entry.info.version)
            self.now_current(which, name, data)

    @rule(which=either, name=names)
    def invalidate(self, which, name):
        self.lost.pop(name, None)
        assert self.catalogs[which].invalidate(name) == (self.cached.pop(name, None) is not None)

    @rule(which=either)
    def verify(self, which):
        found = {path for one in self.catalogs[which].verify() for path in one.damaged}
        assert found == self.damaged
        self.damaged.clear()

    @rule(which=either, data=st.data())
    def damage(self, which, data):
        """Somebody writes to a file that was handed out."""
        if self.handed:
            path = data.draw(st.sampled_from(sorted(self.handed)))
            gone = self.handed.pop(path)
            path.chmod(0o644)
            path.write_bytes(gone + b"more")
            self.damaged.add(path)
            for name in [name for name, was in self.cached.items() if was == gone]:
                self.lost[name] = self.cached.pop(name)

    @rule(which=either)
    def clear(self, which):
        self.catalogs[which].cache.clear()
        for known in (self.cached, self.handed, self.damaged, self.lost):
            known.clear()

    @rule(which=either)
    def begin_anew(self, which):
        """As a new process does."""
        self.catalogs[which], self.seen[which] = self.catalog(), {}

    @rule(which=either)
    def status(self, which):
        for status in self.catalogs[which].status():
            cached, remote = self.cached.get(status.name), self.remote.get(status.name)
            if not self.is_down and remote is not None:
                is_current = State.CURRENT if cached == remote else State.STALE
                assert status.state is (State.ABSENT if cached is None else is_current)

    @invariant()
    def what_was_handed_out_stays_as_it_was(self):
        for path, data in self.handed.items():
            assert data == path.read_bytes()


class OnDisk(CatalogModel):
    revives = True

    def opened(self):
        self.folder = Path(tempfile.mkdtemp(prefix="datacachalog-"))
        return DirectoryCache(self.folder / "cache")

    @rule()
    def open_again(self):
        self.cache = DirectoryCache(self.folder / "cache")

    def teardown(self):
        remove_tree(self.folder)


class OnLayers(OnDisk):
    """A cache on top of one that is empty is as it would be alone."""

    def opened(self):
        self.folder = Path(tempfile.mkdtemp(prefix="datacachalog-"))
        return LayeredCache(self.folder / "cache", [self.folder / "layer"])

    @rule()
    def open_again(self):
        self.cache = LayeredCache(self.folder / "cache", [self.folder / "layer"])


class InMemory(CatalogModel):
    revives = False

    def opened(self):
        self.folder = Path(tempfile.mkdtemp(prefix="datacachalog-"))
        return MemoryCache()

    def teardown(self):
        self.cache.close()
        remove_tree(self.folder)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("model", [OnDisk, OnLayers, InMemory])
def test_f46_two_catalogs_on_one_cache_answer_as_a_model_does(model, whole):
    examples, steps = (400, 50) if whole else (40, 40)
    model.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    model.TestCase().runTest()
