"""Tables as datasets, of a registry in memory: what is served without asking, and what is noted."""

from __future__ import annotations

import pytest

from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.adapters.storage.datlake import DatlakeStorage
from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.results import Outcome, StaleWarning
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import StorageUnavailableError, TransientNetworkError
from datacachalog.domain.lineage import recording
from datacachalog.domain.registry import Registration
from datacachalog.domain.uri import Uri
from tests.unit.application.world import HOUR


@pytest.fixture
def api(clock):
    return MemoryApi(clock=clock)


@pytest.fixture
def register(api):
    """Makes bytes the next snapshot of a table; its id."""

    def register(table, data):
        uri = f"mem://{table}/{data.decode()}.csv"
        api.storage.put(Uri.parse(uri), data)
        return api.register(Registration(table, uri, "csv")).snapshot_id

    return register


@pytest.fixture
def make(api, cache, clock):
    """Makes a catalog of sources by their names."""

    def make(**sources):
        tables = DatlakeStorage(api, api.storage)
        storage = RouterStorage(lambda uri: tables if uri.table else api.storage)
        found = [Dataset(name, source) for name, source in sources.items()]
        return CoreCatalog(found, storage=storage, cache=cache, clock=clock)

    return make


class Notes(list[tuple[str, ...]]):
    """What a run hears."""

    def read(self, table_name, snapshot_id):
        self.append(("read", table_name, snapshot_id))

    def wrote(self, table_name, snapshot_id):
        self.append(("wrote", table_name, snapshot_id))

    def read_object(self, uri):
        self.append(("read", uri))

    def wrote_object(self, uri):
        self.append(("wrote", uri))


def test_a_snapshot_that_a_source_names_is_served_without_asking_for_ever(
    api, clock, make, register
):
    made = register("sales", b"1")
    catalog = make(sales=f"datlake://sales@{made}")
    catalog.fetch("sales")
    api.requests.clear()
    clock.go_on(1000 * HOUR)

    assert Outcome.CACHED is catalog.obtain("sales").outcome
    assert Outcome.CACHED is catalog.obtain("sales", offline=True).outcome
    assert "the snapshot that its source names" in str(catalog.why("sales"))
    assert [] == api.requests


def test_a_registry_that_is_down_is_not_waited_for_by_every_table(api, make, register):
    for table in ("a", "b"):
        register(table, b"1")
    catalog = make(a="datlake://a", b="datlake://b")
    catalog.fetch_all()
    api.fail(1, TransientNetworkError("no answer"))
    api.requests.clear()

    with pytest.warns(StaleWarning):
        catalog.fetch("a")
    with pytest.warns(StaleWarning):
        catalog.fetch("b")

    assert ["latest"] == api.requests


def test_a_store_that_is_down_is_that_of_its_tables_only(api, make, register):
    for table in ("a", "b"):
        register(table, b"1")
    catalog = make(a="datlake://a", b="datlake://b")
    catalog.fetch_all()
    register("a", b"2")
    api.storage.fail(1, StorageUnavailableError("mem://a/2.csv", "down"), operation="download")

    with pytest.warns(StaleWarning):
        catalog.fetch("a")

    assert Outcome.UNCHANGED is catalog.obtain("b").outcome


def test_a_run_hears_of_what_is_served_stale_and_what_is_locked(api, make, register):
    made = register("sales", b"1")
    catalog, notes = make(sales="datlake://sales"), Notes()
    catalog.fetch("sales")

    with recording(notes), pytest.warns(StaleWarning):
        catalog.fetch("sales", offline=True)

    assert [("read", "sales", made)] == notes


def test_a_run_hears_of_objects_by_addresses_that_are_some(api, make, tmp_path):
    for key in ("a b#c?.csv", "plain.csv"):
        api.storage.put(Uri("mem", "lake", key), b"1")
    (tmp_path / "mine.csv").write_bytes(b"2")
    catalog = make(odd=Uri("mem", "lake", "a b#c?.csv"), plain="mem://lake/plain.csv")
    notes = Notes()

    with recording(notes):
        catalog.fetch_all()
        catalog.push("plain", tmp_path / "mine.csv")

    plain = "mem://lake/plain.csv"
    assert [("read", "mem://lake/a%20b%23c%3F.csv"), ("read", plain), ("wrote", plain)] == notes


def test_a_fetch_that_fails_is_not_heard_of(make):
    notes = Notes()

    with recording(notes):
        make(sales="datlake://sales").try_all()

    assert [] == notes
