"""Whatever is done to a cache, in whatever order, it answers as a few dictionaries would."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.disk import remove_tree
from datacachalog.domain.uri import Uri
from datacachalog.testing.sources import NOON, SECOND, described, publish, source

SOURCES = [source(Uri("s3", "lake", name)) for name in ("a.csv", "b.csv", "folder/a.csv")]
sources = st.sampled_from(SOURCES)
contents = st.sampled_from([b"", b"1", b"2", b"three"])
versions = st.sampled_from([None, "v1", "v2"])
times = st.integers(0, 5).map(lambda seconds: NOON + seconds * SECOND)


class CacheModel(RuleBasedStateMachine):
    """A cache, and beside it what it should hold.

    `entries` has the bytes of each revision, `kept` what publishing them answered, `now` the
    current revision of each identity and its time, and `lost` those whose file was deleted.
    """

    published = Bundle("published")

    def __init__(self):
        super().__init__()
        self.cache = self.opened()
        self.entries = {}
        self.kept = []
        self.lost = set()
        self.now = {}

    def opened(self):
        raise NotImplementedError

    @rule(
        target=published,
        into=sources,
        data=contents,
        version=versions,
        at=times,
        current=st.booleans(),
    )
    def publish(self, into, data, version, at, current):
        info = described(data, into[1], version=version)
        entry = publish(self.cache, data, info=info, into=into, at=at, current=current)

        assert (data, info) == (entry.path.read_bytes(), replace(entry.info, digest=None))
        self.entries[entry.identity, entry.revision_id] = data
        self.kept.append(entry)
        if current:
            self._point(entry, at)
        return entry

    @rule(entry=published, at=times)
    def confirm(self, entry, at):
        confirmed = self.cache.confirm(entry, at)

        if confirmed is None:  # the entry is gone, though others of its revision may have come
            assert entry not in self.kept
            return
        assert (entry.identity, entry.revision_id) in self.entries
        assert (entry.path, entry.digest, at) == (
            confirmed.path,
            confirmed.digest,
            confirmed.checked_at,
        )
        self._point(entry, at)

    @rule(entry=consumes(published))
    def lose(self, entry):
        """Somebody deletes the file of an entry."""
        entry.path.unlink(missing_ok=True)
        self.entries.pop((entry.identity, entry.revision_id), None)
        self.kept = [kept for kept in self.kept if kept.path != entry.path]
        if entry.revision_id == self.now.get(entry.identity, (None, None))[0]:
            self.lost.add(entry.identity)

    @rule(into=sources)
    def forget(self, into):
        before = self.cache.current(*into)
        self.now.pop(into[0], None)

        assert self.cache.forget(*into) == (before is not None)

    @rule()
    def clear(self):
        size = sum(map(len, self.entries.values()))
        self.entries.clear()
        self.kept.clear()
        self.now.clear()

        assert size == self.cache.clear()

    @invariant()
    def the_current_entries_are_known(self):
        for into in SOURCES:
            expected, at = self.now.get(into[0], (None, None))
            found = self.cache.current(*into)
            if found is None and into[0] in self.lost:
                continue  # it comes back with its file, or with the next confirmation
            assert expected == (found and found.revision_id)
            assert found is None or at == found.checked_at

    @invariant()
    def all_entries_are_whole(self):
        found = {(e.identity, e.revision_id): e.path.read_bytes() for e in self.cache.entries()}
        assert self.entries == found

    @rule(into=sources, version=st.sampled_from(["v1", "v2"]))
    def find(self, into, version):
        found = self.cache.find(*into, version)
        assert found is None or version == found.info.version
        known = {e.info.version for e in self.cache.entries() if e.identity == into[0]}
        assert (version in known) == (found is not None)

    def _point(self, entry, at):
        latest = self.now.get(entry.identity)
        if latest is None or latest[1] <= at:
            self.lost.discard(entry.identity)
            self.now[entry.identity] = (entry.revision_id, at)


class DirectoryModel(CacheModel):
    def opened(self):
        self.folder = Path(tempfile.mkdtemp(prefix="datacachalog-"))
        return DirectoryCache(self.folder)

    @rule()
    def open_again(self):
        self.cache = DirectoryCache(self.folder)

    def teardown(self):
        remove_tree(self.folder)


class MemoryModel(CacheModel):
    def opened(self):
        return MemoryCache()

    def teardown(self):
        self.cache.close()


few = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDirectoryModel = DirectoryModel.TestCase
TestDirectoryModel.settings = few
TestMemoryModel = MemoryModel.TestCase
TestMemoryModel.settings = few
